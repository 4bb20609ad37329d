"""Chapter 6's table on vectors whose answers are known."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from test_inference import TRUTH, closed_form_area, toy

from wlbook import inference, statistics
from wlbook.figures import constraints as constraints_figures
from wlbook.figures.constraints import choices_figure, convergence_figure, coverage_figure, opinions
from wlbook.inference import GaussianFields, constraints, credible_regions
from wlbook.simulation import Survey, cosmology, dataset, map_export, map_files


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
    logs = np.log([[5.0, 5.0, 5.0], [1.0, 2.0, 1.0], [1.1, 2.2, 1.1], [0.9, 1.8, 0.9]])
    draws = xr.Dataset({"log_area": (("draw", "row"), logs)}, coords={"row": list(found)})
    seeds = np.log(found["b"].area * np.array([0.9, 1.0, 1.1]))
    value, maps, whole = constraints.ratio(found, draws, "b", "a", seeds)
    assert value == pytest.approx(found["b"].area / found["a"].area, rel=0.01)
    assert maps == pytest.approx(0, abs=1e-6)  # every draw has the same ratio
    assert whole == pytest.approx(1.32 * 0.1 / 3**0.5 * value, rel=0.05)
    lines = constraints.table(found, draws, reference="a")
    assert list(lines.index) == ["a", "b", "both"] and lines["68 % area / a"]["a"] == "1.00 ± 0.00"
    assert lines["68 % area [1e-3]"]["b"] == f"{1e3 * found['b'].area:.2f} ± {100 * found['b'].area:.2f}"


def test_coverage_names_the_rows_that_fail_and_which_way(two, found):
    _, _, _, observed, rows = two
    seeds = np.repeat(np.arange(3), 100)
    shares = constraints.covered(found, observed, rows, seeds, draws=200)
    assert {len(shares["a"][kind]) for kind in ("surveys", "maps", "ideal")} == {100, 300, 200}
    assert constraints.uncovered(shares, "surveys") == constraints.uncovered(shares, "maps") == {}
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


def test_other_means_find_the_same_posterior_and_a_free_parameter_widens_it(two, found):
    slopes, _, by_model, observed, _ = two
    moved = {"slopes": {"bias": slopes[1] + 0.3 * slopes[0]}, "widths": {"bias": 0.02}}
    given = constraints.opinions(found["a"], by_model, observed, ["a"], seed=1, **moved)
    assert list(given) == ["grid", "flow", "NUTS, getdist", "bias free"]
    areas = {name: credible_regions.credible_area(one, truncated="allow") for name, one in given.items()}
    for name in ("grid", "flow", "NUTS, getdist"):
        assert areas[name] == pytest.approx(closed_form_area(slopes, 0.68, 9), rel=0.25), name
    assert areas["bias free"] > 1.5 * areas["grid"]
    assert given["NUTS, getdist"].attrs["r_hat"] < 1.05


def test_a_statistic_that_knows_too_much_is_named_on_gaussian_fields():
    draw = np.random.default_rng(0)
    length = np.hypot(np.fft.fftfreq(32, 1 / 32)[:, None], np.arange(17))
    length[0, 0] = 1
    models = np.stack([0.2 + 0.12 * draw.random(9), 0.6 + 0.4 * draw.random(9)], axis=1)
    parameters = np.repeat(models, 8, axis=0)
    modes = np.fft.rfft2(draw.normal(size=(72, 1, 32, 32))) * parameters[:, 1, None, None, None]
    kappa = np.fft.irfft2(modes * length ** (-4 * parameters[:, 0, None, None, None]), s=(32, 32))
    fields = GaussianFields(kappa, parameters, side=3.5)
    maps, sky = fields.universes(models, 48, seed=1)

    def bands(kappa):
        power = np.abs(np.fft.rfft2(kappa[:, 0] + 0.1 * draw.normal(size=kappa[:, 0].shape))) ** 2
        return np.log([power[:, (length > low) & (length <= 2 * low)].mean(axis=-1) for low in (1, 2, 4, 8)]).T

    vectors = {"bands": bands(maps).reshape(9, 48, 4), "oracle": models[:, None] + 0.01 * draw.normal(size=(9, 48, 2))}
    observed = {"bands": bands(sky), "oracle": cosmology.FIDUCIAL + 0.01 * draw.normal(size=(192, 2))}
    rows = {name: [name] for name in vectors}
    asked = {"rows": rows, "noise": 0.1, "method": "quadratic", "repeats": 3, "seed": 1, "n_fields": 60}
    null = constraints.null_test(fields, models, vectors, observed, **asked)
    assert null.beaten_by == ["oracle"]
    assert 0.9 < null.over["bands"] < 3 and null.area == pytest.approx(null.ellipse, rel=0.2)
    own = null.error["bands"] / null.over["bands"], null.error["oracle"] / null.over["oracle"]
    assert max(own) < 2**0.5 * min(own) * 1.01  # neither below the scatter of both
    constraints_figures.null_figure(null).canvas.draw()


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
    opinions(axis, {"grid": found["a"].posterior} | regions, truth=(0.3, 0.82))
    assert [0.3, 0.82] in [line.get_xydata()[0].tolist() for line in axis.lines if len(line.get_xydata())]
    choices_figure({"one": {"a": 1.0, "b": 2.0}, "two": {"a": 1.5, "b": 1.0}})
    fewer = constraints.smaller(parameters, by_model, observed, {"a": ["a"]}, method="quadratic", n_fields=9)
    assert [number for number, _ in fewer["maps"]["a"]] == [150, 225, 300]
    assert [number for number, _ in fewer["models"]["a"]] == [8, 10, 12]
    for one in (convergence_figure(fewer), figure):
        one.canvas.draw()
    plt.close("all")


def test_areas_from_fewer_maps_are_those_of_these_maps(two):
    slopes, parameters, by_model, observed, rows = two
    options = {"method": "quadratic", "n_fields": 9}
    fewer = constraints.smaller(parameters, by_model, observed, rows, **options)
    cuts = {"maps": ((slice(None), slice(225)), 225), "models": ((slice(10),), 10)}
    for kind, (cut, number) in cuts.items():
        part = {name: values[cut] for name, values in by_model.items()}
        points = parameters[:10] if kind == "models" else parameters
        alone = constraints.find(points, part, observed, rows, **options)
        for row, one in alone.items():
            assert dict(fewer[kind][row])[number] == pytest.approx(one.area, rel=1e-6), (kind, row)
    expected = closed_form_area(slopes, 0.68, 9)
    for kind, most in (("maps", 300), ("models", 12)):
        areas = [dict(fewer[kind][row])[most] for row in rows]
        np.testing.assert_allclose(areas, [expected, 2 * expected, expected], rtol=0.1)  # as the maps were made
    assert len({area for _, area in fewer["maps"]["a"]}) == len({area for _, area in fewer["models"]["a"]}) == 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Maps in files: nine models, whose spectra are steeper for more matter, and an observed sky of (0.3, 0.82)."""
    draw = np.random.default_rng(4)
    length = np.hypot(np.fft.fftfreq(16, 1 / 16)[:, None], np.arange(9))
    length[0, 0] = 1
    parts = [(m, s, 0, 1) for m in (0.2, 0.3, 0.4) for s in (0.6, 0.8, 1.0)]
    parts = [(*one[:2], 0, 1) for one in parts] + [(*one[:2], 1, 60) for one in parts] + [(0.3, 0.82, 2, 40)] * 2
    sets = []
    for seed, (omega_m, sigma_8, split, number) in enumerate(parts):
        modes = np.fft.rfft2(draw.normal(scale=0.02 * sigma_8, size=(number, 1, 16, 16))) * length ** (-4 * omega_m)
        made_of = {"omega_m": omega_m, "sigma_8": sigma_8, "model": 0, "seed": seed, "split": split}
        sets.append(dataset.labelled(np.fft.irfft2(modes, s=(16, 16)).astype(np.float32), made_of, "kappa"))
    path = tmp_path_factory.mktemp("maps")
    map_export.to_fits(xr.concat(sets, dim="map").assign_attrs(side=3.5, source_redshift=[1.0]), path)
    return map_files.read_maps(path)


def test_chapter_6_finds_the_sky_of_a_folder_of_maps(folder):
    test, sky = (dataset.select(folder, split) for split in ("test", "fiducial"))
    truth, side = dataset.fiducial(folder), folder.attrs["side"]
    assert truth == (0.3, 0.82) and side == 3.5
    survey = Survey(30.0, 0.0, 0.0)
    bins = statistics.binning(sky["kappa"].values, survey, {"power spectrum": 4}, side=side, seed=1)
    look = {"survey": survey, "bins": bins, "side": side, "seed": 1, "names": ["power spectrum"]}
    logs = [np.log(statistics.measure(maps["kappa"].values, **look)["power spectrum"]) for maps in (test, sky)]
    parameters, of_model = inference.by_model(test)
    data = parameters, {"spectrum": logs[0][of_model]}, {"spectrum": logs[1]}
    rows, fitted = {"spectrum": ["spectrum"]}, {"method": "quadratic", "fiducial": truth}
    found = constraints.find(*data, rows, **fitted, n_fields=80, covariance="fixed")
    density, at = found["spectrum"].posterior, {"omega_m": truth[0], "sigma_8": truth[1]}
    height = credible_regions.credible_level(density, 0.99)
    books = dict(zip(at, cosmology.FIDUCIAL, strict=True))
    assert float(density.interp(at)) > height > float(density.interp(books, kwargs={"fill_value": 0.0}))
    shares = constraints.covered(found, data[2], rows, sky["seed"].values, draws=100, covariance="fixed")["spectrum"]
    for kind, number in (("surveys", 40), ("maps", 80), ("ideal", 100)):
        assert len(shares[kind]) == number
        assert abs((shares[kind] < 0.68).mean() - 0.68) < 4 * constraints.binomial_error(number), kind
    figure = constraints_figures.regions({"spectrum": density}, [["spectrum"], ["spectrum"]], truth=truth)
    assert all([list(truth)] in [line.get_xydata().tolist() for line in axis.lines] for axis in figure.axes)
    fields = GaussianFields(test["kappa"].values, np.repeat(parameters, 60, axis=0), side=side, fiducial=truth)
    assert fields.universes(parameters, 8, seed=1)[1].std() == pytest.approx(sky["kappa"].values.std(), rel=0.2)


def test_fewer_models_of_a_folder_are_spread_over_all_of_them(two):
    slopes, parameters, by_model, observed, _ = two
    order = np.lexsort(parameters.T[::-1])  # as maps from files come: by omega_m, then sigma_8
    of_folder = {name: values[order] for name, values in by_model.items()}
    fewer = constraints.smaller(parameters[order], of_folder, observed, {"a": ["a"]}, method="quadratic", n_fields=9)
    assert [number for number, _ in fewer["models"]["a"]] == [8, 10, 12]
    for _, area in fewer["models"]["a"]:
        assert area == pytest.approx(closed_form_area(slopes, 0.68, 9), rel=0.15)


def test_networks_of_a_kind_are_each_used_with_the_same_others(two, found):
    _, parameters, by_model, observed, _ = two
    options = {"method": "quadratic", "n_fields": 9}
    alone = constraints.seed_areas(parameters, by_model, observed, ["a", "b"], **options)
    np.testing.assert_allclose(alone, np.log([found["a"].area, found["b"].area]))
    both = constraints.seed_areas(parameters, by_model, observed, ["b"], ["a"], **options)
    np.testing.assert_allclose(both, np.log([found["both"].area]))


def test_a_ranking_names_the_choices_that_change_it():
    usual, same, other = {"a": 1.0, "b": 2.0}, {"a": 1.5, "b": 1.6}, {"a": 2.0, "b": 1.0}
    kept = "From best to worst: a, b. No other choice changes that order."
    assert constraints.ranking({"usual": usual, "same": same}) == kept
    changed = "From best to worst: a, b. Another order comes from: other (b, a)."
    assert constraints.ranking({"usual": usual, "other": other}) == changed
