"""Two things at a time: a program of short steps leaves a core idle."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Given = TypeVar("Given")
Found = TypeVar("Found")


def two_at_a_time(function: Callable[[Given], Found], items: Iterable[Given]) -> Iterator[Found]:
    """`function` of each item, in order, while the next one is being worked on.

    Whoever stops asking, by an error for one, waits for the two at hand and starts no more.
    """
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(function, items)
