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
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Key

from wlbook import degradation, loop, network, random, specifications
from wlbook.batches import check_finite
from wlbook.lessons import lesson, spread
from wlbook.loop import Settings
from wlbook.network import Compact, Convolution, Dense, GlobalAverage, ReLU, Residual
from wlbook.progress import progress
from wlbook.trained import Trained
from wlbook.training import PerBin, observe

#: The degradations that one network learns; those with a strength are drawn three times as often as the others.
KINDS = (
    "none", "low_pass", "high_pass", "keep_kappa", "remove_kappa", "shuffle_pixels", "randomize_phases", "sum_bins",
)  # fmt: skip
_FILTERS, _RANGES = ("low_pass", "high_pass"), ("keep_kappa", "remove_kappa")
_FARTHEST = 2.5  # thresholds are drawn within so many standard deviations
_OPEN = 4.0  # an open end of a range is told to the network as if it were a threshold here
_CLOSEST = 0.5  # two thresholds of one range are at least so far apart [standard deviations]


class Drawn(NamedTuple):
    """A degradation for each map: its kind's number in `KINDS`, and its one or two strengths."""

    kind: Int[Array, " map"]
    first: Float[Array, " map"]
    second: Float[Array, " map"]


@dataclasses.dataclass(frozen=True)
class Ladder:
    """Which degradations one network covers.

    Attributes:
        side: of the maps [deg].
        pixels: of a side of the maps.
        bins: tomographic bins; with one there is nothing to sum.
        power: share of the variance of a typical map in waves up to each of `grid`.
        noise: share of that variance that is noise added after the degradation, which no degradation takes away.
    """

    side: float
    pixels: int
    bins: int
    power: tuple[float, ...]
    noise: float = 0.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """Names of the degradations."""
        return KINDS if self.bins > 1 else KINDS[:-1]

    @property
    def ells(self) -> tuple[float, float]:
        """Ends of the range of cuts: the map's longest wave, and the shortest in its corners."""
        return 360.0 / self.side, math.sqrt(0.5) * 360.0 / self.side * self.pixels

    @property
    def grid(self) -> Float[np.ndarray, " ell"]:
        """The multipoles of `power`."""
        return np.geomspace(*self.ells, len(self.power))

    def read(self, spec: str, redshifts: tuple[float, ...] = ()) -> Drawn:
        """The degradation that a specification names, as for one map.

        Args:
            spec: a single step of the grammar in `wlbook.specifications`.
            redshifts: of each bin's lenses, for comoving scales that name none.

        Raises:
            ValueError: a specification that this ladder does not hold; a cut beyond its ends.
        """
        steps = specifications.read(spec) or (specifications.Step("none"),)
        name, amounts, option = steps[0]
        if len(steps) > 1 or name not in self.kinds or option not in ("", "sharp", "mean", "shared"):
            raise ValueError(f"degradation = {spec!r}: one network learns single steps of {', '.join(self.kinds)}")
        if any(amount.unit == "kappa" for amount in amounts):
            raise ValueError(f"degradation = {spec!r}: one network learns thresholds in standard deviations of a map")
        values = [amount.value for amount in amounts]
        if name in _FILTERS:
            (amount,) = amounts
            seen = amount.redshifts or redshifts
            if amount.unit == "Mpc/h":
                if len(set(seen)) != 1:
                    raise ValueError(f"degradation = {spec!r}: one network learns one cut for all bins")
                values = [degradation.ell_from_length(amount.value, seen[0])]
            if not self.ells[0] <= values[0] <= self.ells[1]:
                low, high = (f"{ell:.0f}" for ell in self.ells)
                raise ValueError(f"degradation = {spec!r}: ell = {values[0]:.0f}, one network learns {low} to {high}")
        if name in _RANGES and any(_FARTHEST + _CLOSEST < abs(value) < math.inf for value in values):
            raise ValueError(f"degradation = {spec!r}: one network learns thresholds up to {_FARTHEST + _CLOSEST:g}")
        if name in _RANGES and values == [-math.inf, math.inf]:
            raise ValueError(f"degradation = {spec!r}: one network learns ranges with an end")
        if name == "remove_kappa" and math.inf in map(abs, values):  # what is left is one range
            name, values = "keep_kappa", [-math.inf, values[0]] if values[1] == math.inf else [values[1], math.inf]
        first, second = [*values, 0.0, 0.0][:2]
        numbers = (jnp.asarray([value], jnp.float32) for value in (first, second))
        return Drawn(jnp.asarray([self.kinds.index(name)]), *numbers)

    def holds(self, spec: str, redshifts: tuple[float, ...] = ()) -> bool:
        """Whether one network learns what a specification names."""
        try:
            self.read(spec, redshifts)
        except ValueError:
            return False
        return True

    def draw(self, maps: int, key: Key[Array, ""]) -> Drawn:
        """A degradation of random kind and strength for each of so many maps."""
        weights = jnp.asarray([3.0 if kind in _FILTERS + _RANGES else 1.0 for kind in self.kinds])
        which, cut, low, gap, ends = jax.random.split(key, 5)
        kind = jax.random.categorical(which, jnp.log(weights), shape=(maps,))
        first_ell, last_ell = self.ells
        ell = first_ell * (last_ell / first_ell) ** jax.random.uniform(cut, (maps,))
        low = _FARTHEST * jax.random.uniform(low, (maps,), minval=-1.0)
        beyond = low + _CLOSEST + (_FARTHEST - low) * jax.random.uniform(gap, (maps,))
        open_end = jnp.where(self._is("keep_kappa", kind), jax.random.randint(ends, (maps,), 0, 3), 2)
        first = jnp.where(open_end == 0, -jnp.inf, low)
        second = jnp.where(open_end == 0, low, jnp.where(open_end == 1, jnp.inf, beyond))
        filters = self._is("low_pass", kind) | self._is("high_pass", kind)
        ranges = self._is("keep_kappa", kind) | self._is("remove_kappa", kind)
        return Drawn(kind, jnp.where(filters, ell, jnp.where(ranges, first, 0.0)), jnp.where(ranges, second, 0.0))

    def apply(
        self, kappa: Float[Array, "map bin y x"], drawn: Drawn, *, key: Key[Array, ""]
    ) -> Float[Array, "map bin y x"]:
        """Each map with its own degradation; summed bins stand in every bin, divided by their number."""
        first, second = (numbers[:, None, None, None] for numbers in (drawn.first, drawn.second))
        degraded = {
            "none": lambda: kappa,
            "low_pass": lambda: degradation.low_pass(kappa, first, side=self.side),
            "high_pass": lambda: degradation.high_pass(kappa, first, side=self.side),
            "keep_kappa": lambda: degradation.keep_kappa(kappa, first, second),
            "remove_kappa": lambda: degradation.remove_kappa(kappa, first, second),
            "shuffle_pixels": lambda: degradation.shuffle_pixels(kappa, key=key),
            "randomize_phases": lambda: degradation.randomize_phases(kappa, key=key),
            "sum_bins": lambda: jnp.broadcast_to(degradation.sum_bins(kappa) / self.bins, kappa.shape),
        }
        mine = [self._is(kind, drawn.kind)[:, None, None, None] for kind in self.kinds]
        return jnp.select(mine, [degraded[kind]() for kind in self.kinds])

    def told(self, drawn: Drawn) -> Float[Array, "map number"]:
        """What the network is told of each degradation: one of `kinds`, and its strengths between -1 and 1."""
        low, high = self.ells
        on_log = 2 * jnp.log(jnp.maximum(drawn.first, low) / low) / math.log(high / low) - 1
        thresholds = [jnp.clip(numbers / _OPEN, -1, 1) for numbers in (drawn.first, drawn.second)]
        filters = self._is("low_pass", drawn.kind) | self._is("high_pass", drawn.kind)
        ranges = self._is("keep_kappa", drawn.kind) | self._is("remove_kappa", drawn.kind)
        first, second = (jnp.where(ranges, numbers, 0.0) for numbers in thresholds)
        strengths = jnp.stack([jnp.where(filters, on_log, 0.0), first, second], axis=1)
        return jnp.concatenate([jax.nn.one_hot(drawn.kind, len(self.kinds)), strengths], axis=1)

    def standardised(self, kappa: Float[Array, "map bin y x"], drawn: Drawn) -> Float[Array, "map bin y x"]:
        """Degraded maps in units of the mean and standard deviation that a typical map would have left.

        For a filter that is the square root of the power left; for a range of kappa it is that of a Gaussian histogram.
        It is the same for all cosmologies, so nothing is lost.

        Args:
            kappa: in units of the standard deviation of typical undegraded maps.
            drawn: the degradation of each.
        """
        low_passed = jnp.interp(jnp.log(jnp.maximum(drawn.first, 1.0)), np.log(self.grid), np.asarray(self.power))
        first, second = jnp.clip(drawn.first, -9, 9), jnp.clip(drawn.second, -9, 9)
        density = [jax.scipy.stats.norm.pdf(edge) for edge in (first, second)]
        inside = jax.scipy.stats.norm.cdf(second) - jax.scipy.stats.norm.cdf(first)
        mean = density[0] - density[1]
        square = inside + first * density[0] - second * density[1]
        removed = self._is("remove_kappa", drawn.kind)
        mean, square = jnp.where(removed, -mean, mean), jnp.where(removed, 1 - square, square)
        ranges = removed | self._is("keep_kappa", drawn.kind)
        mean = jnp.where(ranges, mean, 0.0)
        left = jnp.where(ranges, square - mean**2, 1.0)
        left = jnp.where(self._is("low_pass", drawn.kind), low_passed, left)
        left = jnp.where(self._is("high_pass", drawn.kind), 1 - low_passed, left)
        signal = 1 - self.noise
        left = jnp.maximum(left, 1e-4) * signal + self.noise
        mean = mean * math.sqrt(signal)
        return (kappa - mean[:, None, None, None]) / jnp.sqrt(left)[:, None, None, None]

    @property
    def numbers(self) -> int:
        """How many numbers `told` gives."""
        return len(self.kinds) + 3

    def _is(self, name: str, kind: Array) -> Array:
        return kind == (self.kinds.index(name) if name in self.kinds else -1)


class Conditioned(eqx.Module):
    """`Compact`, each of whose stages is scaled and shifted by what the network is told (Perez et al. 2018, FiLM).

    It takes a map whose last bins are constant: what it is told.

    Attributes:
        base: the network of the map.
        embedding: from what is told to a vector.
        films: from that vector to a scale and a shift for every channel behind each convolution, block and average.
        told: how many numbers it is told.
    """

    base: Compact
    embedding: network.Layers
    films: tuple[Dense, ...]
    told: int = eqx.field(static=True)

    def __init__(self, *, bins: int, told: int, width: int, outputs: int = 2, inner: int = 32, key: Key[Array, ""]):
        """Draw the initial weights.

        Args:
            bins: tomographic bins of a map, >= 1.
            told: numbers it is told, >= 1.
            width: channels of the first layer, as in `Compact`.
            outputs: numbers to predict, >= 1.
            inner: length of the embedding.
            key: of the initial weights.

        Raises:
            ValueError: naming the argument that is out of range.
        """
        first, *others = jax.random.split(key, 20)
        keys = iter(others)
        self.base, self.told = Compact(bins=bins, outputs=outputs, width=width, key=first), told
        dense = (Dense(told, inner, gain=math.sqrt(2), key=next(keys)), Dense(inner, inner, key=next(keys)))
        self.embedding = (dense[0], ReLU(), dense[1], ReLU())
        films, channels = [], bins
        for layer in self.base.layers:
            channels = layer.weight.shape[-1] if isinstance(layer, Convolution) else channels
            if _is_stage(layer):
                films.append(Dense(inner, 2 * channels, gain=0.1, key=next(keys)))
        self.films = tuple(films)

    def __call__(self, kappa: Float[Array | np.ndarray, "bin y x"]) -> Float[Array, " output"]:
        """Predict from one map with what is told behind it."""
        bins = self.base.bins
        if kappa.shape[0] != bins + self.told:
            raise ValueError(f"kappa has {kappa.shape[0]} bins: must be {bins} and the {self.told} numbers told")
        vector = network.run(self.embedding, jnp.asarray(kappa)[bins:, 0, 0])
        image: Any = kappa[:bins]
        films = iter(self.films)
        for layer in self.base.layers:
            image = layer(image)
            if _is_stage(layer):
                scale, shift = jnp.split(next(films)(vector), 2)
                image = image * (1 + scale) + shift
        return image


def _is_stage(layer: Any) -> bool:
    return isinstance(layer, Convolution | Residual | GlobalAverage)


class _Told(eqx.Module):
    """A conditioned network that is always told the same."""

    model: Conditioned
    ladder: Ladder = eqx.field(static=True)
    one: Drawn

    def __call__(self, kappa: Float[Array, "bin y x"]) -> Float[Array, " output"]:
        return self.model(_with_told(self.ladder, self.one, kappa[None])[0])


def _with_told(
    ladder: Ladder, drawn: Drawn, kappa: Float[Array, "map bin y x"]
) -> Float[Array, "map bins_and_numbers y x"]:
    """Standardised maps, and behind each what the network is told of it as constant bins."""
    told = ladder.told(drawn)
    constant = jnp.broadcast_to(told[..., None, None], (*told.shape, *kappa.shape[-2:]))
    return jnp.concatenate([ladder.standardised(kappa, drawn), constant], axis=1)


class Amortised(eqx.Module):
    """A conditioned network, the degradations it knows, and the scales of what goes in and comes out.

    Attributes:
        model: the network.
        input_scale, target_mean, target_scale, history, coarsen: as in `Trained`.
        ladder: the degradations.
        settings: bins and width of the network, to make it again.
    """

    model: Conditioned
    input_scale: Float[Array, ""]
    target_mean: Float[Array, " output"]
    target_scale: Float[Array, " output"]
    history: dict[str, np.ndarray]
    ladder: Ladder = eqx.field(static=True)
    width: int = eqx.field(static=True)
    coarsen: int = eqx.field(static=True, default=1)

    def at(self, spec: str, redshifts: tuple[float, ...] = ()) -> Trained:
        """The network for one degradation, as if it had been trained for that.

        Raises:
            ValueError: as `Ladder.read`.
        """
        scales = self.input_scale, self.target_mean, self.target_scale
        return Trained(
            _Told(self.model, self.ladder, self.ladder.read(spec, redshifts)), *scales, self.history, self.coarsen
        )

    def save(self, folder: Path) -> None:
        """Write the weights (Equinox leaves) and everything else (JSON) into `folder`."""
        scales = ("input_scale", "target_mean", "target_scale")
        described = {name: np.asarray(getattr(self, name)).tolist() for name in scales}
        described |= {"history": {name: values.tolist() for name, values in self.history.items()}}
        described |= {"ladder": dataclasses.asdict(self.ladder), "width": self.width, "coarsen": self.coarsen}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "amortised.json").write_text(json.dumps(described))
        eqx.tree_serialise_leaves(folder / "weights.eqx", self.model)

    @classmethod
    def load(cls, folder: Path) -> "Amortised":
        """Read what `save` wrote."""
        stored = json.loads((folder / "amortised.json").read_text())
        ladder = Ladder(**{**stored["ladder"], "power": tuple(stored["ladder"]["power"])})
        make = functools.partial(_fresh, ladder, stored["width"], jax.random.key(0))
        return cls(
            model=eqx.tree_deserialise_leaves(folder / "weights.eqx", eqx.filter_eval_shape(make)),
            input_scale=jnp.float32(stored["input_scale"]),
            target_mean=jnp.asarray(stored["target_mean"], jnp.float32),
            target_scale=jnp.asarray(stored["target_scale"], jnp.float32),
            history={name: np.asarray(values) for name, values in stored["history"].items()},
            ladder=ladder,
            width=stored["width"],
            coarsen=stored["coarsen"],
        )


def _ladder(shown: Float[Array, "map bin y x"], side: float, noise: float) -> Ladder:
    """The ladder for maps like these."""
    blank = Ladder(side, shown.shape[-1], shown.shape[1], (0.0,) * 32, noise)
    variance = float(jnp.var(shown))
    low = [float(jnp.var(degradation.low_pass(shown, ell, side=side))) for ell in blank.grid]
    return dataclasses.replace(blank, power=tuple(round(min(part / variance, 1.0), 6) for part in low))


def _fresh(ladder: Ladder, width: int, key: Key[Array, ""]) -> Conditioned:
    return Conditioned(bins=ladder.bins, told=ladder.numbers, width=width, key=key)


def fit(
    data: xr.Dataset,
    *,
    width: int = 16,
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
    """Train one network for all degradations of a ladder.

    Args:
        data: maps with their parameters, as `maps.make` returns them.
        width: channels of the network's first layer.
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
    ladder = _ladder(shown, taught.side, (noise_after / scale) ** 2)

    def shown_now(kappa: Array, key: Array) -> Array:
        drawn = ladder.draw(len(kappa), jax.random.fold_in(key, 1))
        return _shown(taught.look, ladder, drawn, noise_after, scale, kappa, key)

    ((model, history),) = loop.run(
        [_fresh(ladder, width, random.key(seed, "weights"))],
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
    return Amortised(model, jnp.float32(scale), *targets, history, ladder, width, coarsen)


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
        ValueError: as `fit` and `Ladder.read`.
        FloatingPointError: the loss is not finite.
    """
    ladder = amortised.ladder
    one = ladder.read(spec, tuple(redshifts))
    taught = lesson(data, coarsen=amortised.coarsen, n_gal=n_gal, sigma_e=sigma_e, smoothing=smoothing)
    scale = float(amortised.input_scale)

    def shown_now(kappa: Array, key: Array) -> Array:
        drawn = Drawn(*(jnp.repeat(numbers, len(kappa)) for numbers in one))
        return _shown(taught.look, ladder, drawn, noise_after, scale, kappa, key)

    ((model, history),) = loop.run(
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
        ValueError: as `Ladder.read`; no map.
    """
    check_finite("kappa", kappa)
    ladder, factor = amortised.ladder, amortised.coarsen
    read = [ladder.read(spec, tuple(redshifts)) for spec in specs]
    look = functools.partial(observe, pixel=60 * side / kappa.shape[-1], n_gal=n_gal, sigma_e=sigma_e)
    look = functools.partial(look, smoothing=smoothing, factor=factor)
    stream, scale = random.key(seed, "noise"), float(amortised.input_scale)

    @jax.jit
    def answers(maps: Array, names: Array, drawn: Drawn) -> Array:
        def one(image: Array, name: Array) -> Array:
            key = jax.random.fold_in(stream, name)
            return amortised.model(_shown(look, ladder, drawn, noise_after, scale, image[None], key)[0])

        return amortised.target_mean + amortised.target_scale * jax.vmap(one)(maps, names)

    names = np.array([zlib.crc32(str(i).encode()) for i in range(len(kappa))], np.uint32)
    size, found = min(batch, len(kappa)), np.zeros((len(specs), len(kappa), 2), np.float32)
    for start in progress(range(0, len(kappa), size), "asking", unit="batch"):
        rows = np.arange(start, start + size) % len(kappa)
        maps = jnp.asarray(kappa[rows], jnp.float32)
        for number, drawn in enumerate(read):
            found[number, rows] = np.asarray(answers(maps, names[rows], drawn))
    return found


def _shown(
    look: Callable[..., Array],
    ladder: Ladder,
    drawn: Drawn,
    noise_after: float,
    scale: float,
    kappa: Array,
    key: Array,
) -> Float[Array, "map number y x"]:
    """Each map observed and degraded, with what the network is told behind it as constant bins."""

    def transform(image: Array, key: Array) -> Array:
        degraded = ladder.apply(image, drawn, key=jax.random.fold_in(key, 0))
        return degradation.add_noise(degraded, noise_after, key=jax.random.fold_in(key, 1))

    return _with_told(ladder, drawn, look(kappa, key, transform=transform) / scale)
