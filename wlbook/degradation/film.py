"""A network that is told something with its map."""

import math
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from wlbook.network.architectures import Compact
from wlbook.network.layers import Beside, Convolution, Dense, GlobalAverage, Layers, ReLU, Residual, run

_INNER = 32  # length of the embedding


class Conditioned(eqx.Module):
    """`Compact`, each of whose stages is scaled and shifted by what the network is told (Perez et al. 2018, FiLM).

    It takes a map whose last bins are constant: what it is told.
    """

    base: Compact  # the network of the map
    embedding: Layers  # from what is told to a vector
    films: tuple[Dense, ...]  # from it to a scale and a shift of each channel behind a convolution, block or average
    told: int = eqx.field(static=True)  # how many numbers it is told

    def __init__(self, *, bins: int, told: int, width: int, ramps: int = 0, key: Key[Array, ""]):
        """Draw the initial weights; bins, width and ramps are those of `base`."""
        first, *others = jax.random.split(key, 20)
        keys = iter(others)
        self.base, self.told = Compact(bins=bins, width=width, ramps=ramps, key=first), told
        dense = Dense(told, _INNER, gain=math.sqrt(2), key=next(keys)), Dense(_INNER, _INNER, key=next(keys))
        self.embedding = (dense[0], ReLU(), dense[1], ReLU())
        stages = _stages(self.base.layers, bins)
        self.films = tuple(Dense(_INNER, 2 * channels, gain=0.1, key=next(keys)) for channels in stages)

    def __call__(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, " output"]:
        """Predict from one map with what is told behind it."""
        bins = self.base.bins
        if kappa.shape[0] != bins + self.told:
            raise ValueError(f"kappa has {kappa.shape[0]} bins: must be {bins} and the {self.told} numbers told")
        vector = run(self.embedding, jnp.asarray(kappa)[bins:, 0, 0])
        return _filmed(self.base.layers, kappa[:bins], iter(self.films), vector)


def _stages(layers: Layers, channels: int) -> list[int]:
    """The channels behind each stage, in order, of layers that are given this many."""
    found = []
    for layer in layers:
        if isinstance(layer, Beside):
            for branch in layer.branches:
                found += _stages(branch, channels)
        channels = layer.weight.shape[-1] if isinstance(layer, Convolution) else channels
        found += [channels] if isinstance(layer, Convolution | Residual | GlobalAverage) else []
    return found


def _filmed(layers: Layers, image: Any, films: Iterator[Dense], vector: Array) -> Any:
    """Apply layers in order, and behind each stage its scale and shift."""
    for layer in layers:
        if isinstance(layer, Beside):
            image = jnp.concatenate([_filmed(branch, image, films, vector) for branch in layer.branches])
            continue
        image = layer(image)
        if isinstance(layer, Convolution | Residual | GlobalAverage):
            scale, shift = jnp.split(next(films)(vector), 2)
            image = image * (1 + scale) + shift
    return image
