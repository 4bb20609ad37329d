"""Boxes of particles: which ones a run needs, and the maps that one of them gives."""

import dataclasses
from typing import Any

import numpy as np
import xarray as xr

from wlbook.common import checks, random
from wlbook.simulation import cosmology, lens_planes, lensing
from wlbook.simulation.cosmology import CENTRES, SECOND, Cosmology
from wlbook.simulation.dataset import SPLITS, labelled
from wlbook.simulation.sources import Sources, at

_BOXES = 100_000  # seeds reserved for the boxes of one split


@dataclasses.dataclass(frozen=True)
class Box:
    """How a box is simulated and looked through, in whatever universe."""

    side: float = 3.5  # of a map [deg], > 0
    pixels: int = 64  # per side of a map, >= 8
    n_maps: int = 64  # from the box, >= 1
    box: float = 240.0  # side of the box [Mpc/h], > 0, wider than the field at the source
    particles: int = 64  # per side of the box, >= 16 and even
    steps: int = 12  # of the simulation, >= 6
    sources: Sources = dataclasses.field(default_factory=lambda: at(1.0))  # rounded: alike on every processor
    method: str = "multi-plane"  # of `lensing.convergence`: this or "born"
    a_ia: float = 0.0  # of intrinsic alignments, as in `lensing.nla_factor`; so is eta
    eta: float = 0.0
    planes_per_step: int = 1  # or how many times thinner to make the planes

    def __post_init__(self) -> None:
        for name, least in (("pixels", 8), ("n_maps", 1), ("particles", 16), ("steps", 6), ("planes_per_step", 1)):
            checks.at_least(name, getattr(self, name), least)
        checks.require(self.particles % 2 == 0, "particles", self.particles, "even")
        for name, unit in (("side", "deg"), ("box", "Mpc/h")):
            checks.positive(name, getattr(self, name), unit)
        checks.one_of("method", self.method, ("multi-plane", "born"))
        for name in ("side", "box", "a_ia", "eta"):
            object.__setattr__(self, name, float(getattr(self, name)))
        object.__setattr__(self, "sources", Sources(self.sources.redshift.round(6), self.sources.share.round(8)))

    @property
    def pixel(self) -> float:
        """Pixel side [arcmin]."""
        return self.side * 60 / self.pixels

    @property
    def galaxies(self) -> Sources:
        """The sources, with shares that sum to 1."""
        share = self.sources.share
        return Sources(self.sources.redshift, share / share.sum(axis=1, keepdims=True))

    def check_width(self, cosmo: Cosmology) -> None:
        """Raise ValueError if the field is wider than the box somewhere on its way in this universe."""
        lensing.fits_in_box(self.side, float(self.sources.distances(cosmo).max()), self.box)


@dataclasses.dataclass(frozen=True)
class Universe:
    """Where a box lies: its parameters, its place in the design, and its initial conditions."""

    omega_m: float
    sigma_8: float
    model: int  # index in the design; -1 for the fiducial, -2 for the second universe that paper A tests on
    split: str  # one of SPLITS
    seed: int  # of the initial conditions and of the recycling


def universes(
    box: Box, *, n_models: int, n_fiducial: int, seed: int, design: str = "paper-a", n_second: int = 0
) -> list[Universe]:
    """All universes that a run simulates `box` in.

    Every model of the design has two boxes, one to train on and one to test on; the fiducial model has `n_fiducial`
    more, the observed sky. All differ in their initial conditions. The field must fit into the box in all of them.

    Numbers are >= 1, the seed is >= 0 and < 2000, the design a name of `cosmology.CENTRES`. `n_second` >= 0 boxes are
    of the second universe that paper A tests on: split "test", model -2.
    """
    for name, value, least in (("n_models", n_models, 1), ("n_fiducial", n_fiducial, 1), ("n_second", n_second, 0)):
        checks.at_least(name, value, least)
        checks.require(value <= _BOXES // 2, name, value, f"<= {_BOXES // 2}")
    checks.within("seed", seed, 0, 2000, "[)")
    checks.one_of("design", design, CENTRES)
    centre = CENTRES[design]
    # Distances grow as omega_m falls: if the field fits there, it fits everywhere.
    box.check_width(Cosmology(min(cosmology.DESIGN_RANGE[0][0], centre[0]), 0.8))

    def of(parameters: Any, model: int, split: str, index: int) -> Universe:
        number = (seed * 10 + SPLITS.index(split)) * _BOXES + index
        return Universe(float(parameters[0]), float(parameters[1]), model, split, number)

    models = list(enumerate(cosmology.design(n_models, centre=centre)))
    return [
        *(of(parameters, model, split, model) for split in ("train", "test") for model, parameters in models),
        *(of(centre, -1, "fiducial", i) for i in range(n_fiducial)),
        *(of(SECOND, -2, "test", _BOXES // 2 + i) for i in range(n_second)),
    ]


def simulate_box(box: Box, universe: Universe) -> xr.Dataset:
    """Simulate one box and look through it `n_maps` times: noiseless, unsmoothed kappa, as `dataset.labelled`."""
    checks.one_of("split", universe.split, SPLITS)
    cosmo, bins = Cosmology(universe.omega_m, universe.sigma_8), box.galaxies
    box.check_width(cosmo)
    matter = {name: getattr(box, name) for name in ("box", "particles", "steps", "planes_per_step")}
    far = float(bins.redshift.max())
    planes = lens_planes.lens_planes(cosmo, **matter, source_redshift=far, seed=universe.seed)
    view = {name: getattr(box, name) for name in ("side", "pixels", "n_maps", "method", "a_ia", "eta")}
    kappa = lensing.convergence(planes, bins, **view, key=random.key(universe.seed, "recycling"))
    made_of = dataclasses.asdict(universe) | {"split": SPLITS.index(universe.split)}
    data = labelled(np.asarray(kappa), made_of, "convergence, noiseless and unsmoothed")
    data.attrs = {name: getattr(box, name) for name in ("side", "pixel", "box", "particles", "steps")}
    data.attrs |= {"mesh": 2 * box.particles, "source_redshift": bins.mean().round(4).tolist()}
    trusted = trusted_ell(box=box.box, particles=box.particles, source_redshift=bins.mean().tolist())
    return data.assign_attrs(trusted_ell=trusted)


def trusted_ell(*, box: float, particles: int, source_redshift: float | list[float]) -> float:
    """Largest multipole at which the simulated maps are to be trusted.

    A quarter of the force mesh's Nyquist wavenumber, seen at the distance that lenses most (about 0.46 of the way to
    the nearest sources): (pi / 4) chi / cell. Nearer planes are blurred at that ell already, but count little.
    """
    nearest = float(np.min(source_redshift))
    chi = 0.46 * float(cosmology.distance(Cosmology(*cosmology.FIDUCIAL), nearest))
    return round(float(np.pi / 4 * chi / (box / (2 * particles))), 1)


def disk_need(box: Box) -> int:
    """Size of the maps of one box [bytes]."""
    return 4 * box.n_maps * len(box.sources.share) * box.pixels**2
