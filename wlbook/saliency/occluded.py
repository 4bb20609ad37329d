"""A map with one of its squares covered, for every square: as images behind a network's first layers.

A layer that sees only its neighbourhood cannot tell whether squares farther away are covered too. So the first layers
are asked about many squares at once, far enough apart, and what each square changes is cut out of their answer. The
images are those that one square after the other gives, for a fraction of the work.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from wlbook.network import layers as nn
from wlbook.network.architectures import Network
from wlbook.network.layers import run, window
from wlbook.saliency.explain import each_of

Span = tuple[Int[np.ndarray, " square"], Int[np.ndarray, " square"]]  # along an axis, first and last pixel of each


def covered(
    model: Callable[[Any], Any], kappa: Float[Array, "bin y x"], start: Float[Array, "bin y x"], size: int
) -> tuple[Callable[[Any], Array], Callable[[Any], Any], int]:
    """The map with each square covered, as far into the model as squares can be asked about together.

    Only the layers of a `Network` are looked into. Covered pixels become those of `start`; `size`, the side of the
    squares [pixels], divides the map's sides. Returned are the image that belongs to a square's number, counted along
    rows (one number more covers nothing), what is left of the model, and how many squares there are.
    """
    layers = model.layers if isinstance(model, Network) and isinstance(model.layers[0], nn.ChannelsLast) else ()
    many = tuple(pixels // size for pixels in kappa.shape[1:])
    spans = [(size * np.arange(number), size * np.arange(number) + size - 1) for number in many]
    images = jnp.moveaxis(jnp.stack([start, kappa]), 1, -1)  # of the sets of squares covered together, then of none
    done, apart = 1, (1, 1)  # layers; squares that are in one set differ by a multiple of these
    for stage in _stages(layers[1:]):
        reach = [_reach(stage, *both) for both in zip(spans, images.shape[1:3], strict=True)]
        further = tuple(_period(span) for span in reach)
        if np.prod(further) >= np.prod(many):
            break
        origin = jnp.asarray(_origin(spans, apart, further, images.shape[1:3]))

        def through(number: Any, stage=stage, images=images, origin=origin) -> Array:
            return run(stage, _cut_out(images, origin[number]))

        images, spans, apart, done = each_of(through, len(origin)), reach, further, done + len(stage)
    origin = jnp.asarray(_origin(spans, apart, many, images.shape[1:3]))

    def shown(square: Any) -> Array:
        image = _cut_out(images, origin[square])
        return image if layers else jnp.moveaxis(image, -1, 0)

    return shown, (lambda image: run(layers[done:], image)) if layers else model, int(np.prod(many))


def _stages(layers: Sequence[Any]) -> list[list[Any]]:
    """The first layers that see only their neighbourhood, in groups that end with a smaller image: less to cut out."""
    stages: list[list[Any]] = [[]]
    smaller = False
    for layer in itertools.takewhile(_sees_its_neighbourhood, layers):
        if smaller and isinstance(layer, nn.Convolution | nn.Residual):
            stages.append([])
            smaller = False
        stages[-1].append(layer)
        smaller |= isinstance(layer, nn.AveragePool) or (isinstance(layer, nn.Convolution) and layer.stride > 1)
    return stages[:-1]  # the last group has no end


def _sees_its_neighbourhood(layer: Any) -> bool:
    if isinstance(layer, nn.Residual):
        return all(map(_sees_its_neighbourhood, layer.layers))
    return isinstance(layer, nn.Convolution | nn.AveragePool | nn.ReLU | nn.Affine | nn.BatchNorm | nn.Scale)


def _reach(layers: Sequence[Any], span: Span, pixels: int) -> Span:
    """The pixels behind some layers, along one axis, that each square can change."""
    first, last = span
    for layer in layers:
        if isinstance(layer, nn.Convolution):
            kernel = layer.weight.shape[0]
            out, before = window(pixels, kernel, layer.stride, layer.padding)
            first, last = -((kernel - 1 - before - first) // layer.stride), (last + before) // layer.stride
            first, last, pixels = np.maximum(first, 0), np.minimum(last, out - 1), out
        elif isinstance(layer, nn.AveragePool):
            pixels //= layer.size
            first, last = first // layer.size, np.minimum(last // layer.size, pixels - 1)
        elif isinstance(layer, nn.Residual):
            inner = _reach(layer.layers, (first, last), pixels)
            first, last = np.minimum(first, inner[0]), np.maximum(last, inner[1])
    return first, last


def _period(span: Span) -> int:
    """How far apart, counted in squares, two of them must be to change no pixel in common."""
    first, last = span
    return next(step for step in range(1, len(first) + 1) if (last[:-step] < first[step:]).all())


def _origin(
    spans: Sequence[Span], apart: tuple[int, ...], sets: tuple[int, ...], shape: tuple[int, ...]
) -> Int[np.ndarray, "set y x"]:
    """For sets of squares `sets` apart, and for none, which of the images of squares `apart` holds each pixel."""
    found = []
    for (first, last), near, far, pixels in zip(spans, apart, sets, shape, strict=True):
        along = np.full((far + 1, pixels), -1)
        for square in range(len(first)):
            along[square % far, first[square] : last[square] + 1] = square % near
        found.append(along)
    y, x = found
    y, x = y[:-1, None, :, None], x[None, :-1, None, :]
    which = np.where((y >= 0) & (x >= 0), y * apart[1] + x, np.prod(apart)).reshape(-1, *shape)
    return np.concatenate([which, np.full((1, *shape), np.prod(apart))])


def _cut_out(images: Float[Array, "image y x channel"], origin: Int[Array | np.ndarray, "*set y x"]) -> Array:
    """Images put together from the pixels of others."""
    y, x = np.ogrid[: images.shape[1], : images.shape[2]]
    return images[origin, y, x]
