"""What a network is made of: its weights by name, its layers as a table, how far it sees."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wlbook.common import checks
from wlbook.network import layers as nn
from wlbook.network.layers import run


def count_weights(model: eqx.Module) -> int:
    """How many trainable numbers a model holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(_trainable(model)))


def weights(model: eqx.Module) -> dict[str, np.ndarray]:
    """The weights as named arrays, `layers[0].weight` and so on, so that any other framework can rebuild the model.

    Convolutions are `[y, x, input, output]` (cross-correlation, zero padding), dense layers `[input, output]`.
    """
    leaves, _ = jax.tree.flatten_with_path(_trainable(model))
    return {jax.tree_util.keystr(path).lstrip("."): np.asarray(leaf) for path, leaf in leaves}


def _trainable(model: Any) -> Any:
    return eqx.filter(eqx.nn.delete_init_state(model), eqx.is_inexact_array)


@dataclass(frozen=True)
class LayerSummary:
    """One line of a network's layer table."""

    kind: str  # class of the layer
    text: str  # what to write beside it, for example `3 x 3, 32`
    depth: int  # 0 for the trunk, 1 inside a residual block or a branch
    shape: tuple[int, ...]  # of the layer's output, `(y, x, channel)` or `(channel,)`
    weights: int  # trainable numbers
    receptive_field: int  # side of the square of input pixels that one output pixel sees [pixels]; -1: the whole map
    step: int  # distance of neighbouring output pixels [input pixels]


def table(model: eqx.Module, pixels: int) -> list[LayerSummary]:
    """What each layer does to a map of `pixels` x `pixels`, read from the model itself."""
    layers: Any = model.layers  # pyright: ignore[reportAttributeAccessIssue]
    return _walk(layers, (getattr(model, "bins", 1), pixels, pixels), 1, 1, 0)[0]


def receptive_field(model: eqx.Module) -> int:
    """Side of the square of input pixels that one pixel sees in the last image of the network [pixels]."""
    return max(row.receptive_field for row in table(model, getattr(model, "pixels", 64)))


def effective_field(
    layers: Sequence[Callable[[Any], Any]], kappa: Float[Array | np.ndarray, "map bin y x"], share: float = 0.9
) -> int:
    """Side of the smallest centred square that holds `share` of a pixel's squared sensitivity, over maps [pixels].

    Layers are the first ones of a network, ending in an image; the pixel looked at is the one in the middle of maps as
    the network is shown them; 0 < share < 1.
    """
    checks.within("share", share, 0, 1)

    @jax.jit
    @jax.vmap
    def sensitivity(kappa: Array, signs: Array) -> Array:
        def middle(kappa: Array) -> Array:
            image = run(layers, kappa)
            return signs @ image[image.shape[0] // 2, image.shape[1] // 2]

        return jax.grad(middle)(kappa) ** 2

    channels = eqx.filter_eval_shape(run, tuple(layers), jnp.asarray(kappa[0])).shape[-1]
    # Channels are mixed with random signs: the mean square over maps is then the sum over channels.
    signs = jax.random.rademacher(jax.random.key(0), (len(kappa), channels), jnp.float32)
    squared = np.asarray(sensitivity(jnp.asarray(kappa), signs)).sum(axis=(0, 1))
    y, x = (np.arange(n) + 0.5 for n in squared.shape)
    seen = squared > 0
    # Pixels of a strided layer sit between input pixels: the centre is that of the sensitivity itself.
    middle = [(squared.sum(axis=1 - axis) * (y, x)[axis]).sum() / squared.sum() for axis in (0, 1)]
    distance = np.maximum(np.abs(y - middle[0])[:, None], np.abs(x - middle[1])[None, :])
    order = np.argsort(distance[seen])
    held = np.cumsum(squared[seen][order]) / squared.sum()
    return round(2 * float(distance[seen][order][np.searchsorted(held, share)]) + 1)


def _walk(
    layers: Sequence[Any], shape: tuple[int, ...], field: int, step: int, depth: int
) -> tuple[list[LayerSummary], tuple[int, ...], int, int]:
    """The rows of `layers`, with the shape, receptive field and step behind the last of them."""
    rows = []
    for layer in layers:
        kind, text, inner = type(layer).__name__, "", []
        if isinstance(layer, nn.Convolution):
            kernel, _, _, outputs = layer.weight.shape
            text = f"{kernel} x {kernel}, {outputs}" + (f", stride {layer.stride}" if layer.stride > 1 else "")
            field, step = field + (kernel - 1) * step, step * layer.stride
        elif isinstance(layer, nn.AveragePool):
            text = f"{layer.size} x {layer.size}"
            field, step = field + (layer.size - 1) * step, step * layer.size
        elif isinstance(layer, nn.Residual):
            inner, _, field, _ = _walk(layer.layers, shape, field, step, depth + 1)
        elif isinstance(layer, nn.Beside):
            inner = [row for branch in layer.branches for row in _walk(branch, shape, field, step, depth + 1)[0]]
            field = -1
        elif isinstance(layer, nn.GlobalAverage | nn.Flatten):
            field = -1
        elif isinstance(layer, nn.Dense):
            text = f"{layer.weight.shape[0]} to {layer.weight.shape[1]}"
        elif not isinstance(layer, nn.ReLU | nn.ChannelsLast | nn.Scale | nn.BatchNorm | nn.Affine | nn.First):
            raise ValueError(f"layer {kind}: its receptive field is not known to network.table")
        shape = eqx.filter_eval_shape(layer, jax.ShapeDtypeStruct(shape, jnp.float32)).shape  # pyright: ignore
        own = 0 if inner else count_weights(layer)
        rows += [*inner, LayerSummary(kind, text, depth, shape, own, field, step)]
    return rows, shape, field, step
