"""One network for all degradations: it is told what was taken from its map, and how much.

Paper B trains a network for every degradation. Here a random degradation of random strength is drawn for every map of
every batch, and a vector that says which one is given to the network with the map. One training then answers for the
whole curve of information against scale. `tuned` goes on from it for a few steps under one degradation alone.
"""

import dataclasses
import functools
import json
import math
import zlib
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
from wlbook.network import trainer
from wlbook.network.estimators import Estimator
from wlbook.network.trainer import Settings
from wlbook.network.training_set import lesson, spread
from wlbook.simulation.survey import PerBin, observe_degraded


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
        """Write the weights (Equinox leaves) and everything else (JSON) into `folder`."""
        scales = ("input_scale", "target_mean", "target_scale")
        described = {name: np.asarray(getattr(self, name)).tolist() for name in scales}
        described |= {"history": {name: values.tolist() for name, values in self.history.items()}}
        described |= {"family": dataclasses.asdict(self.family), "coarsen": self.coarsen}
        described |= {"width": self.width, "ramps": self.ramps}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "amortised.json").write_text(json.dumps(described))
        eqx.tree_serialise_leaves(folder / "weights.eqx", self.model)

    @classmethod
    def load(cls, folder: Path) -> "Amortised":
        """Read what `save` wrote."""
        stored = json.loads((folder / "amortised.json").read_text())
        family = DegradationFamily(**{**stored["family"], "power": tuple(stored["family"]["power"])})
        make = functools.partial(_fresh, family, stored["width"], stored["ramps"], jax.random.key(0))
        return cls(
            model=eqx.tree_deserialise_leaves(folder / "weights.eqx", eqx.filter_eval_shape(make)),
            input_scale=jnp.float32(stored["input_scale"]),
            target_mean=jnp.asarray(stored["target_mean"], jnp.float32),
            target_scale=jnp.asarray(stored["target_scale"], jnp.float32),
            history={name: np.asarray(values) for name, values in stored["history"].items()},
            family=family,
            width=stored["width"],
            ramps=stored["ramps"],
            coarsen=stored["coarsen"],
        )


def _fresh(family: DegradationFamily, width: int, ramps: int, key: Key[Array, ""]) -> Conditioned:
    return Conditioned(bins=family.bins, told=family.numbers, width=width, ramps=ramps, key=key)


def fit(
    data: xr.Dataset,
    *,
    width: int = 16,
    ramps: int = 0,
    steps: int = 1500,
    batch: int = 32,
    learning_rate: float | None = None,
    n_gal: PerBin = 30.0,
    sigma_e: float = 0.4,
    noise_after: float = 0.0,
    smoothing: PerBin = 1.0,
    coarsen: int = 1,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Amortised:
    """Train one network for all degradations of a family.

    Args:
        data: maps with their parameters, as `maps.make` returns them.
        width, ramps: as in `architectures.Compact`.
        steps: optimiser steps.
        batch: maps in a step, each with a degradation of its own.
        learning_rate: peak learning rate; None is the recipe's own.
        n_gal: source density of each bin [arcmin^-2], > 0.
        sigma_e: total intrinsic ellipticity dispersion of the noise before the degradation; 0 is none.
        noise_after: standard deviation of white noise added after the degradation, in a pixel of the coarse maps.
        smoothing: standard deviation of the Gaussian of each bin, after all of that [arcmin], >= 0.
        coarsen: pixels averaged along each side before anything else.
        seed: of the initial weights, the order of the maps, noise and degradations.
        checkpoint: folder to keep the state in and to go on from.

    Raises:
        ValueError: an argument out of range, maps that are not finite, no maps of split "train".
        FloatingPointError: the loss is not finite.
    """
    taught = lesson(data, coarsen=coarsen, n_gal=n_gal, sigma_e=sigma_e, smoothing=smoothing)
    shown = taught.shown(None, seed)
    scale = math.hypot(spread(shown), noise_after)
    family = sampler.family(shown, taught.side, (noise_after / scale) ** 2)

    def shown_now(kappa: Array, key: Array) -> Array:
        drawn = family.draw(len(kappa), jax.random.fold_in(key, 1))
        return _shown(taught.look, family, drawn, noise_after, scale, kappa, key)

    ((model, history),) = trainer.run(
        [_fresh(family, width, ramps, random.key(seed, "weights"))],
        taught.kappa,
        taught.targets,
        Settings(steps, batch, learning_rate),
        observe=shown_now,
        validation=None,
        checkpoint=checkpoint,
        save_seconds=10.0,
        keys=[random.key(seed, "training")],
    )
    targets = jnp.asarray(taught.mean, jnp.float32), jnp.asarray(taught.scale, jnp.float32)
    return Amortised(model, jnp.float32(scale), *targets, history, family, width, ramps, coarsen)


def tuned(
    amortised: Amortised,
    data: xr.Dataset,
    *,
    spec: str,
    steps: int,
    batch: int = 32,
    learning_rate: float = 1e-3,
    n_gal: PerBin = 30.0,
    sigma_e: float = 0.4,
    noise_after: float = 0.0,
    smoothing: PerBin = 1.0,
    redshifts: tuple[float, ...] | list[float] = (),
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Amortised:
    """The middle way: an amortised network, trained a little further under one degradation alone.

    Args:
        amortised: where to start.
        data: as in `fit`.
        spec: the degradation, a single step that the network knows.
        steps: optimiser steps.
        batch: maps in a step.
        learning_rate: peak learning rate, lower than that of a fresh start.
        n_gal, sigma_e, noise_after, smoothing: as in `fit`.
        redshifts: of each bin's lenses, for comoving scales that name none.
        seed: of the order of the maps and of the noise.
        checkpoint: folder to keep the state in and to go on from.

    Raises:
        ValueError: as `fit` and `DegradationFamily.read`.
        FloatingPointError: the loss is not finite.
    """
    family = amortised.family
    one = family.read(spec, tuple(redshifts))
    taught = lesson(data, coarsen=amortised.coarsen, n_gal=n_gal, sigma_e=sigma_e, smoothing=smoothing)
    scale = float(amortised.input_scale)

    def shown_now(kappa: Array, key: Array) -> Array:
        drawn = SampledDegradation(*(jnp.repeat(numbers, len(kappa)) for numbers in one))
        return _shown(taught.look, family, drawn, noise_after, scale, kappa, key)

    ((model, history),) = trainer.run(
        [amortised.model],
        taught.kappa,
        taught.targets,
        Settings(steps, batch, learning_rate),
        observe=shown_now,
        validation=None,
        checkpoint=checkpoint,
        save_seconds=10.0,
        keys=[random.key(seed, "tuning", spec)],
    )
    return dataclasses.replace(amortised, model=model, history=history)


def predictions(
    amortised: Amortised,
    kappa: Float[Array | np.ndarray, "map bin y x"],
    *,
    specs: Sequence[str],
    side: float,
    n_gal: PerBin,
    sigma_e: float,
    noise_after: float = 0.0,
    smoothing: PerBin,
    seed: int,
    redshifts: Sequence[float] = (),
    batch: int = 256,
) -> Float[np.ndarray, "spec map output"]:
    """The network's outputs for noiseless maps under several degradations: one compilation for all of them.

    Map i gets the noise of `random.key(seed, "noise", i)`, as in `training.predictions`.

    Args:
        amortised: from `fit` or `tuned`.
        kappa: noiseless maps.
        specs: degradations that the network knows.
        side: side of a map [deg].
        n_gal, sigma_e, noise_after, smoothing: as in `fit`.
        seed: of the noise.
        redshifts: of each bin's lenses, for comoving scales that name none.
        batch: maps at a time.

    Returns:
        omega_m and sigma_8 for each map under each degradation.

    Raises:
        ValueError: as `DegradationFamily.read`; no map.
    """
    check_finite("kappa", kappa)
    family, factor = amortised.family, amortised.coarsen
    read = [family.read(spec, tuple(redshifts)) for spec in specs]
    told = {"n_gal": n_gal, "sigma_e": sigma_e, "smoothing": smoothing, "factor": factor}
    look = by_value(functools.partial(observe_degraded, pixel=60 * side / kappa.shape[-1], **told))
    stream, bare = random.key(seed, "noise"), dataclasses.replace(amortised, history={})
    names = np.array([zlib.crc32(str(i).encode()) for i in range(len(kappa))], np.uint32)
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
