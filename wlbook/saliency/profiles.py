"""The shape of an attribution: around peaks and voids, and wave by wave beside the map's own."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import ndimage

from wlbook.common import checks
from wlbook.saliency.explain import Maps
from wlbook.statistics.spectra import power_spectrum


def extrema(kappa: Maps, *, kind: str, threshold: float) -> Bool[np.ndarray, "..."]:
    """Where maps have a maximum above `threshold` ("peaks"), or a minimum below it ("voids").

    An extremum stands above, or below, all its 8 neighbours; the outermost pixels have fewer and never count. Maps are
    [..., bin, y, x], and `threshold` is in units of kappa.
    """
    checks.one_of("kind", kind, ("peaks", "voids"))
    maps = np.asarray(kappa) if kind == "peaks" else -np.asarray(kappa)
    footprint = (np.arange(9) != 4).reshape((1,) * (maps.ndim - 2) + (3, 3))  # the neighbours, not the pixel itself
    found = maps > ndimage.maximum_filter(maps, footprint=footprint, mode="constant", cval=np.inf)
    return found & (maps > (threshold if kind == "peaks" else -threshold))


def profile(
    values: Maps, centres: Bool[np.ndarray, "..."], *, edges: Sequence[float] | np.ndarray, pixel: float
) -> tuple[Float[np.ndarray, "map radius"], Float[np.ndarray, "map radius"]]:
    """Sums of `values` in rings around centres, and how many pixels went into each: the mean profile is their ratio.

    Kept apart so that a mean over maps, and its bootstrap, weigh every centre alike. Maps are [map, bin, y, x], with a
    `pixel` > 0 a side [arcmin]; a ring between rising edges holds low <= r < high [arcmin], and ends at the map's edge.
    """
    values, edges = np.asarray(values, np.float64), np.asarray(edges, np.float64)
    if values.ndim != 4 or values.shape != np.shape(centres):
        raise ValueError(f"centres has shape {np.shape(centres)}: must be that of values [map, bin, y, x]")
    checks.rising("edges", edges, 0, "arcmin")
    checks.positive("pixel", pixel, "arcmin")
    reach = int(edges[-1] / pixel)
    total, pairs = np.zeros((2, len(values), len(edges) - 1))
    y, x = values.shape[-2:]
    for dy in range(-min(reach, y - 1), min(reach, y - 1) + 1):
        for dx in range(-min(reach, x - 1), min(reach, x - 1) + 1):
            ring = int(np.searchsorted(edges, pixel * np.hypot(dy, dx), side="right")) - 1
            if not 0 <= ring < len(edges) - 1:
                continue
            here = np.s_[:, :, max(0, -dy) : y - max(0, dy), max(0, -dx) : x - max(0, dx)]
            there = np.s_[:, :, max(0, dy) : y - max(0, -dy), max(0, dx) : x - max(0, -dx)]
            total[:, ring] += np.where(centres[here], values[there], 0).sum(axis=(1, 2, 3))
            pairs[:, ring] += centres[here].sum(axis=(1, 2, 3))
    return total, pairs


def spectra(
    saliency: Maps, kappa: Maps, *, side: float, ell_edges: Sequence[float] | np.ndarray
) -> tuple[Float[np.ndarray, "map ell"], Float[np.ndarray, "map ell"]]:
    """The power spectrum of an attribution, and its correlation with the map at each scale, averaged over bins.

    Maps are [map, bin, y, x], of a `side` [deg]. Each attribution is measured from its mean, in units of its standard
    deviation; its C_ell is in [sr]. The correlation is C_ell(saliency, kappa) / sqrt(C_ell(saliency) C_ell(kappa)).
    """
    saliency, kappa = np.asarray(saliency, np.float64), np.asarray(kappa, np.float64)
    if saliency.ndim != 4 or saliency.shape != kappa.shape:
        raise ValueError(f"saliency has shape {saliency.shape}: must be kappa's, [map, bin, y, x]")
    spread = saliency.std(axis=(1, 2, 3), keepdims=True)
    if not (np.isfinite(spread) & (spread > 0)).all():
        raise ValueError("saliency is constant, NaN or infinite over a whole map: it has no spectrum")
    bins = kappa.shape[1]
    both = np.concatenate([(saliency - saliency.mean(axis=(1, 2, 3), keepdims=True)) / spread, kappa], axis=1)
    own, cross = [], []
    for one in range(bins):
        pair = both[:, [one, bins + one]].astype(np.float32)
        found = np.asarray(power_spectrum(pair, side=side, ell_edges=np.asarray(ell_edges, np.float64)), np.float64)
        own.append(found[:, 0])
        cross.append(found[:, 1] / np.sqrt(found[:, 0] * found[:, 2]))
    return np.mean(own, axis=0), np.mean(cross, axis=0)


def mean_profile(
    total: Float[np.ndarray, "map radius"], pairs: Float[np.ndarray, "map radius"], draws: Int[np.ndarray, "draw maps"]
) -> tuple[Float[np.ndarray, " radius"], Float[np.ndarray, " radius"]]:
    """The mean profile around all centres of all maps, and its bootstrap error over the maps of each draw."""
    drawn = total[draws].sum(axis=1) / pairs[draws].sum(axis=1).clip(1)
    return total.sum(axis=0) / pairs.sum(axis=0).clip(1), drawn.std(axis=0)
