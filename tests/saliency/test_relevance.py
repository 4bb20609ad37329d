"""Relevance, groups and expected gradients against answers worked out on paper, on networks small enough for that."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from wlbook import saliency
from wlbook.network import architectures
from wlbook.network.layers import (
    Affine,
    AveragePool,
    Beside,
    ChannelsLast,
    Convolution,
    Dense,
    Flatten,
    GlobalAverage,
    ReLU,
    Residual,
    Scale,
    run,
)


def key(n=0):
    return jax.random.key(n)


class Net(eqx.Module):
    """Layers in a row."""

    layers: tuple

    def __call__(self, kappa):
        return run(self.layers, kappa)


def dense(weight, bias=0.0):
    weight = jnp.asarray(weight, jnp.float32)
    layer = Dense(*weight.shape, key=key())
    return eqx.tree_at(lambda one: (one.weight, one.bias), layer, (weight, jnp.broadcast_to(bias, weight.shape[1:])))


def pixels(*values):
    return jnp.array(values, jnp.float32).reshape(1, 1, -1)


FLAT = (ChannelsLast(), Flatten())
# Hidden: h1 = x1 + 2 x2, h2 = x1 - 3 x2, h3 = -x1 + 4 x2; output 2 h1 + 5 h2 - h3, the h clipped at 0.
TWO = Net((*FLAT, dense([[1, 1, -1], [2, -3, 4]]), ReLU(), dense([[2], [5], [-1]])))
X = pixels(2.0, 1.0)  # h = (4, 0, 2); output 8 - 2 = 6


def compact(**arguments):
    return architectures.Compact(width=4, key=key(3), **arguments)


def maps(number=3, side=16, seed=0):
    return np.random.default_rng(seed).normal(size=(number, 1, side, side)).astype(np.float32)


def close(found, expected, **tolerance):
    np.testing.assert_allclose(np.asarray(found), np.asarray(expected), **({"rtol": 1e-5, "atol": 1e-6} | tolerance))


# Relevance, on paper


def test_relevance_of_one_linear_layer_is_weight_times_pixel():
    model = Net((*FLAT, dense([[1.0, 3.0], [-1.0, 0.5]])))
    close(saliency.lrp(model, X, 0), pixels(2, -1))
    close(saliency.lrp(model, X, 1), pixels(6, 0.5))
    close(saliency.lrp(model, X, [0.0, 2.0]), pixels(12, 1))
    # z = (6, 0.5): both positive, so alpha-beta gives them all of 6.5, as epsilon does.
    close(saliency.lrp(model, X, 1, rule="alpha-beta"), pixels(6, 0.5))


def test_a_bias_takes_its_share_under_epsilon_and_none_under_alpha_beta():
    model = Net((*FLAT, dense([[1.0], [2.0]], 4.0)))  # contributions 2 and 2, bias 4: output 8
    close(saliency.lrp(model, X, 0), pixels(2, 2))
    close(saliency.lrp(model, X, 0, rule="alpha-beta"), pixels(4, 4))


def test_epsilon_damps_small_outputs():
    model = Net((*FLAT, dense([[1.0], [-1.0]])))  # contributions 2 and -1, output 1: z / (z + 1) = 1/2
    close(saliency.lrp(model, X, 0, epsilon=1.0), pixels(1.0, -0.5))


def test_relevance_of_two_layers():
    # R(h) = (8, 0, -2). h1 = 2 + 2 shares 8 as (4, 4); h3 = -2 + 4 shares -2 as (-2/2, 4/2) x -2 = (2, -4).
    close(saliency.lrp(TWO, X, 0), pixels(6, 0))
    # alpha 2, beta 1. Output: plus 8, minus -2: R(h1) = 2 x 6, R(h3) = -1 x 6. h1: (6, 6), one sign only.
    # h3: plus 4 (pixel 2), minus -2 (pixel 1): pixel 2 gets 2 x -6, pixel 1 gets -1 x -6.
    close(saliency.lrp(TWO, X, 0, rule="alpha-beta"), pixels(6 + 6, 6 - 12))
    # alpha 1: R(h1) = 6, shared (3, 3); h3 gets nothing.
    close(saliency.lrp(TWO, X, 0, rule="alpha-beta", alpha=1.0), pixels(3, 3))


def test_deep_taylor_of_two_layers():
    # R(h1) = 6 by z+. w^2: h1 has weights 1, 2: shares 1/5 and 4/5.
    close(saliency.deep_taylor(TWO, X, 0), pixels(6 / 5, 24 / 5))
    # z^B between -1 and 3: z - w+ low - w- high = (2 + 1, 2 + 2) for the weights 1, 2: shares 3/7 and 4/7.
    close(saliency.deep_taylor(TWO, X, 0, bounds=(-1.0, 3.0)), pixels(18 / 7, 24 / 7))


def test_one_relu_unit_passes_relevance_when_on_and_none_when_off():
    model = Net((*FLAT, dense([[1.0], [1.0]], -1.0), ReLU()))
    close(saliency.lrp(model, X, 0), pixels(2, 1))  # relu(3 - 1) = 2, of which the bias has -1/2 x 2
    close(saliency.lrp(model, -X, 0), pixels(0, 0))


def test_pools_share_by_what_each_pixel_holds():
    model = Net((ChannelsLast(), AveragePool(2), GlobalAverage(), dense([[8.0]])))
    kappa = jnp.array([[[1.0, 3.0, 0.0, 2.0], [0.0, 0.0, 1.0, 1.0]]])  # means 1 and 1, output 8
    for found in (saliency.lrp(model, kappa, 0), saliency.lrp(model, kappa, 0, rule="alpha-beta")):
        close(found, kappa)
    # With a pixel of -1, contributions are 3, 0, 0, -1 of a pool that holds 2: alpha 2 and beta 1 of R = 4 x mean.
    kappa = jnp.array([[[3.0, -1.0], [0.0, 0.0]]])
    close(saliency.lrp(model, kappa, 0), [[[6, -2], [0, 0]]])
    close(saliency.lrp(model, kappa, 0, rule="alpha-beta"), [[[8, -4], [0, 0]]])


def test_frozen_batch_norm_joins_the_layer_before_it():
    # Weights (1, 2) times 3: contributions 6 and 6; bias 1 x 3 - 5 = -2: output 10.
    norm = Affine(jnp.array([3.0]), jnp.array([-5.0]))
    convolution = Convolution(2, 1, 1, key=key())
    weights = jnp.array([1.0, 2.0]).reshape(1, 1, 2, 1), jnp.ones(1)
    convolution = eqx.tree_at(lambda one: (one.weight, one.bias), convolution, weights)
    kappa = X.reshape(2, 1, 1)  # one pixel in two bins
    model = Net((ChannelsLast(), convolution, norm, GlobalAverage()))
    close(saliency.lrp(model, kappa, 0), [[[6]], [[6]]])
    close(saliency.lrp(model, kappa, 0, rule="alpha-beta"), [[[5]], [[5]]])
    # Alone, after a ReLU: x 3 - 5 of x = 5 keeps 15 of 10, its shift takes -5; the bias of 1 takes 3 of the 15.
    alone = Net((ChannelsLast(), convolution, ReLU(), norm, GlobalAverage()))
    close(saliency.lrp(alone, kappa, 0), [[[6]], [[6]]])


def test_a_residual_sum_shares_by_identity_and_branch():
    # x + relu(3 x), a 1 x 1 convolution of weight 3: x = (2, -1) gives (8, -1).
    branch = Convolution(1, 1, 1, key=key())
    branch = eqx.tree_at(lambda one: one.weight, branch, jnp.full((1, 1, 1, 1), 3.0))
    block = Residual((branch, ReLU()))
    model = Net((ChannelsLast(), block, Flatten(), dense([[1.0], [2.0]])))
    close(saliency.lrp(model, pixels(2, -1), 0), pixels(8, -2))
    # Output 8 - 2 = 6: alpha 2 gives 12 to pixel 1, -6 to pixel 2.
    close(saliency.lrp(model, pixels(2, -1), 0, rule="alpha-beta"), pixels(12, -6))


def test_a_row_of_branches_adds_up_what_they_hand_down():
    # Branches 2 x and relu(x), averaged over x = (4, -2): 2 and 2. Output 3 x 2 + 5 x 2 = 16.
    twice = eqx.tree_at(lambda one: one.weight, Convolution(1, 1, 1, key=key()), jnp.full((1, 1, 1, 1), 2.0))
    row = Beside(((twice, GlobalAverage()), (ReLU(), GlobalAverage())))
    model = Net((ChannelsLast(), row, dense([[3.0], [5.0]])))
    # 6 is shared as 12 and -6; 10 is pixel 1's alone.
    close(saliency.lrp(model, pixels(4, -2), 0), pixels(12 + 10, -6))


def test_scales_pass_relevance_on_and_trained_networks_are_explained_from_their_mean():
    model = Net((Scale(jnp.float32(0.1)), *TWO.layers, Scale(jnp.array([5.0]))))
    close(saliency.lrp(model, X, 0), pixels(3, 0), atol=1e-4)  # epsilon weighs more where numbers are small
    close(saliency.deep_taylor(model, X, 0, bounds=(-1.0, 3.0)), pixels(9 / 7, 12 / 7))


def test_relevance_reaches_models_of_equinox():
    mlp = eqx.nn.MLP(16, 2, 8, 2, key=key())
    conv = eqx.nn.Conv2d(1, 3, 3, key=key(1))
    parts = [conv, eqx.nn.Lambda(jax.nn.relu), eqx.nn.AvgPool2d(2, 2), eqx.nn.Lambda(jnp.ravel)]
    for model in (
        eqx.nn.Sequential([eqx.nn.Lambda(jnp.ravel), mlp]),
        eqx.nn.Sequential([*parts, eqx.nn.Linear(3, 2, key=key(2))]),
    ):
        # With epsilon = 0 the rule is the gradient times the input, for any network of ReLUs (Ancona et al. 2018).
        close(saliency.lrp(model, maps(1, 4)[0], 1, epsilon=0.0), saliency.input_x_gradient(model, maps(1, 4)[0], 1))


def test_a_max_pool_gives_all_to_the_largest():
    model = eqx.nn.Sequential([eqx.nn.MaxPool2d(2, 2), eqx.nn.Lambda(jnp.ravel), eqx.nn.Linear(1, 1, key=key())])
    kappa = jnp.array([[[1.0, 3.0], [0.0, 2.0]]])
    weight = float(model.layers[2].weight[0, 0])
    close(saliency.lrp(model, kappa, 0), [[[0, 3 * weight], [0, 0]]])


# Relevance, in general


@pytest.mark.parametrize(
    "make", [compact, lambda: architectures.DeepLSS(bins=1, outputs=2, width=4, depth=1, pixels=16, key=key())]
)
@pytest.mark.parametrize("options", [{}, {"rule": "alpha-beta"}, {"rule": "alpha-beta", "first": "w2", "alpha": 1.0}])
def test_relevance_is_conserved_without_biases(make, options):
    model = make()
    for kappa in maps(2):
        for output in (0, [1.0, -1.0]):
            found = float(saliency.lrp(model, kappa, output, **options).sum())
            assert found == pytest.approx(float(saliency.explained(model, kappa, output)), rel=1e-3)


def test_relevance_of_the_papers_network_with_frozen_statistics_is_conserved_without_biases():
    model, state = architectures.with_state(architectures.Ribli18(width=4, pixels=16, key=key(1)))
    frozen = architectures.frozen(model, state)
    kappa = maps(1)[0]
    assert any(isinstance(layer, Affine) for layer in frozen.layers)
    close(
        saliency.lrp(frozen, kappa, 0, epsilon=0.0), saliency.input_x_gradient(frozen, kappa, 0), rtol=1e-3, atol=1e-5
    )
    bare = saliency.without_biases(frozen)
    assert float(saliency.lrp(bare, kappa, 0).sum()) == pytest.approx(float(bare(kappa)[0]), rel=1e-3)


def test_a_layer_without_a_rule_is_named_and_can_be_given_one():
    class Twice(eqx.Module):
        def __call__(self, kappa):
            return 2 * kappa

    model = Net((Twice(), *TWO.layers))
    with pytest.raises(ValueError, match=r"^layer Twice: relevance has no rule for it; saliency.register gives its"):
        saliency.lrp(model, X, 0)
    saliency.register(Twice, "pass")
    close(saliency.lrp(model, X, 0), 2 * saliency.lrp(TWO, X, 0))
    with pytest.raises(ValueError, match=r'^kind = \'other\': must be one of "weights", "average"'):
        saliency.register(Twice, "other")
    with pytest.raises(ValueError, match=r"^layer tanh: relevance has no rule"):
        saliency.lrp(eqx.nn.Sequential([eqx.nn.Lambda(jnp.tanh)]), X, 0)
    with pytest.raises(ValueError, match="has no layers to hand relevance down"):
        saliency.lrp(lambda kappa: kappa.ravel(), X, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rule": "gamma"}, '^rule = .gamma.: must be one of "epsilon", "alpha-beta"$'),
        ({"first": "flat"}, '^first = .flat.: must be one of "same", "w2", "zB"$'),
        ({"epsilon": -1.0}, "^epsilon = -1.0: must be >= 0$"),
        ({"alpha": 0.5}, "^alpha = 0.5: must be >= 1$"),
        ({"first": "zB"}, "^bounds = None: must be given with"),
        ({"first": "zB", "bounds": (1.0, 2.0)}, r"^bounds = \(1.0, 2.0\): must be low <= 0 <= high"),
    ],
)
def test_bad_rules_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        saliency.lrp(TWO, X, 0, **options)


# Groups


class Product(eqx.Module):
    """x1 x2 + x3: two pixels that are worth something together only."""

    def __call__(self, kappa):
        x = kappa.ravel()
        return (x[0] * x[1] + x[2])[None]


def test_shapley_shares_a_product_evenly_and_occlusion_counts_it_twice():
    kappa, groups = pixels(2, 3, 4), np.array([[[0, 1, 2]]])
    close(saliency.shapley(Product(), kappa, 0, groups=groups, number=3), pixels(3, 3, 4))
    close(saliency.occlude_groups(Product(), kappa, 0, groups=groups, number=3), pixels(6, 6, 4))
    # The product as one group has all of it, half a pixel each; a group that is not there does no harm.
    for method in (saliency.shapley, saliency.occlude_groups):
        close(method(Product(), kappa, 0, groups=np.array([[[0, 0, 1]]]), number=3), pixels(3, 3, 4))


def test_shapley_over_maps_is_complete_from_a_baseline():
    kappa, model = maps(4), compact()
    groups = np.digitize(kappa, [-1, 0, 1]).astype(np.int32)
    baseline = maps(1, seed=9)[0]
    found = saliency.over_maps(saliency.shapley, model, kappa, 0, each={"groups": groups}, number=4, baseline=baseline)
    close(saliency.completeness(found, model, kappa, 0, baseline=baseline), np.ones(4), rtol=1e-3)
    totals = saliency.group_totals(found, groups, 4)
    close(totals.sum(1), found.sum((1, 2, 3)), rtol=1e-4)


def test_regions_count_the_rest_then_peaks_then_voids_and_corners_touch():
    kappa = np.array(
        [[[3.0, 0, 0, 0, -3], [0, 3, 0, 0, 0], [0, 0, 0, 3, 0]], [[-3.0, 0, 0, 0, 0], [0] * 5, [3, 0, 0, 0, 0]]]
    )
    region, kind = saliency.regions(kappa, low=-1.0, high=1.0)
    np.testing.assert_array_equal(region[0], [[1, 0, 0, 0, 4], [0, 1, 0, 0, 0], [0, 0, 0, 2, 0]])
    np.testing.assert_array_equal(region[1], [[5, 0, 0, 0, 0], [0] * 5, [3, 0, 0, 0, 0]])
    np.testing.assert_array_equal(kind, np.where(kappa > 0, 1, np.where(kappa < 0, 2, 0)))


# Expected gradients


def test_expected_gradients_of_a_linear_model_are_weights_times_the_distance_to_the_mean_baseline():
    model = Net((*FLAT, dense([[1.0], [-2.0]])))
    baselines = np.stack([pixels(1, 1), pixels(3, 5)])  # mean (2, 3)
    found = saliency.expected_gradients(model, X, 0, baselines=baselines, samples=4, key=key())
    close(found, pixels(0, 4))


def test_expected_gradients_are_nearly_complete_from_the_mean_answer_of_the_baselines():
    model, kappa, baselines = compact(), maps(1)[0], maps(8, seed=1)
    found = saliency.expected_gradients(model, kappa, 0, baselines=baselines, samples=512, key=key())
    rise = float(model(kappa)[0]) - float(jax.vmap(model)(baselines)[:, 0].mean())
    spread = float(jax.vmap(model)(baselines)[:, 0].std())
    assert float(found.sum()) == pytest.approx(rise, abs=0.1 * spread)


# Errors


def test_bad_groups_and_baselines_are_named():
    good = np.zeros((1, 1, 2), np.int32)
    with pytest.raises(ValueError, match=r"^groups has shape \(1, 1, 1\): must be the map's"):
        saliency.shapley(TWO, X, 0, groups=good[..., :1], number=2)
    with pytest.raises(ValueError, match=r"^number = 11: must be <= 10"):
        saliency.shapley(TWO, X, 0, groups=good, number=11)
    with pytest.raises(ValueError, match=r"^number = 0: must be >= 1"):
        saliency.occlude_groups(TWO, X, 0, groups=good, number=0)
    with pytest.raises(ValueError, match=r"^baseline has shape \(1, 1\): must be the map's"):
        saliency.integrated_gradients(TWO, X, 0, baseline=np.zeros((1, 1), np.float32))
    with pytest.raises(ValueError, match=r"^baselines has shape \(1, 1, 2\): must be"):
        saliency.expected_gradients(TWO, X, 0, baselines=np.zeros((1, 1, 2), np.float32), key=key())
    with pytest.raises(ValueError, match=r"^low = 1.0, high = 0.0: must be low < high"):
        saliency.regions(np.zeros((1, 2, 2)), low=1.0, high=0.0)
    with pytest.raises(ValueError, match=r"^groups has 1 rows: must be 3, one for each map"):
        saliency.over_maps(saliency.shapley, compact(), maps(3), 0, each={"groups": good}, number=2)


@pytest.mark.parametrize("method", [saliency.lrp, saliency.deep_taylor])
@pytest.mark.parametrize(
    ("kappa", "output", "message"),
    [
        (maps(1)[0], 2, r"^output = 2: must be 0 <= output < 2$"),
        (np.full((1, 16, 16), np.nan, np.float32), 0, "^kappa holds NaN or infinity in 256 pixels: must be finite$"),
        (np.zeros((2, 16, 16), np.float32), 0, "^kappa has 2 bins: this network was made for bins = 1"),
    ],
)
def test_bad_questions_are_named(method, kappa, output, message):
    with pytest.raises(ValueError, match=message):
        method(compact(), kappa, output)
