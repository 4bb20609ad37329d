"""Losses and optimisers: against arithmetic, SciPy's normal distribution and the papers' recipes."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from wlbook.network import losses, optimisers


def draws(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


# Losses


def test_squared_and_absolute_errors_are_means_over_maps_and_targets():
    outputs, targets = jnp.array([[1.0, 0.0], [0.0, 3.0]]), jnp.zeros((2, 2))
    assert losses.squared(outputs, targets) == 2.5 and losses.absolute(outputs, targets) == 1.0


@pytest.mark.parametrize("number", [1, 2, 3])
def test_likelihood_is_scipys_normal_density(number):
    outputs, targets = draws(6, losses.outputs_for("likelihood", number)), draws(6, number, seed=1)
    roots = np.asarray(losses.factor(outputs, number), np.float64)
    expected = [
        -stats.multivariate_normal(mean, np.linalg.inv(root @ root.T)).logpdf(target)
        for mean, root, target in zip(outputs[:, :number], roots, targets, strict=True)
    ]
    constant = number / 2 * np.log(2 * np.pi)
    np.testing.assert_allclose(losses.likelihood(outputs, targets), np.mean(expected - constant) / number, rtol=1e-4)


def test_the_factor_is_lower_triangular_with_a_positive_diagonal():
    root = np.asarray(losses.factor(jnp.arange(9.0)[None] - 6, 3))[0]
    np.testing.assert_allclose(root, [[np.exp(-3), 0, 0], [0, np.exp(-2), 0], [1, 2, np.exp(-1)]], rtol=1e-5, atol=0)


def test_likelihood_of_the_mean_and_variance_of_the_targets_is_one_half():
    targets = draws(500, 2)
    targets = (targets - targets.mean(0)) / targets.std(0)
    assert losses.likelihood(jnp.zeros((500, 5)), targets) == pytest.approx(0.5, rel=1e-5)


def test_unknown_losses_and_optimisers_are_named():
    with pytest.raises(ValueError, match=r'^loss = \'hinge\': must be one of "squared", "absolute", "likelihood"$'):
        losses.outputs_for("hinge", 2)
    with pytest.raises(ValueError, match=r'^optimiser = \'lion\': must be one of "cosine", "ribli18", "deeplss"$'):
        optimisers.recipe("lion")


# Optimisers


def test_ribli18_is_nesterov_momentum_with_two_drops_of_the_rate():
    recipe = optimisers.recipe("ribli18")
    assert (recipe.learning_rate, recipe.weight_decay) == (1e-3, 5e-5)
    optimizer = recipe.make(30, 1.0, 0.01)
    weights = {"kernel": jnp.ones((1, 1)), "bias": jnp.ones(1)}
    state, velocity, expected = optimizer.init(weights), 0.0, 1.0
    for step in range(30):
        gradient = jax.tree.map(jnp.ones_like, weights)
        change, state = optimizer.update(gradient, state, weights)
        full = 1 + 2 * 0.01 * expected  # the gradient of the penalty 0.01 w^2
        velocity = 0.9 * velocity + full
        rate = 1.0 * 0.1 ** (step // 10)
        assert change["kernel"][0, 0] == pytest.approx(-rate * (full + 0.9 * velocity), rel=1e-4)
        assert change["bias"][0] != pytest.approx(float(change["kernel"][0, 0]), rel=1e-3), "biases are not decayed"
        weights = optax.apply_updates(weights, change)
        expected = float(weights["kernel"][0, 0])


def test_gradients_are_clipped_at_the_median_norm_of_those_before():
    clip = optimisers.clip_by_median(length=4)
    weights = jnp.zeros(2)
    state, passed = clip.init(weights), []
    for norm in (1.0, 5.0, 3.0, 100.0, 0.5, 100.0):
        change, state = clip.update(norm * jnp.array([0.6, 0.8]), state, weights)
        passed.append(float(jnp.linalg.norm(change)))
    # Medians of those before: none, 1, 3 (of 1, 5), 3 (of 1, 5, 3), 4 (of 1, 5, 3, 100), and of 5, 3, 100, 0.5: 4.
    np.testing.assert_allclose(passed, [1, 1, 3, 3, 0.5, 4], rtol=1e-5)


@pytest.mark.parametrize("name", optimisers.OPTIMISERS)
def test_every_recipe_walks_down_a_bowl(name):
    recipe = optimisers.recipe(name)
    optimizer = recipe.make(300, 0.02, recipe.weight_decay)
    weights = {"kernel": jnp.array([[1.0, -2.0]])}
    state = optimizer.init(weights)

    @jax.jit
    def step(weights, state):
        change, state = optimizer.update(jax.grad(lambda w: (w["kernel"] ** 2).sum())(weights), state, weights)
        return optax.apply_updates(weights, change), state

    for _ in range(300):
        weights, state = step(weights, state)
    assert float(jnp.abs(weights["kernel"]).max()) < 0.1
