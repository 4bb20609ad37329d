"""Boxes of particles: which ones a run needs, and the maps that one of them gives."""

from typing import Any

import numpy as np
import xarray as xr

from wlbook.common import random
from wlbook.simulation import cosmology, lens_planes, lensing
from wlbook.simulation import sources as galaxies
from wlbook.simulation.cosmology import CENTRES, SECOND, Cosmology
from wlbook.simulation.dataset import SPLITS

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
    planes = lens_planes.lens_planes(
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


def disk_need(boxes: list[dict[str, Any]]) -> int:
    """Size of the maps of these `specifications` before compression [bytes]."""
    bins = [len(one["source_share"] or one["source_redshift"]) for one in boxes]
    return sum(4 * one["n_maps"] * n * one["pixels"] ** 2 for one, n in zip(boxes, bins, strict=True))
