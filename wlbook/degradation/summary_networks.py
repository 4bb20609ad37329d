"""Twins: small dense networks that are shown a few numbers of the very maps that the convolutional networks see.

The spectra twin is shown all auto- and cross-spectra and the mean of each bin: on maps with random phases that is all
there is to know. The histogram twin is shown the histogram of the pixels: on shuffled maps of one bin that is all.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key

from wlbook.common import batching, checks, random
from wlbook.network import checkpoints, trainer
from wlbook.network.configuration import Training
from wlbook.network.estimators import Estimator
from wlbook.network.layers import ChannelsLast, Dense, Flatten, Layers, ReLU, run
from wlbook.network.training_set import TrainingSet, prepare, spread
from wlbook.simulation.survey import Survey
from wlbook.statistics import spectra

KINDS = ("spectra", "histogram")
_FLOOR = 1e-5  # of the mean power: what a filter took away is the same in every map
_EDGES = np.linspace(-3.0, 5.0, 33)  # of the histogram, whose first and last bins are open
_INNER = 64  # width of the two hidden layers
_DRAWS = 8  # of noise (and of what is random in the degradation) for each map; each step takes one of them


@dataclasses.dataclass(frozen=True)
class Summary:
    """Which numbers of a map a twin is shown."""

    kind: str  # "spectra" or "histogram"
    side: float  # of the maps [deg]
    pixels: int  # of a side of the maps
    spread: float  # standard deviation of the maps, the unit of the histogram
    power: tuple[float, ...]  # mean power of each bin [sr], the unit of the floor of the spectra

    @property
    def ell_edges(self) -> list[float]:
        """Edges of the bins in ell: one wave wide, wider from about ten waves on."""
        waves = np.unique(np.rint(np.geomspace(1, self.pixels / np.sqrt(2) + 1, 28)))
        return (360.0 / self.side * (waves - 0.5)).tolist()

    def of(self, kappa: Float[Array, "*batch bin y x"]) -> Float[Array, "*batch number"]:
        """The numbers of each map."""
        bins = kappa.shape[-3]
        pairs = [(i, j) for i in range(bins) for j in range(i + 1, bins)]
        numbers = [kappa.mean((-2, -1)) / self.spread]
        if self.kind == "spectra":
            power = spectra.power_spectrum(kappa, side=self.side, ell_edges=self.ell_edges)
            places = {pair: number for number, pair in enumerate(spectra.pairs(bins))}
            autos = [power[..., places[i, i], :] + _FLOOR * self.power[i] for i in range(bins)]
            numbers += [jnp.log(auto / mean) for auto, mean in zip(autos, self.power, strict=True)]
            numbers += [power[..., places[i, j], :] / jnp.sqrt(autos[i] * autos[j]) for i, j in pairs]
        else:
            values = kappa / self.spread
            flat = values.reshape(*values.shape[:-2], -1)
            above = jnp.stack([(flat >= edge).mean(-1) for edge in jnp.asarray(_EDGES)], axis=-1)
            ends = [jnp.ones_like(above[..., :1]), above, jnp.zeros_like(above[..., :1])]
            share = -jnp.diff(jnp.concatenate(ends, axis=-1), axis=-1)
            numbers += [jnp.sqrt(share).reshape(*share.shape[:-2], -1), jnp.log(flat.std(-1) + 1e-3)]
            numbers += [(flat[..., i, :] * flat[..., j, :]).mean(-1, keepdims=True) for i, j in pairs]
        return jnp.concatenate(numbers, axis=-1)


class _Numbers(eqx.Module):
    """From a map in kappa to the standardised numbers of it, as bins of a map of one pixel."""

    summary: Summary = eqx.field(static=True)
    mean: Float[Array, " number"]
    scale: Float[Array, " number"]

    def __call__(self, kappa: Float[Array, "bin y x"]) -> Float[Array, "number 1 1"]:
        return ((self.summary.of(kappa) - self.mean) / self.scale)[:, None, None]


class Dressed(eqx.Module):
    """Layers in a row."""

    layers: Layers

    def __call__(self, kappa: Float[Array, "bin y x"]) -> Float[Array, " output"]:
        """Apply one after the other."""
        return run(self.layers, kappa)


class Twin(eqx.Module):
    """A trained twin; target scales, history and `coarsen` are as in `Estimator`."""

    model: Dressed  # dense layers
    mean: Float[Array, " number"]  # of the numbers it is shown, over maps
    scale: Float[Array, " number"]
    target_mean: Float[Array, " output"]
    target_scale: Float[Array, " output"]
    history: dict[str, np.ndarray]
    summary: Summary = eqx.field(static=True)
    coarsen: int = eqx.field(static=True, default=1)

    @property
    def trained(self) -> Estimator:
        """The twin as a network of maps, to be asked like any other."""
        whole = Dressed((_Numbers(self.summary, self.mean, self.scale), self.model))
        return Estimator(whole, jnp.float32(1), self.target_mean, self.target_scale, self.history, self.coarsen)

    def save(self, folder: Path) -> None:
        """Write everything into `folder`."""
        checkpoints.write(folder, self, summary=dataclasses.asdict(self.summary), numbers=len(self.mean))

    @classmethod
    def load(cls, folder: Path) -> "Twin":
        """Read what `save` wrote."""

        def blank(described: dict[str, Any]) -> Twin:
            summary = Summary(**described["summary"] | {"power": tuple(described["summary"]["power"])})
            numbers, targets = jnp.zeros(described["numbers"]), jnp.zeros(2)
            model = _dense(described["numbers"], jax.random.key(0))
            return cls(model, numbers, numbers, targets, targets, {}, summary)

        return checkpoints.read(folder, blank)


def _dense(numbers: int, key: Key[Array, ""]) -> Dressed:
    one, two, three = jax.random.split(key, 3)
    hidden = Dense(numbers, _INNER, gain=2**0.5, key=one), ReLU(), Dense(_INNER, _INNER, gain=2**0.5, key=two), ReLU()
    return Dressed((ChannelsLast(), Flatten(), *hidden, Dense(_INNER, 2, gain=0.1, key=three)))


def fit(
    data: xr.Dataset,
    survey: Survey,
    training: Training,
    *,
    kind: str = "spectra",
    transform: Callable[..., Array] | None = None,
    seed: int = 0,
) -> Twin:
    """Train a twin of one of `KINDS` on the numbers of degraded noisy maps, otherwise as `training.fit` trains."""
    checks.one_of("kind", kind, KINDS)
    taught = prepare(data, survey, training)
    summary = _summary(kind, taught.shown(transform, seed), taught.side)
    vectors = _vectors(taught, summary, transform, random.key(seed, "draws"))
    mean, scale = vectors.mean((0, 2)), vectors.std((0, 2))
    # A number that is the same in every map (a band that was filtered away) tells nothing.
    scale = np.where(scale > 1e-4, scale, np.inf).astype(np.float32)
    standard = ((vectors - mean[:, None]) / scale[:, None])[:, :, None]

    def pick(numbers: Array, key: Array) -> Array:
        which = jax.random.randint(key, (len(numbers),), 0, _DRAWS)
        return jnp.take_along_axis(numbers, which[:, None, None, None], axis=-1)

    model, history = trainer.run(
        _dense(len(mean), random.key(seed, "weights")),
        standard,
        taught.targets,
        training,
        observe=pick,
        # No convolutions: a scan loses nothing.
        plan=trainer.plan_for_device(training.batch, streamed=False)._replace(scan=100),
        key=random.key(seed, "training"),
    )
    scales = jnp.asarray(mean, jnp.float32), jnp.asarray(scale, jnp.float32)
    return Twin(model, *scales, *taught.scales, history, summary, training.coarsen)


def _summary(kind: str, shown: Float[Array, "map bin y x"], side: float) -> Summary:
    """The numbers that suit maps like these."""
    pixels, bins = shown.shape[-1], shown.shape[1]
    blank = Summary(kind, side, pixels, spread(shown), (1.0,) * bins)
    power = spectra.power_spectrum(shown, side=side, ell_edges=blank.ell_edges)
    autos = [number for number, (i, j) in enumerate(spectra.pairs(bins)) if i == j]
    return dataclasses.replace(blank, power=tuple(float(each) for each in power.mean((0, -1))[jnp.asarray(autos)]))


def _vectors(
    taught: TrainingSet, summary: Summary, transform: Callable | None, key: Key[Array, ""]
) -> Float[np.ndarray, "map number draw"]:
    """The numbers of every map, with several draws of noise."""

    @jax.jit
    def numbers(kappa: Array, key: Array) -> Array:
        return summary.of(taught.look(kappa, key, transform=transform))

    found = []
    for rows, fresh in batching.equal(len(taught.kappa), 256):
        maps, part = jnp.asarray(taught.kappa[rows], jnp.float32), jax.random.fold_in(key, int(rows[0]))
        drawn = [numbers(maps, jax.random.fold_in(part, draw)) for draw in range(_DRAWS)]
        found.append(np.stack(drawn, axis=-1)[:fresh])
    return np.concatenate(found)
