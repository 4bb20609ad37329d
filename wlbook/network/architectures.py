"""Convolutional networks from a convergence map to cosmological parameters.

A network is a tuple of small layers (`wlbook.network.layers`), applied in order. Whatever reads a network (the layer
table, the receptive field, saliency rules) walks that tuple, so nothing is written down twice. All networks are called
alike, with one map `[bin, y, x]`, and answer with one vector; `vmap` makes that a batch.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from wlbook.common import checks, extras
from wlbook.network import layers as nn


class Network(eqx.Module):
    """Layers in a row, and the maps that they take."""

    layers: nn.Layers  # from a map `[bin, y, x]` to a vector
    bins: int = eqx.field(static=True)  # tomographic bins of a map
    outputs: int = eqx.field(static=True)  # length of the answer
    width: int = eqx.field(static=True)  # channels of the first layer
    widest: ClassVar[int]

    def __call__(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, " output"]:
        """Predict from one map."""
        if kappa.shape[0] != self.bins:
            raise ValueError(f"kappa has {kappa.shape[0]} bins: this network was made for bins = {self.bins}")
        self.check_pixels(kappa.shape[1], kappa.shape[2])
        return nn.run(self.layers, kappa)

    @property
    def smallest(self) -> int:
        """Side of the smallest maps that the layers do not use up [pixels]."""
        return 16

    def check_pixels(self, y: int, x: int) -> None:
        """Raise ValueError if maps of this size do not fit."""
        if min(y, x) < self.smallest:
            raise ValueError(f"kappa is {y} x {x} pixels: must be >= {self.smallest} a side for this network")

    def _settle(self, *, bins: int, outputs: int, width: int) -> None:
        for name, value, most in (("bins", bins, 64), ("outputs", outputs, 1024), ("width", width, self.widest)):
            checks.require(1 <= value <= most, name, value, f"1 <= {name} <= {most}")
        self.bins, self.outputs, self.width = bins, outputs, width


class Compact(Network):
    """A residual network small enough to be trained on a laptop while the reader waits.

    A 5 x 5 convolution of stride 2, then two stages of one widening convolution and one residual block, with 2 x 2
    average pools between them, a global average and a dense layer. No batch statistics: a map's output depends on
    that map alone. Any map of 16 pixels a side or more is accepted.

    The first convolution mixes pixels before anything non-linear is done to them, and so reads single pixels badly.
    With `ramps` each pixel is first looked at alone: a layer of ramps, each rising from its own height upwards or
    downwards. The averages of the ramps tell the histogram. They are handed to the end beside what the convolutions
    find, and there a hidden layer weighs both.
    """

    ramps: int = eqx.field(static=True)
    widest: ClassVar[int] = 32

    def __init__(self, *, bins: int = 1, outputs: int = 2, width: int = 16, ramps: int = 0, key: Key[Array, ""]):
        """Draw the initial weights.

        Args:
            bins, outputs: tomographic bins of a map, 1 to 64; numbers to predict, 1 to 1024.
            width: channels of the first wide layer, 1 <= width <= 32; later stages have 2 and 4 times as many.
            ramps: for each bin, 0 <= ramps <= 32; their heights start from -2 to 3 in what the network is shown
                (standard deviations of the maps), and learn like all else. 0 is no such layer.
        """
        self._settle(bins=bins, outputs=outputs, width=width)
        checks.require(0 <= ramps <= 32, "ramps", ramps, "0 <= ramps <= 32")
        self.ramps = ramps
        keys = iter(jax.random.split(key, 10))
        spatial: list[Any] = [nn.Convolution(bins * max(1, ramps), width, 5, stride=2, key=next(keys)), nn.ReLU()]
        for inputs in (width, 2 * width):
            spatial += [nn.AveragePool(2), nn.Convolution(inputs, 2 * inputs, 3, key=next(keys)), nn.ReLU()]
            spatial += [_block(2 * inputs, 3, keys), nn.ReLU()]
        spatial.append(nn.GlobalAverage())
        if ramps:
            features = 4 * width + bins * ramps
            both = nn.Beside((tuple(spatial), (nn.GlobalAverage(),)))
            # What the hidden layer sees also goes around it: should its ReLUs die, a linear network is left.
            hidden = nn.Beside(((nn.Dense(features, 64, gain=math.sqrt(2), key=next(keys)), nn.ReLU()), ()))
            last = nn.Dense(64 + features, outputs, gain=0.1, key=next(keys))
            self.layers = (nn.ChannelsLast(), _ramps(bins, ramps), nn.ReLU(), both, hidden, last)
        else:
            self.layers = (nn.ChannelsLast(), *spatial, nn.Dense(4 * width, outputs, gain=0.1, key=next(keys)))


class Ribli18(Network):
    """The network of paper A's lineage (Ribli et al. 2019): 18 valid convolutions, 8,319,650 weights for 512^2 maps.

    Six blocks of two to five convolutions with 2 x 2 average pools between them, a global average and a dense layer.
    Each convolution is followed by batch normalisation and a ReLU, the last by a ReLU only. Valid convolutions use a
    small map up before the end: whole blocks are then left out from behind, and `left_out` says how many
    convolutions that is (none from 348 pixels on, 11 at 64). With blocks left out it is another, shallower network.
    """

    pixels: int = eqx.field(static=True)
    widest: ClassVar[int] = 64
    # (kernel, channels in units of the first layer's) of every convolution, block by block
    blocks: ClassVar[tuple[tuple[tuple[int, int], ...], ...]] = (
        ((3, 1), (3, 1)),
        ((3, 2), (3, 2)),
        ((3, 4), (1, 2), (3, 4)),
        ((3, 8), (1, 4), (3, 8)),
        ((3, 16), (1, 8), (3, 16)),
        ((3, 16), (1, 8), (3, 16), (1, 8), (3, 16)),
    )

    def __init__(self, *, bins: int = 1, outputs: int = 2, width: int = 32, pixels: int = 512, key: Key[Array, ""]):
        """Draw the initial weights.

        The first layer has 1 <= width <= 64 channels, in the paper 32; the side of the maps, pixels >= 5, decides how
        many blocks fit, and larger maps are accepted too. Bins and outputs are as in `Compact`.
        """
        self._settle(bins=bins, outputs=outputs, width=width)
        kept = [number for number in range(1, len(self.blocks) + 1) if self._smallest(number) <= pixels]
        checks.at_least("pixels", pixels, self._smallest(1))
        self.pixels = pixels
        layers: list[Any] = [nn.ChannelsLast()]
        channels = bins
        for number, block in enumerate(self.blocks[: kept[-1]]):
            layers += [nn.AveragePool(2)] if number else []
            for kernel, units in block:
                key, mine = jax.random.split(key)
                layers.append(nn.Convolution(channels, units * width, kernel, padding="VALID", key=mine))
                channels = units * width
                layers += [nn.BatchNorm(channels), nn.ReLU()]
        del layers[-2]  # the last convolution goes without
        self.layers = (*layers, nn.GlobalAverage(), nn.Dense(channels, outputs, key=key))

    @property
    def left_out(self) -> int:
        """How many of the 18 convolutions these maps are too small for."""
        made = sum(isinstance(layer, nn.Convolution) for layer in self.layers)
        return sum(len(block) for block in self.blocks) - made

    @property
    def smallest(self) -> int:
        """Side of the smallest maps that the convolutions do not use up [pixels]."""
        return self._smallest(1 + sum(isinstance(layer, nn.AveragePool) for layer in self.layers))

    @classmethod
    def _smallest(cls, number: int) -> int:
        """Side of the smallest map for the first `number` blocks [pixels]."""
        side = 1
        for index, block in reversed(list(enumerate(cls.blocks[:number]))):
            side += sum(kernel - 1 for kernel, _ in block)
            side *= 2 if index else 1
        return side


class DeepLSS(Network):
    """The network of paper B (Kacprzak & Fluri 2022): wide residual blocks on a few pixels, for tomographic bins.

    Four 5 x 5 convolutions of stride 2, ten residual blocks of two 5 x 5 convolutions each, no normalisation, and a
    dense layer on all that is left of the image. It answers with the means of n parameters and the n (n + 1) / 2
    entries of the Cholesky factor of their precision (see `losses.likelihood`).
    """

    pixels: int = eqx.field(static=True)
    depth: int = eqx.field(static=True)
    widest: ClassVar[int] = 256

    def __init__(
        self,
        *,
        bins: int = 4,
        outputs: int = 5,
        width: int = 128,
        pixels: int = 64,
        depth: int = 10,
        key: Key[Array, ""],
    ):
        """Draw the initial weights.

        Every convolution has 1 <= width <= 256 channels, in the paper 128; there are depth >= 0 residual blocks, in the
        paper 10; maps have a side of pixels >= 16. Bins are as in `Compact`; outputs are n + n (n + 1) / 2 for n
        parameters.
        """
        self._settle(bins=bins, outputs=outputs, width=width)
        checks.at_least("pixels", pixels, 16)
        checks.at_least("depth", depth, 0)
        self.pixels, self.depth = pixels, depth
        keys = iter(jax.random.split(key, 5 + 2 * depth))
        layers: list[Any] = [nn.ChannelsLast()]
        for inputs in (bins, width, width, width):
            layers += [nn.Convolution(inputs, width, 5, stride=2, key=next(keys)), nn.ReLU()]
        for _ in range(depth):
            layers += [_block(width, 5, keys), nn.ReLU()]
        features = (-(-pixels // 16)) ** 2 * width
        self.layers = (*layers, nn.Flatten(), nn.Dense(features, outputs, gain=0.1, key=next(keys)))

    def check_pixels(self, y: int, x: int) -> None:
        """Raise ValueError for maps of another size: the dense layer has one weight for each place."""
        if (y, x) != (self.pixels, self.pixels):
            raise ValueError(f"kappa is {y} x {x} pixels: this network was made for pixels = {self.pixels}")


def _ramps(bins: int, ramps: int) -> nn.Convolution:
    """A 1 x 1 convolution that measures each bin's pixels from several heights, by turns upwards and downwards."""
    start, sign = np.linspace(-2.0, 3.0, ramps), np.resize([1.0, -1.0], ramps)
    weight = np.einsum("ij,h->ijh", np.eye(bins), sign).reshape(1, 1, bins, bins * ramps)
    plain = nn.Convolution(bins, bins * ramps, 1, key=jax.random.key(0))
    ours = jnp.asarray(weight, jnp.float32), jnp.asarray(np.tile(-sign * start, bins), jnp.float32)
    return eqx.tree_at(lambda layer: (layer.weight, layer.bias), plain, ours)


def _block(channels: int, kernel: int, keys: Iterator[Array]) -> nn.Residual:
    # The last convolution of a branch starts near zero, so that the network starts shallow and deepens.
    inner = nn.Convolution(channels, channels, kernel, key=next(keys))
    return nn.Residual((inner, nn.ReLU(), nn.Convolution(channels, channels, kernel, gain=0.1, key=next(keys))))


NETWORKS = {"Compact": Compact, "Ribli18": Ribli18, "DeepLSS": DeepLSS}


def known() -> dict[str, Any]:
    """All networks by name, a reader's own among them."""
    return {**NETWORKS, **extras.of("network", NETWORKS)}


@dataclasses.dataclass(frozen=True)
class Architecture:
    """A network by name, as profiles and saved weights name it, before it knows its maps.

    Settings are of that network, such as `width`; None is its own default.
    """

    name: str = "Compact"
    settings: Mapping[str, int | None] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        checks.one_of("architecture", self.name, known())
        given = {name: value for name, value in self.settings.items() if value is not None}
        if unknown := set(given) - set(known()[self.name].__dataclass_fields__):
            raise ValueError(f"{', '.join(sorted(unknown))}: not an argument of {self.name}")
        object.__setattr__(self, "settings", given)

    def build(self, *, bins: int, outputs: int, pixels: int | None = None, key: Key[Array, ""]) -> Network:
        """A fresh network for maps of so many bins and pixels a side, which some networks leave unread."""
        kind, shape = known()[self.name], {"bins": bins, "outputs": outputs}
        if "pixels" in kind.__dataclass_fields__:
            shape |= {"pixels": pixels}
        return kind(key=key, **shape, **self.settings)


# Batch statistics


def with_state(model: Any) -> tuple[Any, eqx.nn.State]:
    """A freshly made network apart from its batch statistics, which are Equinox state; most networks have none."""
    return eqx.nn.make_with_state(lambda: model)()


def learn(model: Any, kappa: Float[Array, "bin y x"], state: eqx.nn.State) -> tuple[Array, eqx.nn.State]:
    """The answer to one map of a training batch, and the running statistics after it.

    Call it under `jax.vmap(..., in_axes=(0, None), out_axes=(0, None), axis_name=BATCH_AXIS)`. A model without
    `BatchNorm` is just called.
    """
    if not any(_is_norm(node) for node in jax.tree.leaves(model, is_leaf=_is_norm)):
        return model(kappa), state
    image: Any = kappa
    for layer in model.layers:
        if isinstance(layer, nn.BatchNorm):
            image, state = layer.learn(image, state)
        else:
            image = layer(image)
    return image, state


def frozen(model: Any, state: eqx.nn.State) -> Any:
    """The model with `Affine` layers for its batch statistics: from now on a map's answer depends on that map alone."""
    return jax.tree.map(lambda node: node.frozen(state) if _is_norm(node) else node, model, is_leaf=_is_norm)


def _is_norm(node: Any) -> bool:
    return isinstance(node, nn.BatchNorm)
