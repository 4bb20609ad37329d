"""Auto- and cross-spectra."""

import itertools
import math
from functools import lru_cache
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from wlbook.common import checks
from wlbook.statistics.arguments import Edges, Maps, Mask, Real, checked_edges, checked_maps
from wlbook.statistics.execution import bin_sums, over_maps


def pairs(bins: int) -> list[tuple[int, int]]:
    """The order of the spectra of `bins` tomographic bins: (0, 0), (0, 1), ..., (1, 1), ..."""
    return list(itertools.combinations_with_replacement(range(bins), 2))


@lru_cache(maxsize=32)
def modes(pixels: int, side: Real, ell_edges: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Bin of every mode of the half plane (0: below the first edge, last: above), and modes per bin."""
    per_mode = 360.0 / side
    rows = np.minimum(np.arange(pixels), pixels - np.arange(pixels)) * per_mode
    ell = np.hypot(rows[:, None], np.arange(pixels // 2 + 1) * per_mode)
    index = np.searchsorted(ell_edges, ell.reshape(-1), side="left")
    counts = np.bincount(index, minlength=len(ell_edges) + 1)[1:-1]
    if not counts.all():
        bounds = "{:g} < ell <= {:g}".format(*ell_edges[np.argmin(counts) :][:2])
        raise ValueError(f"ell_edges: no mode of {pixels} x {pixels} pixels over {side:g} deg lies in {bounds}")
    return index.astype(np.int32), counts.astype(np.float32)


def bins_in_ell(first: Real, pixels: int, side: Real, number: int) -> list[float]:
    """Edges of logarithmic bins from `first` to the Nyquist frequency: as many as asked for, or as hold a mode each."""
    for fewer in range(number, 0, -1):
        edges = np.geomspace(first, 180.0 * pixels / side, fewer + 1).tolist()
        try:
            modes(pixels, float(side), tuple(edges))
            return edges
        except ValueError:
            continue
    raise ValueError(f"first = {first:g}: must be below the largest multipole of {pixels} pixels over {side:g} deg")


def checked_field(
    kappa: Any, mask: Any, side: Real, ell_edges: Any, boundary: str, what: str
) -> tuple[Any, Any, tuple[float, ...]]:
    """Square maps, their mask and edges in ell for a statistic of waves."""
    checks.positive("side", side, "deg")
    edges = checked_edges(ell_edges, "ell_edges")
    maps, observed = checked_maps(kappa, mask, boundary=boundary)
    square = f"square for a {what}: `side` names one length"
    checks.require(maps.shape[-1] == maps.shape[-2], "shape of kappa", maps.shape, square)
    return maps, observed, tuple(edges.tolist())


def power_spectrum(
    kappa: Maps, *, side: Real, ell_edges: Edges, boundary: str = "periodic", mask: Mask = None
) -> Float[Array, "*batch pair ell"]:
    """Auto- and cross-spectra C_ell [sr] of every pair of bins, in the order of `pairs`.

    The mean of Re(a_i conj(a_j)) over the modes of a bin (l_k, l_k+1], times side^2 / pixels^4 with the side in
    radians; flat sky, no window or noise correction. As in LensTools (Petri 2016, arXiv:1606.01903) the modes are
    those of the half plane 0 <= l_x, so that the l_x = 0 column has twice the weight of the others: unbiased, and a
    little noisier than need be.

    With a mask, or with dropped edges, the correlation function comes first: at each distance the mean product over
    the pairs of observed pixels (Szapudi et al. 2001, arXiv:astro-ph/0010256), by Fourier transforms. Its transform
    is the spectrum, unbiased for a homogeneous field whatever the mask's shape; a distance that no pair has counts as
    uncorrelated. kappa is then measured from its mean over the observed pixels, which takes a little power from waves
    as long as the map.

    Args:
        side: of the square maps [deg], > 0.
        ell_edges: every bin of ell must hold a mode.
        boundary: "periodic": the edges wrap, as in LensTools; "drop": no pair of pixels reaches across the edges, and
            none is farther apart than half a side along x or y. Good to 3 % for spectra up to ell^-2; a steeper one
            leaks from its large scales to the small ones (8 % at 30 waves a side for ell^-2.5).
    """
    maps, observed, edges = checked_field(kappa, mask, side, ell_edges, boundary, "power spectrum")
    pixels, area = maps.shape[-1], math.radians(side) ** 2
    index, counts = modes(pixels, float(side), edges)
    if observed is None and boundary == "periodic":
        return over_maps(_spectra, maps, index, np.float32(area / pixels**4) / counts, axes=3)
    weights = np.ones(maps.shape[-2:], bool) if observed is None else observed
    size = pixels if boundary == "periodic" else 2 * pixels
    # Whole numbers of pairs: what rounding errors leave of zero is zero.
    numbers = np.rint(np.fft.irfft2(np.abs(np.fft.rfft2(weights, (size, size))) ** 2, (size, size)))
    per_pair = np.where(numbers > 0, area / pixels**2 / np.maximum(numbers, 1), 0.0).astype(np.float32)
    return over_maps(_spectra_of_pairs, maps, weights, per_pair, index, counts, axes=3, mask=observed)


def _binned(power: Float[Array, "y half"], index: Any, n: int) -> Float[Array, " ell"]:
    return bin_sums(jnp.asarray(index), power.reshape(-1), n + 2)[1:-1]


def _spectra(
    kappa: Float[Array, "bin y x"], index: Int[Array, " mode"], scale: Float[Array, " ell"]
) -> Float[Array, "pair ell"]:
    waves = jnp.fft.rfft2(kappa)
    power = [(waves[i] * waves[j].conj()).real for i, j in pairs(kappa.shape[0])]
    return jnp.stack([_binned(each, index, scale.size) * scale for each in power])


def _spectra_of_pairs(
    kappa: Float[Array, "bin y x"],
    weights: Bool[Array, "y x"],
    per_pair: Float[Array, "y2 x2"],
    index: Int[Array, " mode"],
    counts: Float[Array, " ell"],
) -> Float[Array, "pair ell"]:
    pixels, size = kappa.shape[-1], per_pair.shape[-1]
    mean = kappa.sum((-2, -1), keepdims=True) / weights.sum()
    waves = jnp.fft.rfft2(jnp.where(weights, kappa - mean, 0.0), s=(size, size))
    # Distances up to half a side to both sides: all there are when the edges wrap.
    near = np.r_[0 : (pixels + 1) // 2, size - pixels // 2 : size]

    def spectrum(i: int, j: int) -> Float[Array, " ell"]:
        products = jnp.fft.irfft2(waves[i] * waves[j].conj(), s=(size, size))
        correlation = (products * per_pair)[near][:, near]
        return _binned(jnp.fft.rfft2(correlation).real, index, counts.size) / counts

    return jnp.stack([spectrum(i, j) for i, j in pairs(kappa.shape[0])])
