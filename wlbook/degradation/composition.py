"""Degradations one after the other. What the store names by these depends on the steps taken, and on no other name."""

import inspect
from collections.abc import Sequence

import jax
from jaxtyping import Array, Key

from wlbook.degradation.arguments import AnyMaps, Degradation, Maps


def one_after_another(kappa: Maps, *, spec: str, steps: Sequence[Degradation], key: Key[Array, ""]) -> AnyMaps:
    """Take the steps that a specification names, partials with all they need but maps and key; each has its own key."""
    for index, step in enumerate(steps):
        given = getattr(step, "keywords", {})
        bins = {value.shape[0] for value in given.values() if getattr(value, "ndim", 0) == 3}
        if bins - {kappa.shape[-3]}:
            raise ValueError(f"degradation = {spec!r}: {max(bins)} redshifts for maps of {kappa.shape[-3]} bins")
        drawn = {"key": jax.random.fold_in(key, index)} if "key" in inspect.signature(step).parameters else {}
        kappa = step(kappa, **drawn)
    return kappa
