"""What the statistics accept, and the one line that says what is wrong with the rest."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Num, Shaped

from wlbook.common import arrays, checks

Maps = Num[Array | np.ndarray, "*batch bin y x"]
Mask = Shaped[Array | np.ndarray, "..."] | None  # [y, x], True where a pixel is observed; None: everywhere
Real = int | float
Edges = Sequence[Real] | Num[Array | np.ndarray, " _"]


def checked_maps(
    kappa: Any, mask: Any = None, *, boundary: str = "periodic", margin: int = 0, more: tuple[str, ...] = ()
) -> tuple[Any, Bool[np.ndarray, "y x"] | None]:
    """`kappa` as an array that is large enough for its boundary, and its mask: None when every pixel is observed.

    What the pixels hold is checked block by block, by `execution.over_maps`. The margin is what a statistic cannot use
    on each side when edges are dropped [pixels]; `more` is what `boundary` may be beside "periodic" and "drop".
    """
    array = arrays.real("kappa", kappa)
    checks.require(array.ndim >= 3, "shape of kappa", array.shape, "[..., bin, y, x]")
    checks.one_of("boundary", boundary, ("periodic", "drop", *more))
    least = 1 if boundary == "periodic" else 2 * margin + 1
    enough = f'at least {least} x {least} pixels for boundary = "{boundary}"'
    checks.require(min(array.shape[-2:]) >= least, "shape of kappa", array.shape, enough)
    return array, _checked_mask(mask, array.shape[-2:])


def _checked_mask(mask: Any, pixels: tuple[int, ...]) -> Bool[np.ndarray, "y x"] | None:
    if mask is None:
        return None
    if isinstance(mask, Tracer):
        raise ValueError("mask: must be known while JAX traces a function; pass it as a constant")
    array = np.asarray(mask)
    checks.require(array.dtype == bool, "dtype of mask", array.dtype, "boolean, True where a pixel is observed")
    checks.same_shape("mask", array, pixels, "the maps' [y, x]")
    if not array.any():
        raise ValueError("mask: no pixel is observed, must be True somewhere")
    return None if array.all() else array


def checked_edges(edges: Any, name: str = "edges") -> np.ndarray:
    """`edges` as float64."""
    values = np.asarray(edges, dtype=np.float64)
    checks.require(np.isfinite(values).all(), name, values.tolist(), "finite")
    checks.rising(name, values)
    return values


def checked_count(name: str, value: Any, least: int) -> int:
    """`value` as a whole number that is not below `least`."""
    whole = not isinstance(value, bool) and int(value) == value and value >= least
    checks.require(whole, name, value, f"a whole number >= {least}")
    return int(value)
