"""Lie detectors: what an attribution must do if it tells what the network has learnt."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key
from scipy import stats

from wlbook.common import checks, random
from wlbook.network.layers import ChannelsLast, Dense, Flatten, Layers, ReLU, run
from wlbook.saliency.explain import Map, Maps, Model, Output, Stack, answers, direction, many, over_maps
from wlbook.saliency.relevance import walk


def randomized(model: eqx.Module, depth: int, *, key: Key[Array, ""]) -> eqx.Module:
    """The model with the weights of its last `depth` layers drawn anew, normal, with each layer's own spread.

    Layers are the model's weight arrays of two or more axes, in the order in which the model holds them; biases stay.
    The new weights of one layer are the same at every depth.
    """
    leaves, structure = jax.tree.flatten(model)
    places = [i for i, leaf in enumerate(leaves) if eqx.is_inexact_array(leaf) and leaf.ndim >= 2]
    allowed = f"0 <= depth <= {len(places)}, the model's layers with weights"
    checks.require(0 <= depth <= len(places), "depth", depth, allowed)
    for i in places[len(places) - depth :]:
        leaves[i] = leaves[i].std() * random.normal(jax.random.fold_in(key, i), leaves[i].shape)
    return jax.tree.unflatten(structure, leaves)


def rank_correlation(first: Stack, second: Stack) -> Float[np.ndarray, " map"]:
    """Spearman's rank correlation of the pixels of two maps, for each pair; 0 where a map is constant."""
    one, two = (stats.rankdata(maps.reshape(len(maps), -1), axis=1) for maps in (first, second))
    one, two = (ranks - ranks.mean(axis=1, keepdims=True) for ranks in (one, two))
    norm = np.sqrt((one**2).sum(axis=1) * (two**2).sum(axis=1))
    return np.divide((one * two).sum(axis=1), norm, out=np.zeros(len(norm)), where=norm > 0)


def completeness(
    saliency: Maps, model: Model, kappa: Maps, output: Output, *, baseline: Map | None = None
) -> Float[np.ndarray, " map"]:
    """What share of the output's rise above the baseline an attribution of many maps accounts for; 1 is complete."""
    maps, chosen = many(kappa, model, output)
    saliency = np.asarray(saliency, np.float64)
    checks.same_shape("saliency", saliency, maps.shape, "kappa's")
    start = np.zeros_like(maps[:1]) if baseline is None else np.asarray(baseline, np.float32)[None]
    rise = np.asarray(answers(model, maps, chosen)) - np.asarray(answers(model, start, chosen))
    return saliency.sum(axis=(1, 2, 3)) / rise


def explained(model: Any, kappa: Map, output: Output) -> Float[Array, ""]:
    """The number that relevance shares out: the explained output of the model's layers.

    For an `Estimator` that is the departure from the mean of the targets. Relevance that is conserved sums to it.
    """
    return direction(model, kappa, output) @ run(walk(model), jnp.asarray(kappa))


class _Pair(eqx.Module):
    """Layers in a row, as `linear_answer` asks about."""

    layers: Layers

    def __call__(self, kappa: Array) -> Array:
        return run(self.layers, kappa)


def linear_answer(method: Callable[..., Array], *, key: Key[Array, ""], **options: Any) -> dict[str, float]:
    """What a method says of a linear model: its answer is known, weight or weight times pixel.

    The model is w . kappa, written as relu(w . kappa) - relu(-w . kappa): a method that hangs on how a function is
    written, and not on the function, gives itself away. It is asked of 8 maps of white noise with 8 x 8 pixels. Found
    is the relative distance of the answers to "weights", and to "contributions" = weights times pixels: 0 is exact.
    """
    pixels = maps = 8
    drawn, shown, own = jax.random.split(key, 3)
    first, last = Dense(pixels**2, 2, key=drawn), Dense(2, 1, key=drawn)
    weight = first.weight[:, 0]
    first = eqx.tree_at(lambda one: one.weight, first, jnp.stack([weight, -weight], axis=1))
    last = eqx.tree_at(lambda one: one.weight, last, jnp.array([[1.0], [-1.0]]))
    model = _Pair((ChannelsLast(), Flatten(), first, ReLU(), last))
    kappa = np.asarray(jax.random.normal(shown, (maps, 1, pixels, pixels)))
    answer = over_maps(method, model, kappa, 0, key=own, **options)
    weights = np.broadcast_to(np.asarray(weight).reshape(1, 1, pixels, pixels), kappa.shape)
    truths = {"weights": weights, "contributions": weights * kappa}
    return {name: float(np.linalg.norm(answer - each) / np.linalg.norm(each)) for name, each in truths.items()}


def shuffled_labels(data: xr.Dataset, *, key: Key[Array, ""]) -> xr.Dataset:
    """The same maps with each other's cosmologies: there is nothing to be learnt from them (Adebayo et al. 2018).

    Data are as `maps.simulate` returns them; omega_m and sigma_8 stay together.
    """
    order = np.asarray(jax.random.permutation(key, data.sizes["map"]))
    return data.assign({name: ("map", data[name].to_numpy()[order]) for name in ("omega_m", "sigma_8")})
