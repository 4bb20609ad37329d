"""Which maps a training step sees, and how they get there: from memory, or from disk just ahead of time."""

import functools
import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Key

from wlbook.common.checks import check_finite
from wlbook.simulation.survey import coarsen

T = TypeVar("T")

WINDOW = 8  # blocks of a streamed source that are shuffled together, and so held in memory


def dihedral(kappa: Float[Array, "*batch y x"], copy: int) -> Float[Array, "*batch y x"]:
    """One of the 8 rotated and mirrored copies of square maps, 0 <= copy < 8; 0 is the map itself."""
    if copy & 1:
        kappa = jnp.flip(kappa, -1)
    if copy & 2:
        kappa = jnp.flip(kappa, -2)
    return jnp.swapaxes(kappa, -1, -2) if copy & 4 else kappa


def augment(kappa: Float[Array, "map bin y x"]) -> Float[Array, "map bin y x"]:
    """An eighth of a (shuffled) batch in each dihedral copy."""
    parts = jnp.array_split(kappa, min(8, len(kappa)))
    return jnp.concatenate([dihedral(part, copy) for copy, part in enumerate(parts)])


class Streamed:
    """Maps that stay where they are, on disk or in the host's memory, and are read a block at a time.

    Reading single maps off a chunked file reads the whole chunk of each. So whole blocks are read, a few of them are
    kept, and `order` shuffles the blocks, and the maps of a few blocks at a time, instead of all maps at once.
    """

    def __init__(self, kappa: xr.DataArray, *, factor: int = 1):
        """Read maps [map, bin, y, x] that need not be loaded; `factor` pixels are averaged along each side."""
        chunks = kappa.encoding.get("chunks") or (1,)
        self.block = min(int(chunks[0]), len(kappa))
        coarse = coarsen(np.zeros(kappa.shape[-2:], np.float32), factor)
        self.shape = (*kappa.shape[:2], *coarse.shape)

        @functools.lru_cache(WINDOW + 1)
        def read(number: int) -> np.ndarray:
            maps = kappa.isel(map=slice(number * self.block, (number + 1) * self.block)).to_numpy()
            maps = np.asarray(coarsen(np.asarray(maps, np.float32), factor))
            check_finite("kappa", maps, number * self.block)
            return maps

        self._read = read

    def __len__(self) -> int:
        """How many maps there are."""
        return self.shape[0]

    def __getitem__(self, rows: np.ndarray) -> Float[np.ndarray, "map bin y x"]:
        """The maps of these rows."""
        rows = np.asarray(rows)
        found = np.empty((len(rows), *self.shape[1:]), np.float32)
        for number in np.unique(rows // self.block):  # a block at a time: it may fall out of memory after
            mine = rows // self.block == number
            found[mine] = self._read(int(number))[rows[mine] % self.block]
        return found


def source(kappa: xr.DataArray, *, factor: int = 1) -> np.ndarray | Streamed:
    """Maps in memory when they fit into half of the device's, else a stream of them, both as `Streamed` reads them."""
    if 4 * kappa.size // factor**2 > device_memory() // 2:
        return Streamed(kappa, factor=factor)
    return np.asarray(coarsen(np.asarray(kappa.to_numpy(), np.float32), factor))


def device_memory() -> int:
    """Memory of the device that JAX computes on [bytes]."""
    found = (jax.devices()[0].memory_stats() or {}).get("bytes_limit")
    return found or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def order(maps: int, batch: int, key: Key[Array, ""], *, block: int = 1) -> Callable[[int], Int[np.ndarray, " batch"]]:
    """Which maps a step sees, given its number: consecutive pieces of a pass that is shuffled anew each time.

    There are `maps` >= batch of them; what is left over at the end of a pass is not seen in it. Maps of a block are
    read together; with more than 1, blocks are shuffled, and `WINDOW` blocks among themselves.
    """
    steps = maps // batch
    entropy = np.asarray(jax.random.key_data(key)).tolist()

    @functools.lru_cache(2)
    def shuffled(number: int) -> np.ndarray:
        draw = np.random.default_rng([*entropy, number])
        if block == 1:
            return draw.permutation(maps)
        blocks = draw.permutation(-(-maps // block))
        windows = [blocks[start : start + WINDOW] for start in range(0, len(blocks), WINDOW)]
        rows = [(window[:, None] * block + np.arange(block)).ravel() for window in windows]
        return np.concatenate([draw.permutation(some[some < maps]) for some in rows])

    return lambda step: shuffled(step // steps)[step % steps * batch :][:batch].astype(np.int32)


def ahead(make: Callable[[T], Any], items: Iterable[T]) -> Iterator[Any]:
    """`make(item)` for each item, the next one already being made in a thread while this one is used."""
    with ThreadPoolExecutor(1) as pool:
        waiting = None
        for item in items:
            made, waiting = waiting, pool.submit(make, item)
            if made is not None:
                yield made.result()
        if waiting is not None:
            yield waiting.result()
