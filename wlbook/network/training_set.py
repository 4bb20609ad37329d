"""What networks learn from: the maps of split "train", how they are observed, and what is to be predicted of them."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, Int, Key

from wlbook.common import compiling, random
from wlbook.common.checks import check_finite
from wlbook.network import batches
from wlbook.network.estimators import Estimator
from wlbook.simulation.dataset import select
from wlbook.simulation.survey import Mask, Survey, coarsen, observe

PARAMETERS = ("omega_m", "sigma_8")


class TrainingSet(NamedTuple):
    """Maps and targets to learn from.

    Attributes:
        kappa: noiseless maps [map, bin, y, x], an array or `batches.Streamed`.
        targets: omega_m and sigma_8 of each map, standardised [map, target].
        mean, scale: that they were standardised with.
        held_out: maps and targets of models that are not learnt from; None if there are none.
        look: from a batch of maps and a key to what the survey shows; takes a degradation as `transform`.
        side: of the maps [deg].
    """

    kappa: Any
    targets: Float[np.ndarray, "map target"]
    mean: Float[np.ndarray, " target"]
    scale: Float[np.ndarray, " target"]
    held_out: tuple[Any, Float[np.ndarray, "other target"]] | None
    look: Callable[..., Array]
    side: float

    def shown(self, transform: Callable[..., Array] | None, seed: int) -> Float[Array, "map bin y x"]:
        """256 of the maps as a survey would show them.

        Raises:
            ValueError: one of them is not finite.
        """
        few = self.kappa[np.arange(0, len(self.kappa), -(-len(self.kappa) // 256))]
        check_finite("kappa", self.kappa if isinstance(self.kappa, np.ndarray) else few)
        look = compiling.by_value(functools.partial(self.look, transform=transform))
        return compiling.called(look, jnp.asarray(few), random.key(seed, "scale"))

    def estimator(self, model: Any, input_scale: float, history: dict[str, np.ndarray], coarsen: int) -> Estimator:
        """A network that learnt these targets, with the scales of what goes in and comes out."""
        targets = (jnp.asarray(values, jnp.float32) for values in (self.mean, self.scale))
        return Estimator(model, jnp.float32(input_scale), *targets, history=history, coarsen=coarsen)


def prepare(
    data: xr.Dataset,
    survey: Survey,
    *,
    coarsen_by: int = 1,
    held_out: Sequence[int] | None = None,
    mask: Mask | None = None,
) -> TrainingSet:
    """The maps of split "train", ready to be learnt from; those of split "test" are not looked at.

    Args:
        data: maps with their parameters [map, bin, y, x]; they need not be loaded.
        survey: what the networks see them with.
        coarsen_by: pixels averaged along each side before the noise.
        held_out: models not to learn from, as in `is_held_out`.
        mask: True where observed, on the pixels of `data`.

    Raises:
        ValueError: no maps of split "train", targets that do not vary.
    """
    data = select(data, "train")
    if data.sizes["map"] == 0:
        raise ValueError('data holds no map of split "train"')
    aside = is_held_out(data["model"].to_numpy(), held_out)
    learnt, unseen = (data.isel(map=np.flatnonzero(which)) for which in (~aside, aside))
    targets, wanted = (np.stack([part[name].to_numpy() for name in PARAMETERS], axis=1) for part in (learnt, unseen))
    check_targets(targets)
    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    if mask is not None:
        mask = np.asarray(coarsen(np.asarray(mask, np.float32), coarsen_by)) == 1
    look = functools.partial(look_at, survey=survey, pixel=float(data.attrs["pixel"]) * coarsen_by, mask=mask)
    kappa, others = (batches.source(part["kappa"], factor=coarsen_by) for part in (learnt, unseen))
    rest = (others, (wanted - mean) / scale) if len(wanted) else None
    return TrainingSet(kappa, (targets - mean) / scale, mean, scale, rest, look, float(data.attrs["side"]))


def look_at(kappa: Any, key: Key[Array, ""], **options: Any) -> Array:
    """`survey.observe` with the key behind the maps, as the loop calls it."""
    return observe(kappa, key=key, **options)


def check_targets(targets: Any) -> None:
    """Raise ValueError for targets that are not finite, or the same for every map."""
    targets = np.asarray(targets)
    check_finite("targets", targets)
    for column, values in enumerate(targets.T):
        if np.ptp(values) == 0:
            raise ValueError(f"targets[:, {column}] = {values[0]:g} for every map: must vary")


def spread(shown: Float[Array, "..."]) -> float:
    """Standard deviation of what a network is shown.

    Raises:
        ValueError: it is 0 or not finite.
    """
    found = float(np.std(np.asarray(shown)))
    if not (math.isfinite(found) and found > 0):
        raise ValueError(f"what the network is shown has standard deviation {found}: must be finite and > 0")
    return found


def is_held_out(model: Int[np.ndarray, " map"], held_out: Sequence[int] | None = None) -> Bool[np.ndarray, " map"]:
    """Which maps are not learnt from, given each map's model: by default every eighth model from 16 on.

    Every model has boxes of its own, so a model held out is a seed held out too.
    """
    known = np.unique(model)
    every_eighth = known[4::8] if len(known) >= 16 else known[:0]
    return np.isin(model, every_eighth if held_out is None else np.asarray(held_out, known.dtype))
