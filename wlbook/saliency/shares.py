"""Where the attribution lies: shares by kappa, beside the shares of pixels."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from wlbook.common import checks
from wlbook.saliency.explain import Maps, Stack


def attribution_share(
    saliency: Maps, kappa: Maps, edges: Sequence[float] | np.ndarray
) -> tuple[Float[np.ndarray, "*batch k"], Float[np.ndarray, "*batch k"]]:
    """Share of squared saliency, and share of pixels, by kappa.

    A share of attribution means nothing without the share of pixels that holds it. Kappa bins are half open [low,
    high); they may start at -inf and end at inf. What lies outside them counts in the whole, so the shares may sum to
    less than 1.
    """
    saliency, kappa, edges = np.asarray(saliency, np.float64), np.asarray(kappa), np.asarray(edges, np.float64)
    checks.same_shape("saliency", saliency, kappa.shape, "kappa's")
    checks.rising("edges", edges)
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
    """The mean share over maps and networks, its standard error over maps, and that over trainings, NaN for one.

    `draws` are the maps that each bootstrap draw takes; all networks see the same ones.
    """
    over_seeds = np.full(shares.shape[-1], np.nan)
    if len(shares) > 1:
        over_seeds = shares.mean(axis=1).std(axis=0, ddof=1) / np.sqrt(len(shares))
    return shares.mean(axis=(0, 1)), shares.mean(axis=0)[draws].mean(axis=1).std(axis=0), over_seeds


class Shares(NamedTuple):
    """Shares by kappa of what several networks attribute, with their errors."""

    pixels: Float[np.ndarray, " k"]  # share of pixels
    share: Float[np.ndarray, " k"]  # of squared saliency, mean over networks and maps
    over_maps: Float[np.ndarray, " k"]  # its standard error over maps
    over_seeds: Float[np.ndarray, " k"]  # its standard error over trainings

    @property
    def error(self) -> Float[np.ndarray, " k"]:
        """Both errors of the share together."""
        return np.hypot(self.over_maps, self.over_seeds)


def measured_shares(
    saliency: Float[np.ndarray, "seed map bin y x"],
    kappa: Stack,
    edges: Sequence[float] | np.ndarray,
    *,
    draws: Int[np.ndarray, "draw maps"],
    scatter: Float[np.ndarray, " k"] | None = None,
) -> Shares:
    """`attribution_share` over networks and maps, with errors.

    `draws` [draw, map] are numbers of maps, taken modulo how many there are; columns beyond that are ignored.
    `scatter`, the standard deviation between trainings, stands for the error over them if there is one network.
    """
    found = [attribution_share(one, kappa, edges) for one in saliency]
    number = len(kappa)
    share, over_maps, over_seeds = shares_with_errors(np.stack([one for one, _ in found]), draws[:, :number] % number)
    if scatter is not None and len(saliency) == 1:
        over_seeds = scatter
    return Shares(found[0][1].mean(axis=0), share, over_maps, over_seeds)


def seed_scatter(one: Stack, two: Stack, kappa: Stack, edges: Sequence[float] | np.ndarray) -> Float[np.ndarray, " k"]:
    """Standard deviation of shares between trainings: the difference over sqrt 2 of two networks with other seeds."""
    first, second = (attribution_share(each, kappa, edges)[0].mean(axis=0) for each in (one, two))
    return np.abs(first - second) / np.sqrt(2)


class JointShare(NamedTuple):
    """One share in one range of kappa for two outputs."""

    each: tuple[float, float]  # the share of either output
    mean: float  # of both
    error: float  # of the mean: maps, trainings, and half the difference of both outputs
    terms: tuple[float, float]  # the larger of both outputs' errors over maps, and over trainings
    pixels: float  # share of pixels


def joint_share(first: Shares, second: Shares) -> JointShare:
    """One share with one error for two outputs, each measured in a single range of kappa."""
    each = float(first.share[0]), float(second.share[0])
    over_maps = max(float(first.over_maps[0]), float(second.over_maps[0]))
    terms = over_maps, max(float(first.over_seeds[0]), float(second.over_seeds[0]))
    error = float(np.linalg.norm([*terms, (each[0] - each[1]) / 2]))
    return JointShare(each, float(np.mean(each)), error, terms, float(first.pixels[0]))
