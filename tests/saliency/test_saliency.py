"""Attribution methods against answers worked out on paper, on networks small enough for that."""

import calls
import equinox as eqx
import jax
import jax.numpy as jnp
import lessons_data
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook import saliency
from wlbook.network import architectures, layers, summary
from wlbook.saliency import occluded

GRADIENTS = [saliency.gradient, saliency.guided_backprop, saliency.deconvnet]


def key(n=0):
    return jax.random.key(n)


class Linear(eqx.Module):
    """outputs_i = sum over pixels of weight_i * kappa."""

    weight: jax.Array

    def __call__(self, kappa):
        return jnp.einsum("obyx,byx->o", self.weight, kappa)


class Units(eqx.Module):
    """y = v2 . relu(v1 @ (two pixels)): two layers with weights given by hand."""

    first: jax.Array
    second: jax.Array
    relu: layers.ReLU = layers.ReLU()

    def __call__(self, kappa):
        return (self.second @ self.relu(self.first @ kappa.ravel()))[None]


def pixels(*values):
    return jnp.array(values, jnp.float32).reshape(1, 1, -1)


def compact(**arguments):
    return architectures.Compact(width=4, key=key(3), **arguments)


def maps(number=3, side=16, seed=0):
    return np.random.default_rng(seed).normal(size=(number, 1, side, side)).astype(np.float32)


# Truth: networks done on paper


def test_a_linear_model_returns_its_weights_whatever_the_map():
    weight = jax.random.normal(key(), (2, 1, 3, 3))
    for seed in range(3):
        kappa = jax.random.normal(key(seed), (1, 3, 3))
        for output in (0, 1):
            np.testing.assert_array_equal(saliency.gradient(Linear(weight), kappa, output), weight[output])
            np.testing.assert_allclose(
                saliency.input_x_gradient(Linear(weight), kappa, output), weight[output] * kappa, rtol=1e-6
            )


def test_a_direction_in_the_outputs_gives_the_same_mixture_of_weights():
    weight = jax.random.normal(key(), (2, 1, 3, 3))
    mixed = saliency.gradient(Linear(weight), jnp.ones((1, 3, 3)), [0.5, -2.0])
    np.testing.assert_allclose(mixed, 0.5 * weight[0] - 2 * weight[1], rtol=1e-6)


def test_two_layers_with_known_weights_give_the_three_rules_answers():
    # Hidden: h1 = 1*2 + 2*1 = 4 (on), h2 = 1*2 - 3*1 = -1 (off), h3 = -1*2 + 4*1 = 2 (on). Output 2 h1 + 5 h2 - h3.
    first = jnp.array([[1.0, 2.0], [1.0, -3.0], [-1.0, 4.0]])
    model, kappa = Units(first, jnp.array([2.0, 5.0, -1.0])), pixels(2.0, 1.0)
    # gradient: units on:            2 (1, 2) - 1 (-1, 4)            = (3, 0)
    # guided:   on and signal > 0:   2 (1, 2)                        = (2, 4)
    # deconv:   signal > 0:          2 (1, 2) + 5 (1, -3)            = (7, -11)
    np.testing.assert_array_equal(saliency.gradient(model, kappa, 0), pixels(3, 0))
    np.testing.assert_array_equal(saliency.input_x_gradient(model, kappa, 0), pixels(6, 0))
    np.testing.assert_array_equal(saliency.guided_backprop(model, kappa, 0), pixels(2, 4))
    np.testing.assert_array_equal(saliency.deconvnet(model, kappa, 0), pixels(7, -11))


def test_one_relu_unit_integrates_to_its_output_and_not_to_its_gradient():
    # f = relu(x - 1) along x = 3 t: the gradient is on for t > 1/3, so the mean gradient is 2/3 and 3 x 2/3 = f(3) = 2.
    class Unit(eqx.Module):
        relu: layers.ReLU = layers.ReLU()

        def __call__(self, kappa):
            return self.relu(kappa.sum() - 1.0)[None]

    np.testing.assert_allclose(saliency.integrated_gradients(Unit(), pixels(3.0), 0, steps=300), pixels(2.0), rtol=1e-6)
    np.testing.assert_array_equal(saliency.input_x_gradient(Unit(), pixels(3.0), 0), pixels(3.0))
    # From a baseline of 1 the unit is on all along the line: (3 - 1) x 1.
    np.testing.assert_array_equal(
        saliency.integrated_gradients(Unit(), pixels(3.0), 0, baseline=pixels(1.0)), pixels(2)
    )


def test_average_pooling_shares_a_signal_evenly():
    class Pool(eqx.Module):
        def __call__(self, kappa):
            pooled = layers.AveragePool(2)(jnp.moveaxis(kappa, 0, -1))
            return pooled.ravel() @ jnp.array([1.0, 2.0, 3.0, 4.0])[:, None]

    expected = np.kron([[1.0, 2.0], [3.0, 4.0]], np.full((2, 2), 0.25))[None]
    np.testing.assert_array_equal(saliency.gradient(Pool(), jnp.ones((1, 4, 4)), 0), expected)


def test_a_residual_sum_adds_the_branch_to_the_identity():
    # x + relu(3x) - then the sum of pixels: slope 4 where x > 0, 1 where x < 0.
    class Block(eqx.Module):
        block: layers.Residual = layers.Residual((layers.Scale(jnp.float32(3)), layers.ReLU()))

        def __call__(self, kappa):
            return self.block(kappa).sum()[None]

    np.testing.assert_array_equal(saliency.gradient(Block(), pixels(2.0, -1.0), 0), pixels(4, 1))


def test_smoothgrad_of_a_parabola_is_its_gradient_and_its_variance_that_of_the_noise():
    class Parabola(eqx.Module):
        def __call__(self, kappa):
            return (kappa**2).sum()[None]

    # The gradient 2 (x + noise) has mean 2 x and variance 4 sigma^2; 4,000 samples: errors of 1 % and 2 %.
    options = dict(sigma=0.5, samples=4000, key=key())
    np.testing.assert_allclose(
        saliency.smoothgrad(Parabola(), pixels(1.0, -3.0), 0, **options), pixels(2, -6), atol=0.08
    )
    np.testing.assert_allclose(saliency.vargrad(Parabola(), pixels(1.0, -3.0), 0, **options), pixels(1, 1), rtol=0.1)


def test_occlusion_of_a_linear_model_is_the_lost_sum_shared_by_the_square():
    weight = jnp.arange(16.0).reshape(1, 1, 4, 4)
    found = saliency.occlusion(Linear(weight), jnp.ones((1, 4, 4)), 0, size=2)
    # Upper left square: 0 + 1 + 4 + 5 = 10, over four pixels.
    np.testing.assert_allclose(found[0, :2, :2], 2.5)
    assert float(found.sum()) == pytest.approx(120, rel=1e-5)


def covered_networks():
    """Networks that differ in how far their first layers see: pools, strides, valid convolutions, batch statistics."""
    deep = architectures.DeepLSS(bins=2, outputs=2, width=4, pixels=32, depth=1, key=key(1))
    batched = architectures.Ribli18(width=2, pixels=64, key=key(2))
    return {
        "Compact": (compact(), 32),
        "Compact, odd": (compact(bins=3), 36),  # 9 x 9 pixels before the second pool
        "DeepLSS": (deep, 32),
        "Ribli18": (architectures.frozen(*architectures.with_state(batched)), 64),
    }


@pytest.mark.parametrize("name", covered_networks())
@pytest.mark.parametrize("size", [2, 4, "half"])
def test_squares_covered_together_give_what_one_after_the_other_gives(name, size):
    model, side = covered_networks()[name]
    size = side // 2 if size == "half" else size
    kappa = jax.random.normal(key(5), (model.bins, side, side))
    shown, rest, squares = occluded.covered(model, kappa, jnp.full_like(kappa, 0.3), size)
    assert squares == (side // size) ** 2
    for number in {0, 1, squares // 2 + 1, squares - 1}:
        row, column = size * (number // (side // size)), size * (number % (side // size))
        by_hand = kappa.at[:, row : row + size, column : column + size].set(0.3)
        np.testing.assert_allclose(rest(shown(number)), model(by_hand), rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(rest(shown(squares)), model(kappa), rtol=2e-5, atol=2e-6)


def test_squares_far_apart_share_the_first_layers():
    seen = []

    class Spy(layers.ReLU):
        def __call__(self, image):
            seen.append(image.shape)
            return super().__call__(image)

    relu = next(n for n, layer in enumerate(compact().layers) if isinstance(layer, layers.ReLU))
    model = eqx.tree_at(lambda model: model.layers[relu], compact(), Spy())
    kappa = jnp.asarray(maps(1, 64)[0])
    shown, rest, squares = occluded.covered(model, kappa, jnp.zeros_like(kappa), 8)
    assert squares == 64 and len(seen) == 1
    del seen[:]
    rest(shown(3))
    assert seen == []  # the first layers are done


# Properties


def test_input_x_gradient_is_complete_for_a_network_without_biases():
    # A ReLU network without biases is homogeneous of degree one, so sum(x df/dx) = f(x) (Euler).
    model, kappa = compact(), maps(1)[0]
    for output in (0, 1):
        explained = float(saliency.input_x_gradient(model, kappa, output).sum())
        assert explained == pytest.approx(float(model(kappa)[output]), rel=1e-4, abs=1e-6)


def test_integrated_gradients_are_complete_with_biases_too():
    model = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_array(leaf) and leaf.ndim == 1 else leaf, compact())
    kappa, zero = maps(1)[0], np.zeros((1, 16, 16), np.float32)
    explained = float(saliency.integrated_gradients(model, kappa, 1, steps=64).sum())
    assert explained == pytest.approx(float(model(kappa)[1] - model(zero)[1]), rel=0.01)


def test_integrated_gradients_of_a_trained_network_are_complete_to_one_percent_with_32_steps():
    data = lessons_data.data()
    trained = calls.fit(data, width=8, steps=100, batch=32, learning_rate=5e-3, sigma_e=0.0, smoothing=0.0)
    assert trained.history["loss"][-10:].mean() < 0.7 * trained.history["loss"][:10].mean()  # it has learnt
    kappa, zero = data["kappa"].values[::32], np.zeros((1, 16, 16), np.float32)
    for output in (0, 1):
        found = saliency.over_maps(saliency.integrated_gradients, trained, kappa, output, steps=32)
        change = np.asarray(jax.vmap(trained)(kappa) - trained(zero))[:, output]
        np.testing.assert_allclose(found.sum(axis=(1, 2, 3)), change, atol=0.01 * np.abs(change).max())


@pytest.mark.parametrize("method", [*GRADIENTS, saliency.input_x_gradient, saliency.integrated_gradients])
def test_many_maps_give_what_each_map_gives_alone(method):
    kappa = maps(5)
    together = saliency.over_maps(method, compact(), kappa, 1, batch=2)
    alone = np.stack([method(compact(), one, 1) for one in kappa])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-7)


def test_noise_of_a_map_does_not_depend_on_the_batch():
    options = dict(sigma=0.1, samples=2, key=key())
    results = [saliency.over_maps(saliency.smoothgrad, compact(), maps(5), 0, batch=n, **options) for n in (2, 5)]
    np.testing.assert_allclose(*results, rtol=1e-4, atol=1e-7)


def test_rules_reach_relus_of_other_equinox_models():
    mlp = eqx.nn.MLP(4, 2, 8, 2, key=key())

    def model(relu_model):
        return eqx.nn.Sequential([eqx.nn.Lambda(jnp.ravel), relu_model])

    kappa = jax.random.normal(key(1), (1, 2, 2))
    plain = saliency.gradient(model(mlp), kappa, 0)
    assert not np.allclose(plain, saliency.guided_backprop(model(mlp), kappa, 0))
    assert not np.allclose(plain, saliency.deconvnet(model(mlp), kappa, 0))


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(st.floats(-3, 3, width=32), min_size=9, max_size=9),
    inner=st.lists(st.floats(-2.5, 2.5), min_size=1, max_size=4, unique=True),
)
def test_shares_over_the_whole_line_sum_to_one(values, inner):
    kappa = np.array(values, np.float32).reshape(1, 3, 3)
    edges = [-np.inf, *sorted(inner), np.inf]
    share, area = saliency.attribution_share(np.arange(1.0, 10).reshape(1, 3, 3), kappa, edges)
    assert share.sum() == pytest.approx(1) and area.sum() == pytest.approx(1)


def test_share_is_of_squared_saliency_and_bins_are_half_open():
    kappa = np.array([[[-1.0, 0.0, 0.0, 1.0]]])
    share, area = saliency.attribution_share(np.array([[[1.0, -2.0, 0.0, 2.0]]]), kappa, np.array([-1, 0, 1]))
    # Squares 1, 4, 0, 4 of 9 in all; kappa = 1 lies outside the last bin [0, 1).
    np.testing.assert_allclose(share, [1 / 9, 4 / 9])
    np.testing.assert_allclose(area, [1 / 4, 2 / 4])


def test_destroying_the_top_layer_leaves_the_others_alone():
    model = compact()
    before, after = summary.weights(model), summary.weights(saliency.randomized(model, 1, key=key()))
    changed = [name for name in before if not np.array_equal(before[name], after[name])]
    assert len(changed) == 1 and before[changed[0]].shape == (16, 2)


def test_destroyed_networks_share_what_is_destroyed_in_both():
    one, two = (summary.weights(saliency.randomized(compact(), depth, key=key(4))) for depth in (1, 2))
    last = list(one)[-2]
    np.testing.assert_array_equal(one[last], two[last])


def test_a_gradient_falls_when_all_layers_are_drawn_anew_and_a_map_of_the_input_never_does():
    def blind(model, kappa, output):
        return jnp.asarray(kappa)

    def kept(method, depth):
        before, after = (saliency.over_maps(method, one, maps(3), 0) for one in (model, anew[depth]))
        return saliency.rank_correlation(np.abs(before), np.abs(after))

    model = compact()
    everything = len([w for w in summary.weights(model).values() if w.ndim >= 2])
    anew = {depth: saliency.randomized(model, depth, key=key()) for depth in (0, everything)}
    np.testing.assert_allclose(kept(saliency.gradient, 0), 1)
    assert (np.abs(kept(saliency.gradient, everything)) < 0.4).all()
    np.testing.assert_allclose(kept(blind, everything), 1)


def test_rank_correlation_is_spearmans():
    one = np.array([[[[1.0, 2, 3, 4]]], [[[1.0, 1, 1, 1]]]])
    two = np.array([[[[1.0, 9, 4, 16]]], [[[1.0, 2, 3, 4]]]])
    # Ranks 1 2 3 4 and 1 3 2 4: 1 - 6 (0 + 1 + 1 + 0) / (4 x 15) = 0.8; a constant map correlates with nothing.
    np.testing.assert_allclose(saliency.rank_correlation(one, two), [0.8, 0.0])


# Errors


@pytest.mark.parametrize("method", [*GRADIENTS, saliency.integrated_gradients, saliency.occlusion])
@pytest.mark.parametrize(
    ("kappa", "output", "message"),
    [
        (maps(1)[0], 2, r"^output = 2: must be 0 <= output < 2$"),
        (maps(1)[0], -1, r"^output = -1: must be 0 <= output < 2$"),
        (maps(1)[0], [1.0, 0.0, 0.0], r"^output has shape \(3,\): must be an index or a direction of length 2$"),
        (np.full((1, 16, 16), np.nan, np.float32), 0, "^kappa holds NaN or infinity in 256 pixels: must be finite$"),
        (np.zeros((2, 16, 16), np.float32), 0, "^kappa has 2 bins: this network was made for bins = 1"),
        (np.zeros((1, 8, 16), np.float32), 0, "^kappa is 8 x 16 pixels: must be >= 16 a side"),
    ],
)
def test_bad_questions_are_named(method, kappa, output, message):
    with pytest.raises(ValueError, match=message):
        method(compact(), kappa, output)


def test_bad_maps_among_many_are_named():
    kappa = maps(3)
    kappa[1, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match=r"^kappa\[1\] holds NaN or infinity \(1 of 3 do\): must be finite$"):
        saliency.over_maps(saliency.gradient, compact(), kappa, 0)
    with pytest.raises(ValueError, match=r"must be \[map, bin, y, x\] with at least one map"):
        saliency.over_maps(saliency.gradient, compact(), kappa[0], 0)


def test_methods_name_their_own_bad_arguments():
    model, kappa = compact(), maps(1)[0]
    with pytest.raises(ValueError, match=r"^steps = 0: must be >= 1$"):
        saliency.integrated_gradients(model, kappa, 0, steps=0)
    with pytest.raises(ValueError, match=r"^size = 5: must divide the map's side of 16 pixels$"):
        saliency.occlusion(model, kappa, 0, size=5)
    with pytest.raises(ValueError, match=r"^sigma = -1.0: must be >= 0"):
        saliency.smoothgrad(model, kappa, 0, sigma=-1.0, key=key())
    with pytest.raises(ValueError, match=r"holds no ReLU"):
        saliency.guided_backprop(Linear(jnp.ones((1, 1, 2, 2))), jnp.ones((1, 2, 2)), 0)
    with pytest.raises(ValueError, match=r"^depth = 9: must be 0 <= depth <= 8"):
        saliency.randomized(model, 9, key=key())


def test_shares_refuse_what_has_none():
    one = np.ones((1, 2, 2))
    for bad, edges, message in [
        (one[:, :1], [0.0, 1.0], "^saliency has shape"),
        (one, [1.0, 0.0], "must be at least two rising numbers"),
        (0 * one, [0.0, 1.0], "has no shares"),
        (np.nan * one, [0.0, 1.0], "has no shares"),
    ]:
        with pytest.raises(ValueError, match=message):
            saliency.attribution_share(bad, one, edges)


RECTIFIERS = [
    lambda x: jnp.maximum(x, 0),
    lambda x: jnp.maximum(0.0, x),
    lambda x: jnp.where(x > 0, x, 0.0),
    lambda x: x * (x >= 0),
    lambda x: jnp.clip(x, 0),
    lambda x: jax.nn.relu(x),
    jax.nn.relu6,
    jax.nn.leaky_relu,
]


@pytest.mark.parametrize("method", [saliency.guided_backprop, saliency.deconvnet])
@pytest.mark.parametrize("number", range(len(RECTIFIERS)))
def test_a_relu_written_otherwise_is_refused_and_not_passed_by(method, number):
    key = jax.random.key(1)
    parts = [eqx.nn.Lambda(jnp.ravel), eqx.nn.Linear(16, 3, key=key), eqx.nn.Lambda(jax.nn.relu)]
    last = [eqx.nn.Linear(3, 3, key=key), eqx.nn.Lambda(jax.nn.softplus), eqx.nn.Linear(3, 2, key=key)]
    kappa = jnp.ones((1, 4, 4))
    assert method(eqx.nn.Sequential([*parts, *last]), kappa, 0).shape == (1, 4, 4)
    with pytest.raises(ValueError, match=r"^model = Sequential: holds a ReLU that cannot be replaced"):
        method(eqx.nn.Sequential([*parts, eqx.nn.Lambda(RECTIFIERS[number]), *last]), kappa, 0)
