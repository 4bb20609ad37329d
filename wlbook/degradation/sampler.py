"""Degradations drawn at random, one for each map, and the numbers that tell a network which one it was."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from wlbook.common import degradation_names
from wlbook.degradation import randomisation
from wlbook.degradation.bins import sum_bins
from wlbook.degradation.filters import ell_from_length, high_pass, low_pass
from wlbook.degradation.thresholds import keep_kappa, remove_kappa

#: The degradations that one network learns; those with a strength are drawn three times as often as the others.
KINDS = (
    "none", "low_pass", "high_pass", "keep_kappa", "remove_kappa", "shuffle_pixels", "randomize_phases", "sum_bins",
)  # fmt: skip
_FILTERS, _RANGES = ("low_pass", "high_pass"), ("keep_kappa", "remove_kappa")
_FARTHEST = 2.5  # thresholds are drawn within so many standard deviations
_OPEN = 4.0  # an open end of a range is told to the network as if it were a threshold here
_CLOSEST = 0.5  # two thresholds of one range are at least so far apart [standard deviations]


class SampledDegradation(NamedTuple):
    """A degradation for each map: its kind's number in `KINDS`, and its one or two strengths."""

    kind: Int[Array, " map"]
    first: Float[Array, " map"]
    second: Float[Array, " map"]


@dataclasses.dataclass(frozen=True)
class DegradationFamily:
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

    def read(self, spec: str, redshifts: tuple[float, ...] = ()) -> SampledDegradation:
        """The degradation that a specification names, as for one map.

        Args:
            spec: a single step of the grammar in `wlbook.common.degradation_names`.
            redshifts: of each bin's lenses, for comoving scales that name none.

        Raises:
            ValueError: a specification that this family does not hold; a cut beyond its ends.
        """
        steps = degradation_names.read(spec) or (degradation_names.Step("none"),)
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
                values = [ell_from_length(amount.value, seen[0])]
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
        return SampledDegradation(jnp.asarray([self.kinds.index(name)]), *numbers)

    def holds(self, spec: str, redshifts: tuple[float, ...] = ()) -> bool:
        """Whether one network learns what a specification names."""
        try:
            self.read(spec, redshifts)
        except ValueError:
            return False
        return True

    def draw(self, maps: int, key: Key[Array, ""]) -> SampledDegradation:
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
        return SampledDegradation(
            kind, jnp.where(filters, ell, jnp.where(ranges, first, 0.0)), jnp.where(ranges, second, 0.0)
        )

    def apply(
        self, kappa: Float[Array, "map bin y x"], drawn: SampledDegradation, *, key: Key[Array, ""]
    ) -> Float[Array, "map bin y x"]:
        """Each map with its own degradation, or all with one; summed bins stand in every bin, divided by their number.

        Maps of one call share their permutation if they are shuffled: sorting is the dearest step of all.
        """
        together = kappa.reshape(1, -1, *kappa.shape[-2:])
        first, second = (numbers[:, None, None, None] for numbers in (drawn.first, drawn.second))
        degraded = {
            "none": lambda: kappa,
            "low_pass": lambda: low_pass(kappa, first, side=self.side),
            "high_pass": lambda: high_pass(kappa, first, side=self.side),
            "keep_kappa": lambda: keep_kappa(kappa, first, second),
            "remove_kappa": lambda: remove_kappa(kappa, first, second),
            "shuffle_pixels": lambda: randomisation.shuffle_pixels(together, key=key).reshape(kappa.shape),
            "randomize_phases": lambda: randomisation.randomize_phases(kappa, key=key),
            "sum_bins": lambda: jnp.broadcast_to(sum_bins(kappa) / self.bins, kappa.shape),
        }
        if len(drawn.kind) == 1:  # one for all maps: no other is worked out
            return jax.lax.switch(drawn.kind[0], [degraded[kind] for kind in self.kinds])
        mine = [self._is(kind, drawn.kind)[:, None, None, None] for kind in self.kinds]
        return jnp.select(mine, [degraded[kind]() for kind in self.kinds])

    def told(self, drawn: SampledDegradation) -> Float[Array, "map number"]:
        """What the network is told of each degradation: one of `kinds`, and its strengths between -1 and 1."""
        low, high = self.ells
        on_log = 2 * jnp.log(jnp.maximum(drawn.first, low) / low) / math.log(high / low) - 1
        thresholds = [jnp.clip(numbers / _OPEN, -1, 1) for numbers in (drawn.first, drawn.second)]
        filters = self._is("low_pass", drawn.kind) | self._is("high_pass", drawn.kind)
        ranges = self._is("keep_kappa", drawn.kind) | self._is("remove_kappa", drawn.kind)
        first, second = (jnp.where(ranges, numbers, 0.0) for numbers in thresholds)
        strengths = jnp.stack([jnp.where(filters, on_log, 0.0), first, second], axis=1)
        return jnp.concatenate([jax.nn.one_hot(drawn.kind, len(self.kinds)), strengths], axis=1)

    def standardised(
        self, kappa: Float[Array, "map bin y x"], drawn: SampledDegradation
    ) -> Float[Array, "map bin y x"]:
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


def family(shown: Float[Array, "map bin y x"], side: float, noise: float) -> DegradationFamily:
    """The family for maps like these."""
    blank = DegradationFamily(side, shown.shape[-1], shown.shape[1], (0.0,) * 32, noise)
    variance = float(jnp.var(shown))
    low = [float(jnp.var(low_pass(shown, ell, side=side))) for ell in blank.grid]
    return dataclasses.replace(blank, power=tuple(round(min(part / variance, 1.0), 6) for part in low))
