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

from wlbook.common import batching, random
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


class _View(eqx.Module):
    """How maps are observed and degraded for a network."""

    look: Callable[..., Array]  # from maps and a key to what the survey shows
    family: DegradationFamily = eqx.field(static=True)
    noise_after: float  # as in `fit`

    def __call__(
        self, kappa: Array, key: Array, drawn: SampledDegradation, scale: float | Array
    ) -> Float[Array, "map number y x"]:
        """Each map observed, degraded and divided by `scale`, with what the network is told behind it."""

        def transform(image: Array, key: Array) -> Array:
            degraded = self.family.apply(image, drawn, key=jax.random.fold_in(key, 0))
            return bins.add_noise(degraded, self.noise_after, key=jax.random.fold_in(key, 1))

        return _with_told(self.family, drawn, self.look(kappa, key, transform=transform) / scale)


class Amortised(eqx.Module):
    """A conditioned network, the degradations it knows, and all else that an `Estimator` has."""

    model: Conditioned
    input_scale: Float[Array, ""]
    target_mean: Float[Array, " output"]
    target_scale: Float[Array, " output"]
    history: dict[str, np.ndarray]
    family: DegradationFamily = eqx.field(static=True)
    coarsen: int = eqx.field(static=True, default=1)

    def at(self, spec: str, redshifts: tuple[float, ...] = ()) -> Estimator:
        """The network for one degradation (see `DegradationFamily.read`), as if it had been trained for that."""
        told = _Told(self.model, self.family, self.family.read(spec, redshifts))
        scales = self.input_scale, self.target_mean, self.target_scale
        return Estimator(told, *scales, self.history, self.coarsen)

    def save(self, folder: Path) -> None:
        """Write everything into `folder`."""
        base = self.model.base
        checkpoints.write(folder, self, family=dataclasses.asdict(self.family), width=base.width, ramps=base.ramps)

    @classmethod
    def load(cls, folder: Path) -> "Amortised":
        """Read what `save` wrote."""

        def blank(described: dict[str, Any]) -> Amortised:
            family = DegradationFamily(**described["family"] | {"power": tuple(described["family"]["power"])})
            model = _fresh(family, described["width"], described["ramps"], jax.random.key(0))
            return cls(model, jnp.float32(0), jnp.zeros(2), jnp.zeros(2), {}, family)

        return checkpoints.read(folder, blank)


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
    """Train one network for all degradations of a family, of which each map of a step has its own.

    `survey` is noise before the degradation, and smoothing after all else; `noise_after` the standard deviation of
    white noise behind the degradation, in a pixel of the coarse maps. The rest is as in `training.fit` and
    `architectures.Compact`.
    """
    taught = prepare(data, survey, training)
    shown = taught.shown(None, seed)
    scale = math.hypot(spread(shown), noise_after)
    family = sampler.family(shown, taught.side, (noise_after / scale) ** 2)
    view = _View(taught.look, family, noise_after)

    def shown_now(kappa: Array, key: Array) -> Array:
        return view(kappa, key, family.draw(len(kappa), jax.random.fold_in(key, 1)), scale)

    model, history = trainer.run(
        _fresh(family, width, ramps, random.key(seed, "weights")),
        taught.kappa,
        taught.targets,
        training,
        observe=shown_now,
        checkpoint=checkpoint,
        key=random.key(seed, "training"),
    )
    return Amortised(model, jnp.float32(scale), *taught.scales, history, family, training.coarsen)


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

    The degradation is as `DegradationFamily.read` takes it, the learning rate lower than that of a fresh start, the
    seed that of the order of the maps and of the noise; all else is as in `fit`.
    """
    one = amortised.family.read(spec, tuple(redshifts))
    taught = prepare(data, survey, dataclasses.replace(training, coarsen=amortised.coarsen))
    view, scale = _View(taught.look, amortised.family, noise_after), float(amortised.input_scale)

    def shown_now(kappa: Array, key: Array) -> Array:
        drawn = SampledDegradation(*(jnp.repeat(numbers, len(kappa)) for numbers in one))
        return view(kappa, key, drawn, scale)

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
    """omega_m and sigma_8 for noiseless maps under several degradations: one compilation for all of them.

    Map i gets the noise of `random.key(seed, "noise", i)`, as in `training.predictions`.

    Degradations are as `DegradationFamily.read` takes them, survey and noise_after as in `fit`, all else as in
    `training.predictions`.
    """
    check_finite("kappa", kappa)
    read = [amortised.family.read(spec, tuple(redshifts)) for spec in specs]
    options = {"survey": survey, "pixel": 60 * side / kappa.shape[-1], "factor": amortised.coarsen}
    view = _View(by_value(functools.partial(look_at, **options)), amortised.family, noise_after)
    stream, bare = random.key(seed, "noise"), dataclasses.replace(amortised, history={})
    names = random.of_maps(len(kappa))
    found = np.zeros((len(specs), len(kappa), 2), np.float32)
    for rows, _ in progress(batching.equal(len(kappa), batch), "asking", unit="batch"):
        maps = jnp.asarray(kappa[rows], jnp.float32)
        for number, drawn in enumerate(read):
            found[number, rows] = np.asarray(_answers(bare, view, stream, maps, names[rows], drawn))
    return found


@filter_compiled
def _answers(
    amortised: Amortised, view: _View, stream: Array, kappa: Array, names: Array, drawn: SampledDegradation
) -> Array:
    """What the network says about each map, observed with a noise of its own and degraded alike."""

    def one(image: Array, name: Array) -> Array:
        key = jax.random.fold_in(stream, name)
        return amortised.model(view(image[None], key, drawn, amortised.input_scale)[0])

    return amortised.target_mean + amortised.target_scale * jax.vmap(one)(kappa, names)
