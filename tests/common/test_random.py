import jax
import numpy as np
import pytest

from wlbook.common.random import key, normal


def bits(stream):
    return tuple(np.asarray(jax.random.key_data(stream)).tolist())


def test_same_names_give_the_same_stream_and_others_another():
    assert bits(key(1, "noise", 3)) == bits(key(1, "noise", 3))
    streams = [key(1), key(2), key(1, "noise"), key(1, "noise", 3), key(1, "noise", 4), key(1, "shift", 3), key(1, 3)]
    assert len({bits(stream) for stream in streams}) == len(streams)


def test_streams_of_neighbouring_names_are_not_correlated():
    draws = np.stack([jax.random.normal(key(7, "noise", index), (4096,)) for index in range(8)])
    correlation = np.corrcoef(draws) - np.eye(8)
    assert np.abs(correlation).max() < 5 / np.sqrt(4096)


@pytest.mark.parametrize("shape", [(), (1,), (5, 5, 8, 16), (3, 0), (2**18 + 1,)], ids=str)
def test_normal_numbers_are_those_of_jax(shape):
    np.testing.assert_array_equal(normal(key(7, "weights"), shape), jax.random.normal(key(7, "weights"), shape))


def test_normal_numbers_can_be_drawn_in_a_compiled_function():
    inside = jax.jit(lambda stream: normal(stream, (3, 4)))(key(7, "weights"))
    np.testing.assert_array_equal(inside, normal(key(7, "weights"), (3, 4)))
