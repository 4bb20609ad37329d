"""The layers that networks are made of: each one small, and open to whoever wants to look inside.

An image is `[y, x, channel]` (channels last: on a CPU that is the fast order). A layer takes one image; a batch is
`jax.vmap`. Weights may be cast to bfloat16 for speed: means over images and over a batch are taken in float32 all the
same.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Key

from wlbook.common import random

_FEW = 16  # inputs times the pixels of a stride's square
BATCH_AXIS = "batch"  # the name of the vmapped axis over which BatchNorm takes its statistics
MOMENTUM, EPSILON = 0.99, 1e-3  # of BatchNorm: the share of a running mean that one step keeps; added to a variance

Layers = tuple[Callable[[Any], Any], ...]


class Convolution(eqx.Module):
    """A k x k convolution: zero-padded, so that only the stride changes the image's size, or valid.

    He initialisation: variance 2 / fan-in keeps the signal's size through ReLU layers (He et al. 2015).
    """

    weight: Float[Array, "k k input output"]
    bias: Float[Array, " output"]
    stride: int = eqx.field(static=True)
    padding: str = eqx.field(static=True)

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        gain: float = 1.0,
        padding: str = "SAME",
        key: Key[Array, ""],
    ):
        """Draw the weights; `gain` multiplies them; `padding` is "SAME" or "VALID"."""
        scale = gain * math.sqrt(2.0 / (kernel * kernel * inputs))
        self.weight = jnp.asarray(scale * random.normal(key, (kernel, kernel, inputs, outputs)))
        self.bias = _zeros(outputs)
        self.stride, self.padding = stride, padding

    def __call__(self, image: Float[Array, "y x input"]) -> Float[Array, "y2 x2 output"]:
        """Convolve one image."""
        few = self.stride > 1 and self.weight.shape[2] * self.stride**2 <= _FEW
        convolve = _convolve_few if few else _convolve
        return convolve(image, self.weight, self.stride, self.padding) + self.bias


def _convolve(image: Array, weight: Array, stride: int, padding: str) -> Array:
    order = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(image[None], weight, (stride, stride), padding, dimension_numbers=order)[0]


@functools.partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _convolve_few(image: Array, weight: Array, stride: int, padding: str) -> Array:
    """`_convolve` for a stride that meets few inputs, with another way to the gradient with respect to the image.

    XLA takes three times as long for that gradient as `_product` does; for the convolution itself and for the weight's
    gradient `_product` is the slower. So each takes its own way.
    """
    return _convolve(image, weight, stride, padding)


def _change(stride: int, padding: str, values: tuple[Array, Array], changes: tuple[Any, Any]) -> tuple[Array, Array]:
    image, weight = values
    by_image, by_weight = changes
    out = _convolve(image, weight, stride, padding)
    total = jnp.zeros_like(out)
    if not isinstance(by_image, jax.custom_derivatives.SymbolicZero):
        total = total + _product(by_image, weight, stride, padding)
    if not isinstance(by_weight, jax.custom_derivatives.SymbolicZero):
        total = total + _convolve(image, by_weight, stride, padding)
    return out, total


_convolve_few.defjvp(_change, symbolic_zeros=True)


def window(pixels: int, kernel: int, stride: int, padding: str) -> tuple[int, int]:
    """How many pixels a side comes out of a convolution, and how many are added before the first that goes in."""
    if padding == "VALID":
        return (pixels - kernel) // stride + 1, 0
    out = -(-pixels // stride)
    return out, max((out - 1) * stride + kernel - pixels, 0) // 2


def _product(image: Array, weight: Array, stride: int, padding: str) -> Array:
    """A convolution as one product: squares of stride x stride pixels become channels, neighbours a longer row."""
    kernel, _, inputs, outputs = weight.shape
    squares = -(-kernel // stride)  # along a side, that a kernel meets

    def edges(pixels: int) -> tuple[int, int, int]:  # what comes out, and what to add before and after
        out, before = window(pixels, kernel, stride, padding)
        return out, before, stride * (out + squares - 1) - pixels - before

    # Squares become channels: [row, y, column, x, input] to [row, column, y x input].
    (y, top, bottom), (x, left, right) = (edges(pixels) for pixels in image.shape[:2])
    image = lax.pad(image, jnp.zeros((), image.dtype), [(top, bottom, 0), (left, right, 0), (0, 0, 0)])
    image = image.reshape(y + squares - 1, stride, x + squares - 1, stride, inputs)
    image = image.transpose(0, 2, 1, 3, 4).reshape(y + squares - 1, x + squares - 1, -1)
    # All squares that a kernel meets, side by side: one row of the product for each pixel that comes out.
    patches = [image[a : a + y, b : b + x] for a in range(squares) for b in range(squares)]
    # The kernel, filled up to whole squares, in the same order: [square row, square column, y, x, input] by output.
    more = squares * stride - kernel
    weight = jnp.pad(weight, ((0, more), (0, more), (0, 0), (0, 0)))
    weight = weight.reshape(squares, stride, squares, stride, inputs, outputs).transpose(0, 2, 1, 3, 4, 5)
    return jnp.concatenate(patches, axis=-1) @ weight.reshape(-1, outputs)


class BatchNorm(eqx.Module):
    """Every channel standardised over the batch, then scaled and shifted (Ioffe & Szegedy 2015).

    Training uses the batch's own mean and variance, and keeps a running mean of both as Equinox state. Afterwards
    `frozen` turns the layer into an `Affine` one: a map's answer then depends on that map alone.
    """

    weight: Float[Array, " channel"]
    bias: Float[Array, " channel"]
    statistics: eqx.nn.StateIndex

    def __init__(self, channels: int):
        """Start with mean 0 and variance 1."""
        self.weight, self.bias = jnp.ones(channels), jnp.zeros(channels)
        self.statistics = eqx.nn.StateIndex((jnp.zeros(channels), jnp.ones(channels)))

    def __call__(self, image: Float[Array, "y x channel"]) -> Float[Array, "y x channel"]:
        """Standardise with the initial statistics: what an untrained network does."""
        return self._affine(self.statistics.init)(image)

    def learn(
        self, image: Float[Array, "y x channel"], state: eqx.nn.State
    ) -> tuple[Float[Array, "y x channel"], eqx.nn.State]:
        """Standardise one image of a batch, under `jax.vmap(..., axis_name=BATCH_AXIS)`."""
        full = image.astype(jnp.float32)
        mean = lax.pmean(full.mean(axis=(0, 1)), BATCH_AXIS)
        variance = lax.pmean(((full - mean) ** 2).mean(axis=(0, 1)), BATCH_AXIS)
        kept = [
            MOMENTUM * old + (1 - MOMENTUM) * lax.stop_gradient(new)
            for old, new in zip(state.get(self.statistics), (mean, variance), strict=True)
        ]
        out = self._affine((mean, variance))(full).astype(image.dtype)
        return out, state.set(self.statistics, tuple(kept))

    def frozen(self, state: eqx.nn.State) -> "Affine":
        """The layer with its running statistics, for good."""
        return self._affine(state.get(self.statistics))

    def _affine(self, statistics: Any) -> "Affine":
        mean, variance = statistics
        weight = self.weight / jnp.sqrt(variance + EPSILON)
        return Affine(weight, self.bias - mean * weight)


class Affine(eqx.Module):
    """A product with one constant for each channel, and a shift."""

    weight: Float[Array, " channel"]
    bias: Float[Array, " channel"]

    def __call__(self, image: Float[Array, "y x channel"]) -> Float[Array, "y x channel"]:
        """Scale and shift one image."""
        return image * self.weight + self.bias


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


class First(eqx.Module):
    """The first `number` entries of a vector: the means of a network that also predicts how sure it is."""

    number: int = eqx.field(static=True)

    def __call__(self, vector: Float[Array, " output"]) -> Float[Array, " number"]:
        """Leave the rest out."""
        return vector[: self.number]


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

    layers: Layers

    def __call__(self, image: Float[Array, "y x channel"]) -> Float[Array, "y x channel"]:
        """Add the branch to its input."""
        return image + run(self.layers, image)


class Beside(eqx.Module):
    """Branches that are all given the same, and whose vectors are put in a row; a branch of no layers hands it on."""

    branches: tuple[Layers, ...]

    def __call__(self, image: Float[Array, "*shape"]) -> Float[Array, " feature"]:
        """Run all branches."""
        return jnp.concatenate([run(branch, image) for branch in self.branches])


class GlobalAverage(eqx.Module):
    """The mean of every channel over the image: what remains is a statistic of the map, whatever the map's size."""

    def __call__(self, image: Float[Array, "y x channel"]) -> Float[Array, " channel"]:
        """Average one image."""
        return image.astype(jnp.float32).mean(axis=(0, 1))


class Flatten(eqx.Module):
    """All pixels of all channels in a row: what follows knows where things are, and fits one size of map only."""

    def __call__(self, image: Float[Array, "y x channel"]) -> Float[Array, " feature"]:
        """Reshape one image."""
        return image.astype(jnp.float32).reshape(-1)


class Dense(eqx.Module):
    """An affine map of a vector."""

    weight: Float[Array, "input output"]
    bias: Float[Array, " output"]

    def __init__(self, inputs: int, outputs: int, *, gain: float = 1.0, key: Key[Array, ""]):
        """Draw the weights with variance gain^2 / inputs."""
        self.weight = jnp.asarray(gain / math.sqrt(inputs) * random.normal(key, (inputs, outputs)))
        self.bias = _zeros(outputs)

    def __call__(self, vector: Float[Array, " input"]) -> Float[Array, " output"]:
        """Multiply and shift."""
        return vector @ self.weight.astype(vector.dtype) + self.bias


def _zeros(number: int) -> Array:
    return jnp.asarray(np.zeros(number, np.float32))  # jnp.zeros is compiled anew for each number


def run(layers: Sequence[Callable[[Any], Any]], image: Any) -> Any:
    """Apply layers in order."""
    for layer in layers:
        image = layer(image)
    return image
