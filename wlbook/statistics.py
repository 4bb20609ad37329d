"""Summary statistics of convergence maps: spectrum, peaks, minima, Minkowski functionals, histogram.

Every function takes `[..., bin, y, x]`, works under `jit` and `vmap`, and follows the conventions of LensTools
(Petri 2016, arXiv:1606.01903), so that the two can be compared number by number. Pixel values are checked where they
are known: while JAX traces a function only shapes are.
"""

import itertools
import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int, Num

from wlbook import random, survey
from wlbook.progress import progress

Maps = Num[Array | np.ndarray, "*batch bin y x"]
Real = int | float
Edges = Sequence[Real] | Num[Array | np.ndarray, " _"]


# --- checks ---------------------------------------------------------------------------------------------------------


def _checked_maps(kappa: Any, *, margin: int = 0, boundary: str = "periodic") -> Float[Array, "*batch bin y x"]:
    """`kappa` as float32, or a ValueError that says what is wrong with it."""
    shape = np.shape(kappa)
    if len(shape) < 3:
        raise ValueError(f"kappa of shape {shape}: must be [..., bin, y, x]")
    if boundary not in ("periodic", "drop"):
        raise ValueError(f'boundary = {boundary!r}: must be one of "periodic", "drop"')
    smallest = 2 * margin + 1 if boundary == "drop" else 1
    if min(shape[-2:]) < smallest:
        raise ValueError(
            f'kappa of shape {shape}: boundary = "{boundary}" needs {smallest} x {smallest} pixels or more'
        )
    if not isinstance(kappa, Tracer) and not _all_finite(kappa):
        broken = int(np.sum(~np.isfinite(kappa)))
        raise ValueError(f"kappa: {broken} of {math.prod(shape)} pixels are NaN or infinite: all must be finite")
    return jnp.asarray(kappa, jnp.float32)


@jax.jit
def _all_finite(kappa: Num[Array | np.ndarray, "..."]) -> Bool[Array, ""]:
    return jnp.isfinite(kappa).all()


def _checked_edges(edges: Any, name: str = "edges") -> np.ndarray:
    """`edges` as float64, or a ValueError that names them."""
    values = np.asarray(edges, dtype=np.float64)
    if values.ndim != 1 or values.size < 2:
        raise ValueError(f"{name} of shape {values.shape}: must be a list of at least 2 bin edges")
    if not np.isfinite(values).all():
        raise ValueError(f"{name} = {values.tolist()}: must be finite")
    if np.diff(values).min() <= 0:
        first = int(np.argmax(np.diff(values) <= 0))
        raise ValueError(f"{name}[{first}:{first + 2}] = {values[first : first + 2].tolist()}: must increase")
    return values


# --- what the statistics in real space share ------------------------------------------------------------------------


def _framed(kappa: Float[Array, "*batch y x"], margin: int, boundary: str) -> Float[Array, "*batch y2 x2"]:
    """Maps whose inner part, `margin` pixels away from each side, is where the statistic is measured."""
    if boundary == "drop":
        return kappa
    return jnp.pad(kappa, [(0, 0)] * (kappa.ndim - 2) + [(margin, margin)] * 2, mode="wrap")


def _shifted(framed: Float[Array, "*batch y2 x2"], margin: int, dy: int = 0, dx: int = 0) -> Float[Array, "*batch y x"]:
    """The value `dy` rows down and `dx` columns right of every inner pixel."""
    rows, columns = framed.shape[-2] - 2 * margin, framed.shape[-1] - 2 * margin
    return framed[..., margin + dy : margin + dy + rows, margin + dx : margin + dx + columns]


def _thresholds(edges: np.ndarray) -> Float[np.ndarray, " edge"]:
    """Edges as float32, rounded up: then a float32 number x >= edge exactly when it is so in float64."""
    nearest = edges.astype(np.float32)
    return np.where(nearest < edges, np.nextafter(nearest, np.float32(np.inf)), nearest)


def _bin_index(values: Float[Array, "y x"], thresholds: Float[Array | np.ndarray, " edge"]) -> Int[Array, "y x"]:
    """How many thresholds do not lie above each value: 0 is below the first, `len(thresholds)` above the last."""
    # One vectorised comparison per threshold: on a CPU six times faster than a binary search per pixel.
    return sum((values >= threshold).astype(jnp.int32) for threshold in thresholds)  # pyright: ignore


def _bin_sums(index: Int[Array, "y x"], values: Float[Array, "y x"], n: int) -> Float[Array, " n"]:
    """Sum of `values` over the pixels of each of the `n` bins that `index` numbers from 0."""
    # A segment sum: a comparison and a sum per bin is ten times slower on a CPU.
    return jax.ops.segment_sum(values.reshape(-1), index.reshape(-1), n)


def _each_map(statistic: Callable[[Array], Array], kappa: Float[Array, "*batch y x"]) -> Float[Array, "..."]:
    """`statistic` of every map [y, x]: one after the other on a CPU, where a map fits the cache; at once elsewhere."""
    flat = kappa.reshape(-1, *kappa.shape[-2:]) if kappa.size else jnp.zeros((0, *kappa.shape[-2:]), kappa.dtype)
    results = jax.lax.map(statistic, flat) if jax.default_backend() == "cpu" else jax.vmap(statistic)(flat)
    return results.reshape(*kappa.shape[:-2], *results.shape[1:])


# --- the statistics -------------------------------------------------------------------------------------------------


def pairs(bins: int) -> list[tuple[int, int]]:
    """The order of the spectra of `bins` tomographic bins: (0, 0), (0, 1), ..., (1, 1), ..."""
    return list(itertools.combinations_with_replacement(range(bins), 2))


@lru_cache(maxsize=32)
def _modes(pixels: int, side: Real, ell_edges: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Bin of every mode of the half plane (0: below the first edge, last: above), and modes per bin."""
    per_mode = 360.0 / side
    rows = np.minimum(np.arange(pixels), pixels - np.arange(pixels)) * per_mode
    ell = np.hypot(rows[:, None], np.arange(pixels // 2 + 1) * per_mode)
    index = np.searchsorted(ell_edges, ell.reshape(-1), side="left")
    counts = np.bincount(index, minlength=len(ell_edges) + 1)[1:-1]
    if not counts.all():
        empty = int(np.argmin(counts))
        low, high = ell_edges[empty : empty + 2]
        raise ValueError(
            f"ell_edges: no mode of {pixels} x {pixels} pixels over {side:g} deg lies in {low:g} < ell <= {high:g}"
        )
    return index.astype(np.int32), counts.astype(np.float32)


def power_spectrum(kappa: Maps, *, side: Real, ell_edges: Edges) -> Float[Array, "*batch pair ell"]:
    """Auto- and cross-spectra C_ell [sr] of every pair of bins, in the order of `pairs`.

    The mean of Re(a_i conj(a_j)) over the modes of a bin (l_k, l_k+1], times side^2 / pixels^4 with the side in
    radians; flat sky, no window or noise correction. As in LensTools the modes are those of the half plane 0 <= l_x,
    so that the l_x = 0 column has twice the weight of the others: unbiased, and a little noisier than need be.

    Args:
        kappa: square maps [..., bin, y, x].
        side: side of the maps [deg], > 0.
        ell_edges: edges of the bins in ell, increasing; every bin must hold a mode.

    Raises:
        ValueError: naming what is wrong with the maps, the side or the edges.
    """
    if not side > 0:
        raise ValueError(f"side = {side}: must be > 0 [deg]")
    edges = _checked_edges(ell_edges, "ell_edges")
    maps = _checked_maps(kappa)
    if maps.shape[-1] != maps.shape[-2]:
        raise ValueError(f"kappa of shape {maps.shape}: a power spectrum needs square maps, `side` names one length")
    index, counts = _modes(maps.shape[-1], float(side), tuple(edges.tolist()))
    return _power_spectrum(maps, index, counts, math.radians(side) ** 2 / maps.shape[-1] ** 4)


@jax.jit
def _power_spectrum(
    kappa: Float[Array, "*batch bin y x"],
    index: Int[Array | np.ndarray, " mode"],
    counts: Float[Array | np.ndarray, " ell"],
    scale: Any,
) -> Float[Array, "*batch pair ell"]:
    waves = jnp.fft.rfft2(kappa)
    first, second = np.array(pairs(kappa.shape[-3])).T
    power = (waves[..., first, :, :] * waves[..., second, :, :].conj()).real
    by_mode = jnp.moveaxis(power.reshape(*power.shape[:-2], index.size), -1, 0)
    sums = jax.ops.segment_sum(by_mode, index, counts.size + 2)[1:-1]
    return jnp.moveaxis(sums, 0, -1) * (scale / counts)


def peak_counts(kappa: Maps, *, edges: Edges, boundary: str = "periodic") -> Float[Array, "*batch bin nu"]:
    """Number of peaks per map whose height lies in each bin.

    A peak is a pixel strictly above its 8 neighbours; bins are [edge_k, edge_k+1). LensTools returns counts per unit
    of height: divide by the widths of the bins to compare (Kratochvil, Haiman & May 2010, arXiv:0907.0486).

    Args:
        kappa: maps [..., bin, y, x].
        edges: edges of the bins in kappa, increasing.
        boundary: "periodic": the edges wrap, as in LensTools; "drop": pixels without 8 neighbours are no peaks.

    Raises:
        ValueError: naming what is wrong with the maps, the edges or the boundary.
    """
    maps = _checked_maps(kappa, margin=1, boundary=boundary)
    return _extrema(maps, _thresholds(_checked_edges(edges)), boundary)


def minima_counts(kappa: Maps, *, edges: Edges, boundary: str = "periodic") -> Float[Array, "*batch bin nu"]:
    """Number of minima per map whose depth lies in each bin (edge_k, edge_k+1]: the peaks of -kappa.

    Args:
        kappa: maps [..., bin, y, x].
        edges: edges of the bins in kappa, increasing.
        boundary: as in `peak_counts`.

    Raises:
        ValueError: naming what is wrong with the maps, the edges or the boundary.
    """
    maps = _checked_maps(kappa, margin=1, boundary=boundary)
    return _extrema(-maps, _thresholds(-_checked_edges(edges)[::-1]), boundary)[..., ::-1]


@partial(jax.jit, static_argnames="boundary")
def _extrema(
    kappa: Float[Array, "*batch y x"], thresholds: Float[Array | np.ndarray, " edge"], boundary: str
) -> Float[Array, "*batch nu"]:
    around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]

    def one(image: Float[Array, "y x"]) -> Float[Array, " nu"]:
        framed = _framed(image, 1, boundary)
        centre = _shifted(framed, 1)
        highest = jax.tree.reduce(jnp.maximum, [_shifted(framed, 1, dy, dx) for dy, dx in around])
        index = _bin_index(centre, thresholds)
        return _bin_sums(index, (centre > highest).astype(jnp.float32), len(thresholds) + 1)[1:-1]

    return _each_map(one, kappa)


def pixel_histogram(kappa: Maps, *, edges: Edges) -> Float[Array, "*batch bin nu"]:
    """Share of the pixels whose kappa lies in each bin [edge_k, edge_k+1).

    Args:
        kappa: maps [..., bin, y, x].
        edges: edges of the bins in kappa, increasing.

    Raises:
        ValueError: naming what is wrong with the maps or the edges.
    """
    return _pixel_histogram(_checked_maps(kappa), _thresholds(_checked_edges(edges)))


@jax.jit
def _pixel_histogram(
    kappa: Float[Array, "*batch y x"], thresholds: Float[Array | np.ndarray, " edge"]
) -> Float[Array, "*batch nu"]:
    def one(image: Float[Array, "y x"]) -> Float[Array, " nu"]:
        counts = _bin_sums(_bin_index(image, thresholds), jnp.ones_like(image), len(thresholds) + 1)
        return counts[1:-1] / image.size

    return _each_map(one, kappa)


def minkowski_functionals(kappa: Maps, *, edges: Edges, boundary: str = "periodic") -> Float[Array, "*batch bin 3 nu"]:
    """Area, boundary length and Euler characteristic of the regions above a threshold, per pixel.

    V0: share of the pixels at or above the middle of each bin. V1: mean of |grad kappa| / 4, and V2: mean of
    (2 k_x k_y k_xy - k_x^2 k_yy - k_y^2 k_xx) / (k_x^2 + k_y^2) / (2 pi), over the pixels in the bin and per unit of
    kappa. Central differences, in pixels (Kratochvil et al. 2012, arXiv:1109.6334, equations 2-7).

    Args:
        kappa: maps [..., bin, y, x].
        edges: edges of the bins in kappa, increasing.
        boundary: "periodic": the edges wrap, as in LensTools; "drop": the two outermost pixels of each side only
            serve as neighbours.

    Raises:
        ValueError: naming what is wrong with the maps, the edges or the boundary.
    """
    maps = _checked_maps(kappa, margin=2, boundary=boundary)
    bins = _checked_edges(edges)
    # Half bins: V1 and V2 add two neighbours, V0 everything from the middle of the bin upwards.
    halves = np.sort(np.concatenate([bins, (bins[1:] + bins[:-1]) / 2]))
    return _minkowski_functionals(maps, _thresholds(halves), np.diff(bins).astype(np.float32), boundary)


def minkowski_densities(
    framed: Float[Array, "*batch y2 x2"],
) -> tuple[Float[Array, "*batch y x"], Float[Array, "*batch y x"]]:
    """What V1 and V2 sum over pixels, for maps that carry a frame of two pixels."""
    at = partial(_shifted, framed, 2)
    d_x, d_y = (at(0, 1) - at(0, -1)) / 2, (at(1, 0) - at(-1, 0)) / 2
    d_xx, d_yy = (at(0, 2) + at(0, -2) - 2 * at()) / 4, (at(2, 0) + at(-2, 0) - 2 * at()) / 4
    d_xy = (at(1, 1) + at(-1, -1) - at(1, -1) - at(-1, 1)) / 4
    square = d_x**2 + d_y**2
    flat = square == 0
    # Both `where`s keep the gradient finite; a flat pixel gets the mean over the directions it could be crossed in.
    safe = jnp.where(flat, 1.0, square)
    length = jnp.where(flat, 0.0, jnp.sqrt(safe)) / 4
    curvature = (2 * d_x * d_y * d_xy - d_x**2 * d_yy - d_y**2 * d_xx) / safe
    return length, jnp.where(flat, -(d_xx + d_yy) / 2, curvature) / (2 * math.pi)


@partial(jax.jit, static_argnames="boundary")
def _minkowski_functionals(
    kappa: Float[Array, "*batch y x"],
    thresholds: Float[Array | np.ndarray, " half"],
    widths: Float[Array | np.ndarray, " nu"],
    boundary: str,
) -> Float[Array, "*batch 3 nu"]:
    def one(image: Float[Array, "y x"]) -> Float[Array, "3 nu"]:
        framed = _framed(image, 2, boundary)
        centre = _shifted(framed, 2)
        index, n = _bin_index(centre, thresholds), len(thresholds) + 1
        counts = _bin_sums(index, jnp.ones_like(centre), n)
        v0 = jnp.flip(jnp.cumsum(jnp.flip(counts)))[2:-1:2]
        sums = [_bin_sums(index, density, n) for density in minkowski_densities(framed)]
        v1, v2 = ((half[1:-1:2] + half[2:-1:2]) / widths for half in sums)
        return jnp.stack([v0, v1, v2]) / centre.size

    return _each_map(one, kappa)


# --- all of them, from noiseless maps -------------------------------------------------------------------------------


def binning(
    kappa: Num[Array | np.ndarray, "map bin y x"],
    *,
    side: Real,
    n_gal: Real,
    sigma_e: Real,
    smoothing: Real,
    ell_bins: int,
    peak_bins: int,
    minkowski_bins: int,
    seed: int,
) -> dict[str, Any]:
    """Edges for `measure` that suit these maps: few bins, none of them nearly empty.

    Spectrum: logarithmic, from twice the longest wave of the map to three quarters of the pixels' Nyquist frequency.
    Peaks: linear from -0.5 to 2.5 standard deviations of the observed maps, and one bin for all that are higher, so
    that no model of a design leaves it empty. Minkowski functionals: linear from -2 to 3.

    Args:
        kappa: noiseless maps whose observed standard deviation sets the scale: those of the fiducial.
        side: side of the maps [deg].
        n_gal: source density of each bin [arcmin^-2].
        sigma_e: intrinsic ellipticity dispersion.
        smoothing: standard deviation of the Gaussian smoothing [arcmin].
        ell_bins: bins of the spectrum, >= 1.
        peak_bins: bins of the peak counts, the open one included, >= 2.
        minkowski_bins: bins of each Minkowski functional, >= 1.
        seed: of the noise.

    Returns:
        `ell_edges` and `edges`, as `measure` takes them, and `sigma`, the standard deviation they are based on.

    Raises:
        ValueError: naming what is wrong with the maps or an argument.
    """
    least = {"ell_bins": (ell_bins, 1), "peak_bins": (peak_bins, 2), "minkowski_bins": (minkowski_bins, 1)}
    for name, (number, fewest) in least.items():
        if not number >= fewest:
            raise ValueError(f"{name} = {number}: must be >= {fewest}")
    pixels = kappa.shape[-1]
    look = partial(
        survey.observe,
        pixel=60 * side / pixels,
        n_gal=float(n_gal),
        sigma_e=float(sigma_e),
        smoothing=float(smoothing),
    )
    observed = jax.jit(look)(_checked_maps(kappa), key=random.key(seed, "binning"))
    # Three digits, so that the edges (and what is stored under them) are the same on every processor.
    sigma = float(f"{float(observed.std()):.2e}")
    if not sigma > 0:
        raise ValueError("kappa: the observed maps are constant, no bins suit them")
    return {
        "sigma": sigma,
        "ell_edges": np.geomspace(2 * 360 / side, 0.75 * 180 * pixels / side, ell_bins + 1).round(1).tolist(),
        "edges": {
            "peaks": (sigma * np.append(np.linspace(-0.5, 2.5, peak_bins), 1000.0)).round(6).tolist(),
            "Minkowski": (sigma * np.linspace(-2.0, 3.0, minkowski_bins + 1)).round(6).tolist(),
        },
    }


def measure(
    kappa: Num[Array | np.ndarray, "map bin y x"],
    *,
    side: Real,
    n_gal: Real,
    sigma_e: Real,
    smoothing: Real,
    ell_edges: Edges,
    edges: Edges | Mapping[str, Edges],
    seed: int,
    transform: Callable[..., Array] | None = None,
    boundary: str = "periodic",
    batch: int = 256,
) -> dict[str, np.ndarray]:
    """Statistics of maps as a survey would see them: noise is added, maps are smoothed, vectors come back.

    The noise of map i comes from `random.key(seed, "noise", i)` whatever the batch, as in `training.predictions`: with
    one seed, a network and the statistics see the same noise. Two batches are measured at a time.

    Args:
        kappa: noiseless square maps [map, bin, y, x].
        side: side of the maps [deg], > 0.
        n_gal: source density of each bin [arcmin^-2], > 0.
        sigma_e: intrinsic ellipticity dispersion; 0 measures noiseless maps.
        smoothing: standard deviation of the Gaussian smoothing [arcmin], >= 0.
        ell_edges: edges of the spectrum's bins.
        edges: edges in kappa for "peaks" and "Minkowski": one list for both, or a mapping by these names.
        seed: of the noise.
        transform: a degradation, called as `transform(kappa, key=key)` between noise and smoothing.
        boundary: "periodic" or "drop", as in `peak_counts`.
        batch: maps held in memory at a time, >= 1.

    Returns:
        "power spectrum", "peaks" and "Minkowski", each [map, d], the bins of a map one after the other.

    Raises:
        ValueError: naming what is wrong with the maps or an argument.
    """
    if not batch >= 1:
        raise ValueError(f"batch = {batch}: must be >= 1")
    per_statistic = edges if isinstance(edges, Mapping) else {"peaks": edges, "Minkowski": edges}
    if missing := {"peaks", "Minkowski"} - set(per_statistic):
        raise ValueError(f"edges = {sorted(per_statistic)}: {sorted(missing)} is missing")
    pixel = 60 * side / kappa.shape[-1]

    @jax.jit
    @jax.vmap
    def observed(image: Float[Array, "bin y x"], name: Array) -> Float[Array, "bin y x"]:
        key = jax.random.fold_in(random.key(seed, "noise"), name)
        image = survey.add_shape_noise(image, n_gal=float(n_gal), pixel=pixel, sigma_e=float(sigma_e), key=key)
        if transform is not None:
            image = transform(image, key=jax.random.fold_in(key, zlib.crc32(b"degradation")))
        return survey.smooth(image, float(smoothing), pixel)

    def vectors(images: Float[Array | np.ndarray, "map bin y x"], names: np.ndarray) -> dict[str, np.ndarray]:
        maps = observed(_checked_maps(images), names)
        found = {
            "power spectrum": power_spectrum(maps, side=side, ell_edges=ell_edges),
            "peaks": peak_counts(maps, edges=per_statistic["peaks"], boundary=boundary),
            "Minkowski": minkowski_functionals(maps, edges=per_statistic["Minkowski"], boundary=boundary),
        }
        return {name: np.asarray(v).reshape(len(images), math.prod(v.shape[1:])) for name, v in found.items()}

    def measured(start: int) -> dict[str, np.ndarray]:
        rows = np.arange(start, min(start + batch, len(kappa)))
        names = np.array([zlib.crc32(str(row).encode()) for row in rows], np.uint32)
        # The last batch is filled up with its first map, so that one compiled function serves all.
        fill = np.resize(rows, size)
        found = vectors(kappa[fill], np.resize(names, size))
        return {name: value[: rows.size] for name, value in found.items()}

    size = min(batch, len(kappa))
    if size == 0:
        return vectors(kappa, np.zeros(0, np.uint32))
    starts = range(0, len(kappa), batch)
    with ThreadPoolExecutor(2) as pool:
        parts = list(progress(pool.map(measured, starts), "measuring", total=len(starts), unit="batch"))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
