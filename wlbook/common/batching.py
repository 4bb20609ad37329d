"""Batches of one size: what takes a batch is compiled once."""

import numpy as np
from jaxtyping import Int


def equal(number: int, size: int) -> list[tuple[Int[np.ndarray, " batch"], int]]:
    """Rows 0 to `number - 1` in batches of `size` rows each; the last one is filled up with the first rows again.

        found = np.concatenate([work(maps[rows])[:fresh] for rows, fresh in equal(len(maps), 64)])

    Both are >= 1; a `size` of more rows than there are means all of them. With each batch comes how many of its rows
    are in no batch before.
    """
    size = min(size, number)
    starts = range(0, number, size)
    return [(np.arange(start, start + size) % number, min(size, number - start)) for start in starts]
