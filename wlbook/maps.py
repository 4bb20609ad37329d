"""Maps of kappa with what they were made of: the dataset that every page reads."""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from wlbook import cosmology, lensing, random
from wlbook.cosmology import FIDUCIAL, Cosmology
from wlbook.progress import progress

SPLITS = ("train", "test", "fiducial")
_BOXES = 100_000  # seeds reserved for the boxes of one split


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

    Raises:
        ValueError: naming the argument that is out of range.
    """
    counts = {"n_models": (n_models, 1), "n_maps": (n_maps, 1), "n_fiducial": (n_fiducial, 1), "pixels": (pixels, 8)}
    for name, (value, least) in {**counts, "particles": (particles, 16), "steps": (steps, 6)}.items():
        if value < least:
            raise ValueError(f"{name} = {value}: must be >= {least}")
    if max(n_models, n_fiducial) > _BOXES:
        raise ValueError(f"n_models = {n_models}, n_fiducial = {n_fiducial}: must be <= {_BOXES}")
    if particles % 2:
        raise ValueError(f"particles = {particles}: must be even")
    if not side > 0:
        raise ValueError(f"side = {side}: must be > 0 [deg]")
    if not box > 0:
        raise ValueError(f"box = {box}: must be > 0 [Mpc/h]")
    if not 0 <= seed < 2000:
        raise ValueError(f"seed = {seed}: must be >= 0 and < 2000")
    sources = _sources(source_redshift)
    models = cosmology.design(n_models)
    # Distances grow as omega_m falls: if the field fits there, it fits everywhere.
    widest = min(cosmology.DESIGN_RANGE[0][0], FIDUCIAL[0])
    lensing.fits_in_box(side, float(cosmology.distance(Cosmology(widest, 0.8), max(sources))), box)

    common = {"n_maps": n_maps, "side": float(side), "pixels": pixels, "box": float(box), "particles": particles}
    common |= {"steps": steps, "source_redshift": sources}
    boxes = [
        {"omega_m": float(omega_m), "sigma_8": float(sigma_8), "model": model, "split": split}
        for split in ("train", "test")
        for model, (omega_m, sigma_8) in enumerate(models)
    ]
    boxes += [{"omega_m": FIDUCIAL[0], "sigma_8": FIDUCIAL[1], "model": -1, "split": "fiducial"}] * n_fiducial
    fiducial = len(boxes) - n_fiducial
    return [
        one | {"seed": _box_seed(seed, one["split"], one["model"] if i < fiducial else i - fiducial)} | common
        for i, one in enumerate(boxes)
    ]


def _box_seed(seed: int, split: str, index: int) -> int:
    return (seed * 10 + SPLITS.index(split)) * _BOXES + index


def _sources(source_redshift: float | list[float]) -> list[float]:
    sources = [source_redshift] if isinstance(source_redshift, (int, float)) else list(source_redshift)
    if not sources:
        raise ValueError("source_redshift = []: must name at least one redshift")
    for one in sources:
        if not 0 < one < 8:
            raise ValueError(f"source_redshift = {one}: must be > 0 and < 8")
    return [float(one) for one in sources]


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
) -> xr.Dataset:
    """Simulate one box and look through it `n_maps` times: noiseless, unsmoothed kappa.

    Args:
        omega_m, sigma_8: the universe.
        model: its index in the design, -1 for the fiducial.
        split: "train", "test" or "fiducial".
        seed: of the initial conditions and of the recycling.
        n_maps, side, pixels, box, particles, steps, source_redshift: as in `specifications`.

    Returns:
        Dataset with kappa float32 (map, bin, y, x), omega_m, sigma_8, model, seed and split (map).

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if split not in SPLITS:
        raise ValueError(f"split = {split!r}: must be one of {', '.join(SPLITS)}")
    sources = _sources(source_redshift)
    cosmo = Cosmology(omega_m, sigma_8)
    far = cosmology.distance(cosmo, np.array(sources))
    lensing.fits_in_box(side, float(far.max()), box)
    planes = lensing.lens_planes(
        cosmo, box=box, particles=particles, steps=steps, source_redshift=max(sources), seed=seed
    )
    kappa = lensing.convergence(
        planes, source_distance=far, side=side, pixels=pixels, n_maps=n_maps, key=random.key(seed, "recycling")
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
        "source_redshift": sources,
        "box": float(box),
        "particles": particles,
        "mesh": 2 * particles,
        "steps": steps,
        "trusted_ell": trusted_ell(box=box, particles=particles, source_redshift=sources),
    }
    return data


def trusted_ell(*, box: float, particles: int, source_redshift: float | list[float]) -> float:
    """Largest multipole at which the simulated maps are to be trusted.

    A third of the force mesh's Nyquist wavenumber, seen at the distance that lenses most (about 0.46 of the way to the
    nearest source plane): (pi / 3) chi / cell.
    """
    chi = 0.46 * float(cosmology.distance(Cosmology(*FIDUCIAL), min(_sources(source_redshift))))
    return round(float(np.pi / 3 * chi / (box / (2 * particles))), 1)


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
    call: Callable[..., Any] | None = None,
) -> xr.Dataset:
    """The book's maps: simulate every box, or fetch it, and put them together.

    Args:
        source: "simulate".
        n_models, n_maps, n_fiducial, side, pixels: as in `specifications`, like all that follow.
        box, particles, steps, source_redshift, seed: of the simulations.
        call: calls `simulate_box` with the arguments of one box; `Store.make` keeps what it returns.

    Returns:
        Dataset with kappa float32 (map, bin, y, x), and omega_m, sigma_8, model, seed and split (map).

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if source != "simulate":
        raise ValueError(f'source = {source!r}: must be "simulate"')
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
    )
    made: list[xr.Dataset] = []
    for one in progress(boxes, "simulating", total=len(boxes), unit="box"):
        made.append(simulate_box(**one) if call is None else call(simulate_box, **one))
    return xr.concat(made, dim="map", combine_attrs="override", data_vars="all")


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
    return sum(4 * one["n_maps"] * len(_sources(one["source_redshift"])) * one["pixels"] ** 2 for one in boxes)
