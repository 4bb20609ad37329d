"""Maps of kappa with what they were made of: the dataset that every page reads."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Float

from wlbook import cosmology, files, lensing, random
from wlbook import sources as galaxies
from wlbook.cosmology import CENTRES, SECOND, Cosmology
from wlbook.files import SPLITS, from_fits, to_fits
from wlbook.pools import two_at_a_time
from wlbook.progress import progress

__all__ = [
    "SPLITS", "disk_need", "from_fits", "independent", "make", "select", "simulate_box", "specifications",
    "to_fits", "trusted_ell",
]  # fmt: skip

_BOXES = 100_000  # seeds reserved for the boxes of one split
_SMALL = 96  # particles a side of boxes whose steps are too short for two cores


def specifications(
    *,
    n_models: int,
    n_maps: int,
    n_fiducial: int,
    side: float,
    pixels: int,
    box: float,
    particles: int,
    steps: int,
    source_redshift: float | list[float],
    seed: int,
    sources: str = "plane",
    method: str = "multi-plane",
    a_ia: float = 0.0,
    eta: float = 0.0,
    design: str = "paper-a",
    n_second: int = 0,
) -> list[dict[str, Any]]:
    """What to simulate: the arguments of `simulate_box`, one entry a box.

    Every model of the design has two boxes, one to train on and one to test on; the fiducial model has `n_fiducial`
    more, the observed sky. All differ in their initial conditions.

    Args:
        n_models: models of the design, >= 1; a larger design holds every smaller one.
        n_maps: maps from each box, >= 1.
        n_fiducial: boxes at the fiducial, >= 1.
        side: of a map [deg], > 0.
        pixels: per side of a map, >= 8.
        box: side of a box [Mpc/h], > 0, wider than the field at the source.
        particles: per side of a box, >= 16 and even.
        steps: of a simulation, >= 6.
        source_redshift: of the sources, > 0; a list has one entry a bin.
        seed: of everything, >= 0 and < 2000.
        sources: "plane", "stage-iii" or a file, as in `sources.named`.
        method: of `lensing.convergence`: "multi-plane" or "born".
        a_ia, eta: of intrinsic alignments, as in `lensing.nla_factor`.
        design: whose plane of models: a name of `cosmology.CENTRES`.
        n_second: boxes of the second universe that paper A tests on, >= 0; they are of split "test", model -2.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    counts = {"n_models": (n_models, 1), "n_maps": (n_maps, 1), "n_fiducial": (n_fiducial, 1), "pixels": (pixels, 8)}
    counts |= {"particles": (particles, 16), "steps": (steps, 6), "n_second": (n_second, 0)}
    for name, (value, least) in counts.items():
        if value < least:
            raise ValueError(f"{name} = {value}: must be >= {least}")
    if max(n_models, n_fiducial, n_second) > _BOXES // 2:
        raise ValueError(f"n_models = {n_models}, n_fiducial = {n_fiducial}: must be <= {_BOXES // 2}")
    if particles % 2:
        raise ValueError(f"particles = {particles}: must be even")
    for name, value in (("side", side), ("box", box)):
        if not value > 0:
            raise ValueError(f"{name} = {value}: must be > 0 [{'deg' if name == 'side' else 'Mpc/h'}]")
    if not 0 <= seed < 2000:
        raise ValueError(f"seed = {seed}: must be >= 0 and < 2000")
    if method not in ("multi-plane", "born"):
        raise ValueError(f'method = {method!r}: must be one of "multi-plane", "born"')
    if design not in CENTRES:
        raise ValueError(f"design = {design!r}: must be one of {', '.join(CENTRES)}")
    bins = galaxies.named(sources, source_redshift)
    centre = CENTRES[design]
    models = cosmology.design(n_models, centre=centre)
    # Distances grow as omega_m falls: if the field fits there, it fits everywhere.
    widest = min(cosmology.DESIGN_RANGE[0][0], centre[0])
    lensing.fits_in_box(side, float(bins.distances(Cosmology(widest, 0.8)).max()), box)

    common = {"n_maps": n_maps, "side": float(side), "pixels": pixels, "box": float(box), "particles": particles}
    common |= {"steps": steps, "source_redshift": bins.redshift.round(6).tolist(), "source_share": None}
    common |= {"method": method, "a_ia": float(a_ia), "eta": float(eta)}
    if not np.array_equal(bins.share, np.eye(len(bins.redshift))):
        common["source_share"] = bins.share.round(8).tolist()
    boxes = [
        {"omega_m": float(omega_m), "sigma_8": float(sigma_8), "model": model, "split": split, "index": model}
        for split in ("train", "test")
        for model, (omega_m, sigma_8) in enumerate(models)
    ]
    for universe, split, model, count, first in (
        (centre, "fiducial", -1, n_fiducial, 0),
        (SECOND, "test", -2, n_second, _BOXES // 2),
    ):
        one = {"omega_m": universe[0], "sigma_8": universe[1], "model": model, "split": split}
        boxes += [one | {"index": first + i} for i in range(count)]
    return [one | {"seed": _box_seed(seed, one["split"], one.pop("index"))} | common for one in boxes]


def _box_seed(seed: int, split: str, index: int) -> int:
    return (seed * 10 + SPLITS.index(split)) * _BOXES + index


def simulate_box(
    *,
    omega_m: float,
    sigma_8: float,
    model: int,
    split: str,
    seed: int,
    n_maps: int,
    side: float,
    pixels: int,
    box: float,
    particles: int,
    steps: int,
    source_redshift: float | list[float],
    source_share: list[list[float]] | None = None,
    method: str = "multi-plane",
    a_ia: float = 0.0,
    eta: float = 0.0,
    planes_per_step: int = 1,
) -> xr.Dataset:
    """Simulate one box and look through it `n_maps` times: noiseless, unsmoothed kappa.

    Args:
        omega_m, sigma_8: the universe.
        model: its index in the design, -1 for the fiducial.
        split: "train", "test" or "fiducial".
        seed: of the initial conditions and of the recycling.
        n_maps, side, pixels, box, particles, steps, method, a_ia, eta: as in `specifications`.
        source_redshift: of the sources; one entry a bin, unless `source_share` is given.
        source_share: of each bin's galaxies at each redshift [bin][redshift].
        planes_per_step: 1, or how many times thinner to make the planes.

    Returns:
        Dataset with kappa float32 (map, bin, y, x), omega_m, sigma_8, model, seed and split (map).

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if split not in SPLITS:
        raise ValueError(f"split = {split!r}: must be one of {', '.join(SPLITS)}")
    bins = _bins(source_redshift, source_share)
    cosmo = Cosmology(omega_m, sigma_8)
    deepest = float(bins.redshift.max())
    lensing.fits_in_box(side, float(bins.distances(cosmo).max()), box)
    planes = lensing.lens_planes(
        cosmo,
        box=box,
        particles=particles,
        steps=steps,
        source_redshift=deepest,
        seed=seed,
        planes_per_step=planes_per_step,
    )
    kappa = lensing.convergence(
        planes,
        bins,
        side=side,
        pixels=pixels,
        n_maps=n_maps,
        method=method,
        a_ia=a_ia,
        eta=eta,
        key=random.key(seed, "recycling"),
    )
    per_map = {
        "omega_m": np.float64(omega_m),
        "sigma_8": np.float64(sigma_8),
        "model": np.int32(model),
        "seed": np.int64(seed),
        "split": np.int8(SPLITS.index(split)),
    }
    variables = {name: ("map", np.full(n_maps, value)) for name, value in per_map.items()}
    data = xr.Dataset({"kappa": (("map", "bin", "y", "x"), np.asarray(kappa)), **variables})
    data["split"].attrs = {"flag_values": list(range(len(SPLITS))), "flag_meanings": " ".join(SPLITS)}
    data["kappa"].attrs = {"long_name": "convergence, noiseless and unsmoothed", "units": "1"}
    data.attrs = {
        "side": float(side),
        "pixel": side * 60 / pixels,
        "source_redshift": bins.mean().round(4).tolist(),
        "box": float(box),
        "particles": particles,
        "mesh": 2 * particles,
        "steps": steps,
        "trusted_ell": trusted_ell(box=box, particles=particles, source_redshift=bins.mean().tolist()),
    }
    return data


def _bins(redshift: float | list[float], share: list[list[float]] | None) -> galaxies.Sources:
    if share is None:
        return galaxies.at(redshift)
    table = np.array(share, np.float64)
    return galaxies.Sources(np.array(redshift, np.float64), table / table.sum(axis=1, keepdims=True))


def trusted_ell(*, box: float, particles: int, source_redshift: float | list[float]) -> float:
    """Largest multipole at which the simulated maps are to be trusted.

    A quarter of the force mesh's Nyquist wavenumber, seen at the distance that lenses most (about 0.46 of the way to
    the nearest sources): (pi / 4) chi / cell. Nearer planes are blurred at that ell already, but count little.
    """
    nearest = float(np.min(source_redshift))
    chi = 0.46 * float(cosmology.distance(Cosmology(*cosmology.FIDUCIAL), nearest))
    return round(float(np.pi / 4 * chi / (box / (2 * particles))), 1)


def make(
    *,
    source: str = "simulate",
    n_models: int = 24,
    n_maps: int = 64,
    n_fiducial: int = 4,
    side: float = 3.5,
    pixels: int = 64,
    box: float = 240.0,
    particles: int = 64,
    steps: int = 12,
    source_redshift: float | list[float] = 1.0,
    seed: int = 1,
    sources: str = "plane",
    method: str = "multi-plane",
    a_ia: float = 0.0,
    eta: float = 0.0,
    design: str = "paper-a",
    n_second: int = 0,
    bad_files: str = "refuse",
    call: Callable[..., Any] | None = None,
) -> xr.Dataset:
    """The book's maps: simulate every box, or fetch it, and put them together.

    Args:
        source: "simulate", or a folder for `from_fits`: then `pixels` and `n_maps` say what to take from it, and all
            that is about simulations has no effect.
        n_models, n_maps, n_fiducial, side, pixels: as in `specifications`, like all that follow.
        box, particles, steps, source_redshift, seed, sources, method, a_ia, eta, design, n_second: of the simulations.
        bad_files: "refuse" or "skip" a file of a folder that cannot be used.
        call: calls `simulate_box` with the arguments of one box; `Store.make` keeps what it returns.

    Returns:
        Dataset with kappa float32 (map, bin, y, x), and omega_m, sigma_8, model, seed and split (map).

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if source != "simulate":
        there = files.listing(source)
        reading = {"folder": str(source), "pixels": pixels, "n_maps": n_maps, "bad": bad_files, "listing": there}
        return from_fits(**reading) if call is None else call(from_fits, **reading)
    boxes = specifications(
        n_models=n_models,
        n_maps=n_maps,
        n_fiducial=n_fiducial,
        side=side,
        pixels=pixels,
        box=box,
        particles=particles,
        steps=steps,
        source_redshift=source_redshift,
        seed=seed,
        sources=sources,
        method=method,
        a_ia=a_ia,
        eta=eta,
        design=design,
        n_second=n_second,
    )

    def make_box(one: dict[str, Any]) -> xr.Dataset:
        return simulate_box(**one) if call is None else call(simulate_box, **one)

    small = particles <= _SMALL and jax.default_backend() == "cpu"
    each = two_at_a_time(make_box, boxes) if small else map(make_box, boxes)
    made = list(progress(each, "simulating", total=len(boxes), unit="box"))
    return xr.concat(made, dim="map", combine_attrs="override", data_vars="all")


def independent(values: Float[np.ndarray, "map ..."], model: np.ndarray, seed: np.ndarray) -> Float[np.ndarray, "..."]:
    """How many of the maps from one box are worth an independent one, for a measured number of each map.

    Means over boxes of one model would differ by the scatter of maps over the number of maps, were those independent;
    the ratio of the two variances is the number that they are worth. Boxes of one model are compared, all models taken
    together, each in units of its own scatter.

    Args:
        values: measured on each map, such as its power spectrum.
        model, seed: of each map; every model needs two boxes or more.

    Raises:
        ValueError: no model has two boxes.
    """
    within, between = [], []
    for one in np.unique(model):
        boxes = [values[(model == one) & (seed == number)] for number in np.unique(seed[model == one])]
        if len(boxes) > 1:
            scatter = np.mean([box.var(axis=0, ddof=1) for box in boxes], axis=0)
            within.append(len(boxes) - 1.0)
            between.append(np.var([box.mean(axis=0) for box in boxes], axis=0, ddof=1) / scatter * (len(boxes) - 1))
    if not within:
        raise ValueError("seed: no model has two boxes or more, so that none can be compared")
    return np.sum(within) / np.sum(between, axis=0)


def select(data: xr.Dataset, split: str) -> xr.Dataset:
    """The maps of one split: "train", "test" or "fiducial".

    Raises:
        ValueError: for an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"split = {split!r}: must be one of {', '.join(SPLITS)}")
    return data.isel(map=np.flatnonzero(data["split"].to_numpy() == SPLITS.index(split)))


def disk_need(boxes: list[dict[str, Any]]) -> int:
    """Size of the maps of these `specifications` before compression [bytes]."""
    bins = [len(one["source_share"] or one["source_redshift"]) for one in boxes]
    return sum(4 * one["n_maps"] * n * one["pixels"] ** 2 for one, n in zip(boxes, bins, strict=True))
