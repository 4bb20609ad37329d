"""Attribution by derivatives, plain and averaged: any model that JAX can differentiate."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key

from wlbook.common import checks
from wlbook.saliency.explain import Map, Model, Output, evaluating, scalar, start_of


def gradient(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """d output / d kappa: how the output answers to a small change of each pixel (Simonyan et al. 2014)."""
    return jax.grad(scalar(model, kappa, output))(jnp.asarray(kappa))


def input_x_gradient(model: Model, kappa: Map, output: Output) -> Float[Array, "bin y x"]:
    """kappa x d output / d kappa: to first order, what each pixel contributes (Shrikumar et al. 2017)."""
    return jnp.asarray(kappa) * gradient(model, kappa, output)


@evaluating(lambda shape, steps=32, **_: steps)
def integrated_gradients(
    model: Model, kappa: Map, output: Output, *, baseline: Map | None = None, steps: int = 32
) -> Float[Array, "bin y x"]:
    """(kappa - baseline) x mean gradient on the straight line between them (Sundararajan et al. 2017).

    The sum over pixels is output(kappa) - output(baseline), up to the error of the midpoint rule on `steps` points.
    """
    checks.at_least("steps", steps, 1)
    number, kappa = scalar(model, kappa, output), jnp.asarray(kappa)
    start = start_of(kappa, baseline)
    points = (jnp.arange(steps) + 0.5) / steps
    along = jax.vmap(lambda point: jax.grad(number)(start + point * (kappa - start)))(points)
    return (kappa - start) * along.mean(axis=0)


@evaluating(lambda shape, samples=32, **_: samples)
def expected_gradients(
    model: Model,
    kappa: Map,
    output: Output,
    *,
    baselines: Float[Array | np.ndarray, "..."],
    samples: int = 32,
    key: Key[Array, ""],
) -> Float[Array, "bin y x"]:
    """Integrated gradients from a set of maps instead of one baseline (Erion et al. 2021).

    Baselines [baseline, bin, y, x] stand for "any other map", and are used equally often. Each sample takes one of them
    and one point of the line to it: point k is drawn from the k-th part of the line, so that few samples are enough.
    The sum over pixels is output(kappa) less the mean output of the baselines, up to the error of the sampling.
    """
    checks.at_least("samples", samples, 1)
    if np.ndim(baselines) != 4 or np.shape(baselines)[1:] != np.shape(kappa) or not len(baselines):
        raise ValueError(f"baselines has shape {np.shape(baselines)}: must be [baseline, *{np.shape(kappa)}]")
    number, kappa = scalar(model, kappa, output), jnp.asarray(kappa)
    order, place = jax.random.split(key)
    whole = -(-samples // len(baselines))
    drawn = jnp.concatenate([jax.random.permutation(k, len(baselines)) for k in jax.random.split(order, whole)])
    points = (jnp.arange(samples) + jax.random.uniform(place, (samples,))) / samples
    starts = jnp.asarray(baselines)[drawn[:samples]]
    rise = jax.vmap(lambda start, point: (kappa - start) * jax.grad(number)(start + point * (kappa - start)))
    return rise(starts, points).mean(axis=0)


@evaluating(lambda shape, samples=32, **_: samples)
def smoothgrad(
    model: Model, kappa: Map, output: Output, *, sigma: float, samples: int = 32, key: Key[Array, ""]
) -> Float[Array, "bin y x"]:
    """The mean gradient over maps with white noise of `sigma` [units of kappa] added (Smilkov et al. 2017)."""
    return _noisy_gradients(model, kappa, output, sigma, samples, key).mean(axis=0)


@evaluating(lambda shape, samples=32, **_: samples)
def vargrad(
    model: Model, kappa: Map, output: Output, *, sigma: float, samples: int = 32, key: Key[Array, ""]
) -> Float[Array, "bin y x"]:
    """The variance of the gradient over maps with white noise added (Adebayo et al. 2018)."""
    return _noisy_gradients(model, kappa, output, sigma, samples, key).var(axis=0)


def _noisy_gradients(model: Model, kappa: Map, output: Output, sigma: Any, samples: int, key: Array) -> Array:
    checks.require(isinstance(sigma, Tracer) or sigma >= 0, "sigma", sigma, ">= 0, in units of kappa")
    checks.at_least("samples", samples, 1)
    number = scalar(model, kappa, output)
    noise = sigma * jax.random.normal(key, (samples, *np.shape(kappa)))
    return jax.vmap(jax.grad(number))(jnp.asarray(kappa) + noise)
