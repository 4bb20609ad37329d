"""Networks: each layer against arithmetic, the layer table against what gradients see."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from wlbook.common import compiling
from wlbook.network import architectures, layers, summary


def key(n=0):
    return jax.random.key(n)


def image(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


# Layers


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_is_scipys_correlation_summed_over_inputs(kernel):
    layer = layers.Convolution(2, 3, kernel, key=key())
    layer = eqx.tree_at(lambda layer: layer.bias, layer, jnp.array([1.0, 2.0, 3.0]))
    x = image(7, 6, 2)
    expected = np.stack(
        [
            sum(correlate2d(x[..., i], layer.weight[..., i, o], mode="same") for i in range(2)) + layer.bias[o]
            for o in range(3)
        ],
        axis=-1,
    )
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_step_and_a_plain_compilation_give_a_convolution_the_same_gradients(stride):
    layer = layers.Convolution(3, 5, 3, stride=stride, key=jax.random.key(1))
    images = jax.random.normal(jax.random.key(2), (4, 12, 12, 3))

    def size(layer, images):
        return jnp.sum(jnp.sin(jax.vmap(layer)(images)))

    gradient = jax.grad(size, argnums=(0, 1))
    chosen, plain = compiling.compiled(gradient)(layer, images), jax.jit(gradient)(layer, images)
    for ours, theirs in zip(jax.tree.leaves(chosen), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_a_partial_function_with_the_same_arguments_is_compiled_once():
    traced = []

    def scaled(values, *, factor, shift):
        traced.append(factor)
        return factor * values + shift(values)

    def look(factor):
        return compiling.by_value(functools.partial(scaled, factor=factor, shift=functools.partial(jnp.add, 1.0)))

    values = jnp.arange(3.0)
    for factor, times in ((2.0, 1), (2.0, 1), (3.0, 2)):
        np.testing.assert_allclose(compiling.called(look(factor), values), factor * values + values + 1)
        assert len(traced) == times


@pytest.mark.parametrize(
    ("kernel", "stride", "inputs", "padding", "y", "x"),
    [(5, 2, 1, "SAME", 16, 16), (5, 2, 4, "SAME", 15, 13), (3, 2, 2, "VALID", 10, 11), (2, 3, 1, "SAME", 8, 7),
     (2, 3, 1, "VALID", 8, 9), (5, 3, 1, "SAME", 11, 12), (1, 2, 3, "SAME", 9, 8), (4, 4, 1, "SAME", 16, 16)],
)  # fmt: skip
def test_gradients_of_a_strided_convolution_of_few_inputs_are_those_of_the_plain_one(
    kernel, stride, inputs, padding, y, x
):
    layer = layers.Convolution(inputs, 3, kernel, stride=stride, padding=padding, key=jax.random.key(1))
    images = jax.random.normal(jax.random.key(2), (3, y, x, inputs))

    def plain(weight, images):
        order = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(images, weight, (stride, stride), padding, dimension_numbers=order)

    def ours(weight, images):
        return jax.vmap(eqx.tree_at(lambda layer: layer.weight, layer, weight))(images)

    expected, back = jax.vjp(plain, layer.weight, images)
    found, ours_back = jax.vjp(ours, layer.weight, images)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    change = jax.random.normal(jax.random.key(3), expected.shape)  # another one for each image
    for mine, other in zip(ours_back(change), back(change), strict=True):
        np.testing.assert_allclose(mine, other, atol=1e-4)


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="a choice between CPU kernels")
def test_a_cpu_convolves_with_the_kernel_that_is_faster_in_training():
    images = jax.random.normal(jax.random.key(1), (16, 16, 16, 32))
    layer = jax.vmap(layers.Convolution(32, 32, 3, key=jax.random.key(2)))
    assert "ynn_fusion" in jax.jit(layer).lower(images).compile().as_text(), "XLA's own choice has changed: time both"
    assert "ynn_fusion" not in compiling.compiled(layer).lower(images).compile().as_text()


def test_average_pool_takes_means_and_leaves_out_what_fills_no_square():
    x = jnp.arange(30.0).reshape(5, 6, 1)
    # First square: 0, 1, 6, 7.
    np.testing.assert_array_equal(layers.AveragePool(2)(x)[..., 0], [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]])


def test_signals_neither_die_nor_explode_on_the_way_in():
    x = image(32, 32, 8)
    size = [float(jnp.std(x))]
    for n in range(6):
        x = layers.ReLU()(layers.Convolution(8, 8, 3, key=key(n))(x))
        size.append(float(jnp.sqrt(jnp.mean(x**2))))
    assert 0.2 < size[-1] / size[0] < 5


# Compact


def test_compact_is_under_half_a_million_weights_at_its_widest():
    widest = eqx.filter_eval_shape(architectures.Compact, width=32, key=key())
    assert sum(leaf.size for leaf in jax.tree.leaves(widest)) < 500_000


def test_weights_by_name_are_all_of_them():
    model = architectures.Compact(bins=2, width=3, key=key())
    named = summary.weights(model)
    assert sum(array.size for array in named.values()) == summary.count_weights(model)
    assert named["layers[1].weight"].shape[2:] == (2, 3)


@settings(max_examples=6, deadline=None)
@given(bins=st.integers(1, 3), outputs=st.integers(1, 4), side=st.sampled_from([16, 25, 32, 48]))
def test_compact_takes_any_map_from_its_smallest_size_on(bins, outputs, side):
    model = architectures.Compact(bins=bins, outputs=outputs, width=2, key=key())
    found = model(image(bins, side, side))
    assert found.shape == (outputs,) and np.isfinite(found).all()


def test_one_map_is_read_the_same_alone_and_in_a_batch():
    model, maps = architectures.Compact(width=4, key=key()), image(5, 1, 32, 32)
    np.testing.assert_allclose(jax.vmap(model)(maps), np.stack([model(one) for one in maps]), rtol=1e-4, atol=1e-6)


def test_weights_follow_the_key():
    one, two, other = (summary.weights(architectures.Compact(width=2, key=key(n))) for n in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["layers[1].weight"], other["layers[1].weight"])


def test_ramps_start_at_their_heights_and_look_at_one_bin_and_one_pixel():
    model, maps = architectures.Compact(bins=2, width=2, ramps=6, key=key()), image(2, 16, 16)
    seen = layers.run(model.layers[:3], maps)
    for number, start in enumerate(np.linspace(-2, 3, 6)):
        sign = (-1) ** number
        for place in (0, 1):
            expected = np.maximum(sign * (np.asarray(maps[place]) - start), 0)
            np.testing.assert_allclose(seen[..., 6 * place + number], expected, atol=1e-6)


def test_averages_of_the_ramps_reach_the_end_beside_what_the_convolutions_find():
    model, maps = architectures.Compact(bins=2, width=4, ramps=3, key=key()), image(2, 16, 16)
    ramps, row = layers.run(model.layers[:3], maps), layers.run(model.layers[:4], maps)
    assert row.shape == (4 * 4 + 2 * 3,)
    np.testing.assert_allclose(row[-6:], ramps.mean(axis=(0, 1)), rtol=1e-6)
    moved = jax.random.permutation(key(1), maps.reshape(2, -1), axis=1).reshape(maps.shape)
    other = layers.run(model.layers[:4], moved)
    np.testing.assert_allclose(other[-6:], row[-6:], rtol=1e-5)  # the histogram is the same
    assert not np.allclose(other[:-6], row[:-6], rtol=0.01)


def test_table_lists_branches_and_counts_their_weights_once():
    model = architectures.Compact(bins=2, width=4, ramps=3, key=key())
    rows = summary.table(model, 32)
    assert sum(row.weights for row in rows) == summary.count_weights(model)
    found = [(row.depth, row.shape, row.receptive_field) for row in rows if row.kind == "Beside"]
    assert found == [(0, (22,), -1), (0, (64 + 22,), -1)]
    plain = summary.table(architectures.Compact(bins=6, width=4, key=key()), 32)
    inside = [row for row in rows if row.depth > 0]
    inside = inside[: [row.kind for row in inside].index("GlobalAverage") + 1]
    assert [(row.kind, row.shape) for row in inside] == [(row.kind, row.shape) for row in plain[1:-1]]


# Ribli18


def test_ribli18_has_the_published_convolutions_weights_and_field():
    model = architectures.Ribli18(key=key())
    rows = summary.table(model, 512)
    assert sum(row.kind == "Convolution" for row in rows) == 18 and model.left_out == 0
    assert sum(row.weights for row in rows if row.kind in ("Convolution", "Dense")) == 8_319_650
    # Two numbers for each channel of the 17 convolutions with batch normalisation; their statistics are no weights.
    assert summary.count_weights(model) == 8_319_650 + 2 * 3968
    assert summary.receptive_field(model) == 348
    assert [row.shape for row in rows if row.kind == "GlobalAverage"] == [(512,)]
    assert [row.shape[0] for row in rows if row.kind == "AveragePool"] == [254, 125, 60, 28, 12]


@pytest.mark.parametrize(("pixels", "left_out"), [(512, 0), (348, 0), (347, 5), (140, 5), (64, 11), (32, 11), (5, 16)])
def test_ribli18_leaves_out_whole_blocks_for_small_maps_and_says_so(pixels, left_out):
    model = architectures.Ribli18(width=2, pixels=pixels, key=key())
    assert model.left_out == left_out
    struct = jax.ShapeDtypeStruct((1, pixels, pixels), jnp.float32)
    assert eqx.filter_eval_shape(model, struct).shape == (2,)
    with pytest.raises(ValueError, match=r"^kappa is \d+ x \d+ pixels: must be >= (5|14|32|68|140|348) a side"):
        eqx.filter_eval_shape(model, jax.ShapeDtypeStruct((1, 4, pixels), jnp.float32))


def test_batch_statistics_are_those_of_the_batch_and_run_as_state():
    layer, maps = layers.BatchNorm(3), 5 + 2 * image(8, 6, 6, 3)
    layer = eqx.tree_at(lambda layer: (layer.weight, layer.bias), layer, (jnp.full(3, 2.0), jnp.full(3, 1.0)))
    layer, state = architectures.with_state(layer)
    out, state = jax.vmap(layer.learn, in_axes=(0, None), out_axes=(0, None), axis_name=layers.BATCH_AXIS)(maps, state)
    mean, variance = maps.mean((0, 1, 2)), maps.var((0, 1, 2))
    np.testing.assert_allclose(out, 1 + 2 * (maps - mean) / np.sqrt(variance + layers.EPSILON), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(state.get(layer.statistics)[0], 0.01 * mean, rtol=1e-5)
    np.testing.assert_allclose(state.get(layer.statistics)[1], 0.99 + 0.01 * variance, rtol=1e-5)
    frozen = architectures.frozen(layer, state)
    expected = 1 + 2 * (maps[0] - 0.01 * mean) / np.sqrt(0.99 + 0.01 * variance + layers.EPSILON)
    np.testing.assert_allclose(frozen(maps[0]), expected, rtol=1e-4, atol=1e-5)


def test_ribli18_is_frozen_into_layers_that_know_no_batch():
    model, state = architectures.with_state(architectures.Ribli18(width=2, pixels=32, key=key()))
    maps = image(4, 1, 32, 32)
    learn = jax.vmap(
        functools.partial(architectures.learn, model),
        in_axes=(0, None),
        out_axes=(0, None),
        axis_name=layers.BATCH_AXIS,
    )
    out, after = learn(maps, state)
    assert out.shape == (4, 2)
    assert not np.allclose(learn(3 * maps, state)[0], 3 * out, rtol=0.1), "the batch's own spread is divided out"
    frozen = architectures.frozen(model, after)
    kinds = [type(layer).__name__ for layer in frozen.layers]
    assert "BatchNorm" not in kinds and kinds.count("Affine") == 6 and kinds[-3:] == ["ReLU", "GlobalAverage", "Dense"]
    np.testing.assert_allclose(jax.vmap(frozen)(maps)[2], frozen(maps[2]), rtol=1e-4, atol=1e-6)


# DeepLSS


def test_deeplss_has_four_strided_convolutions_and_ten_residual_blocks():
    model = eqx.filter_eval_shape(architectures.DeepLSS, key=key())
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds.count("Convolution") == 4 and kinds.count("Residual") == 10
    sizes = [leaf.size for leaf in jax.tree.leaves(model)]
    kernels = 25 * 128 * (4 + 3 * 128) + 10 * 2 * 25 * 128 * 128
    assert sum(sizes) == kernels + 24 * 128 + (16 * 128 + 1) * 5


def test_deeplss_knows_places_and_refuses_another_size():
    model = architectures.DeepLSS(bins=2, width=2, depth=1, pixels=32, key=key())
    maps = image(2, 32, 32)
    assert model(maps).shape == (5,) and not np.allclose(model(maps), model(maps[:, ::-1]), rtol=1e-3, atol=1e-6)
    with pytest.raises(ValueError, match=r"^kappa is 33 x 33 pixels: this network was made for pixels = 32$"):
        model(image(2, 33, 33))


# Any network


def small(name):
    return architectures.Architecture(name, {"width": 2}).build(bins=2, outputs=5, pixels=32, key=key())


@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_all_networks_are_called_alike(name):
    model = small(name)
    assert model(image(2, 32, 32)).shape == (5,)
    with pytest.raises(ValueError, match=r"^kappa has 3 bins: this network was made for bins = 2$"):
        model(image(3, 32, 32))
    assert all(row.weights >= 0 for row in summary.table(model, 32))
    assert summary.table(model, 32)[-1].shape == (5,)


@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_a_network_can_be_rebuilt_from_its_named_weights_in_another_framework(name):
    """Here SciPy and NumPy: convolutions one pixel and channel at a time would be too slow for more."""
    model = small(name)
    named, maps = summary.weights(model), image(2, 32, 32)
    x = np.moveaxis(np.asarray(maps), 0, -1)
    for n, layer in enumerate(model.layers):
        x = rebuilt(layer, f"layers[{n}]", named, x)
    np.testing.assert_allclose(model(maps), x, rtol=1e-3, atol=1e-5)


def rebuilt(layer, name, named, x):
    kind = type(layer).__name__
    if kind == "Convolution":
        w, stride = named[f"{name}.weight"], layer.stride
        k = len(w)
        if layer.padding == "SAME":
            pads = [max((-(-n // stride) - 1) * stride + k - n, 0) for n in x.shape[:2]]
            x = np.pad(x, [(p // 2, p - p // 2) for p in pads] + [(0, 0)])
        windows = np.lib.stride_tricks.sliding_window_view(x, (k, k), axis=(0, 1))[::stride, ::stride]
        return np.einsum("yxcij,ijco->yxo", windows, w) + named[f"{name}.bias"]
    if kind == "BatchNorm":
        return x / np.sqrt(1 + layers.EPSILON) * named[f"{name}.weight"] + named[f"{name}.bias"]
    if kind == "Dense":
        return x @ named[f"{name}.weight"] + named[f"{name}.bias"]
    if kind == "Residual":
        inner = x
        for n, part in enumerate(layer.layers):
            inner = rebuilt(part, f"{name}.layers[{n}]", named, inner)
        return x + inner
    if kind == "AveragePool":
        return sum(x[a : len(x) // 2 * 2 : 2, b : x.shape[1] // 2 * 2 : 2] for a in (0, 1) for b in (0, 1)) / 4
    return {
        "ReLU": lambda x: np.maximum(x, 0),
        "GlobalAverage": lambda x: x.mean((0, 1)),
        "Flatten": np.ravel,
        "ChannelsLast": lambda x: x,
    }[kind](x)


# The layer table


def test_receptive_field_of_two_3x3_convolutions_around_a_pool_is_10():
    # 3; pool of 2: +1; a 3 x 3 on pixels twice as far apart: +4; another: +4 -> 3 + 1 + 4 = 8, then a pool: +2 -> 10.
    class Small(eqx.Module):
        layers: tuple = (
            layers.ChannelsLast(),
            layers.Convolution(1, 1, 3, key=key()),
            layers.AveragePool(2),
            layers.Convolution(1, 1, 3, key=key()),
            layers.AveragePool(2),
        )

    assert summary.receptive_field(Small()) == 10


def test_receptive_field_is_where_gradients_are_not_zero():
    model = architectures.Compact(width=2, key=key())
    # Up to the global average, and with positive weights, so that no ReLU hides a pixel.
    positive = jax.tree.map(lambda leaf: jnp.abs(leaf) if eqx.is_array(leaf) else leaf, model)
    trunk = positive.layers[:-2]
    seen = jax.grad(lambda kappa: layers.run(trunk, kappa)[8, 8].sum())(jnp.ones((1, 128, 128)))[0]
    rows, columns = np.nonzero(np.asarray(seen).any(axis=1))[0], np.nonzero(np.asarray(seen).any(axis=0))[0]
    field = summary.receptive_field(model)
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == field


def test_effective_field_of_an_even_5x5_kernel_counts_its_squares():
    layer = layers.Convolution(1, 1, 5, key=key())
    layer = eqx.tree_at(lambda layer: layer.weight, layer, jnp.ones((5, 5, 1, 1)))
    whole, maps = (layers.ChannelsLast(), layer), np.zeros((2, 1, 16, 16), np.float32)
    # 1 of 25 pixels lies in the centre, 9 of 25 (36 %) in the square of 3, all in that of 5.
    assert [summary.effective_field(whole, maps, share) for share in (0.03, 0.3, 0.9)] == [1, 3, 5]
    with pytest.raises(ValueError, match=r"^share = 1.5: must be > 0 and < 1$"):
        summary.effective_field(whole, maps, 1.5)


def test_table_tells_shapes_and_weights_of_the_model_itself():
    model = architectures.Compact(width=4, key=key())
    rows = summary.table(model, 64)
    assert sum(row.weights for row in rows) == summary.count_weights(model)
    trunk = [row for row in rows if row.depth == 0]
    assert trunk[0].shape == (64, 64, 1) and trunk[-1].shape == (2,)
    assert [row.step for row in trunk] == sorted(row.step for row in trunk)


# Errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bins": 0}, "^bins = 0: must be 1 <= bins <= 64$"),
        ({"outputs": 0}, "^outputs = 0: must be 1 <= outputs"),
        ({"width": 33}, "^width = 33: must be 1 <= width <= 32$"),
        ({"ramps": 33}, "^ramps = 33: must be 0 <= ramps <= 32$"),
    ],
)
def test_bad_sizes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        architectures.Compact(**arguments, key=key())


def test_maps_too_small_for_any_block_are_named():
    with pytest.raises(ValueError, match=r"^pixels = 4: must be >= 5$"):
        architectures.Ribli18(pixels=4, key=key())
    with pytest.raises(ValueError, match=r"^pixels = 8: must be >= 16$"):
        architectures.DeepLSS(pixels=8, key=key())


def test_unknown_things_are_named():
    with pytest.raises(ValueError, match=r'^architecture = \'Huge\': must be one of "Compact", "Ribli18", "DeepLSS"$'):
        architectures.Architecture("Huge")
    with pytest.raises(ValueError, match=r"^ramps: not an argument of Ribli18$"):
        architectures.Architecture("Ribli18", {"ramps": 8})

    class Odd(eqx.Module):
        layers: tuple = (eqx.nn.Lambda(jnp.tanh),)

    with pytest.raises(ValueError, match=r"^layer Lambda: its receptive field is not known"):
        summary.table(Odd(), 16)
