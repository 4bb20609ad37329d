"""Calibration: biases and slopes that were put in come out."""

import numpy as np
import pytest

from wlbook.network import calibration


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
    assert calibration.r_squared(truth, predicted, variance=1.0) == pytest.approx(0.75)


def test_scores_tell_models_apart_and_s8_from_its_parts():
    draw = np.random.default_rng(3)
    truth = np.column_stack([draw.uniform(0.2, 0.4, 400), draw.uniform(0.6, 1.0, 400)])
    s_8 = truth[:, 1] * np.sqrt(truth[:, 0] / 0.3)
    unseen = np.arange(400) < 100
    swapped = truth.copy()  # the right S8 everywhere, from wrong parts
    swapped[:, 0] *= 1.21
    swapped[:, 1] /= 1.1
    found = calibration.scores(truth, swapped, unseen)
    assert found["s8"] == pytest.approx(1) and found["unseen"] == pytest.approx(1)
    assert found["omega_m"] < 0.5 and found["sigma_8"] < 0.7
    off = truth.copy()
    off[unseen, 1] *= 1.1  # wrong on the unseen models only
    found = calibration.scores(truth, off, unseen)
    assert found["unseen"] == pytest.approx(1 - np.mean((0.1 * s_8[unseen]) ** 2) / s_8.var())
    assert 1 - found["s8"] == pytest.approx((1 - found["unseen"]) / 4)
    assert np.isnan(calibration.scores(truth, truth, unseen & False)["unseen"])


def test_one_network_has_no_scatter_and_a_small_one_is_told_with_a_digit_more():
    assert calibration.over_seeds([0.876]) == "0.88"
    assert calibration.over_seeds([0.8, 0.9]) == "0.85 ± 0.07"
    assert calibration.over_seeds([0.851, 0.853]) == "0.852 ± 0.001"
