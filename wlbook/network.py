"""Convolutional networks from a convergence map to cosmological parameters.

A network is a tuple of small layers, applied in order to an image `[y, x, channel]` (channels last: on a CPU that is
the fast order). Whatever reads a network (the layer table, the receptive field, saliency rules) walks that tuple, so
nothing is written down twice.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key


class Convolution(eqx.Module):
    """A k x k convolution, zero-padded so that only the stride changes the image's size.

    He initialisation: variance 2 / fan-in keeps the signal's size through ReLU layers (He et al. 2015).
    """

    weight: Float[Array, "k k input output"]
    bias: Float[Array, " output"]
    stride: int = eqx.field(static=True)

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, gain: float = 1.0, key: Key[Array, ""]
    ):
        """Draw the weights; `gain` multiplies them."""
        scale = gain * math.sqrt(2.0 / (kernel * kernel * inputs))
        self.weight = scale * jax.random.normal(key, (kernel, kernel, inputs, outputs))
        self.bias = jnp.zeros(outputs)
        self.stride = stride

    def __call__(self, image: Float[Array, "y x input"]) -> Float[Array, "y2 x2 output"]:
        """Convolve one image."""
        strides = (self.stride, self.stride)
        order = ("NHWC", "HWIO", "NHWC")
        return (
            lax.conv_general_dilated(image[None], self.weight, strides, "SAME", dimension_numbers=order)[0] + self.bias
        )


class ChannelsLast(eqx.Module):
    """From the book's `[bin, y, x]` to the layers' `[y, x, channel]`."""

    def __call__(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, "y x bin"]:
        """Move the first axis to the end."""
        return jnp.moveaxis(kappa, 0, -1)


class Scale(eqx.Module):
    """A product with a constant, or with one constant for each entry of the last axis."""

    weight: Float[Array, "*outputs"]

    def __call__(self, image: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Multiply."""
        return self.weight * image


class ReLU(eqx.Module):
    """max(0, x): a layer of its own, so that a saliency rule can replace it."""

    def __call__(self, image: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
        """Clip from below."""
        return jax.nn.relu(image)


class AveragePool(eqx.Module):
    """The mean over squares of `size` pixels; a last row or column that fills no square is left out."""

    size: int = eqx.field(static=True)

    def __call__(self, image: Float[Array, "y x channel"]) -> Float[Array, "y2 x2 channel"]:
        """Pool one image."""
        y, x = (n // self.size for n in image.shape[:2])
        squares = image[: y * self.size, : x * self.size].reshape(y, self.size, x, self.size, -1)
        return squares.mean(axis=(1, 3))


class Residual(eqx.Module):
    """x + layers(x): the layers learn a correction (He et al. 2016)."""

    layers: tuple[Callable[[Any], Any], ...]

    def __call__(self, image: Float[Array, "y x channel"]) -> Float[Array, "y x channel"]:
        """Add the branch to its input."""
        return image + run(self.layers, image)


class GlobalAverage(eqx.Module):
    """The mean of every channel over the image: what remains is a statistic of the map, whatever the map's size."""

    def __call__(self, image: Float[Array, "y x channel"]) -> Float[Array, " channel"]:
        """Average one image."""
        return image.mean(axis=(0, 1))


class Dense(eqx.Module):
    """An affine map of a vector."""

    weight: Float[Array, "input output"]
    bias: Float[Array, " output"]

    def __init__(self, inputs: int, outputs: int, *, gain: float = 1.0, key: Key[Array, ""]):
        """Draw the weights with variance gain^2 / inputs."""
        self.weight = gain / math.sqrt(inputs) * jax.random.normal(key, (inputs, outputs))
        self.bias = jnp.zeros(outputs)

    def __call__(self, vector: Float[Array, " input"]) -> Float[Array, " output"]:
        """Multiply and shift."""
        return vector @ self.weight + self.bias


def run(layers: Sequence[Callable[[Any], Any]], image: Any) -> Any:
    """Apply layers in order."""
    for layer in layers:
        image = layer(image)
    return image


class Compact(eqx.Module):
    """A residual network small enough to be trained on a laptop while the reader waits.

    A 5 x 5 convolution of stride 2, then three stages of one widening convolution and one residual block, with 2 x 2
    average pools between them, a global average and a dense layer. No batch statistics: a map's output depends on
    that map alone. Any map of at least `smallest` pixels a side is accepted.
    """

    layers: tuple[Callable[[Any], Any], ...]
    bins: int = eqx.field(static=True)
    outputs: int = eqx.field(static=True)
    width: int = eqx.field(static=True)
    smallest: ClassVar[int] = 16

    def __init__(self, *, bins: int = 1, outputs: int = 2, width: int = 16, key: Key[Array, ""]):
        """Draw the initial weights.

        Args:
            bins: tomographic bins of a map, >= 1.
            outputs: numbers to predict, >= 1.
            width: channels of the first layer, 1 <= width <= 32; later stages have 2 and 4 times as many.
            key: of the initial weights.

        Raises:
            ValueError: naming the argument that is out of range.
        """
        for name, value, largest in (("bins", bins, 64), ("outputs", outputs, 1024), ("width", width, 32)):
            if not 1 <= value <= largest:
                raise ValueError(f"{name} = {value}: must be 1 <= {name} <= {largest}")
        keys = iter(jax.random.split(key, 10))
        self.bins, self.outputs, self.width = bins, outputs, width

        def block(channels: int) -> Residual:
            # The last convolution of a branch starts near zero, so that the network starts shallow and deepens.
            inner = Convolution(channels, channels, 3, key=next(keys))
            return Residual((inner, ReLU(), Convolution(channels, channels, 3, gain=0.1, key=next(keys))))

        self.layers = (
            ChannelsLast(),
            Convolution(bins, width, 5, stride=2, key=next(keys)),
            ReLU(),
            AveragePool(2),
            Convolution(width, 2 * width, 3, key=next(keys)),
            ReLU(),
            block(2 * width),
            ReLU(),
            AveragePool(2),
            Convolution(2 * width, 4 * width, 3, key=next(keys)),
            ReLU(),
            block(4 * width),
            ReLU(),
            GlobalAverage(),
            Dense(4 * width, outputs, gain=0.1, key=next(keys)),
        )

    def __call__(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, " output"]:
        """Predict from one map.

        Raises:
            ValueError: a map with another number of bins, or with fewer than `smallest` pixels a side.
        """
        if kappa.shape[0] != self.bins:
            raise ValueError(f"kappa has {kappa.shape[0]} bins: this network was made for bins = {self.bins}")
        if min(kappa.shape[1:]) < self.smallest:
            raise ValueError(f"kappa is {kappa.shape[1]} x {kappa.shape[2]} pixels: must be >= {self.smallest} a side")
        return run(self.layers, kappa)


NETWORKS = {"Compact": Compact}


def make(architecture: str, *, key: Key[Array, ""], **arguments) -> eqx.Module:
    """A network by name, as profiles and saved weights name it.

    Raises:
        ValueError: no network of that name.
    """
    if architecture not in NETWORKS:
        raise ValueError(f'architecture = "{architecture}": must be one of {", ".join(NETWORKS)}')
    return NETWORKS[architecture](key=key, **arguments)


def count_weights(model: eqx.Module) -> int:
    """How many trainable numbers a model holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


def weights(model: eqx.Module) -> dict[str, np.ndarray]:
    """The weights as named arrays, `layers[0].weight` and so on, so that any other framework can rebuild the model.

    Convolutions are `[y, x, input, output]` (cross-correlation, zero padding), dense layers `[input, output]`.
    """
    leaves, _ = jax.tree.flatten_with_path(eqx.filter(model, eqx.is_inexact_array))
    return {jax.tree_util.keystr(path).lstrip("."): np.asarray(leaf) for path, leaf in leaves}


@dataclass(frozen=True)
class Row:
    """One line of a network's layer table.

    Attributes:
        kind: class of the layer.
        text: what to write beside it, for example `3 x 3, 32`.
        depth: 0 for the trunk, 1 inside a residual block.
        shape: of the layer's output, `(y, x, channel)` or `(channel,)`.
        weights: trainable numbers.
        receptive_field: side of the square of input pixels that one output pixel sees [pixels]; -1 is the whole map.
        step: distance of neighbouring output pixels [input pixels].
    """

    kind: str
    text: str
    depth: int
    shape: tuple[int, ...]
    weights: int
    receptive_field: int
    step: int


def table(model: eqx.Module, pixels: int) -> list[Row]:
    """What each layer does to a map of `pixels` x `pixels`, read from the model itself.

    Args:
        model: any network of this module.
        pixels: side of the map [pixels].

    Raises:
        ValueError: a layer that has no entry here.
    """
    bins = getattr(model, "bins", 1)
    layers: Any = model.layers  # pyright: ignore[reportAttributeAccessIssue]
    rows, _, _, _ = _walk(layers, (bins, pixels, pixels), 1, 1, 0)
    return rows


def receptive_field(model: eqx.Module) -> int:
    """Side of the square of input pixels that one pixel sees just before the global average [pixels]."""
    return max(row.receptive_field for row in table(model, 64))


def effective_field(
    layers: Sequence[Callable[[Any], Any]], kappa: Float[Array | np.ndarray, "map bin y x"], share: float = 0.9
) -> int:
    """Side of the smallest centred square that holds `share` of a pixel's squared sensitivity, over maps [pixels].

    Args:
        layers: the first layers of a network, ending in an image.
        kappa: maps as the network is shown them; the pixel looked at is the one in the middle.
        share: 0 < share < 1.

    Raises:
        ValueError: a share out of range.
    """
    if not 0 < share < 1:
        raise ValueError(f"share = {share}: must be > 0 and < 1")

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
) -> tuple[list[Row], tuple[int, ...], int, int]:
    """The rows of `layers`, with the shape, receptive field and step behind the last of them."""
    rows = []
    for layer in layers:
        kind, text, inner = type(layer).__name__, "", []
        if isinstance(layer, Convolution):
            kernel, _, _, outputs = layer.weight.shape
            text = f"{kernel} x {kernel}, {outputs}" + (f", stride {layer.stride}" if layer.stride > 1 else "")
            field, step = field + (kernel - 1) * step, step * layer.stride
        elif isinstance(layer, AveragePool):
            text = f"{layer.size} x {layer.size}"
            field, step = field + (layer.size - 1) * step, step * layer.size
        elif isinstance(layer, Residual):
            inner, _, field, _ = _walk(layer.layers, shape, field, step, depth + 1)
        elif isinstance(layer, GlobalAverage):
            field = -1
        elif isinstance(layer, Dense):
            text = f"{layer.weight.shape[0]} to {layer.weight.shape[1]}"
        elif not isinstance(layer, ReLU | ChannelsLast | Scale):
            raise ValueError(f"layer {kind}: its receptive field is not known to network.table")
        shape = eqx.filter_eval_shape(layer, jax.ShapeDtypeStruct(shape, jnp.float32)).shape  # pyright: ignore
        own = 0 if inner else count_weights(layer)
        rows += [*inner, Row(kind, text, depth, shape, own, field, step)]
    return rows, shape, field, step
