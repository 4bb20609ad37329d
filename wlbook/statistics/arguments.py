"""What the statistics accept, and the one line that says what is wrong with the rest."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Num, Shaped

from wlbook.common import checks

Maps = Num[Array | np.ndarray, "*batch bin y x"]
Mask = Shaped[Array | np.ndarray, "..."] | None
Real = int | float
Edges = Sequence[Real] | Num[Array | np.ndarray, " _"]


def checked_shape(kappa: Any, *, boundary: str = "periodic", margin: int = 0, more: tuple[str, ...] = ()) -> Any:
    """`kappa` as an array [..., bin, y, x] that is large enough for its boundary; pixels are checked block by block.

    Args:
        kappa: what was passed as maps.
        boundary: what was passed as boundary.
        margin: pixels on each side that a statistic cannot use when edges are dropped.
        more: what else `boundary` may be beside "periodic" and "drop".
    """
    array = kappa if isinstance(kappa, jax.Array | np.ndarray) else np.asarray(kappa)
    if array.ndim < 3:
        raise ValueError(f"kappa of shape {array.shape}: must be [..., bin, y, x]")
    if array.dtype.kind not in "fiub" and array.dtype != jax.numpy.bfloat16:
        raise ValueError(f"kappa of dtype {array.dtype}: must be real numbers")
    checks.one_of("boundary", boundary, ("periodic", "drop", *more))
    smallest = 1 if boundary == "periodic" else 2 * margin + 1
    if min(array.shape[-2:]) < smallest:
        raise ValueError(
            f'kappa of shape {array.shape}: boundary = "{boundary}" needs {smallest} x {smallest} pixels or more'
        )
    return array


def broken_pixels(kappa: Any, mask: Bool[np.ndarray, "y x"] | None) -> ValueError:
    """What to raise when an observed pixel is NaN or infinite."""
    values = np.asarray(kappa, np.float32)
    broken = ~np.isfinite(values) if mask is None else ~np.isfinite(values) & mask
    total = math.prod(values.shape)
    return ValueError(f"kappa: {int(broken.sum())} of {total} pixels are NaN or infinite: all must be finite")


def checked_mask(mask: Any, pixels: tuple[int, ...]) -> Bool[np.ndarray, "y x"] | None:
    """`mask` as a boolean array of the maps' shape [y, x]; None when every pixel is observed."""
    if mask is None:
        return None
    if isinstance(mask, Tracer):
        raise ValueError("mask: must be known while JAX traces a function; pass it as a constant")
    array = np.asarray(mask)
    if array.dtype != np.bool_:
        raise ValueError(f"mask of dtype {array.dtype}: must be boolean, True where a pixel is observed")
    if array.shape != pixels:
        raise ValueError(f"mask of shape {array.shape}: must be {pixels}, the [y, x] of the maps")
    if not array.any():
        raise ValueError("mask: no pixel is observed, must be True somewhere")
    return None if array.all() else array


def checked_edges(edges: Any, name: str = "edges") -> np.ndarray:
    """`edges` as float64."""
    values = np.asarray(edges, dtype=np.float64)
    if values.ndim != 1 or values.size < 2:
        raise ValueError(f"{name} of shape {values.shape}: must be a list of at least 2 bin edges")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} = {values.tolist()}: must be finite")
    if np.diff(values).min() <= 0:
        first = int(np.argmax(np.diff(values) <= 0))
        raise ValueError(f"{name}[{first}:{first + 2}] = {values[first : first + 2].tolist()}: must increase")
    return values


def checked_count(name: str, value: Any, least: int) -> int:
    """`value` as a whole number that is not below `least`."""
    whole = not isinstance(value, bool) and int(value) == value and value >= least
    checks.require(whole, name, value, f"a whole number >= {least}")
    return int(value)
