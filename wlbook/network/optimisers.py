"""How the weights move: a modern default and the recipes of both papers, each with its schedule."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from wlbook.common import checks


def cosine(steps: int, learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    """AdamW with one cycle of the learning rate: up in a tenth of the steps, then down to zero along a cosine.

    Gradients are clipped at a norm of 1.
    """
    rise = min(max(1, steps // 10), steps - 1)  # a single step has no time for one
    schedule = optax.warmup_cosine_decay_schedule(0.0, learning_rate, rise, steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=weight_decay))


def ribli18(steps: int, learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    """Paper A's: SGD with Nesterov momentum 0.9, a tenth of the rate after each third of the steps.

    The penalty `weight_decay` x the sum of squares of all kernels is part of the loss, so its gradient is twice that.
    """
    schedule = optax.piecewise_constant_schedule(learning_rate, {steps // 3: 0.1, 2 * steps // 3: 0.1})
    return optax.chain(
        optax.add_decayed_weights(2 * weight_decay, mask=_kernels), optax.sgd(schedule, momentum=0.9, nesterov=True)
    )


def deeplss(steps: int, learning_rate: float, weight_decay: float) -> optax.GradientTransformation:
    """Paper B's: Adam at a constant rate, each gradient clipped at the median norm of those before it."""
    return optax.chain(
        clip_by_median(), optax.add_decayed_weights(weight_decay, mask=_kernels), optax.adam(learning_rate)
    )


class Recipe(NamedTuple):
    """An optimiser and the numbers it was published with (the default: the numbers that did best here)."""

    make: Callable[[int, float, float], optax.GradientTransformation]
    learning_rate: float
    weight_decay: float


OPTIMISERS = {
    "cosine": Recipe(cosine, 6e-3, 1e-2),
    "ribli18": Recipe(ribli18, 1e-3, 5e-5),
    "deeplss": Recipe(deeplss, 5e-5, 0.0),
}


def recipe(name: str) -> Recipe:
    """The recipe of that name."""
    checks.one_of("optimiser", name, OPTIMISERS)
    return OPTIMISERS[name]


class NormHistory(NamedTuple):
    """State of `clip_by_median`: the last norms, in a ring, and how many there have been."""

    norms: Float[Array, " length"]
    count: Int[Array, ""]


def clip_by_median(length: int = 1024) -> optax.GradientTransformation:
    """Scale a gradient down to the median norm of the `length` before it; the first one passes."""

    def init(params: Any) -> NormHistory:
        return NormHistory(jnp.full(length, jnp.nan), jnp.zeros((), jnp.int32))

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, NormHistory]:
        norm = optax.tree.norm(updates)
        limit = jnp.where(state.count > 0, jnp.nanmedian(state.norms), norm)
        scale = jnp.where(norm > limit, limit / norm, 1.0)
        norms = state.norms.at[state.count % length].set(norm)
        return jax.tree.map(lambda leaf: scale * leaf, updates), NormHistory(norms, state.count + 1)

    return optax.GradientTransformation(init, update)


def _kernels(weights: Any) -> Any:
    """Which weights are kernels or matrices: biases and batch statistics are not decayed."""
    return jax.tree.map(lambda leaf: leaf.ndim >= 2, weights)
