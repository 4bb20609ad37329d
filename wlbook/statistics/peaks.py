"""Peaks and minima."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wlbook.statistics.arguments import Edges, Maps, Mask, checked_edges, checked_maps
from wlbook.statistics.execution import bin_sums, over_maps
from wlbook.statistics.pixels import AROUND, bin_index, framed, shifted, thresholds_of, usable


def peak_counts(
    kappa: Maps, *, edges: Edges, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch bin nu"]:
    """Number of peaks per map whose height lies in each bin.

    A peak is a pixel strictly above its 8 neighbours; bins are [edge_k, edge_k+1). LensTools returns counts per unit
    of height: divide by the widths of the bins to compare (Kratochvil, Haiman & May 2010, arXiv:0907.0486).

    Args:
        boundary: "periodic": the edges wrap, as in LensTools; "drop": pixels without 8 neighbours are no peaks.
        mask: a peak needs itself and its 8 neighbours observed; counts are divided by the share of such pixels.
    """
    return _extrema_of(kappa, edges, boundary, mask, sign=1)


def minima_counts(
    kappa: Maps, *, edges: Edges, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch bin nu"]:
    """Number of minima per map whose depth lies in each bin (edge_k, edge_k+1]: the peaks of -kappa (`peak_counts`)."""
    return _extrema_of(kappa, edges, boundary, mask, sign=-1)


def _extrema_of(kappa: Any, edges: Any, boundary: str, mask: Any, sign: int) -> Float[Array, "*batch bin nu"]:
    maps, observed = checked_maps(kappa, mask, boundary=boundary, margin=1)
    arrays = thresholds_of(np.sort(sign * checked_edges(edges))), peak_weights(observed, boundary)
    return over_maps(count_peaks, maps, *arrays, mask=observed, boundary=boundary, sign=sign)[..., ::sign]


def peak_weights(mask: np.ndarray | None, boundary: str) -> Float[np.ndarray, "y2 x2"] | None:
    """What a peak at each inner pixel counts: 0 where it cannot be told, more than 1 elsewhere to make up for that."""
    possible = usable(mask, AROUND, 1, boundary)
    return None if possible is None else (possible / possible.mean()).astype(np.float32)


def count_peaks(
    image: Float[Array, "y x"], thresholds: Float[Array, " edge"], weights: Any, *, boundary: str, sign: int = 1
) -> Float[Array, " nu"]:
    """Peaks of one map, or of its negative, between thresholds, each with the weight of its pixel."""
    frame = framed(sign * image, 1, boundary)
    centre = shifted(frame, 1)
    highest = jax.tree.reduce(jnp.maximum, [shifted(frame, 1, dy, dx) for dy, dx in AROUND])
    peaks = (centre > highest).astype(jnp.float32)
    sums = bin_sums(bin_index(centre, thresholds), peaks if weights is None else peaks * weights, len(thresholds) + 1)
    return sums[1:-1]
