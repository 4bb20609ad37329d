"""One network for all degradations: it is told what was taken from its map, and how much.

Paper B trains a network for every degradation. Here a random degradation of random strength is drawn for every map of
every batch, and a vector that says which one is given to the network with the map. One training then answers for the
whole curve of information against scale. `tuned` goes on from it for a few steps under one degradation alone.
"""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key

from wlbook.common import random
from wlbook.common.checks import check_finite
from wlbook.common.compiling import by_value, filter_compiled
from wlbook.common.progress import progress
from wlbook.degradation import bins, sampler
from wlbook.degradation.film import Conditioned
from wlbook.degradation.sampler import DegradationFamily, SampledDegradation
from wlbook.network import checkpoints, trainer
from wlbook.network.configuration import Training
from wlbook.network.estimators import Estimator
from wlbook.network.training_set import look_at, prepare, spread
from wlbook.simulation.survey import Survey


class _Told(eqx.Module):
    """A conditioned network that is always told the same."""

    model: Conditioned
    family: DegradationFamily = eqx.field(static=True)
    one: SampledDegradation

    def __call__(self, kappa: Float[Array, "bin y x"]) -> Float[Array, " output"]:
        return self.model(_with_told(self.family, self.one, kappa[None])[0])


def _with_told(
    family: DegradationFamily, drawn: SampledDegradation, kappa: Float[Array, "map bin y x"]
) -> Float[Array, "map bins_and_numbers y x"]:
    """Standardised maps, and behind each what the network is told of it as constant bins."""
    told = family.told(drawn)
    constant = jnp.broadcast_to(told[..., None, None], (*told.shape, *kappa.shape[-2:]))
    return jnp.concatenate([family.standardised(kappa, drawn), constant], axis=1)


class Amortised(eqx.Module):
    """A conditioned network, the degradations it knows, and the scales of what goes in and comes out.

    Attributes:
        model: the network.
        input_scale, target_mean, target_scale, history, coarsen: as in `Estimator`.
        family: the degradations.
        width, ramps: of the network, to make it again.
    """

    model: Conditioned
    input_scale: Float[Array, ""]
    target_mean: Float[Array, " output"]
    target_scale: Float[Array, " output"]
    history: dict[str, np.ndarray]
    family: DegradationFamily = eqx.field(static=True)
    width: int = eqx.field(static=True)
    ramps: int = eqx.field(static=True, default=0)
    coarsen: int = eqx.field(static=True, default=1)

    def at(self, spec: str, redshifts: tuple[float, ...] = ()) -> Estimator:
        """The network for one degradation, as if it had been trained for that.

        Raises:
            ValueError: as `DegradationFamily.read`.
        """
        scales = self.input_scale, self.target_mean, self.target_scale
        return Estimator(
            _Told(self.model, self.family, self.family.read(spec, redshifts)), *scales, self.history, self.coarsen
        )

    def save(self, folder: Path) -> None:
        """Write everything into `folder`."""
        described = {"family": dataclasses.asdict(self.family), "history": self.history, "coarsen": self.coarsen}
        described |= {"width": self.width, "ramps": self.ramps}
        scales = (self.input_scale, self.target_mean, self.target_scale)
        checkpoints.write(folder, described, (self.model, scales))

    @classmethod
    def load(cls, folder: Path) -> "Amortised":
        """Read what `save` wrote."""

        def family(described: dict[str, Any]) -> DegradationFamily:
            return DegradationFamily(**{**described["family"], "power": tuple(described["family"]["power"])})

        def blank(described: dict[str, Any]) -> Any:
            made = _fresh(family(described), described["width"], described["ramps"], jax.random.key(0))
            return made, (jnp.float32(0), jnp.zeros(2), jnp.zeros(2))

        described, (model, scales) = checkpoints.read(folder, blank)
        settings = {name: described[name] for name in ("width", "ramps", "coarsen")}
        history = checkpoints.history_of(described)
        return cls(model, *scales, history=history, family=family(described), **settings)


def _fresh(family: DegradationFamily, width: int, ramps: int, key: Key[Array, ""]) -> Conditioned:
    return Conditioned(bins=family.bins, told=family.numbers, width=width, ramps=ramps, key=key)


def fit(
    data: xr.Dataset,
    survey: Survey,
    training: Training,
    *,
    width: int = 16,
    ramps: int = 0,
    noise_after: float = 0.0,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Amortised:
    """Train one network for all degradations of a family.

    Args:
        data: maps with their parameters [map, bin, y, x].
        survey: noise before the degradation, and smoothing after all else.
        training: how the network learns; each map of a step has a degradation of its own.
        width, ramps: as in `architectures.Compact`.
        noise_after: standard deviation of white noise added after the degradation, in a pixel of the coarse maps.
        seed: of the initial weights, the order of the maps, noise and degradations.
        checkpoint: folder to keep the state in and to go on from.

    Raises:
        ValueError: an argument out of range, maps that are not finite, no maps of split "train".
        FloatingPointError: the loss is not finite.
    """
    taught = prepare(data, survey, coarsen_by=training.coarsen, held_out=training.held_out)
    shown = taught.shown(None, seed)
    scale = math.hypot(spread(shown), noise_after)
    family = sampler.family(shown, taught.side, (noise_after / scale) ** 2)

    def shown_now(kappa: Array, key: Array) -> Array:
        drawn = family.draw(len(kappa), jax.random.fold_in(key, 1))
        return _shown(taught.look, family, drawn, noise_after, scale, kappa, key)

    model, history = trainer.run(
        _fresh(family, width, ramps, random.key(seed, "weights")),
        taught.kappa,
        taught.targets,
        training,
        observe=shown_now,
        checkpoint=checkpoint,
        key=random.key(seed, "training"),
    )
    targets = jnp.asarray(taught.mean, jnp.float32), jnp.asarray(taught.scale, jnp.float32)
    return Amortised(model, jnp.float32(scale), *targets, history, family, width, ramps, training.coarsen)


def tuned(
    amortised: Amortised,
    data: xr.Dataset,
    survey: Survey,
    training: Training,
    *,
    spec: str,
    noise_after: float = 0.0,
    redshifts: Sequence[float] = (),
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Amortised:
    """The middle way: an amortised network, trained a little further under one degradation alone.

    Args:
        amortised: where to start.
        data, survey, noise_after: as in `fit`.
        training: how, with a learning rate lower than that of a fresh start.
        spec: the degradation, a single step that the network knows.
        redshifts: of each bin's lenses, for comoving scales that name none.
        seed: of the order of the maps and of the noise.
        checkpoint: folder to keep the state in and to go on from.

    Raises:
        ValueError: as `fit` and `DegradationFamily.read`.
        FloatingPointError: the loss is not finite.
    """
    family = amortised.family
    one = family.read(spec, tuple(redshifts))
    taught = prepare(data, survey, coarsen_by=amortised.coarsen, held_out=training.held_out)
    scale = float(amortised.input_scale)

    def shown_now(kappa: Array, key: Array) -> Array:
        drawn = SampledDegradation(*(jnp.repeat(numbers, len(kappa)) for numbers in one))
        return _shown(taught.look, family, drawn, noise_after, scale, kappa, key)

    model, history = trainer.run(
        amortised.model,
        taught.kappa,
        taught.targets,
        training,
        observe=shown_now,
        checkpoint=checkpoint,
        key=random.key(seed, "tuning", spec),
    )
    return dataclasses.replace(amortised, model=model, history=history)


def predictions(
    amortised: Amortised,
    kappa: Float[Array | np.ndarray, "map bin y x"],
    survey: Survey,
    *,
    specs: Sequence[str],
    side: float,
    seed: int,
    noise_after: float = 0.0,
    redshifts: Sequence[float] = (),
    batch: int = 256,
) -> Float[np.ndarray, "spec map output"]:
    """The network's outputs for noiseless maps under several degradations: one compilation for all of them.

    Map i gets the noise of `random.key(seed, "noise", i)`, as in `training.predictions`.

    Args:
        amortised: from `fit` or `tuned`.
        kappa: noiseless maps.
        survey, noise_after: as in `fit`.
        specs: degradations that the network knows.
        side: side of a map [deg].
        seed: of the noise.
        redshifts: of each bin's lenses, for comoving scales that name none.
        batch: maps at a time.

    Returns:
        omega_m and sigma_8 for each map under each degradation.

    Raises:
        ValueError: as `DegradationFamily.read`; no map.
    """
    check_finite("kappa", kappa)
    read = [amortised.family.read(spec, tuple(redshifts)) for spec in specs]
    options = {"survey": survey, "pixel": 60 * side / kappa.shape[-1], "factor": amortised.coarsen}
    look = by_value(functools.partial(look_at, **options))
    stream, bare = random.key(seed, "noise"), dataclasses.replace(amortised, history={})
    names = random.of_maps(len(kappa))
    size, found = min(batch, len(kappa)), np.zeros((len(specs), len(kappa), 2), np.float32)
    for start in progress(range(0, len(kappa), size), "asking", unit="batch"):
        rows = np.arange(start, start + size) % len(kappa)
        maps = jnp.asarray(kappa[rows], jnp.float32)
        for number, drawn in enumerate(read):
            found[number, rows] = np.asarray(_answers(bare, look, stream, noise_after, maps, names[rows], drawn))
    return found


@filter_compiled
def _answers(
    amortised: Amortised,
    look: Any,
    stream: Array,
    noise_after: float,
    kappa: Array,
    names: Array,
    drawn: SampledDegradation,
) -> Array:
    """What the network says about each map, observed with a noise of its own and degraded alike."""

    def one(image: Array, name: Array) -> Array:
        key, scale = jax.random.fold_in(stream, name), amortised.input_scale
        return amortised.model(_shown(look, amortised.family, drawn, noise_after, scale, image[None], key)[0])

    return amortised.target_mean + amortised.target_scale * jax.vmap(one)(kappa, names)


def _shown(
    look: Callable[..., Array],
    family: DegradationFamily,
    drawn: SampledDegradation,
    noise_after: float,
    scale: float | Array,
    kappa: Array,
    key: Array,
) -> Float[Array, "map number y x"]:
    """Each map observed and degraded, with what the network is told behind it as constant bins."""

    def transform(image: Array, key: Array) -> Array:
        degraded = family.apply(image, drawn, key=jax.random.fold_in(key, 0))
        return bins.add_noise(degraded, noise_after, key=jax.random.fold_in(key, 1))

    return _with_told(family, drawn, look(kappa, key, transform=transform) / scale)
