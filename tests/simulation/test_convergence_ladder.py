"""Rungs of the convergence ladder: what they change, and the error of a ratio of means."""

import numpy as np
import pytest

from wlbook.simulation import boxes, convergence_ladder
from wlbook.simulation.cosmology import Cosmology
from wlbook.simulation.lens_planes import light_cone


def test_the_error_of_a_ratio_is_the_scatter_of_ratios_made_again_and_again():
    draws = np.random.default_rng(1)
    changed, plain = (draws.normal(mean, 0.1, size=(4000, 6, 1)) for mean in (1.2, 1.0))
    ratios, errors = np.array([convergence_ladder.ratio_of_means(a, b) for a, b in zip(changed, plain, strict=True)])[
        ..., 0
    ].T
    assert ratios.mean() == pytest.approx(1.2, rel=0.01)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(ratios.std(), rel=0.05)


def test_a_wider_box_keeps_the_spacing_of_particles_and_the_planes():
    box = boxes.specifications(
        n_models=1, n_maps=2, n_fiducial=1, side=3.5, pixels=16, box=240.0, particles=16, steps=12,
        source_redshift=1.0, seed=1,
    )[-1]  # fmt: skip
    wider = convergence_ladder.rung(convergence_ladder.WIDER, box)
    assert wider["box"] / wider["particles"] == 15.0 and wider["box"] == 300.0
    assert box["box"] == 240.0, "what is compared with stays as it is"
    cones = [
        light_cone(Cosmology(0.26, 0.8), box=side, steps=12, source_redshift=1.0).thickness for side in (240.0, 300.0)
    ]
    assert cones[0] == cones[1]
    kappa = boxes.simulate_box(**wider)["kappa"]
    assert kappa.shape == (2, 1, 16, 16) and float(kappa.std()) > 0


def test_a_rung_changes_one_thing():
    box = {"particles": 16, "steps": 12, "seed": 3}
    assert convergence_ladder.rung("as in the book", box) == box
    assert convergence_ladder.rung("half the particles a side", box) == box | {"particles": 8}
    assert convergence_ladder.rung("planes half as thick", box) == box | {"planes_per_step": 2}
    assert convergence_ladder.rung("straight rays (Born)", box) == box | {"method": "born"}


def test_one_box_says_nothing_of_scatter():
    with pytest.raises(ValueError, match="plain: 1 box, must be >= 2"):
        convergence_ladder.ratio_of_means(np.ones((2, 1)), np.ones((1, 1)))
