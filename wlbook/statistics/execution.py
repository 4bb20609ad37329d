"""How a batch of maps is laid out on the machine: the one place where the device decides.

On a CPU a map fits the cache, so maps go one after the other, and each core works on a block of its own. On an
accelerator a block of maps is measured at once. Blocks bound the memory that a batch of any size takes.
"""

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from wlbook.common import batching


class Layout(NamedTuple):
    """What a kind of device is good at."""

    workers: int  # blocks at work together
    block_bytes: int  # of maps in a block
    one_by_one: bool  # maps of a block in turn, else at once
    scatter: bool  # bins are summed by a segment sum, else by one comparison a bin


def layout() -> Layout:
    """The layout for the device that JAX uses."""
    if jax.default_backend() == "cpu":
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        # A segment sum is 3 to 10 times faster here than a comparison and a sum for each bin.
        return Layout(workers=cores, block_bytes=2**24, one_by_one=True, scatter=True)
    # Threads of an accelerator would queue for the few bins of a segment sum.
    return Layout(workers=1, block_bytes=2**28, one_by_one=False, scatter=False)


def bin_sums(index: Int[Array, "*pixels"], values: Float[Array, "*pixels"], n: int) -> Float[Array, " n"]:
    """Sum of `values` over the pixels of each of the `n` bins that `index` numbers from 0."""
    if layout().scatter:
        return jax.ops.segment_sum(values.reshape(-1), index.reshape(-1), n)
    return jnp.stack([jnp.where(index == number, values, 0.0).sum() for number in range(n)])


def in_turn(function: Callable[..., Any], items: Any) -> Any:
    """`function` of each item along the first axis: one after the other where that suits the cache, else at once."""
    return jax.lax.map(function, items) if layout().one_by_one else jax.vmap(function)(items)


def over_maps(
    one: Callable[..., Any],
    kappa: Any,
    *arrays: Any,
    axes: int = 2,
    mask: Bool[np.ndarray, "y x"] | None = None,
    numbers: np.ndarray | None = None,
    **options: Any,
) -> Any:
    """`one(image, *arrays, **options)` of every map of a batch [..., bin, y, x], the results stacked as the maps were.

    A pixel that `mask` leaves out is 0 before `one` sees it, whatever it was. While JAX traces a function the maps
    are part of its program; else they go through in blocks, on all cores, and must be finite where they are observed.

    `one` is a module's function of an image, which is the last `axes` axes of `kappa`; it returns an array or a dict.
    It takes `numbers`, one for each image, after the image. Options are compiled in, so they must be hashable.
    """
    shape, inner = kappa.shape[: kappa.ndim - axes], kappa.shape[kappa.ndim - axes :]
    number, settings = math.prod(shape), tuple(sorted(options.items()))
    run = partial(_block, arrays=arrays, mask=mask, one=one, options=settings)
    if number == 0:
        like, _ = jax.eval_shape(run, np.zeros((1, *inner), np.float32), None if numbers is None else np.zeros(1, int))
        return jax.tree.map(lambda leaf: jnp.zeros((*shape, *leaf.shape[1:]), leaf.dtype), like)
    flat = kappa.reshape(number, *inner)  # while JAX traces, this makes a known array part of the program too
    if isinstance(flat, Tracer):
        found, _ = run(flat, numbers)
    else:
        found = _in_blocks(run, flat, numbers)
        if found is None:
            broken = ~np.isfinite(np.asarray(kappa, np.float32)) & (True if mask is None else mask)
            amount = f"{int(broken.sum())} of {broken.size} pixels are"
            raise ValueError(f"kappa: {amount} NaN or infinite: all must be finite")
    return jax.tree.map(lambda leaf: jnp.asarray(leaf).reshape(*shape, *leaf.shape[1:]), found)


@partial(jax.jit, static_argnames=("one", "options"))
def _block(kappa: Any, numbers: Any, *, arrays: tuple[Any, ...], mask: Any, one: Any, options: Any) -> Any:
    """Results of the maps of one block, and whether each map is finite where it is observed."""

    def each(given: tuple[Array, ...]) -> tuple[Any, Bool[Array, ""]]:
        image, *number = given
        image = image.astype(jnp.float32)
        seen = image if mask is None else jnp.where(mask, image, jnp.float32(0))
        return one(seen, *number, *arrays, **dict(options)), jnp.isfinite(seen).all()

    given = (kappa,) if numbers is None else (kappa, numbers)
    return in_turn(each, given)


def _in_blocks(run: Callable[..., Any], maps: Any, numbers: Any) -> Any:
    """`run` over blocks of equal size, several at a time; None if a map is not finite."""
    plan, number = layout(), len(maps)
    if plan.one_by_one:
        maps = np.asarray(maps)
    size = min(number, max(1, plan.block_bytes // (4 * math.prod(maps.shape[1:]))))
    if maps.size > 2**18:  # else a second thread costs more than it gives
        size = min(size, -(-number // plan.workers))

    def work(batch: tuple[np.ndarray, int]) -> tuple[Any, bool]:
        rows, fresh = batch
        whole = isinstance(maps, np.ndarray) and fresh == size  # then a view; JAX would compile a slice for each block
        block = maps[rows[0] : rows[-1] + 1] if whole else maps[rows]
        found, finite = run(block, None if numbers is None else numbers[rows])
        return jax.tree.map(lambda leaf: np.asarray(leaf)[:fresh], found), bool(finite.all())

    with ThreadPoolExecutor(plan.workers) as pool:
        parts = list(pool.map(work, batching.equal(number, size)))
    if not all(finite for _, finite in parts):
        return None
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *(found for found, _ in parts))
