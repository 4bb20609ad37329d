"""Attribution by relevance: an output's value is handed down layer by layer, and (nearly) nothing is lost on the way.

The rules act on the model's own layers, which are only called, transposed and asked with other weights. A layer is
known by its class, one of seven kinds:

| kind | what it does to relevance | layers |
|---|---|---|
| weights | shares it by what each input contributes | Convolution, Dense; eqx.nn.Conv, eqx.nn.Linear |
| average | the same, all weights being positive | AveragePool, GlobalAverage; eqx.nn.AvgPool |
| pass | leaves it where it is: one input for one output | ReLU, Scale; eqx.nn.Lambda(jax.nn.relu), Identity, Dropout |
| move | follows the values to where they came from | ChannelsLast, Flatten, First; ravel; eqx.nn.MaxPool |
| affine | joins the layer with weights before it | Affine, which is a frozen BatchNorm |
| sum | shares it between the identity and the branch | Residual |
| row | adds up what each branch hands down for its part of the row | Beside |
"""

import itertools
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from wlbook.common import checks
from wlbook.network import layers as nn
from wlbook.network.layers import run
from wlbook.saliency.backprop import is_relu
from wlbook.saliency.explain import Map, Model, Output, direction

_KINDS = {
    "weights": (nn.Convolution, nn.Dense, eqx.nn.Conv, eqx.nn.Linear),
    "average": (nn.AveragePool, nn.GlobalAverage, eqx.nn.AvgPool1d, eqx.nn.AvgPool2d, eqx.nn.AvgPool3d),
    "pass": (nn.ReLU, nn.Scale, eqx.nn.Identity, eqx.nn.Dropout),
    "move": (nn.ChannelsLast, nn.Flatten, nn.First, eqx.nn.MaxPool1d, eqx.nn.MaxPool2d, eqx.nn.MaxPool3d),
    "affine": (nn.Affine,),
    "sum": (nn.Residual,),
    "row": (nn.Beside,),
}
_KIND_OF: dict[type, str] = {layer: kind for kind, layers in _KINDS.items() for layer in layers}
_MOVES = (jnp.ravel, jnp.squeeze, jnp.transpose)
Bounds = tuple[float, float] | None


def register(layer: type, kind: str) -> None:
    """Give layers of a class of your own a rule: the kind it is of in the table of this module.

    With "weights" and "average" it must be linear in its input but for a field `bias`.
    """
    checks.one_of("kind", kind, _KINDS)
    _KIND_OF[layer] = kind


def lrp(
    model: Model,
    kappa: Map,
    output: Output,
    *,
    rule: str = "epsilon",
    first: str = "same",
    epsilon: float = 1e-6,
    alpha: float = 2.0,
    bounds: Bounds = None,
) -> Float[Array, "bin y x"]:
    """Layer-wise relevance propagation, in the output's unit (Bach et al. 2015).

    The output's value is the relevance to share out; along a direction, that of each output is its component times
    its value. Input i contributes z_ij = x_i w_ij to output j of a layer.

    - "epsilon": R_i = sum_j z_ij / (z_j + epsilon sign z_j) R_j, with z_j the layer's output. Biases absorb their
      share; without biases relevance is conserved.
    - "alpha-beta": R_i = sum_j (alpha z+_ij / z+_j - beta z-_ij / z-_j) R_j with beta = alpha - 1, positive and
      negative contributions apart, and biases left out. Where contributions have one sign only they take all, so
      that relevance is conserved.

    Args:
        model: with `layers`, as the book's networks, `Estimator`, `eqx.nn.Sequential` and `eqx.nn.MLP`.
        first: another rule for the first of them, whose inputs are pixels: "w2" shares by w^2, whatever the pixel;
            "zB" is for pixels between `bounds` (Montavon et al. 2017).
        epsilon, alpha: >= 0, which keeps small outputs from being divided by, and >= 1.
        bounds: lowest and highest possible kappa, for "zB".
    """
    checks.one_of("rule", rule, ("epsilon", "alpha-beta"))
    checks.one_of("first", first, ("same", "w2", "zB"))
    checks.at_least("epsilon", epsilon, 0)
    checks.at_least("alpha", alpha, 1)
    asked = (first == "zB") == (bounds is not None)
    checks.require(asked, "bounds", bounds, 'given with first = "zB", and only then')
    if bounds is not None:
        checks.require(bounds[0] <= 0 <= bounds[1] != bounds[0], "bounds", bounds, "low <= 0 <= high, low < high")
    layers, chosen, kappa = walk(model), direction(model, kappa, output), jnp.asarray(kappa)
    rules = _Rules(rule, first, epsilon, alpha, bounds)
    return rules.back(layers, kappa, chosen * run(layers, kappa), kappa)


def deep_taylor(model: Model, kappa: Map, output: Output, *, bounds: Bounds = None) -> Float[Array, "bin y x"]:
    """Deep Taylor decomposition (Montavon et al. 2017): relevance goes to positive contributions only.

    The z+ rule (alpha = 1) for every layer, and for the first one w^2, or z^B if `bounds` are given. The result has
    one sign everywhere if the output does not mix signs itself: it says where the answer comes from, not what speaks
    against it.
    """
    return lrp(model, kappa, output, rule="alpha-beta", first="zB" if bounds else "w2", alpha=1.0, bounds=bounds)


def walk(model: Any) -> list[Any]:
    """The layers of a model in the order of their work, a convolution and an `affine` right after it joined in one."""
    joined: list[Any] = []
    for layer in _flat(model, top=True):
        last = joined[-1] if joined else None
        if kind_of(layer) == "affine" and isinstance(last, nn.Convolution):  # outputs are the weights' last axis
            weight, bias = last.weight * layer.weight, last.bias * layer.weight + layer.bias
            joined[-1] = eqx.tree_at(lambda one: (one.weight, one.bias), last, (weight, bias))
        else:
            joined.append(layer)
    return joined


def kind_of(layer: Any) -> str:
    """What a layer does to relevance; ValueError for one without a rule."""
    if is_relu(layer) or (isinstance(layer, eqx.nn.Lambda) and is_relu(layer.fn)):
        return "pass"
    if isinstance(layer, eqx.nn.Lambda) and layer.fn in _MOVES:
        return "move"
    for parent in type(layer).__mro__:
        if parent in _KIND_OF:
            return _KIND_OF[parent]
    name = getattr(getattr(layer, "fn", None), "__name__", type(layer).__name__)
    raise ValueError(f"layer {name}: relevance has no rule for it; saliency.register gives its class one")


def _flat(model: Any, *, top: bool = False) -> Sequence[Any]:
    if isinstance(model, eqx.nn.MLP):
        between = eqx.nn.Lambda(model.activation)
        inner = [part for layer in model.layers for part in (layer, between)][:-1]
        last = model.final_activation
        return inner if getattr(last, "__name__", "") == "<lambda>" else [*inner, eqx.nn.Lambda(last)]
    if top or isinstance(model, eqx.nn.Sequential):
        layers = getattr(model, "layers", None)
        if not isinstance(layers, tuple | list):
            raise ValueError(f"model = {type(model).__name__}: has no layers to hand relevance down")
        return list(itertools.chain.from_iterable(_flat(layer) for layer in layers))
    return [model]


class _Rules(eqx.Module):
    """The rules of one question, applied from the last layer to the first."""

    rule: str
    first: str
    epsilon: float
    alpha: float
    bounds: Bounds

    def back(self, layers: Sequence[Any], image: Array, relevance: Array, kappa: Array | None) -> Array:
        """Relevance at the input of `layers`; `kappa` is the map if they start with it."""
        images = list(itertools.accumulate(layers, lambda image, layer: layer(image), initial=image))
        first = next((n for n, layer in enumerate(layers) if kind_of(layer) == "weights"), None)
        for number, layer in reversed(list(enumerate(layers))):
            image, kind = images[number], kind_of(layer)
            if kind == "move":
                (relevance,) = jax.vjp(layer, image)[1](relevance)
            elif kind == "affine":
                relevance = relevance * (image * layer.weight / self._stable(images[number + 1]))
            elif kind == "sum":
                relevance = self._sum(layer, image, relevance)
            elif kind == "row":
                relevance = self._row(layer, image, relevance)
            elif kind in ("weights", "average"):
                pixels = kappa is not None and number == first and self.first != "same"
                act = (self._w2 if self.first == "w2" else self._z_b) if pixels else self._linear
                before = layers[:number] if pixels else ()
                relevance = act(layer, image, relevance, before, kappa)
        return relevance

    def _stable(self, whole: Array) -> Array:
        """What parts can be divided by for their shares of the whole, kept from zero."""
        moved = whole + jnp.where(whole >= 0, self.epsilon, -self.epsilon)
        return jnp.where(moved == 0, 1.0, moved)

    def _sum(self, layer: Any, image: Array, relevance: Array) -> Array:
        inner = walk(layer)
        branch = run(inner, image)
        if self.rule == "epsilon":
            share = relevance / self._stable(image + branch)
            kept, given = image * share, branch * share
        else:
            parts = jnp.stack([image, branch])
            plus, minus = jnp.maximum(parts, 0), jnp.minimum(parts, 0)
            up, down = self._signed(plus.sum(0), minus.sum(0), relevance)
            kept, given = plus * up + minus * down
        return kept + self.back(inner, image, given, None)

    def _row(self, layer: Any, image: Array, relevance: Array) -> Array:
        ends = np.cumsum([len(run(branch, image)) for branch in layer.branches])
        parts = zip(layer.branches, jnp.split(relevance, ends[:-1]), strict=True)
        return sum((self.back(branch, image, part, None) for branch, part in parts), jnp.zeros_like(image))

    def _signed(self, plus: Array, minus: Array, relevance: Array) -> tuple[Array, Array]:
        """Relevance for one unit of positive, and of negative, contribution to outputs with these sums of them."""
        none_minus, none_plus = minus == 0, plus == 0
        alpha = jnp.where(none_minus, 1.0, jnp.where(none_plus, 0.0, self.alpha))
        up = jnp.where(none_plus, 0.0, alpha * relevance / jnp.where(none_plus, 1.0, plus))
        down = jnp.where(none_minus, 0.0, (1 - alpha) * relevance / jnp.where(none_minus, 1.0, minus))
        return up, down

    def _linear(self, layer: Any, image: Array, relevance: Array, *_: Any) -> Array:
        if self.rule == "epsilon":
            whole, transposed = jax.vjp(layer, image)
            return image * transposed(relevance / self._stable(whole))[0]
        bare = without_biases(layer)
        positive, negative = jnp.maximum(image, 0), jnp.minimum(image, 0)
        more, less = _weights(bare, lambda w: jnp.maximum(w, 0)), _weights(bare, lambda w: jnp.minimum(w, 0))
        if kind_of(layer) == "average":
            plus, share_of_more = jax.vjp(layer, positive)
            up, down = self._signed(plus, layer(negative), relevance)
            return positive * share_of_more(up)[0] + negative * share_of_more(down)[0]
        more_positive, transposed_more = jax.vjp(more, positive)
        less_positive, transposed_less = jax.vjp(less, positive)
        up, down = self._signed(more_positive + less(negative), less_positive + more(negative), relevance)
        of_positive = transposed_more(up)[0] + transposed_less(down)[0]
        of_negative = transposed_less(up)[0] + transposed_more(down)[0]
        return positive * of_positive + negative * of_negative

    def _w2(self, layer: Any, image: Array, relevance: Array, *_: Any) -> Array:
        squared = _weights(without_biases(layer), jnp.square)
        whole, transposed = jax.vjp(squared, jnp.ones_like(image))
        return transposed(relevance / jnp.where(whole == 0, 1.0, whole))[0]

    def _z_b(self, layer: Any, image: Array, relevance: Array, before: Sequence[Any], kappa: Any) -> Array:
        assert self.bounds is not None
        ends = [run(before, jnp.full_like(kappa, end)) for end in self.bounds]
        low, high = jnp.minimum(*ends), jnp.maximum(*ends)
        bare = without_biases(layer)
        more, less = _weights(bare, lambda w: jnp.maximum(w, 0)), _weights(bare, lambda w: jnp.minimum(w, 0))
        (own, of_own), (of_low, low_back) = jax.vjp(bare, image), jax.vjp(more, low)
        of_high, high_back = jax.vjp(less, high)
        share = relevance / self._stable(own - of_low - of_high)
        return image * of_own(share)[0] - low * low_back(share)[0] - high * high_back(share)[0]


def without_biases(model: Any) -> Any:
    """A model or layer with all its biases zero, those of frozen batch statistics included: relevance is conserved."""

    def zero(path: Any, leaf: Any) -> Any:
        named = path and getattr(path[-1], "name", None) == "bias"
        return jnp.zeros_like(leaf) if named and eqx.is_inexact_array(leaf) else leaf

    return jax.tree_util.tree_map_with_path(zero, model)


def _weights(layer: Any, change: Any) -> Any:
    """A layer without bias, with other weights."""
    return jax.tree.map(lambda leaf: change(leaf) if eqx.is_inexact_array(leaf) else leaf, layer)
