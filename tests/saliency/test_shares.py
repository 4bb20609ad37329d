"""Shares with their errors, and the tables of them, against numbers worked out on paper."""

import numpy as np
import pytest

from wlbook import saliency

EDGES = np.array([-np.inf, 0, np.inf])
KAPPA = np.array([-1.0, 1.0]).reshape(1, 1, 1, 2).repeat(2, axis=0)  # two maps of a low pixel and a high one


def attributions(*low_shares):
    """Maps whose low pixel holds the given share of squared saliency."""
    low = np.sqrt(np.array(low_shares))
    return np.stack([low, np.sqrt(1 - low**2)], axis=-1).reshape(-1, 1, 1, 2)


def test_shares_of_one_network_take_the_scatter_of_others():
    draws = np.array([[0, 0, 5], [1, 1, 5]])  # a column more than there are maps
    one = attributions(0.2, 0.6)[None]
    found = saliency.measured_shares(one, KAPPA, EDGES, draws=draws, scatter=np.array([0.3, 0.3]))
    np.testing.assert_allclose(found.share, [0.4, 0.6])
    np.testing.assert_allclose(found.pixels, [0.5, 0.5])
    np.testing.assert_allclose(found.over_maps, [0.2, 0.2])
    np.testing.assert_allclose(found.error, np.hypot(0.2, 0.3))
    both = np.concatenate([one, attributions(0.4, 0.8)[None]])
    found = saliency.measured_shares(both, KAPPA, EDGES, draws=draws, scatter=np.array([9.0, 9.0]))
    np.testing.assert_allclose(found.over_seeds, 0.1)  # 0.4 and 0.6: 0.2 / sqrt 2 / sqrt 2


def test_draws_from_more_maps_than_there_are_are_taken_modulo_their_number():
    found = [
        saliency.measured_shares(attributions(0.2, 0.6)[None], KAPPA, EDGES, draws=np.array(draws)).over_maps
        for draws in ([[0, 1], [1, 1]], [[2, 3], [5, 7]])
    ]
    np.testing.assert_array_equal(*found)


def test_seed_scatter_is_the_standard_deviation_of_two_numbers():
    one, two = attributions(0.2, 0.4), attributions(0.5, 0.5)
    found = saliency.seed_scatter(one, two, KAPPA, EDGES)
    np.testing.assert_allclose(found, np.std([0.3, 0.5], ddof=1))


def test_a_joint_share_counts_the_difference_of_both_outputs_as_an_error():
    one, two = (
        saliency.Shares(np.array([0.5]), np.array([share]), np.array([maps]), np.array([seeds]))
        for share, maps, seeds in ((0.2, 0.01, 0.04), (0.4, 0.03, 0.02))
    )
    found = saliency.joint_share(one, two)
    assert found.each == (0.2, 0.4) and found.pixels == 0.5 and found.terms == (0.03, 0.04)
    assert found.mean == pytest.approx(0.3)
    assert found.error == pytest.approx(np.sqrt(0.03**2 + 0.04**2 + 0.1**2))


def test_a_table_of_shares_gives_percent_with_errors_over_maps():
    share = np.array([[0.25, 0.75], [0.35, 0.65]])
    table = saliency.share_table({"case": (share, np.full((2, 2), 0.5))}, ["low", "high"])
    assert table == "| | low | high |\n|---|---|---|\n| case | 30.0 ± 5.0 (50.0) | 70.0 ± 5.0 (50.0) |"


def test_a_table_of_effects_keeps_the_order_asked_for_and_their_sum():
    effects = {"shown": np.array([[0.1, 0.2], [0.3, 0.4]]), "hidden": np.zeros((2, 2))}
    table = saliency.effect_table(effects, {1: "peaks", 0: "rest"}, {"hidden": np.array([0.1, 0.3])})
    assert table.splitlines()[2:] == [
        "| shown | +0.300 ± 0.100 | +0.200 ± 0.100 | +0.500 | – |",
        "| hidden | +0.000 ± 0.000 | +0.000 ± 0.000 | +0.000 | 0.200 |",
    ]


def test_failures_list_methods_that_fail_nothing_too():
    found = [saliency.Finding("a", "sum", 1.0), saliency.Finding("b", "sum", 1.0, high=0.5)]
    assert saliency.failures(found) == {"a": [], "b": ["sum"]}


def test_a_mean_profile_weighs_every_centre_alike():
    total, pairs = np.array([[2.0, 0.0], [6.0, 0.0]]), np.array([[1.0, 0.0], [3.0, 0.0]])
    mean, error = saliency.mean_profile(total, pairs, np.array([[0, 0], [1, 1]]))
    np.testing.assert_allclose(mean, [2, 0])
    np.testing.assert_allclose(error, [0, 0])
    mean, error = saliency.mean_profile(2 * total, pairs[::-1], np.array([[0, 0], [1, 1]]))
    np.testing.assert_allclose(mean[0], 4)  # 16 / 4, not the mean of 4 / 3 and 12
    np.testing.assert_allclose(error[0], np.std([4 / 3, 12]))
