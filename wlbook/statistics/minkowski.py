"""Minkowski functionals."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wlbook.statistics.arguments import Edges, Maps, Mask, checked_edges, checked_maps
from wlbook.statistics.execution import bin_sums, over_maps
from wlbook.statistics.pixels import STENCIL, bin_index, derivatives, framed, shifted, thresholds_of, usable


def minkowski_functionals(
    kappa: Maps, *, edges: Edges, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch bin 3 nu"]:
    """Area, boundary length and Euler characteristic of the regions above a threshold, per pixel.

    V0: share of the pixels at or above the middle of each bin. V1: mean of |grad kappa| / 4, and V2: mean of
    (2 k_x k_y k_xy - k_x^2 k_yy - k_y^2 k_xx) / (k_x^2 + k_y^2) / (2 pi), over the pixels in the bin and per unit of
    kappa. Central differences, in pixels (Kratochvil et al. 2012, arXiv:1109.6334, equations 2-7; the conventions of
    LensTools, Petri 2016, arXiv:1606.01903).

    Args:
        boundary: "periodic": the edges wrap, as in LensTools; "drop": the two outermost pixels of each side only
            serve as neighbours.
        mask: means are taken over the pixels whose differences need observed pixels only.
    """
    maps, observed = checked_maps(kappa, mask, boundary=boundary, margin=2)
    bins = checked_edges(edges)
    # Half bins: V1 and V2 add two neighbours, V0 everything from the middle of the bin upwards.
    halves = np.sort(np.concatenate([bins, (bins[1:] + bins[:-1]) / 2]))
    weights = usable(observed, STENCIL, 2, boundary)
    widths = np.diff(bins).astype(np.float32)
    return over_maps(_functionals, maps, thresholds_of(halves), widths, weights, mask=observed, boundary=boundary)


def minkowski_densities(
    frame: Float[Array, "*batch y2 x2"],
) -> tuple[Float[Array, "*batch y x"], Float[Array, "*batch y x"]]:
    """What V1 and V2 sum over pixels, for maps that carry a frame of two pixels."""
    slope = derivatives(frame)
    square = slope.x**2 + slope.y**2
    flat = square == 0
    # Both `where`s keep the gradient finite; a flat pixel gets the mean over the directions it could be crossed in.
    safe = jnp.where(flat, 1.0, square)
    length = jnp.where(flat, 0.0, jnp.sqrt(safe)) / 4
    curvature = (2 * slope.x * slope.y * slope.xy - slope.x**2 * slope.yy - slope.y**2 * slope.xx) / safe
    return length, jnp.where(flat, -(slope.xx + slope.yy) / 2, curvature) / (2 * math.pi)


def _functionals(
    image: Float[Array, "y x"], thresholds: Float[Array, " half"], widths: Any, usable: Any, *, boundary: str
) -> Float[Array, "3 nu"]:
    frame = framed(image, 2, boundary)
    centre = shifted(frame, 2)
    pixels = jnp.ones_like(centre) if usable is None else usable.astype(centre.dtype)
    index, n = bin_index(centre, thresholds), len(thresholds) + 1
    v0 = jnp.flip(jnp.cumsum(jnp.flip(bin_sums(index, pixels, n))))[2:-1:2]
    sums = [bin_sums(index, density * pixels, n) for density in minkowski_densities(frame)]
    v1, v2 = ((half[1:-1:2] + half[2:-1:2]) / widths for half in sums)
    return jnp.stack([v0, v1, v2]) / (centre.size if usable is None else pixels.sum())
