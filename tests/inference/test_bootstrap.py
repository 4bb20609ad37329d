"""Errors drawn from one set of simulations, against the scatter between many sets."""

import numpy as np

from wlbook import inference
from wlbook.inference import bootstrap
from wlbook.simulation import cosmology

DESIGN = cosmology.design(24)
ONCE = {"rows": {"one": ["v"]}, "method": "quadratic", "n_fields": 9, "points": 16}


def simulated(seed: int) -> dict[str, np.ndarray]:
    """64 maps of each model: two numbers that bend with cosmology, whose scatter grows as sigma_8^3, from one box each.

    Each box moves its maps by a quarter of their scatter.
    """
    draw = np.random.default_rng(seed)
    corner, span = DESIGN.min(axis=0), np.ptp(DESIGN, axis=0)
    x, y = (2 * (DESIGN - corner) / span - 1).T
    mean = (DESIGN - cosmology.FIDUCIAL) / [0.06, 0.10] + 0.3 * (x * y + y**2)[:, None]
    scatter = (DESIGN[:, 1] / 0.8)[:, None, None] ** 3
    root = np.linalg.cholesky([[1.0, -0.6], [-0.6, 1.0]])
    box, maps = 0.25 * draw.normal(size=(24, 1, 2)), draw.normal(size=(24, 64, 2))
    return {"v": mean[:, None] + scatter * ((box + maps) @ root.T)}


def test_errors_are_the_scatter_between_simulations():
    # Handed to another model as they are, and not in units of scatter, distances give 0.8 of it.
    logs, squares = [], []
    for seed in range(80):
        found = bootstrap.resample(DESIGN, simulated(seed), None, repeats=3, seed=seed, **ONCE)
        both = found[["log_area", "log_s_8_error"]].to_array().values[..., 0].T
        logs.append(both[0])
        squares.append(bootstrap.relative_error(both) ** 2)
    ratio = np.sqrt(np.mean(squares, axis=0)) / np.std(logs, axis=0)
    assert ((ratio > 0.97) & (ratio < 1.3)).all(), ratio


def test_data_of_no_observed_maps_are_the_emulators_mean_at_the_observed_sky():
    vectors = simulated(0)
    found = bootstrap.resample(DESIGN, vectors, None, repeats=1, seed=1, fiducial=(0.32, 0.9), **ONCE)
    emulator = inference.Emulator(DESIGN, vectors["v"], method="quadratic")
    there = inference.posterior(emulator, emulator.mean(np.array([[0.32, 0.9]]))[0], n_fields=9, points=16)
    area = inference.credible_area(there, truncated="allow")
    np.testing.assert_allclose(np.exp(found["log_area"].values[0, 0]), area, rtol=1e-9)


def test_draws_depend_on_their_seed_and_nothing_else():
    vectors = simulated(0)
    few, more, other = (
        bootstrap.resample(DESIGN, vectors, {"v": vectors["v"][3]}, repeats=repeats, seed=seed, **ONCE)
        for repeats, seed in ((2, 1), (3, 1), (2, 2))
    )
    assert few.equals(more.isel(draw=slice(3)))
    assert few.isel(draw=0).equals(other.isel(draw=0))
    assert (few["log_area"][1:].values != other["log_area"][1:].values).all()
