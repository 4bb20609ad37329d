"""The lie detectors on models of which the truth is known, curves and profiles on maps drawn by hand."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from test_relevance import FLAT, TWO, Net, close, compact, dense, key, maps, pixels

from wlbook import saliency, statistics
from wlbook.network import architectures


def blind(model, kappa, output):
    """A method that draws its input."""
    return jnp.asarray(kappa)


# Linear models and completeness


@pytest.mark.parametrize(
    ("method", "truth", "options"),
    [
        (saliency.gradient, "weights", {}),
        (saliency.deconvnet, "weights", {}),
        (saliency.smoothgrad, "weights", {"sigma": 0.0, "samples": 2}),
        (saliency.input_x_gradient, "contributions", {}),
        (saliency.integrated_gradients, "contributions", {"steps": 4}),
        (saliency.lrp, "contributions", {}),
        (saliency.occlusion, "contributions", {"size": 1}),
    ],
)
def test_honest_methods_answer_a_linear_model_exactly(method, truth, options):
    assert saliency.linear_answer(method, key=key(), **options)[truth] < 1e-3


@pytest.mark.parametrize("method", [saliency.guided_backprop, saliency.deep_taylor, blind])
def test_methods_that_hang_on_how_a_function_is_written_are_caught(method):
    assert min(saliency.linear_answer(method, key=key()).values()) > 0.3


def test_completeness_is_the_share_of_the_rise_that_is_accounted_for():
    model = Net((*FLAT, dense([[1.0], [2.0]], 7.0)))  # 7 at kappa = 0, 11 at (2, 1), 8 at (1, 0)
    kappa = np.asarray(pixels(2, 1))[None]
    close(saliency.completeness(kappa, model, kappa, 0), [3 / 4])
    baseline = np.asarray(pixels(1, 0))
    close(saliency.completeness(kappa, model, kappa, 0, baseline=baseline), [3 / 3])
    with pytest.raises(ValueError, match=r"^saliency has shape \(1, 1, 1, 1\): must be kappa's"):
        saliency.completeness(kappa[..., :1], model, kappa, 0)


def test_labels_change_places_in_pairs_and_maps_stay():
    values = np.arange(40.0)
    data = xr.Dataset({"kappa": (("map", "x"), maps(40, 1)[:, 0, 0]), "omega_m": ("map", values)})
    data = data.assign(sigma_8=("map", 2 * values), model=("map", values.astype(int)))
    found = saliency.shuffled_labels(data, key=key())
    np.testing.assert_array_equal(np.sort(found["omega_m"]), values)
    np.testing.assert_array_equal(found["sigma_8"], 2 * found["omega_m"])
    assert (found["omega_m"] == data["omega_m"]).sum() < 5
    np.testing.assert_array_equal(found["kappa"], data["kappa"])


def test_directions_are_the_derivatives_of_the_parameters():
    np.testing.assert_array_equal(saliency.towards("sigma_8"), [0, 1])
    # S8 = sigma_8 sqrt(omega_m / 0.3) at (0.26, 0.8): d omega_m is S8 / (2 x 0.26), d sigma_8 is S8 / 0.8.
    s_8 = 0.8 * np.sqrt(0.26 / 0.3)
    np.testing.assert_allclose(saliency.towards("s_8"), [s_8 / 0.52, s_8 / 0.8])
    np.testing.assert_allclose(saliency.towards("s_8", (0.3, 0.9)), [0.9 / 0.6, 1.0])  # S8 = 0.9 there
    with pytest.raises(ValueError, match=r'^parameter = \'h\': must be one of "omega_m", "sigma_8", "s_8"$'):
        saliency.towards("h")


def test_many_evaluations_follow_each_other_to_the_same_answer():
    kappa, model = maps(1, 64)[0], compact()
    looped = saliency.occlusion(model, kappa, 0, size=1)  # 4,096 evaluations
    for y, x in ((0, 0), (17, 40)):
        without = kappa.copy()
        without[0, y, x] = 0
        assert float(looped[0, y, x]) == pytest.approx(float(model(kappa)[0] - model(without)[0]), abs=1e-6)


# Deletion and insertion


def test_curves_of_a_linear_model():
    # Contributions 8, 4, 2, 1 of 15, named in this order by their own size.
    model = Net((*FLAT, dense([[8.0], [4.0], [2.0], [1.0]])))
    kappa = np.ones((1, 1, 1, 4), np.float32)
    order = np.array([8.0, -4.0, 2.0, 1.0], np.float32).reshape(kappa.shape)
    shares = [0.0, 0.25, 0.5, 1.0]
    close(saliency.deletion(model, kappa, order, 0, shares=shares), [[0, 8, 12, 15]])
    close(saliency.insertion(model, kappa, order, 0, shares=shares), [[15, 7, 3, 0]])
    close(saliency.deletion(model, kappa, 1 / order, 0, shares=shares), [[0, 1, 3, 15]])
    many = np.repeat(kappa, 400, 0)
    drawn = saliency.deletion(model, many, many, 0, shares=[0.25], key=key())
    assert drawn.mean() == pytest.approx(15 / 4, rel=0.15)


def test_bad_curves_are_named():
    kappa = np.ones((1, 1, 1, 2), np.float32)
    with pytest.raises(ValueError, match=r"^shares = \[2.0\]: each must be >= 0 and <= 1"):
        saliency.deletion(TWO, kappa, kappa, 0, shares=[2.0])
    with pytest.raises(ValueError, match=r"^saliency has shape \(1, 1, 1, 1\)"):
        saliency.deletion(TWO, kappa, kappa[..., :1], 0)


# Profiles and spectra


def test_extrema_stand_above_all_neighbours_and_not_at_the_edge():
    kappa = np.zeros((1, 5, 5))
    kappa[0, 1, 1], kappa[0, 3, 3], kappa[0, 0, 4], kappa[0, 3, 1] = 3, 1, 9, -2
    np.testing.assert_array_equal(np.argwhere(saliency.extrema(kappa, kind="peaks", threshold=2.0)), [[0, 1, 1]])
    assert saliency.extrema(kappa, kind="peaks", threshold=0.0).sum() == 2
    np.testing.assert_array_equal(np.argwhere(saliency.extrema(kappa, kind="voids", threshold=-1.0)), [[0, 3, 1]])
    with pytest.raises(ValueError, match=r'^kind = \'halos\': must be one of "peaks", "voids"$'):
        saliency.extrema(kappa, kind="halos", threshold=0.0)


def test_profile_of_a_cone_is_its_height_in_each_ring():
    y, x = np.mgrid[:9, :9] - 4.0
    values = 10 - np.hypot(y, x)
    centres = (values == 10)[None, None]
    total, pairs = saliency.profile(values[None, None], centres, edges=[0.0, 1.0, 2.1, 4.2], pixel=2.0)
    np.testing.assert_array_equal(pairs, [[1, 4, 4 + 4]])  # distances 0; 2; 2 sqrt(2) and 4 arcmin
    np.testing.assert_allclose(total, [[10, 4 * 9, 4 * (10 - np.sqrt(2)) + 4 * 8]])


def test_profile_ends_at_the_edge_and_does_not_wrap():
    values = np.zeros((1, 1, 4, 4))
    values[0, 0, 0, 3] = 1
    centres = np.zeros(values.shape, bool)
    centres[0, 0, 0, 0] = True
    total, pairs = saliency.profile(values, centres, edges=[0.5, 1.5], pixel=1.0)
    assert total.sum() == 0 and pairs.sum() == 3  # two sides and a corner are there


def test_spectra_of_the_map_itself_correlate_fully_and_of_noise_not_at_all():
    kappa, other = maps(64, 32), maps(64, 32, seed=5)
    edges = [200.0, 800.0, 1600.0]
    own, same = saliency.spectra(-3 * kappa, kappa, side=3.5, ell_edges=edges)
    np.testing.assert_allclose(same, -1, rtol=1e-4)
    standard = kappa / kappa.std(axis=(1, 2, 3), keepdims=True)
    expected = np.asarray(statistics.power_spectrum(standard, side=3.5, ell_edges=edges))[:, 0]
    np.testing.assert_allclose(own, expected, rtol=1e-3)
    _, none = saliency.spectra(other, kappa, side=3.5, ell_edges=edges)
    assert np.abs(none.mean(axis=0)).max() < 0.1
    with pytest.raises(ValueError, match=r"^saliency is constant"):
        saliency.spectra(0 * kappa, kappa, side=3.5, ell_edges=edges)


# The table


def test_a_failure_stands_beside_its_number():
    findings = [
        saliency.Finding("gradient", "cascade", 0.1, high=0.5),
        saliency.Finding("blind", "cascade", 0.97, high=0.5),
        saliency.Finding("gradient", "completeness", float("nan"), 0.99, 1.01),
        saliency.Finding("blind", "completeness", 0.4, 0.99, 1.01),
    ]
    assert [one.verdict for one in findings] == ["passes", "fails", "not asked", "fails"]
    assert saliency.verdict_table(findings).splitlines() == [
        "| method | cascade | completeness | fails |",
        "|---|---|---|---|",
        "| gradient | 0.10 | – | 0 |",
        "| blind | **0.97 ✗** | **0.40 ✗** | 2 |",
    ]


def test_randomising_the_top_layer_changes_the_gradient_and_not_what_draws_its_input():
    # The top layer mixes the features: other weights there, another gradient map.
    model, kappa = compact(), maps(8)
    anew = saliency.randomized(model, 1, key=jax.random.key(8))
    for method, least, most in ((saliency.gradient, -1, 0.6), (blind, 1 - 1e-6, 1 + 1e-6)):
        before, after = (np.abs(saliency.over_maps(method, one, kappa, 0)) for one in (model, anew))
        assert least < saliency.rank_correlation(before, after).mean() < most


def test_all_detectors_catch_a_method_that_draws_its_input_and_none_the_gradient():
    kappa, model = maps(6), compact()
    learnt = (model, jax.tree.map(lambda leaf: 1.01 * leaf if eqx.is_array(leaf) else leaf, model))
    options = dict(depths=(1, 8), learnt=learnt, shuffled=compact_of_another_seed(), small=kappa, key=key())
    found, fall = saliency.examine(saliency.Method("gradient", saliency.gradient), model, kappa, 0, **options)
    verdicts = {one.detector: one.verdict for one in found}
    assert fall.shape == (2, 6)
    assert all(verdicts[name] == "passes" for name in ("linear model", "all layers", "labels", "another seed"))
    assert verdicts["sum"] == "not asked"
    found, _ = saliency.examine(saliency.Method("blind", blind, sums_to="rise"), model, kappa, 0, **options)
    verdicts = {one.detector: one.verdict for one in found}
    assert all(verdicts[name] == "fails" for name in ("linear model", "sum", "top layer", "all layers", "labels"))


def compact_of_another_seed():
    return architectures.Compact(width=4, key=key(77))


def test_shortfall_is_what_is_missing_of_what_was_promised():
    model = Net((*FLAT, dense([[1.0], [2.0]], 4.0)))
    kappa = np.stack([pixels(2, 1), pixels(0, 1)])  # contributions 4 and 2, outputs 8 and 6
    for sums_to, options, missing in (
        ("rise", {}, 0.0),
        ("explained", {}, 4 * np.sqrt(2) / 10),  # the bias took 4 of each, beside the norm of (8, 6)
        ("rise above others", {"baselines": kappa[1:]}, 2 * np.sqrt(2) / 2),  # due (2, 0), found (4, 2)
    ):
        method = saliency.Method("lrp", saliency.lrp, options, sums_to)
        answer = saliency.over_maps(saliency.lrp, model, kappa, 0)
        assert saliency.shortfall(method, answer, model, kappa, 0) == pytest.approx(missing, abs=1e-5)


def test_shares_of_several_networks_have_both_errors():
    shares = np.array([[[0.1], [0.3]], [[0.3], [0.5]]])  # two networks, two maps
    draws = np.array([[0, 0], [1, 1], [0, 1], [1, 0]])
    mean, over_maps, over_seeds = saliency.shares_with_errors(shares, draws)
    # Means of maps 0.2 and 0.4: draws give 0.2, 0.4, 0.3, 0.3. Means of networks 0.2 and 0.4: 0.2 / sqrt 2 / sqrt 2.
    np.testing.assert_allclose([mean[0], over_maps[0], over_seeds[0]], [0.3, np.sqrt(0.005), 0.1])
    assert np.isnan(saliency.shares_with_errors(shares[:1], draws)[2][0])
