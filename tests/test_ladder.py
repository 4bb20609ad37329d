"""Rungs of the convergence ladder: what they change, and the error of a ratio of means."""

import numpy as np
import pytest

from wlbook import ladder


def test_the_error_of_a_ratio_is_the_scatter_of_ratios_made_again_and_again():
    draws = np.random.default_rng(1)
    changed, plain = (draws.normal(mean, 0.1, size=(4000, 6, 1)) for mean in (1.2, 1.0))
    ratios, errors = np.array([ladder.ratio_of_means(a, b) for a, b in zip(changed, plain, strict=True)])[..., 0].T
    assert ratios.mean() == pytest.approx(1.2, rel=0.01)
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(ratios.std(), rel=0.05)


def test_a_wider_box_keeps_the_spacing_of_particles_and_the_planes(monkeypatch):
    asked = {}
    simulate = ladder.maps.simulate_box

    def remember(**settings):
        asked.update(settings)
        return simulate(**settings)

    monkeypatch.setattr(ladder.maps, "simulate_box", remember)
    box = ladder.maps.specifications(
        n_models=1, n_maps=2, n_fiducial=1, side=3.5, pixels=16, box=240.0, particles=16, steps=12,
        source_redshift=1.0, seed=1,
    )[-1]  # fmt: skip
    power = ladder.rung(name=ladder.WIDER, box=box, ell_edges=[200.0, 400.0, 800.0])
    assert power.shape == (2,) and np.all(power > 0)
    assert asked["box"] / asked["particles"] == 15.0 and asked["box"] == 300.0
    assert box["box"] == 240.0, "what is compared with stays as it is"
    cones = [
        ladder.maps.lensing.light_cone(
            ladder.maps.Cosmology(0.26, 0.8), box=side, steps=12, source_redshift=1.0
        ).thickness
        for side in (240.0, 300.0)
    ]
    assert cones[0] == cones[1]


def test_one_box_says_nothing_of_scatter():
    with pytest.raises(ValueError, match="plain: 1 box, must be >= 2"):
        ladder.ratio_of_means(np.ones((2, 1)), np.ones((1, 1)))
