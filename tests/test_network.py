"""Networks: each layer against arithmetic, the layer table against what gradients see."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

from wlbook import network


def key(n=0):
    return jax.random.key(n)


def image(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


# Layers


@pytest.mark.parametrize("kernel", [1, 3, 5])
def test_a_convolution_is_scipys_correlation_summed_over_inputs(kernel):
    layer = network.Convolution(2, 3, kernel, key=key())
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


def test_average_pool_takes_means_and_leaves_out_what_fills_no_square():
    x = jnp.arange(30.0).reshape(5, 6, 1)
    # First square: 0, 1, 6, 7.
    np.testing.assert_array_equal(network.AveragePool(2)(x)[..., 0], [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]])


def test_signals_neither_die_nor_explode_on_the_way_in():
    x = image(32, 32, 8)
    size = [float(jnp.std(x))]
    for n in range(6):
        x = network.ReLU()(network.Convolution(8, 8, 3, key=key(n))(x))
        size.append(float(jnp.sqrt(jnp.mean(x**2))))
    assert 0.2 < size[-1] / size[0] < 5


# Compact


def test_compact_is_under_half_a_million_weights_at_its_widest():
    widest = eqx.filter_eval_shape(network.Compact, width=32, key=key())
    assert sum(leaf.size for leaf in jax.tree.leaves(widest)) < 500_000


def test_weights_by_name_are_all_of_them():
    model = network.Compact(bins=2, width=3, key=key())
    named = network.weights(model)
    assert sum(array.size for array in named.values()) == network.count_weights(model)
    assert named["layers[1].weight"].shape[2:] == (2, 3)


@settings(max_examples=6, deadline=None)
@given(bins=st.integers(1, 3), outputs=st.integers(1, 4), side=st.sampled_from([16, 25, 32, 48]))
def test_compact_takes_any_map_from_its_smallest_size_on(bins, outputs, side):
    model = network.Compact(bins=bins, outputs=outputs, width=2, key=key())
    found = model(image(bins, side, side))
    assert found.shape == (outputs,) and np.isfinite(found).all()


def test_one_map_is_read_the_same_alone_and_in_a_batch():
    model, maps = network.Compact(width=4, key=key()), image(5, 1, 32, 32)
    np.testing.assert_allclose(jax.vmap(model)(maps), np.stack([model(one) for one in maps]), rtol=1e-4, atol=1e-6)


def test_weights_follow_the_key():
    one, two, other = (network.weights(network.Compact(width=2, key=key(n))) for n in (1, 1, 2))
    assert all(np.array_equal(one[name], two[name]) for name in one)
    assert not np.array_equal(one["layers[1].weight"], other["layers[1].weight"])


# The layer table


def test_receptive_field_of_two_3x3_convolutions_around_a_pool_is_10():
    # 3; pool of 2: +1; a 3 x 3 on pixels twice as far apart: +4; another: +4 -> 3 + 1 + 4 = 8, then a pool: +2 -> 10.
    class Small(eqx.Module):
        layers: tuple = (
            network.ChannelsLast(),
            network.Convolution(1, 1, 3, key=key()),
            network.AveragePool(2),
            network.Convolution(1, 1, 3, key=key()),
            network.AveragePool(2),
        )

    assert network.receptive_field(Small()) == 10


def test_receptive_field_is_where_gradients_are_not_zero():
    model = network.Compact(width=2, key=key())
    # Up to the global average, and with positive weights, so that no ReLU hides a pixel.
    positive = jax.tree.map(lambda leaf: jnp.abs(leaf) if eqx.is_array(leaf) else leaf, model)
    trunk = positive.layers[:-2]
    seen = jax.grad(lambda kappa: network.run(trunk, kappa)[8, 8].sum())(jnp.ones((1, 128, 128)))[0]
    rows, columns = np.nonzero(np.asarray(seen).any(axis=1))[0], np.nonzero(np.asarray(seen).any(axis=0))[0]
    field = network.receptive_field(model)
    assert np.ptp(rows) + 1 == np.ptp(columns) + 1 == field


def test_effective_field_of_an_even_5x5_kernel_counts_its_squares():
    layer = network.Convolution(1, 1, 5, key=key())
    layer = eqx.tree_at(lambda layer: layer.weight, layer, jnp.ones((5, 5, 1, 1)))
    layers, maps = (network.ChannelsLast(), layer), np.zeros((2, 1, 16, 16), np.float32)
    # 1 of 25 pixels lies in the centre, 9 of 25 (36 %) in the square of 3, all in that of 5.
    assert [network.effective_field(layers, maps, share) for share in (0.03, 0.3, 0.9)] == [1, 3, 5]
    with pytest.raises(ValueError, match=r"^share = 1.5: must be > 0 and < 1$"):
        network.effective_field(layers, maps, 1.5)


def test_table_tells_shapes_and_weights_of_the_model_itself():
    model = network.Compact(width=4, key=key())
    rows = network.table(model, 64)
    assert sum(row.weights for row in rows) == network.count_weights(model)
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
    ],
)
def test_bad_sizes_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        network.Compact(**arguments, key=key())


def test_unknown_things_are_named():
    with pytest.raises(ValueError, match=r'^architecture = "Huge": must be one of Compact'):
        network.make("Huge", key=key())

    class Odd(eqx.Module):
        layers: tuple = (eqx.nn.Lambda(jnp.tanh),)

    with pytest.raises(ValueError, match=r"^layer Lambda: its receptive field is not known"):
        network.table(Odd(), 16)
