"""Attribution to groups of pixels: what is correlated stands or falls together; no pixel has an answer of its own."""

import itertools
import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import ndimage

from wlbook.common import checks
from wlbook.saliency.explain import Map, Maps, Model, Output, each_of, evaluating, scalar, start_of

MOST = 10  # groups whose Shapley values take no more than 1,024 evaluations

Groups = Int[Array | np.ndarray, "bin y x"]


def regions(kappa: Maps, *, low: float, high: float) -> tuple[Int[np.ndarray, "..."], Int[np.ndarray, "..."]]:
    """The connected regions of maps [..., bin, y, x]: voids below `low`, peaks above `high`, and all the rest as one.

    Pixels that touch at an edge or a corner belong together; bins do not touch. Returned are the region of each pixel,
    counted from 0 in each map: the rest, then the peaks, then the voids; and its kind, 0, 1 and 2 in the same order.
    """
    if not low < high:
        raise ValueError(f"low = {low}, high = {high}: must be low < high")
    maps = np.asarray(kappa)
    kind = np.where(maps > high, 1, np.where(maps < low, 2, 0)).astype(np.int32)
    region = np.zeros(maps.shape, np.int32)
    plane = np.stack([np.zeros((3, 3)), np.ones((3, 3)), np.zeros((3, 3))])
    for place in np.ndindex(maps.shape[:-3]):
        count = 0
        for number in (1, 2):
            labels, found = ndimage.label(kind[place] == number, structure=plane)  # pyright: ignore
            region[place] += np.where(labels > 0, labels + count, 0).astype(np.int32)
            count += found
    return region, kind


@evaluating(lambda shape, number, **_: number)
def occlude_groups(
    model: Model, kappa: Map, output: Output, *, groups: Groups, number: int, baseline: Map | None = None
) -> Float[Array, "bin y x"]:
    """How much the output falls when a group of pixels is covered, shared evenly by its pixels.

    `groups` count from 0, such as those of `regions`; a `number` of more than the map has does no harm.
    """
    explained, kappa, start, groups = _asked(model, kappa, output, groups, number, baseline)
    whole = explained(kappa)
    falls = each_of(lambda one: whole - explained(jnp.where(groups == one, start, kappa)), number)
    return _spread(falls, groups, number)


@evaluating(lambda shape, number, **_: 2**number)
def shapley(
    model: Model, kappa: Map, output: Output, *, groups: Groups, number: int, baseline: Map | None = None
) -> Float[Array, "bin y x"]:
    """The Shapley value of each group of pixels, shared evenly by its pixels (Shapley 1953, Lundberg & Lee 2017).

    What a group adds to the output, averaged over all orders in which groups can be shown: exact, with 2^number
    evaluations, so that `number` is 10 at most. The sum over pixels is output(kappa) - output(baseline).
    """
    checks.require(number <= MOST, "number", number, f"<= {MOST}, Shapley values of n groups take 2^n evaluations")
    explained, kappa, start, groups = _asked(model, kappa, output, groups, number, baseline)
    shown = np.array(list(itertools.product((False, True), repeat=number)))  # [coalition, group]
    value = each_of(lambda one: explained(jnp.where(jnp.asarray(shown)[one][groups], kappa, start)), len(shown))
    size = shown.sum(axis=1, keepdims=True)
    orders = np.array([math.factorial(n) * math.factorial(number - n - 1) for n in range(number)] + [0])
    # A coalition with the group counts with the orders in which the group came last, one without it before it came.
    weight = np.where(shown, orders[size - 1], -orders[np.minimum(size, number)]) / math.factorial(number)
    return _spread(jnp.asarray(weight.T, jnp.float32) @ value, groups, number)


def group_totals(
    saliency: Float[Array | np.ndarray, "*batch bin y x"], groups: Int[Array | np.ndarray, "..."], number: int
) -> Float[np.ndarray, "*batch group"]:
    """The sum of an attribution over each group of each map."""
    saliency, groups = np.asarray(saliency, np.float64), np.asarray(groups)
    checks.same_shape("groups", groups, saliency.shape, "the saliency's")
    sums = [np.where(groups == one, saliency, 0.0).sum(axis=(-3, -2, -1)) for one in range(number)]
    return np.stack(sums, axis=-1)


def _asked(model, kappa, output, groups, number: int, baseline):
    explained, kappa = scalar(model, kappa, output), jnp.asarray(kappa)
    checks.same_shape("groups", groups, kappa.shape, "the map's")
    checks.at_least("number", number, 1)
    return explained, kappa, start_of(kappa, baseline), jnp.asarray(groups)


def _spread(values: Array, groups: Array, number: int) -> Array:
    counts = jnp.zeros(number).at[groups].add(1.0)
    return (values / jnp.maximum(counts, 1))[groups]
