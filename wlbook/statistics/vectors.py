"""Data vectors from noiseless maps: bins that suit the maps, and all statistics of them as a survey would see them."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Num

from wlbook.common import random
from wlbook.common.progress import progress
from wlbook.simulation import survey
from wlbook.statistics.arguments import Edges, Mask, Real, checked_count, checked_mask, checked_shape
from wlbook.statistics.bispectra import bispectrum
from wlbook.statistics.execution import over_maps
from wlbook.statistics.minkowski import minkowski_functionals
from wlbook.statistics.onepoint import moments, pixel_histogram
from wlbook.statistics.peaks import minima_counts, peak_counts
from wlbook.statistics.scattering import scattering_transform
from wlbook.statistics.spectra import power_spectrum
from wlbook.statistics.wavelets import Units, starlet, starlet_l1, starlet_peaks

PerBin = Real | Sequence[Real]
Statistic = Callable[[Array], Array]

#: What `measure` measures unless told otherwise.
DEFAULT = ("power spectrum", "peaks", "Minkowski")
#: All that it can.
NAMES = (*DEFAULT, "minima", "histogram", "moments", "starlet peaks", "starlet l1", "scattering", "bispectrum")
_BINNED = ("peaks", "Minkowski", "minima", "histogram", "starlet peaks", "starlet l1", "bispectrum")


def _checked_names(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str) or not names or not set(names) <= set(NAMES) or len(set(names)) < len(names):
        raise ValueError(f"names = {names}: must be one or more of {list(NAMES)}, each once")
    return tuple(names)


def binning(
    kappa: Num[Array | np.ndarray, "map bin y x"],
    *,
    side: Real,
    n_gal: PerBin,
    sigma_e: Real,
    smoothing: PerBin,
    ell_bins: int,
    peak_bins: int,
    minkowski_bins: int,
    seed: int,
    names: Sequence[str] = DEFAULT,
    starlet_bins: int = 6,
    bispectrum_bins: int = 4,
    scales: int = 3,
    mask: Mask = None,
) -> dict[str, Any]:
    """Edges for `measure` that suit these maps: few bins, none of them nearly empty.

    Spectrum: logarithmic, from twice the longest wave of the map to three quarters of the pixels' Nyquist frequency;
    the bispectrum's end at two thirds of it. Peaks: linear from -0.5 to 2.5 standard deviations of the observed maps,
    and one bin for all that are higher, so that no model of a design leaves it empty; minima from 0.5 down to -1.5.
    Minkowski functionals and histogram: linear from -2 to 3. Starlet coefficients, each scale in units of its own
    standard deviation: peaks from -0.5 to 1.5 and an open bin; the l1-norm from -2 to 2, open at both ends.

    Args:
        kappa: noiseless maps whose observed standard deviation sets the scale: those of the fiducial.
        side: side of the maps [deg].
        n_gal: source density of each bin [arcmin^-2].
        sigma_e: intrinsic ellipticity dispersion.
        smoothing: standard deviation of the Gaussian smoothing [arcmin].
        ell_bins: bins of the spectrum, >= 1.
        peak_bins: bins of the peak counts, the open one included, >= 2; also of minima and histogram.
        minkowski_bins: bins of each Minkowski functional, >= 1.
        seed: of the noise.
        names: the statistics wanted.
        starlet_bins: bins of each starlet scale, open ones included, >= 3.
        bispectrum_bins: bins in ell of the bispectrum, >= 1.
        scales: of the starlets, >= 1.
        mask: True where a pixel is observed [y, x]; None: everywhere.

    Returns:
        `ell_edges`, `edges` and, for starlets, `units`, as `measure` takes them, and `sigma`, the standard deviation
        that edges in kappa are based on.

    Raises:
        ValueError: naming what is wrong with the maps or an argument.
    """
    wanted = _checked_names(names)
    for name, number, fewest in [
        ("ell_bins", ell_bins, 1),
        ("peak_bins", peak_bins, 2),
        ("minkowski_bins", minkowski_bins, 1),
        ("starlet_bins", starlet_bins, 3),
        ("bispectrum_bins", bispectrum_bins, 1),
        ("scales", scales, 1),
    ]:
        if not number >= fewest:
            raise ValueError(f"{name} = {number}: must be >= {fewest}")
    maps = checked_shape(kappa)
    usable = checked_mask(mask, maps.shape[-2:])
    maps = over_maps(_as_is, maps, mask=usable)
    pixels = maps.shape[-1]
    look = partial(survey.observe, pixel=60 * side / pixels, sigma_e=float(sigma_e), mask=usable)
    look = partial(look, n_gal=_numbers(n_gal), smoothing=_numbers(smoothing))
    observed = jax.jit(look)(maps, key=random.key(seed, "binning"))
    where = np.ones(maps.shape[-2:], bool) if usable is None else usable
    # Three digits, so that the edges (and what is stored under them) are the same on every processor.
    sigma = _three_digits(observed.std() if usable is None else observed[..., where].std())
    if not sigma > 0:
        raise ValueError("kappa: the observed maps are constant, no bins suit them")
    heights = np.append(np.linspace(-0.5, 2.5, peak_bins), 1000.0)
    depths = np.append(np.linspace(-0.5, 1.5, peak_bins), 1000.0)  # voids are shallow
    starlet_heights = np.append(np.linspace(-0.5, 1.5, starlet_bins), 1000.0)  # large scales have few high peaks
    edges = {
        "peaks": (sigma * heights).round(6),
        "Minkowski": (sigma * np.linspace(-2.0, 3.0, minkowski_bins + 1)).round(6),
        "minima": (-sigma * depths[::-1]).round(6),
        "histogram": (sigma * np.linspace(-2.0, 3.0, peak_bins + 1)).round(6),
        "starlet peaks": starlet_heights.round(6),
        "starlet l1": np.concatenate([[-1000.0], np.linspace(-2.0, 2.0, starlet_bins - 1), [1000.0]]).round(6),
        "bispectrum": np.geomspace(2 * 360 / side, 0.99 * 120 * pixels / side, bispectrum_bins + 1).round(1),
    }
    found = {
        "sigma": sigma,
        "ell_edges": np.geomspace(2 * 360 / side, 0.75 * 180 * pixels / side, ell_bins + 1).round(1).tolist(),
        "edges": {name: values.tolist() for name, values in edges.items() if name in wanted},
    }
    if {"starlet peaks", "starlet l1"} & set(wanted):
        details = starlet(observed, scales=scales, mask=usable)
        found["units"] = [_three_digits(details[..., j, :, :][..., where].std()) for j in range(scales + 1)]
    return found


def _as_is(image: Array) -> Array:
    return image


def _three_digits(value: Any) -> float:
    return float(f"{float(value):.2e}")


def _numbers(value: PerBin) -> Any:
    """One number for all bins, or a tuple with one for each."""
    return float(value) if isinstance(value, int | float) else tuple(float(each) for each in value)


def measure(
    kappa: Num[Array | np.ndarray, "map bin y x"],
    *,
    side: Real,
    n_gal: PerBin,
    sigma_e: Real,
    smoothing: PerBin,
    ell_edges: Edges,
    edges: Edges | Mapping[str, Edges],
    seed: int,
    names: Sequence[str] = DEFAULT,
    transform: Callable[..., Array] | None = None,
    boundary: str = "periodic",
    mask: Mask = None,
    units: Units = None,
    scales: int | None = None,
    batch: int = 256,
) -> dict[str, np.ndarray]:
    """Statistics of maps as a survey would see them: noise is added, maps are smoothed, vectors come back.

    The noise of map i comes from `random.key(seed, "noise", i)` whatever the batch, as in `training.predictions`: with
    one seed, a network and the statistics see the same noise. What is compiled for one noise level, smoothing or set of
    edges serves all others.

    Args:
        kappa: noiseless square maps [map, bin, y, x].
        side: side of the maps [deg], > 0.
        n_gal: source density of each bin [arcmin^-2], > 0: one number, or one a bin.
        sigma_e: intrinsic ellipticity dispersion; 0 measures noiseless maps.
        smoothing: standard deviation of the Gaussian smoothing [arcmin], >= 0: one number, or one a bin.
        ell_edges: edges of the spectrum's bins.
        edges: edges in kappa for what is counted in bins: one list for all, or a mapping by their names. Those of
            the "bispectrum" are in ell, those of the starlets in `units`.
        seed: of the noise.
        names: the statistics wanted, of `NAMES`.
        transform: a degradation, called as `transform(kappa, key=key)` between noise and smoothing.
        boundary: "periodic" or "drop", as in `peak_counts`.
        mask: True where a pixel is observed [y, x]; None: everywhere.
        units: of the starlet scales [scales + 1 numbers], as in `starlet_peaks`.
        scales: of starlets and scattering, >= 1; as many as `units` has, or 3.
        batch: maps held in memory at a time, >= 1.

    Returns:
        A vector [map, d] by the name of each statistic, the bins of a map one after the other.

    Raises:
        ValueError: naming what is wrong with the maps or an argument.
    """
    wanted = _checked_names(names)
    if not batch >= 1:
        raise ValueError(f"batch = {batch}: must be >= 1")
    binned = [name for name in _BINNED if name in wanted]
    by_name = edges if isinstance(edges, Mapping) else dict.fromkeys(binned, edges)
    if missing := sorted(set(binned) - set(by_name)):
        raise ValueError(f"edges = {sorted(by_name)}: {missing} is missing")
    maps = checked_shape(kappa)
    usable = checked_mask(mask, maps.shape[-2:])
    scales = checked_count("scales", scales or (3 if units is None else len(units) - 1), 1)
    bins = {"ell_edges": ell_edges, "edges": by_name, "units": units, "scales": scales}
    statistics = ready(side=side, boundary=boundary, mask=usable, **bins)
    look = {"side": float(side), "n_gal": _numbers(n_gal), "sigma_e": float(sigma_e), "smoothing": _numbers(smoothing)}
    names_of_maps = np.array([zlib.crc32(str(row).encode()) for row in range(len(maps))], np.uint32)

    def vectors(part: slice) -> dict[str, np.ndarray]:
        arrays = (random.key(seed, "noise"), usable)
        options = {"numbers": names_of_maps[part], "axes": 3, "mask": usable, "transform": transform, **look}
        observed = over_maps(_observed, maps[part], *arrays, **options)
        found = {name: statistics[name](observed) for name in wanted}
        return {name: np.asarray(v).reshape(len(observed), math.prod(v.shape[1:])) for name, v in found.items()}

    if len(maps) == 0:
        return vectors(slice(0, 0))
    # The last batch ends with the last map and repeats some of the one before: all have one shape, compiled once.
    size = min(batch, len(maps))
    starts = [*range(0, len(maps) - size, size), len(maps) - size]
    parts = [vectors(slice(start, start + size)) for start in progress(starts, "measuring", unit="batch")]
    fresh = len(maps) - size * (len(parts) - 1)
    return {name: np.concatenate([*(p[name] for p in parts[:-1]), parts[-1][name][-fresh:]]) for name in wanted}


def _observed(
    image: Float[Array, "bin y x"],
    number: Any,
    stream: Any,
    mask: Any,
    *,
    side: float,
    n_gal: Any,
    sigma_e: float,
    smoothing: Any,
    transform: Any,
) -> Float[Array, "bin2 y2 x2"]:
    """One map with its own noise, degraded and smoothed."""
    key = jax.random.fold_in(stream, number)
    image = survey.add_shape_noise(image, n_gal=n_gal, pixel=60 * side / image.shape[-1], sigma_e=sigma_e, key=key)
    if transform is not None:
        image = transform(image, key=jax.random.fold_in(key, zlib.crc32(b"degradation")))
    return survey.smooth(image, smoothing, 60 * side / image.shape[-1], mask)


def ready(
    *,
    side: Real,
    ell_edges: Edges,
    edges: Mapping[str, Edges],
    boundary: str = "periodic",
    mask: Mask = None,
    units: Units = None,
    scales: int = 3,
) -> dict[str, Statistic]:
    """Every statistic that these bins allow, by name, ready to be called with observed maps [..., bin, y, x].

    Args:
        side: side of the maps [deg].
        ell_edges: edges of the spectrum's bins.
        edges: edges of what is counted in bins, as in `measure`.
        boundary: "periodic" or "drop".
        mask: True where a pixel is observed [y, x]; None: everywhere.
        units: of the starlet scales, as in `starlet_peaks`.
        scales: of starlets and scattering.
    """
    shared = {"boundary": boundary, "mask": mask}
    starlets = shared | {"scales": scales, "units": units}
    found: dict[str, Statistic] = {
        "power spectrum": partial(power_spectrum, side=side, ell_edges=ell_edges, **shared),
        "moments": partial(moments, **shared),
        "scattering": partial(scattering_transform, scales=scales, **shared),
    }
    in_bins: dict[str, tuple[Callable[..., Array], dict[str, Any]]] = {
        "peaks": (peak_counts, shared),
        "minima": (minima_counts, shared),
        "Minkowski": (minkowski_functionals, shared),
        "histogram": (pixel_histogram, {"mask": mask}),
        "starlet peaks": (starlet_peaks, starlets),
        "starlet l1": (starlet_l1, starlets),
    }
    for name, (statistic, options) in in_bins.items():
        if name in edges:
            found[name] = partial(statistic, edges=edges[name], **options)
    if "bispectrum" in edges:
        found["bispectrum"] = partial(bispectrum, side=side, ell_edges=edges["bispectrum"], **shared)
    return found
