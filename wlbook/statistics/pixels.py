"""What the statistics in real space share: neighbours, derivatives, bins, and which pixels may be used."""

from collections.abc import Iterable
from typing import Any, NamedTuple, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

Image = TypeVar("Image", Array, np.ndarray)
AROUND = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))
#: The pixels that second derivatives by central differences need.
STENCIL = (*AROUND, (0, 2), (0, -2), (2, 0), (-2, 0))


def framed(kappa: Image, margin: int, boundary: str) -> Image:
    """Maps whose inner part, `margin` pixels away from each side, is where a statistic is measured."""
    if boundary != "periodic":
        return kappa
    pad: Any = np.pad if isinstance(kappa, np.ndarray) else jnp.pad
    return pad(kappa, [(0, 0)] * (kappa.ndim - 2) + [(margin, margin)] * 2, mode="wrap")


def shifted(frame: Image, margin: int, dy: int = 0, dx: int = 0) -> Image:
    """The value `dy` rows down and `dx` columns right of every inner pixel."""
    rows, columns = frame.shape[-2] - 2 * margin, frame.shape[-1] - 2 * margin
    return frame[..., margin + dy : margin + dy + rows, margin + dx : margin + dx + columns]


def usable(
    mask: Bool[np.ndarray, "y x"] | None, offsets: Iterable[tuple[int, int]], margin: int, boundary: str
) -> Bool[np.ndarray, "y2 x2"] | None:
    """Which inner pixels are observed together with all their neighbours; None: all of them."""
    if mask is None:
        return None
    frame = framed(mask, margin, boundary)
    found = np.logical_and.reduce([shifted(frame, margin), *(shifted(frame, margin, *offset) for offset in offsets)])
    if not found.any():
        raise ValueError("mask: no observed pixel has all the neighbours that it needs observed")
    return found


class Derivatives(NamedTuple):
    """Central differences of kappa, in pixels."""

    x: Float[Array, "*batch y x"]
    y: Float[Array, "*batch y x"]
    xx: Float[Array, "*batch y x"]
    yy: Float[Array, "*batch y x"]
    xy: Float[Array, "*batch y x"]


def derivatives(frame: Float[Array, "*batch y2 x2"]) -> Derivatives:
    """First and second derivatives of maps that carry a frame of two pixels; xx is x taken twice."""

    def at(dy: int = 0, dx: int = 0) -> Array:
        return shifted(frame, 2, dy, dx)

    return Derivatives(
        x=(at(0, 1) - at(0, -1)) / 2,
        y=(at(1, 0) - at(-1, 0)) / 2,
        xx=(at(0, 2) + at(0, -2) - 2 * at()) / 4,
        yy=(at(2, 0) + at(-2, 0) - 2 * at()) / 4,
        xy=(at(1, 1) + at(-1, -1) - at(1, -1) - at(-1, 1)) / 4,
    )


def thresholds_of(edges: np.ndarray) -> Float[np.ndarray, " edge"]:
    """Edges as float32, rounded up: then a float32 number x >= edge exactly when it is so in float64."""
    nearest = edges.astype(np.float32)
    return np.where(nearest < edges, np.nextafter(nearest, np.float32(np.inf)), nearest)


def bin_index(values: Float[Array, "y x"], thresholds: Float[Array | np.ndarray, " edge"]) -> Int[Array, "y x"]:
    """How many thresholds do not lie above each value: 0 is below the first, `len(thresholds)` above the last."""
    # One vectorised comparison per threshold: on a CPU six times faster than a binary search per pixel.
    return sum((values >= threshold).astype(jnp.int32) for threshold in thresholds)  # pyright: ignore
