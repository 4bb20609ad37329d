"""What the networks of the degradation chapter are taught: the maps of split "train", observed, and their targets."""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from wlbook.common import checks, compiling, random
from wlbook.network import batches
from wlbook.simulation import dataset, survey
from wlbook.simulation.survey import PerBin


class Lesson(NamedTuple):
    """Maps and targets to learn from; the models that `training.fit` holds out are held out here too.

    Attributes:
        kappa: noiseless maps [map, bin, y, x], an array or `batches.Streamed`.
        targets: standardised [map, target].
        mean, scale: of the targets.
        look: from a batch of maps, a key and a degradation (or None) to what a survey would show.
        pixel: pixel side of the maps [arcmin].
        side: of the maps [deg].
    """

    kappa: Any
    targets: Float[np.ndarray, "map target"]
    mean: Float[np.ndarray, " target"]
    scale: Float[np.ndarray, " target"]
    look: Callable[..., Array]
    pixel: float
    side: float

    def shown(self, transform: Callable | None, seed: int) -> Float[Array, "map bin y x"]:
        """256 of the maps as a survey would show them."""
        few = self.kappa[np.arange(0, len(self.kappa), -(-len(self.kappa) // 256))]
        look = compiling.by_value(functools.partial(self.look, transform=transform))
        return compiling.called(look, jnp.asarray(few), random.key(seed, "scale"))


def lesson(data: xr.Dataset, *, coarsen: int, n_gal: PerBin, sigma_e: float, smoothing: PerBin) -> Lesson:
    """What `training.fit` would teach a network with these arguments.

    Args:
        data: maps with their parameters, as `maps.make` returns them.
        coarsen: pixels averaged along each side before the noise.
        n_gal: source density of each bin [arcmin^-2], > 0.
        sigma_e: total intrinsic ellipticity dispersion; 0 is noiseless.
        smoothing: standard deviation of the Gaussian after noise and degradation [arcmin], >= 0.

    Raises:
        ValueError: no maps of split "train", maps that are not finite, targets that do not vary.
    """
    data = dataset.select(data, "train")
    if data.sizes["map"] == 0:
        raise ValueError('data holds no map of split "train"')
    data = data.isel(map=np.flatnonzero(~is_held_out(data["model"].to_numpy())))
    kappa = batches.source(data["kappa"], factor=coarsen)
    if isinstance(kappa, np.ndarray):
        checks.check_finite("kappa", kappa)
    targets = np.stack([data[name].to_numpy() for name in PARAMETERS], axis=1)
    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    if not (scale > 0).all():
        raise ValueError("data: omega_m and sigma_8 must vary between the models")
    pixel = float(data.attrs["pixel"]) * coarsen
    look = functools.partial(survey.observe_degraded, pixel=pixel, n_gal=n_gal, sigma_e=sigma_e, smoothing=smoothing)
    return Lesson(kappa, (targets - mean) / scale, mean, scale, look, pixel, float(data.attrs["side"]))


def spread(shown: Float[Array, "..."]) -> float:
    """Standard deviation of what a network is shown.

    Raises:
        ValueError: it is 0 or not finite.
    """
    found = float(np.std(np.asarray(shown)))
    if not (math.isfinite(found) and found > 0):
        raise ValueError(f"what the network is shown has standard deviation {found}: must be finite and > 0")
    return found


PARAMETERS = ("omega_m", "sigma_8")


def is_held_out(model: np.ndarray, held_out: Sequence[int] | None = None) -> np.ndarray:
    """Which maps `fit` does not learn from, given each map's model: by default every eighth model from 16 on.

    Every model has boxes of its own, so a model held out is a seed held out too.
    """
    known = np.unique(model)
    every_eighth = known[4::8] if len(known) >= 16 else known[:0]
    return np.isin(model, every_eighth if held_out is None else np.asarray(held_out, known.dtype))
