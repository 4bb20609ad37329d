"""Two things at a time: the order of answers, and what an error leaves undone."""

import threading

import pytest

from wlbook.common.threads import two_at_a_time


def test_answers_come_in_order_and_two_are_worked_on_together():
    together = threading.Barrier(2, timeout=60)

    def meet(number):
        together.wait()  # nobody passes alone
        return number**2

    assert list(two_at_a_time(meet, range(6))) == [0, 1, 4, 9, 16, 25]


def test_an_error_starts_no_more():
    begun = []

    def work(number):
        begun.append(number)
        if number == 1:
            raise ValueError("number = 1: must be another")
        return number

    with pytest.raises(ValueError, match=r"^number = 1: must be another$"):
        list(two_at_a_time(work, range(1000)))
    assert len(begun) < 1000
