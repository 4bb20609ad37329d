"""What networks learn from: the maps of split "train", how they are observed, and what is to be predicted of them."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, Int, Key

from wlbook.common import checks, compiling, random
from wlbook.network import batches
from wlbook.network.configuration import Training
from wlbook.simulation.dataset import select
from wlbook.simulation.survey import Mask, Survey, coarsen, observe

PARAMETERS = ("omega_m", "sigma_8")


class TrainingSet(NamedTuple):
    """Maps and targets to learn from."""

    kappa: Any  # noiseless maps [map, bin, y, x], an array or `batches.Streamed`
    targets: Float[np.ndarray, "map target"]  # omega_m and sigma_8 of each map, standardised
    scales: tuple[Float[Array, " target"], Float[Array, " target"]]  # the mean and standard deviation for that
    held_out: tuple[Any, Float[np.ndarray, "other target"]] | None  # maps and targets of models not learnt from
    look: Callable[..., Array]  # from maps and a key to what the survey shows; takes a degradation as `transform`
    side: float  # of the maps [deg]

    def shown(self, transform: Callable[..., Array] | None, seed: int) -> Float[Array, "map bin y x"]:
        """256 of the maps as a survey would show them; none may hold a number that is not finite."""
        few = self.kappa[np.arange(0, len(self.kappa), -(-len(self.kappa) // 256))]
        checks.check_finite("kappa", self.kappa if isinstance(self.kappa, np.ndarray) else few)
        look = compiling.by_value(functools.partial(self.look, transform=transform))
        return compiling.called(look, jnp.asarray(few), random.key(seed, "scale"))


def prepare(data: xr.Dataset, survey: Survey, training: Training, mask: Mask | None = None) -> TrainingSet:
    """The maps of split "train", ready to be learnt from; those of split "test" are not looked at.

    The maps need not be loaded; the mask is on their pixels, before `training.coarsen` makes them larger.
    """
    data = select(data, "train")
    if data.sizes["map"] == 0:
        raise ValueError('data holds no map of split "train"')
    aside, factor = is_held_out(data["model"].to_numpy(), training.held_out), training.coarsen
    learnt, unseen = (data.isel(map=np.flatnonzero(which)) for which in (~aside, aside))
    targets, wanted = (np.stack([part[name].to_numpy() for name in PARAMETERS], axis=1) for part in (learnt, unseen))
    check_targets(targets)
    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    scales = jnp.asarray(mean, jnp.float32), jnp.asarray(scale, jnp.float32)
    mask = survey.mask(data.sizes["x"], mask)
    if mask is not None:
        mask = np.asarray(coarsen(np.asarray(mask, np.float32), factor)) == 1
    look = functools.partial(look_at, survey=survey, pixel=float(data.attrs["pixel"]) * factor, mask=mask)
    kappa, others = (batches.source(part["kappa"], factor=factor) for part in (learnt, unseen))
    rest = (others, (wanted - mean) / scale) if len(wanted) else None
    return TrainingSet(kappa, (targets - mean) / scale, scales, rest, look, float(data.attrs["side"]))


def look_at(kappa: Any, key: Key[Array, ""], **options: Any) -> Array:
    """`survey.observe` with the key behind the maps, as the loop calls it."""
    return observe(kappa, key=key, **options)


def check_targets(targets: Any) -> None:
    """Raise ValueError for targets that are not finite, or the same for every map."""
    targets = np.asarray(targets)
    checks.check_finite("targets", targets)
    for column, values in enumerate(targets.T):
        if np.ptp(values) == 0:
            raise ValueError(f"targets[:, {column}] = {values[0]:g} for every map: must vary")


def spread(shown: Float[Array, "..."]) -> float:
    """Standard deviation of what a network is shown."""
    found = float(np.std(np.asarray(shown)))
    checks.require(0 < found < math.inf, "standard deviation of what the network is shown", found, "finite and > 0")
    return found


def is_held_out(model: Int[np.ndarray, " map"], held_out: Sequence[int] | None = None) -> Bool[np.ndarray, " map"]:
    """Which maps are not learnt from, given each map's model: by default every eighth model from 16 on.

    Every model has boxes of its own, so a model held out is a seed held out too.
    """
    known = np.unique(model)
    every_eighth = known[4::8] if len(known) >= 16 else known[:0]
    return np.isin(model, every_eighth if held_out is None else np.asarray(held_out, known.dtype))
