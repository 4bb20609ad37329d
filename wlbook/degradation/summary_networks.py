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

from wlbook.common import random
from wlbook.network import checkpoints, trainer
from wlbook.network.configuration import Training
from wlbook.network.estimators import Estimator
from wlbook.network.layers import ChannelsLast, Dense, Flatten, Layers, ReLU, run
from wlbook.network.training_set import TrainingSet, prepare, spread
from wlbook.simulation.survey import Survey
from wlbook.statistics import spectra

KINDS = ("spectra", "histogram")
_FLOOR = 1e-5  # of the mean power: what a filter took away is the same in every map
_EDGES = (-np.inf, *np.linspace(-3.0, 5.0, 33), np.inf)


@dataclasses.dataclass(frozen=True)
class Summary:
    """Which numbers of a map a twin is shown.

    Attributes:
        kind: "spectra" or "histogram".
        side: of the maps [deg].
        pixels: of a side of the maps.
        spread: standard deviation of the maps, the unit of the histogram.
        power: mean power of each bin [sr], the unit of the floor of the spectra.
    """

    kind: str
    side: float
    pixels: int
    spread: float
    power: tuple[float, ...]

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
            edges = jnp.asarray(_EDGES[1:-1])
            above = jnp.stack([(flat >= edge).mean(-1) for edge in edges], axis=-1)
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
    """Layers in a row, applied one after the other."""

    layers: Layers

    def __call__(self, kappa: Float[Array, "bin y x"]) -> Float[Array, " output"]:
        """Apply them."""
        return run(self.layers, kappa)


class Twin(eqx.Module):
    """A trained twin.

    Attributes:
        model: the dense network.
        mean, scale: of the numbers it is shown.
        target_mean, target_scale, history, coarsen: as in `Estimator`.
        summary: which numbers.
    """

    model: Dressed
    mean: Float[Array, " number"]
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
        described = {"summary": dataclasses.asdict(self.summary), "coarsen": self.coarsen, "history": self.history}
        described |= {"numbers": len(self.mean), "inner": self.model.layers[2].weight.shape[1]}
        leaves = (self.model, self.mean, self.scale, self.target_mean, self.target_scale)
        checkpoints.write(folder, described, leaves)

    @classmethod
    def load(cls, folder: Path) -> "Twin":
        """Read what `save` wrote."""

        def blank(described: dict[str, Any]) -> Any:
            numbers, targets = jnp.zeros(described["numbers"]), jnp.zeros(2)
            model = _dense(described["numbers"], described["inner"], jax.random.key(0))
            return model, numbers, numbers, targets, targets

        described, leaves = checkpoints.read(folder, blank)
        summary = Summary(**{**described["summary"], "power": tuple(described["summary"]["power"])})
        history = checkpoints.history_of(described)
        return cls(*leaves, history=history, summary=summary, coarsen=described["coarsen"])


def _dense(numbers: int, inner: int, key: Key[Array, ""]) -> Dressed:
    one, two, three = jax.random.split(key, 3)
    layers = (
        ChannelsLast(),
        Flatten(),
        Dense(numbers, inner, gain=2**0.5, key=one),
        ReLU(),
        Dense(inner, inner, gain=2**0.5, key=two),
        ReLU(),
        Dense(inner, 2, gain=0.1, key=three),
    )
    return Dressed(layers)


def fit(
    data: xr.Dataset,
    survey: Survey,
    training: Training,
    *,
    kind: str = "spectra",
    inner: int = 64,
    draws: int = 8,
    transform: Callable[..., Array] | None = None,
    seed: int = 0,
) -> Twin:
    """Train a twin on the numbers of degraded noisy maps, with the loss and the optimiser of the networks.

    Args:
        data: maps with their parameters [map, bin, y, x].
        survey: noise and smoothing.
        training: how it learns.
        kind: "spectra" or "histogram".
        inner: width of the two hidden layers, >= 1.
        draws: of noise (and of what is random in the degradation) for each map; each step takes one of them, >= 1.
        transform: a degradation, as in `survey.observe`.
        seed: of the initial weights, the order of the maps and the noise.

    Raises:
        ValueError: an argument out of range, maps that are not finite, no maps of split "train".
    """
    if kind not in KINDS:
        raise ValueError(f'kind = "{kind}": must be one of {", ".join(KINDS)}')
    for name, value in (("inner", inner), ("draws", draws)):
        if value < 1:
            raise ValueError(f"{name} = {value}: must be >= 1")
    taught = prepare(data, survey, coarsen_by=training.coarsen, held_out=training.held_out)
    summary = _summary(kind, taught.shown(transform, seed), taught.side)
    vectors = _vectors(taught, summary, transform, draws, random.key(seed, "draws"))
    mean, scale = vectors.mean((0, 2)), vectors.std((0, 2))
    # A number that is the same in every map (a band that was filtered away) tells nothing.
    scale = np.where(scale > 1e-4, scale, np.inf).astype(np.float32)
    standard = ((vectors - mean[:, None]) / scale[:, None])[:, :, None]

    def pick(numbers: Array, key: Array) -> Array:
        which = jax.random.randint(key, (len(numbers),), 0, draws)
        return jnp.take_along_axis(numbers, which[:, None, None, None], axis=-1)

    model, history = trainer.run(
        _dense(len(mean), inner, random.key(seed, "weights")),
        standard,
        taught.targets,
        training,
        observe=pick,
        # No convolutions: a scan loses nothing.
        plan=trainer.plan_for_device(training.batch, streamed=False)._replace(scan=100),
        key=random.key(seed, "training"),
    )
    scales = (jnp.asarray(each, jnp.float32) for each in (mean, scale, taught.mean, taught.scale))
    return Twin(model, *scales, history=history, summary=summary, coarsen=training.coarsen)


def _summary(kind: str, shown: Float[Array, "map bin y x"], side: float) -> Summary:
    """The numbers that suit maps like these."""
    pixels, bins = shown.shape[-1], shown.shape[1]
    blank = Summary(kind, side, pixels, spread(shown), (1.0,) * bins)
    power = spectra.power_spectrum(shown, side=side, ell_edges=blank.ell_edges)
    autos = [number for number, (i, j) in enumerate(spectra.pairs(bins)) if i == j]
    return dataclasses.replace(blank, power=tuple(float(each) for each in power.mean((0, -1))[jnp.asarray(autos)]))


def _vectors(
    taught: TrainingSet, summary: Summary, transform: Callable | None, draws: int, key: Key[Array, ""]
) -> Float[np.ndarray, "map number draw"]:
    """The numbers of every map, with several draws of noise."""

    @jax.jit
    def numbers(kappa: Array, key: Array) -> Array:
        return summary.of(taught.look(kappa, key, transform=transform))

    size, total = min(256, len(taught.kappa)), len(taught.kappa)
    found = []
    for start in range(0, total, size):
        rows = np.arange(start, start + size) % total  # one shape, one compilation
        maps, part = jnp.asarray(taught.kappa[rows], jnp.float32), jax.random.fold_in(key, start)
        found.append(np.stack([numbers(maps, jax.random.fold_in(part, draw)) for draw in range(draws)], axis=-1))
    return np.concatenate(found)[:total]
