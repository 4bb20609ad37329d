"""Ranges of kappa: which heights of a map are kept."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from wlbook.common import checks
from wlbook.degradation.arguments import Fill, Maps, MaybeKey, Number, Units, check_rising


def keep_kappa(
    kappa: Maps, low: Number, high: Number, *, units: Units = "sigma", fill: Fill = "mean", key: MaybeKey = None
) -> Maps:
    """Keep the pixels with low <= value < high and fill the others.

    Args:
        low, high: ends, which rise; may be -inf and inf.
        units: "sigma": (kappa - mean) / sigma, both measured on each bin of each map; "kappa": kappa itself.
        fill: "mean" of the bin before the cut, or "histogram": values drawn from the pixels that are kept, so that
            a removed pixel cannot be told by its value (a hole is itself a signal).
        key: for "histogram".
    """
    return _fill(kappa, _inside(kappa, low, high, units), fill, key)


def remove_kappa(
    kappa: Maps, low: Number, high: Number, *, units: Units = "sigma", fill: Fill = "mean", key: MaybeKey = None
) -> Maps:
    """Fill the pixels with low <= value < high and keep the others: the complement of `keep_kappa`, which see."""
    return _fill(kappa, ~_inside(kappa, low, high, units), fill, key)


@jax.jit
def gaussianize(kappa: Maps) -> Maps:
    """Replace every pixel by the Gaussian quantile of its rank: a Gaussian histogram, the same order of pixels.

    Mean and variance of each bin of each map are kept, equal pixels stay equal (Weinberg 1992, MNRAS 254, 315).
    """
    flat = kappa.reshape(-1, kappa.shape[-2] * kappa.shape[-1])

    def quantiles(values: Float[Array, " n"]) -> Float[Array, " n"]:
        ordered = jnp.sort(values)
        rank = jnp.searchsorted(ordered, values, side="left") + jnp.searchsorted(ordered, values, side="right")
        return jax.scipy.special.ndtri((0.5 * rank / values.size).astype(values.dtype))

    normal = jax.vmap(quantiles)(flat).reshape(kappa.shape)
    normal = normal - normal.mean((-2, -1), keepdims=True)
    spread = normal.std((-2, -1), keepdims=True)
    scale = jnp.where(spread > 0, kappa.std((-2, -1), keepdims=True) / jnp.where(spread > 0, spread, 1), 0)
    return kappa.mean((-2, -1), keepdims=True) + scale * normal


def _inside(kappa: Maps, low: Number, high: Number, units: str) -> Bool[Array, "*batch bin y x"]:
    checks.one_of("units", units, Units)
    check_rising(low, high)
    return _between(kappa, low, high, units=units)


@functools.partial(jax.jit, static_argnames="units")
def _between(kappa: Maps, low: Number, high: Number, *, units: str) -> Bool[Array, "*batch bin y x"]:
    def edge(value: Number) -> Float[Array, "..."]:
        mean, sigma = kappa.mean((-2, -1), keepdims=True), kappa.std((-2, -1), keepdims=True)
        finite = jnp.where(jnp.isinf(value), 0.0, value)  # inf times the sigma of an empty bin is no number
        return jnp.where(jnp.isinf(value), value, mean + finite * sigma)

    if units == "kappa":
        return (kappa >= low) & (kappa < high)
    return (kappa >= edge(low)) & (kappa < edge(high))


def _fill(kappa: Maps, kept: Bool[Array, "*batch bin y x"], fill: str, key: MaybeKey) -> Maps:
    checks.one_of("fill", fill, Fill)
    if fill == "mean":
        return jnp.where(kept, kappa, kappa.mean((-2, -1), keepdims=True))
    if key is None:
        raise ValueError('key = None: fill = "histogram" draws random values, so a key must be given')
    return _fill_at_random(kappa, kept, key)


@jax.jit
def _fill_at_random(kappa: Maps, kept: Bool[Array, "*batch bin y x"], key: Key[Array, ""]) -> Maps:
    shape = (*kappa.shape[:-2], kappa.shape[-2] * kappa.shape[-1])
    flags = kept.reshape(shape)
    count = flags.sum(-1, keepdims=True)
    # kept pixels first: a random index below their number is a random kept pixel
    first = jnp.argsort(~flags, axis=-1, stable=True)
    drawn = jnp.minimum((jax.random.uniform(key, shape) * count).astype(int), jnp.maximum(count - 1, 0))
    values = jnp.take_along_axis(kappa.reshape(shape), jnp.take_along_axis(first, drawn, -1), -1).reshape(kappa.shape)
    mean = kappa.mean((-2, -1), keepdims=True)
    return jnp.where(kept, kappa, jnp.where(count[..., None] > 0, values, mean))
