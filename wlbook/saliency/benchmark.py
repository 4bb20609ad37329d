"""All methods side by side, and each of them before all lie detectors."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from wlbook.common.compiling import filter_compiled
from wlbook.common.threads import two_at_a_time
from wlbook.saliency import gradients, sanity
from wlbook.saliency.backprop import deconvnet, guided_backprop
from wlbook.saliency.explain import Maps, Output, Stack, answers, direction, over_maps
from wlbook.saliency.findings import Finding
from wlbook.saliency.perturbation import deletion, insertion, occlusion
from wlbook.saliency.relevance import deep_taylor, lrp


@dataclasses.dataclass(frozen=True)
class Method:
    """A method with its options, ready to be asked of many maps."""

    name: str
    function: Callable[..., Array]
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)  # its own arguments
    # What the sum over pixels must be: "rise" above kappa = 0, "rise above others", "explained" (the output of the
    # layers), or nothing.
    sums_to: str = ""
    # Options of the same method for a linear model of 8 x 8 pixels; None: a question without sense.
    on_linear: Mapping[str, Any] | None = dataclasses.field(default_factory=dict)

    def __call__(self, model: Any, kappa: Maps, output: Output, *, key: Key[Array, ""]) -> Stack:
        """The attribution of every map; `key` is for methods that draw numbers."""
        return over_maps(self.function, model, kappa, output, key=key, **self.options)


def suite(*, sigma: float, others: Stack, steps: int = 32, square: int = 4) -> tuple[Method, ...]:
    """Every method with one number for each pixel.

    SmoothGrad and VarGrad get noise of `sigma` [units of kappa], expected gradients `others` as baselines, and
    occlusion a `square` [pixels]; `steps` are points on the line of integrated gradients, and samples of what draws.
    """
    noisy = {"sigma": sigma, "samples": steps}
    zeros = np.zeros((1, 1, 8, 8), np.float32)
    few, to_zero = {"samples": steps, "baselines": others}, {"samples": steps, "baselines": zeros}
    return (
        Method("gradient", gradients.gradient),
        Method("SmoothGrad", gradients.smoothgrad, noisy, on_linear=noisy),
        Method("VarGrad", gradients.vargrad, noisy, on_linear=None),
        Method("input x gradient", gradients.input_x_gradient, sums_to="rise"),
        Method("integrated gradients", gradients.integrated_gradients, {"steps": steps}, "rise", {"steps": steps}),
        Method("expected gradients", gradients.expected_gradients, few, "rise above others", to_zero),
        Method("guided back-propagation", guided_backprop),
        Method("deconvnet", deconvnet),
        Method("deep Taylor", deep_taylor, sums_to="explained"),
        Method("LRP, epsilon", lrp, sums_to="explained"),
        Method("LRP, alpha-beta", lrp, {"rule": "alpha-beta"}, "explained", {"rule": "alpha-beta"}),
        Method("occlusion", occlusion, {"size": square}, on_linear={"size": 1}),
    )


def shortfall(method: Method, saliency: Stack, model: Any, kappa: Stack, output: Output) -> float:
    """How far an attribution's sums are from what they must be, relative, over maps; NaN if nothing is promised."""
    if not method.sums_to:
        return math.nan
    chosen = direction(model, kappa[0], output)
    if method.sums_to == "explained":
        due = np.asarray(_explained(model, kappa, chosen))
    else:
        start = method.options.get("baselines", np.zeros_like(kappa[:1]))
        due = np.asarray(answers(model, kappa, chosen)) - np.asarray(answers(model, start, chosen)).mean()
    return float(np.linalg.norm(saliency.sum(axis=(1, 2, 3)) - due) / np.linalg.norm(due))


def examine(
    method: Method,
    model: Any,
    kappa: Stack,
    output: Output,
    *,
    depths: tuple[int, ...],
    learnt: tuple[Any, Any],
    shuffled: Any,
    small: Stack,
    key: Key[Array, ""],
) -> tuple[list[Finding], Float[np.ndarray, "depth map"]]:
    """One method before all lie detectors: the findings, and the rank correlations of the cascade.

    - linear model: relative distance to weights, or weights times pixels, whichever is nearer: must be < 0.02;
    - sum: `shortfall`, must be < 0.02 where something is promised;
    - top layer: rank correlation of |attribution| with that of a network whose last layer was drawn anew: must be
      < 0.8, since all features are still there, but weigh otherwise;
    - all layers: the same, when nothing of what was learnt is left: must be < 0.5;
    - labels: the same, between a network that has learnt and one whose labels were shuffled: must be < 0.5;
    - another seed: the same, between two that have learnt: must be above that with shuffled labels;
    - deletion: output moved by taking the most relevant pixels away, over that of random pixels: must be > 1;
    - insertion: distance left when the most relevant pixels alone are shown, over that of random pixels: must be < 1.

    `depths` says how many of the last layers to draw anew, from the top one to all of them. Two small networks have
    `learnt`, from different seeds, and one from `shuffled` labels; `small` are maps as these are shown them.
    """
    own, destroy, order, linear = jax.random.split(key, 4)
    before = method(model, kappa, output, key=own)
    destroyed = (method(sanity.randomized(model, depth, key=destroy), kappa, output, key=own) for depth in depths)
    fall = np.stack([sanity.rank_correlation(np.abs(before), np.abs(after)) for after in destroyed])
    missing = shortfall(method, before, model, kappa, output)

    if "baselines" in method.options:
        method = dataclasses.replace(method, options={**method.options, "baselines": small[::-1]})
    one, two, none = (np.abs(method(each, small, output, key=own)) for each in (*learnt, shuffled))
    labels, seeds = (float(sanity.rank_correlation(one, other).mean()) for other in (none, two))
    moved = []
    for curve in (deletion, insertion):
        by_method, by_chance = (curve(model, kappa, before, output, key=each).mean() for each in (None, order))
        moved.append(float(by_method / by_chance))
    on_line = math.nan
    if method.on_linear is not None:
        on_line = min(sanity.linear_answer(method.function, key=linear, **method.on_linear).values())
    return [
        Finding(method.name, "linear model", on_line, high=0.02),
        Finding(method.name, "sum", missing, high=0.02),
        Finding(method.name, "top layer", float(fall[0].mean()), high=0.8),
        Finding(method.name, "all layers", float(fall[-1].mean()), high=0.5),
        Finding(method.name, "labels", labels, high=0.5),
        Finding(method.name, "another seed", seeds, low=labels),
        Finding(method.name, "deletion", moved[0], low=1.0),
        Finding(method.name, "insertion", moved[1], high=1.0),
    ], fall


@filter_compiled
def _explained(model: Any, kappa: Any, direction: Array) -> Array:
    return jax.vmap(lambda one: sanity.explained(model, one, direction))(kappa)


def attributions(
    methods: Sequence[Method], model: Any, kappa: Stack, output: Output, *, key: Key[Array, ""]
) -> dict[str, Stack]:
    """Every method's attribution of the same maps, by the method's name; two methods at a time."""
    each = two_at_a_time(lambda method: method(model, kappa, output, key=key), methods)
    return {method.name: found for method, found in zip(methods, each, strict=True)}


def examine_all(
    methods: Sequence[Method], model: Any, kappa: Stack, output: Output, **options: Any
) -> tuple[list[Finding], dict[str, Float[np.ndarray, "depth map"]]]:
    """All findings, and each method's cascade by its name; two methods at a time.

    `options` are `depths`, `learnt`, `shuffled`, `small` and `key` of `examine`.
    """
    each = list(two_at_a_time(lambda method: examine(method, model, kappa, output, **options), methods))
    falls = {method.name: fall for method, (_, fall) in zip(methods, each, strict=True)}
    return [finding for found, _ in each for finding in found], falls
