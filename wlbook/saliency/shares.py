"""Where the attribution lies: shares by kappa, beside the shares of pixels."""

import itertools
from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float, Int


def attribution_share(
    saliency: Float[Array | np.ndarray, "..."],
    kappa: Float[Array | np.ndarray, "..."],
    edges: Sequence[float] | np.ndarray,
) -> tuple[Float[np.ndarray, "*batch k"], Float[np.ndarray, "*batch k"]]:
    """Share of squared saliency, and share of pixels, by kappa.

    A share of attribution means nothing without the share of pixels that holds it.

    Args:
        saliency: attribution maps [..., bin, y, x].
        kappa: what sorts the pixels, on the same grid.
        edges: rising edges of the k kappa bins, half open [low, high); they may start at -inf and end at inf. What
            lies outside them counts in the whole, so the shares may sum to less than 1.

    Returns:
        Both shares for each map, [..., k].

    Raises:
        ValueError: shapes that differ, edges that do not rise, a map whose saliency is zero or not finite.
    """
    saliency, kappa, edges = np.asarray(saliency, np.float64), np.asarray(kappa), np.asarray(edges, np.float64)
    if saliency.shape != kappa.shape:
        raise ValueError(f"saliency has shape {saliency.shape}: must be kappa's, {kappa.shape}")
    if edges.ndim != 1 or len(edges) < 2 or not (np.diff(edges) > 0).all():
        raise ValueError(f"edges = {edges.tolist()}: must be at least two rising numbers")
    squared = saliency**2
    whole = squared.sum(axis=(-3, -2, -1))
    if not (np.isfinite(whole) & (whole > 0)).all():
        raise ValueError("saliency is zero, NaN or infinite over a whole map: it has no shares")
    shares, pixels = [], []
    for low, high in itertools.pairwise(edges):
        chosen = (kappa >= low) & (kappa < high)
        shares.append((squared * chosen).sum(axis=(-3, -2, -1)) / whole)
        pixels.append(chosen.mean(axis=(-3, -2, -1)))
    return np.stack(shares, axis=-1), np.stack(pixels, axis=-1)


def shares_with_errors(
    shares: Float[np.ndarray, "seed map k"], draws: Int[np.ndarray, "draw map"]
) -> tuple[Float[np.ndarray, " k"], Float[np.ndarray, " k"], Float[np.ndarray, " k"]]:
    """The mean share over maps and networks, with its error over maps and over trainings.

    Args:
        shares: of each network and map.
        draws: which maps each bootstrap draw takes; all networks see the same ones.

    Returns:
        Mean, standard error over maps, and standard error over trainings, which is NaN for one network.
    """
    over_seeds = np.full(shares.shape[-1], np.nan)
    if len(shares) > 1:
        over_seeds = shares.mean(axis=1).std(axis=0, ddof=1) / np.sqrt(len(shares))
    return shares.mean(axis=(0, 1)), shares.mean(axis=0)[draws].mean(axis=1).std(axis=0), over_seeds
