"""Calibration: biases and slopes that were put in come out."""

import numpy as np
import pytest

from wlbook import calibration, training


def test_bias_scatter_and_slope_are_those_put_in():
    draw = np.random.default_rng(0)
    model = np.repeat(np.arange(5), 4000)
    truth = np.stack([0.1 * model, -1.0 * model], axis=1)
    predicted = np.stack([0.5 * truth[:, 0] + 0.2, truth[:, 1]], axis=1) + 0.3 * draw.normal(size=truth.shape)
    table = calibration.by_model(truth, predicted, model)
    np.testing.assert_allclose(table["mean"][:, 0], 0.5 * table["truth"][:, 0] + 0.2, atol=0.02)
    np.testing.assert_allclose(table["scatter"], 0.3, rtol=0.05)
    np.testing.assert_allclose(table["error"], 0.3 / np.sqrt(4000), rtol=0.05)
    np.testing.assert_allclose(calibration.slope(table), [0.5, 1.0], atol=0.05)


def test_a_single_map_has_no_scatter_and_no_error():
    table = calibration.by_model(np.ones((1, 1)), np.zeros((1, 1)), np.array([7]))
    assert np.isnan(table["scatter"]).all() and np.isnan(table["error"]).all() and table["mean"][0, 0] == 0


def test_r_squared_of_a_few_models_is_held_against_the_design():
    truth, predicted = np.array([1.0, 1.0]), np.array([1.5, 0.5])
    assert training.r_squared(truth, predicted, variance=1.0) == pytest.approx(0.75)
