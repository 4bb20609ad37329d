"""Attribution by changing the map: covering squares of it, and taking its pixels away in the order of a saliency."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from wlbook.common import checks
from wlbook.saliency.explain import Map, Maps, Model, Output, answers, direction, each_of, evaluating, many, start_of
from wlbook.saliency.occluded import covered


@evaluating(lambda shape, size=4, **_: (shape[1] // max(1, size)) * (shape[2] // max(1, size)))
def occlusion(
    model: Model, kappa: Map, output: Output, *, size: int = 4, baseline: Map | None = None
) -> Float[Array, "bin y x"]:
    """How much the output falls when a square is covered, shared evenly by the square's pixels.

    Squares of `size` pixels a side tile the map; all bins are covered together. `occluded` tells how this is fast.
    """
    chosen, kappa = direction(model, kappa, output), jnp.asarray(kappa)
    start, (bins, y, x) = start_of(kappa, baseline), kappa.shape
    if size < 1 or y % size or x % size:
        raise ValueError(f"size = {size}: must divide the map's side of {x} pixels")
    shown, rest, squares = covered(model, kappa, start, size)
    found = each_of(lambda one: jnp.asarray(rest(shown(one))) @ chosen, squares + 1)  # the last covers nothing
    lost = (found[squares] - found[:squares]).reshape(y // size, x // size)
    return jnp.broadcast_to(jnp.kron(lost, jnp.ones((size, size))) / (bins * size**2), kappa.shape)


def deletion(
    model: Model,
    kappa: Maps,
    saliency: Maps,
    output: Output,
    *,
    shares: Sequence[float] | np.ndarray = (0.01, 0.03, 0.1, 0.3),
    key: Key[Array, ""] | None = None,
    keep: bool = False,
) -> Float[np.ndarray, "map share"]:
    """|output(kappa) - output without the most relevant pixels| (Samek et al. 2017, Petsiuk et al. 2018).

    A faithful attribution names pixels without which the output is another: the curve rises faster than for pixels
    taken at random. For outputs that a pixel may raise or lower the distance counts, not the sign.

    The absolute saliency orders pixels; `shares` of them, each from 0 to 1, are set to 0, or all others with `keep`.
    With a key the order is random: the control.
    """
    maps, chosen = many(kappa, model, output)
    saliency, shares = np.asarray(saliency), np.asarray(shares, np.float64)
    checks.same_shape("saliency", saliency, maps.shape, "kappa's")
    if shares.ndim != 1 or not ((shares >= 0) & (shares <= 1)).all():
        raise ValueError(f"shares = {shares.tolist()}: each must be >= 0 and <= 1")
    flat = np.abs(saliency).reshape(len(maps), -1)
    if key is not None:
        flat = np.asarray(jax.random.uniform(key, flat.shape))
    rank = np.argsort(np.argsort(-flat, axis=1, kind="stable"), axis=1).reshape(maps.shape)
    before = np.asarray(answers(model, maps, chosen))
    left = (np.where((rank < round(share * flat.shape[1])) == keep, maps, np.float32(0)) for share in shares)
    return np.stack([np.abs(before - np.asarray(answers(model, one, chosen))) for one in left], axis=1)


def insertion(model: Model, kappa: Maps, saliency: Maps, output: Output, **how: Any) -> Float[np.ndarray, "map share"]:
    """How far the output still is when the most relevant pixels alone are shown: `deletion` of all others.

    A faithful attribution comes down faster than a random order; `how` holds `shares` and `key` of `deletion`.
    """
    return deletion(model, kappa, saliency, output, keep=True, **how)
