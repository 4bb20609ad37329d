"""Batches: every row once, in order, and all batches of one size."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from wlbook.common import batching


@given(number=st.integers(1, 40), size=st.integers(1, 50))
def test_every_row_comes_once_and_in_order(number, size):
    batches = batching.equal(number, size)
    found = np.concatenate([rows[:fresh] for rows, fresh in batches])
    np.testing.assert_array_equal(found, np.arange(number))
    assert {len(rows) for rows, _ in batches} == {min(size, number)}


def test_the_last_batch_is_filled_up_with_the_first_rows():
    (first, fresh), (last, left) = batching.equal(5, 3)
    np.testing.assert_array_equal(first, [0, 1, 2])
    np.testing.assert_array_equal(last, [3, 4, 0])
    assert (fresh, left) == (3, 2)


def test_no_batch_is_wider_than_what_there_is():
    ((rows, fresh),) = batching.equal(2, 64)
    np.testing.assert_array_equal(rows, [0, 1])
    assert fresh == 2
