"""Data vectors from noiseless maps: bins that suit the maps, and all statistics of them as a survey would see them."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Num

from wlbook.common import checks, random
from wlbook.common.progress import progress
from wlbook.simulation.survey import Survey, coarsen, observe
from wlbook.statistics.arguments import Mask, Real, checked_count, checked_maps
from wlbook.statistics.bispectra import bispectrum
from wlbook.statistics.execution import over_maps
from wlbook.statistics.minkowski import minkowski_functionals
from wlbook.statistics.onepoint import moments, pixel_histogram
from wlbook.statistics.peaks import minima_counts, peak_counts
from wlbook.statistics.scattering import scattering_transform
from wlbook.statistics.spectra import power_spectrum
from wlbook.statistics.wavelets import starlet, starlet_l1, starlet_peaks

Statistic = Callable[[Array], Array]

#: What `measure` measures unless told otherwise.
DEFAULT = ("power spectrum", "peaks", "Minkowski")
#: All that it can.
NAMES = (*DEFAULT, "minima", "histogram", "moments", "starlet peaks", "starlet l1", "scattering", "bispectrum")
#: The fewest bins of each statistic that is measured in bins.
_FEWEST = {"power spectrum": 1, "peaks": 2, "Minkowski": 1, "minima": 2, "histogram": 1}
_FEWEST |= {"starlet peaks": 3, "starlet l1": 3, "bispectrum": 1}


@dataclasses.dataclass(frozen=True)
class Bins:
    """In which bins statistics are measured.

    `edges` are those of what is counted in bins, by the statistic's name: in kappa; in ell for the "bispectrum"; in
    `units` for the starlets.
    """

    ell_edges: tuple[float, ...] = ()  # of the power spectrum
    edges: Mapping[str, tuple[float, ...]] = dataclasses.field(default_factory=dict)
    sigma: float | None = None  # standard deviation of the observed maps that edges in kappa suit; only describes them
    units: tuple[float, ...] | None = None  # of the starlet scales [scales + 1 numbers], as in `starlet_peaks`
    scales: int = 3  # of starlets and scattering, >= 1
    boundary: str = "periodic"  # or "drop", as in `peak_counts`


def binning(
    kappa: Num[Array | np.ndarray, "map bin y x"],
    survey: Survey,
    numbers: Mapping[str, int],
    *,
    side: Real,
    seed: int,
    scales: int = 3,
    boundary: str = "periodic",
    mask: Mask = None,
) -> Bins:
    """Bins for `measure` that suit these maps as `survey` sees them: few, and none of them nearly empty.

    Spectrum: logarithmic, from twice the longest wave of the map to three quarters of the pixels' Nyquist frequency;
    the bispectrum's end at two thirds of it. Peaks: linear from -0.5 to 2.5 standard deviations of the observed maps,
    and one bin for all that are higher, so that no model of a design leaves it empty; minima from 0.5 down to -1.5.
    Minkowski functionals and histogram: linear from -2 to 3. Starlet coefficients, each scale in units of its own
    standard deviation: peaks from -0.5 to 1.5 and an open bin; the l1-norm from -1.7 to 2.3, open at both ends.

    Args:
        kappa: noiseless maps whose observed standard deviation sets the scale: those of the fiducial.
        numbers: of bins, by the name of each statistic that is measured in bins: >= 1; peaks and minima >= 2, the open
            one included; starlets >= 3 for each scale, open ones included.
        side, scales: of the maps [deg]; of the starlets, >= 1.
        boundary: that the statistics are measured with, "periodic" or "drop"; it changes no bin.
    """
    for name, number in numbers.items():
        if name not in _FEWEST:
            raise ValueError(f"numbers: {name!r} is not measured in bins; must be among {list(_FEWEST)}")
        checks.at_least(f"numbers[{name!r}]", number, _FEWEST[name])
    checked_count("scales", scales, 1)
    maps, usable = checked_maps(kappa, mask)
    maps, pixels = over_maps(_as_is, maps, mask=usable), maps.shape[-1]
    look = partial(observe, survey=survey, pixel=60 * side / pixels, mask=usable)
    observed = jax.jit(look)(maps, key=random.key(seed, "binning"))
    where = np.ones(maps.shape[-2:], bool) if usable is None else usable
    # Three digits, so that the edges (and what is stored under them) are the same on every processor.
    sigma = _three_digits(observed.std() if usable is None else observed[..., where].std())
    if not sigma > 0:
        raise ValueError("kappa: the observed maps are constant, no bins suit them")

    edges: dict[str, Callable[[int], np.ndarray]] = {
        "power spectrum": lambda n: np.geomspace(2 * 360 / side, 0.75 * 180 * pixels / side, n + 1),
        "bispectrum": lambda n: np.geomspace(2 * 360 / side, 0.99 * 120 * pixels / side, n + 1),
        "peaks": lambda n: sigma * np.append(np.linspace(-0.5, 2.5, n), 1000.0),
        "minima": lambda n: -sigma * np.append(np.linspace(-0.5, 1.5, n), 1000.0)[::-1],  # voids are shallow
        "Minkowski": lambda n: sigma * np.linspace(-2.0, 3.0, n + 1),
        "histogram": lambda n: sigma * np.linspace(-2.0, 3.0, n + 1),
        "starlet peaks": lambda n: np.append(np.linspace(-0.5, 1.5, n), 1000.0),  # large scales have few high peaks
        # Coefficients of a scale sum to 0: with an edge there, the bins below would say what is in those above.
        "starlet l1": lambda n: np.concatenate([[-1000.0], np.linspace(-1.7, 2.3, n - 1), [1000.0]]),
    }
    units = None
    if {"starlet peaks", "starlet l1"} & set(numbers):
        details = starlet(observed, scales=scales, mask=usable)
        units = tuple(_three_digits(details[..., j, :, :][..., where].std()) for j in range(scales + 1))
    found = {name: tuple(edges[name](n).round(1 if "spectrum" in name else 6).tolist()) for name, n in numbers.items()}
    return Bins(found.pop("power spectrum", ()), found, sigma, units, scales, boundary)


def _as_is(image: Array) -> Array:
    return image


def _three_digits(value: Any) -> float:
    return float(f"{float(value):.2e}")


def measure(
    kappa: Num[Array | np.ndarray, "map bin y x"],
    survey: Survey,
    bins: Bins,
    *,
    side: Real,
    seed: int,
    names: Sequence[str] = DEFAULT,
    transform: Callable[..., Array] | None = None,
    mask: Mask = None,
    batch: int = 256,
) -> dict[str, np.ndarray]:
    """Statistics of maps as a survey would see them: a vector [map, d] by the name of each.

    The noise of map i comes from `random.key(seed, "noise", i)` whatever the batch, as in `training.predictions`: with
    one seed, a network and the statistics see the same maps. What is compiled for one set of edges serves all others.
    Maps are noiseless and square, of a side [deg] > 0; names are of `NAMES`; transform and mask as in `survey.observe`;
    `batch` >= 1 maps are in memory at a time.
    """
    fit = not isinstance(names, str) and names and set(names) <= set(NAMES) and len(set(names)) == len(names)
    checks.require(fit, "names", names, f"one or more of {list(NAMES)}, each once")
    checked_count("batch", batch, 1)
    in_bins = set(_FEWEST) - {"power spectrum"}
    if missing := sorted(in_bins & set(names) - set(bins.edges)):
        raise ValueError(f"bins.edges = {sorted(bins.edges)}: {missing} is missing")
    maps, usable = checked_maps(kappa, mask)
    look = {"pixel": 60 * float(side) / maps.shape[-1], "survey": survey, "transform": transform}
    names_of_maps = random.of_maps(len(maps))

    def vectors(part: slice) -> dict[str, np.ndarray]:
        arrays = (random.key(seed, "noise"), usable)
        options = {"numbers": names_of_maps[part], "axes": 3, "mask": usable, **look}
        observed = over_maps(_observed, maps[part], *arrays, **options)
        larger = maps.shape[-1] // observed.shape[-1]  # a degradation may have made pixels, and the mask's too, coarser
        kept = usable if usable is None else np.asarray(coarsen(np.asarray(usable, np.float32), larger)) == 1
        statistics = ready(bins, side=side, mask=kept)
        found = {name: statistics[name](observed) for name in names}
        return {name: np.asarray(v).reshape(len(observed), math.prod(v.shape[1:])) for name, v in found.items()}

    if len(maps) == 0:
        return vectors(slice(0, 0))
    # The last batch ends with the last map and repeats some of the one before: all have one shape, compiled once.
    size = min(batch, len(maps))
    starts = [*range(0, len(maps) - size, size), len(maps) - size]
    parts = [vectors(slice(start, start + size)) for start in progress(starts, "measuring", unit="batch")]
    fresh = len(maps) - size * (len(parts) - 1)
    return {name: np.concatenate([*(p[name] for p in parts[:-1]), parts[-1][name][-fresh:]]) for name in names}


def _observed(image: Array, number: Any, stream: Any, mask: Any, **look: Any) -> Float[Array, "bin2 y2 x2"]:
    """One map with its own noise."""
    return observe(image, **look, mask=mask, key=jax.random.fold_in(stream, number))


def ready(bins: Bins, *, side: Real, mask: Mask = None) -> dict[str, Statistic]:
    """Every statistic that these bins allow, by name, ready to be called with observed maps of this side [deg]."""
    shared = {"boundary": bins.boundary, "mask": mask}
    starlets = shared | {"scales": bins.scales, "units": None if bins.units is None else list(bins.units)}
    found: dict[str, Statistic] = {
        "moments": partial(moments, **shared),
        "scattering": partial(scattering_transform, scales=bins.scales, **shared),
    }
    if bins.ell_edges:
        found["power spectrum"] = partial(power_spectrum, side=side, ell_edges=list(bins.ell_edges), **shared)
    in_bins: dict[str, tuple[Callable[..., Array], dict[str, Any]]] = {
        "peaks": (peak_counts, shared),
        "minima": (minima_counts, shared),
        "Minkowski": (minkowski_functionals, shared),
        "histogram": (pixel_histogram, {"mask": mask}),
        "starlet peaks": (starlet_peaks, starlets),
        "starlet l1": (starlet_l1, starlets),
    }
    for name, (statistic, options) in in_bins.items():
        if name in bins.edges:
            found[name] = partial(statistic, edges=list(bins.edges[name]), **options)
    if "bispectrum" in bins.edges:
        found["bispectrum"] = partial(bispectrum, side=side, ell_edges=list(bins.edges["bispectrum"]), **shared)
    return found
