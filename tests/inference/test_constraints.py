"""Chapter 6's table on vectors whose answers are known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from test_inference import TRUTH, closed_form_area, toy

from wlbook.figures.constraints import choices_figure, convergence_figure, coverage_figure, opinions
from wlbook.inference import constraints, credible_regions


@pytest.fixture(scope="module")
def two():
    """A statistic of six bins and one that repeats it with noise, of twelve models and of observed maps."""
    slopes, parameters, vectors = toy(models=12, maps=300)
    draw = np.random.default_rng(9)
    sky = TRUTH @ slopes + draw.normal(size=(300, 6))
    sky += TRUTH @ slopes - sky.mean(axis=0)
    by_model = {"a": vectors, "b": vectors + draw.normal(size=vectors.shape)}
    observed = {"a": sky, "b": sky + draw.normal(size=sky.shape)}
    rows = {"a": ["a"], "b": ["b"], "both": ["a", "b"]}
    return slopes, parameters, by_model, observed, rows


@pytest.fixture(scope="module")
def found(two):
    _, parameters, by_model, observed, rows = two
    return constraints.find(parameters, by_model, observed, rows, method="quadratic", n_fields=9)


def test_rows_find_the_areas_of_their_own_statistics_and_joint_covariance(two, found):
    expected = closed_form_area(two[0], 0.68, 9)
    assert found["a"].area == pytest.approx(expected, rel=0.08)
    assert found["b"].area == pytest.approx(2 * expected, rel=0.1)  # twice the variance
    assert found["both"].area == pytest.approx(expected, rel=0.1)  # b adds nothing that a does not say
    assert found["a"].limited is None


def test_ratio_holds_the_scatter_of_seeds(found):
    draws = np.array([[1.0, 2.0, 1.0], [1.1, 2.2, 1.1], [0.9, 1.8, 0.9]])
    seeds = np.log(found["b"].area * np.array([0.9, 1.0, 1.1]))
    value, maps, whole = constraints.ratio(found, draws, "b", "a", seeds)
    assert value == pytest.approx(found["b"].area / found["a"].area, rel=0.01)
    assert maps == pytest.approx(0, abs=1e-6)  # every draw has the same ratio
    assert whole == pytest.approx(1.32 * 0.1 / 3**0.5 * value, rel=0.05)
    lines = constraints.table(found, draws, reference="a")
    assert list(lines.index) == ["a", "b", "both"] and lines["68 % area / a"]["a"] == "1.00 ± 0.00"


def test_a_row_whose_few_draws_agree_by_chance_gets_the_scatter_of_all_rows():
    draws = np.array([[2.0, 9.0, 4.0], [2.0, 10.0, 5.0], [2.0, 11.0, 6.0]])
    own = np.array([0.0, 1 / 10, 1 / 5])
    errors = constraints.pooled_errors({"a": 1.0, "b": 2.0, "c": 3.0}, draws)
    pooled = np.sqrt(np.mean(own**2))
    assert errors == pytest.approx({"a": pooled, "b": 2 * pooled, "c": 3 * own[2]})


def test_coverage_names_the_rows_that_fail_and_which_way(two, found):
    _, _, _, observed, rows = two
    seeds = np.repeat(np.arange(3), 100)
    shares = constraints.covered(found, observed, rows, seeds, draws=200)
    assert {len(shares["a"][kind]) for kind in ("surveys", "maps", "ideal")} == {100, 300, 200}
    assert constraints.uncovered(shares, "surveys") == {}
    shares["a"]["maps"] = np.ones(300)
    shares["b"]["maps"] = np.zeros(300)
    assert constraints.uncovered(shares, "maps") == {"a": "regions too small", "b": "regions too large"}
    shares["a"]["ideal"] = np.ones(200)
    assert constraints.uncovered(shares, "maps")["a"].endswith("the edge of the design")


def test_bins_that_hardly_vary_in_a_model_are_left_out_of_both():
    values = np.random.default_rng(0).normal(size=(3, 64, 3))
    values[1, :, 0] = np.arange(64) < 11  # rare in one model
    values[2, :, 1] = np.arange(64) < 12
    kept, sky = constraints.alive({"a": values}, {"a": np.arange(6.0).reshape(2, 3)})
    np.testing.assert_array_equal(kept["a"], values[..., 1:])
    assert sky["a"].tolist() == [[1, 2], [4, 5]]


def test_figures_draw_what_they_are_given(two, found):
    _, parameters, by_model, observed, rows = two
    shares = constraints.covered(found, observed, rows, np.repeat(np.arange(3), 100), draws=20)
    coverage_figure(shares)
    draw = np.random.default_rng(3).normal(size=(2, 2, 4000))
    drawn = {
        "omega_m": (("chain", "draw"), 0.26 + 0.01 * draw[0]),
        "sigma_8": (("chain", "draw"), 0.8 + 0.02 * draw[1]),
    }
    regions = constraints.densities({"drawn": xr.Dataset(drawn)})
    area = credible_regions.credible_area(regions["drawn"])
    assert area == pytest.approx(-2 * np.log(0.32) * np.pi * 0.01 * 0.02, rel=0.1)
    figure, axis = plt.subplots()
    opinions(axis, {"grid": found["a"].posterior} | regions)
    choices_figure({"one": {"a": 1.0, "b": 2.0}, "two": {"a": 1.5, "b": 1.0}})
    fewer = constraints.smaller(parameters, by_model, observed, {"a": ["a"]}, method="quadratic", n_fields=9)
    assert [number for number, _ in fewer["maps"]["a"]] == [150, 225, 300]
    assert [number for number, _ in fewer["models"]["a"]] == [8, 10, 12]
    for one in (convergence_figure(fewer), figure):
        one.canvas.draw()
    plt.close("all")
