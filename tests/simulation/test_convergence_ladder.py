"""Rungs of the convergence ladder: what they change, and the error of a ratio of means."""

import dataclasses

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
    box = boxes.Box(n_maps=2, pixels=16, particles=16)
    wider = convergence_ladder.rung(convergence_ladder.WIDER, box)
    assert wider.box / wider.particles == 15.0 and wider.box == 300.0
    assert box.box == 240.0, "what is compared with stays as it is"
    cones = [
        light_cone(Cosmology(0.26, 0.8), box=side, steps=12, source_redshift=1.0).thickness for side in (240.0, 300.0)
    ]
    assert cones[0] == cones[1]
    (*_, universe) = boxes.universes(box, n_models=1, n_fiducial=1, seed=1)
    kappa = boxes.simulate_box(wider, universe)["kappa"]
    assert kappa.shape == (2, 1, 16, 16) and float(kappa.std()) > 0


def test_a_rung_changes_one_thing():
    box = boxes.Box(particles=32)
    assert convergence_ladder.rung("as in the book", box) == box
    for name, change in (
        ("half the particles a side", {"particles": 16}),
        ("planes half as thick", {"planes_per_step": 2}),
        ("straight rays (Born)", {"method": "born"}),
    ):
        assert convergence_ladder.rung(name, box) == dataclasses.replace(box, **change)


def test_the_ladder_has_no_rung_that_the_machine_or_the_box_cannot_bear():
    box = boxes.Box(particles=32)
    assert list(convergence_ladder.ladder(box, 0, finest=256)) == ["as in the book"]
    assert list(convergence_ladder.ladder(box, 9, finest=256)) == ["as in the book", *convergence_ladder.RUNGS]
    few = convergence_ladder.ladder(box, 3, finest=32)
    assert list(few) == ["as in the book", "half the particles a side", "twice the steps"]
    smallest = convergence_ladder.ladder(dataclasses.replace(box, particles=16), 2, finest=256)
    assert list(smallest) == ["as in the book", "twice the particles a side"]
    assert smallest["twice the particles a side"].particles == 32


def test_one_box_says_nothing_of_scatter():
    with pytest.raises(ValueError, match="boxes of plain = 1: must be >= 2"):
        convergence_ladder.ratio_of_means(np.ones((2, 1)), np.ones((1, 1)))
