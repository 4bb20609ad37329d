"""Degradations drawn at random, one for each map, and the numbers that tell a network which one it was."""

import dataclasses
import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from wlbook.common.degradation_steps import Step, read_steps
from wlbook.degradation import randomisation
from wlbook.degradation.bins import sum_bins
from wlbook.degradation.filters import ell_from_length, high_pass, low_pass
from wlbook.degradation.thresholds import keep_kappa, remove_kappa

#: The degradations that one network learns; those with a strength are drawn three times as often as the others.
KINDS = (
    "none", "low_pass", "high_pass", "keep_kappa", "remove_kappa", "shuffle_pixels", "randomize_phases", "sum_bins",
)  # fmt: skip
_FILTERS, _RANGES = ("low_pass", "high_pass"), ("keep_kappa", "remove_kappa")
_OPTIONS: dict[str, str] = dict(zip(KINDS[1:-1], ("sharp", "sharp", "mean", "mean", "shared", "shared"), strict=True))
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
    """Which degradations one network covers."""

    side: float  # of the maps [deg]
    pixels: int  # of a side of the maps
    bins: int  # tomographic; with one there is nothing to sum
    power: tuple[float, ...]  # share of the variance of a typical map in waves up to each of `grid`
    noise: float = 0.0  # share of that variance that is noise added after the degradation, which none takes away

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
        """The degradation that a specification names, as for one map; what the family does not hold is refused.

        It is a single step of the grammar; comoving scales that name no redshift are seen at that of each bin's lenses.
        """

        def learns(holds: bool, what: str, given: str = "") -> None:
            if not holds:
                raise ValueError(f"degradation = {spec!r}: {given}one network learns {what}")

        steps = read_steps(spec) or (Step("none"),)
        name, amounts, option = steps[0]
        known = len(steps) == 1 and name in self.kinds and option in ("", _OPTIONS.get(name, ""))
        learns(known, f"single steps of {', '.join(self.kinds)}")
        number = 1 if name in _FILTERS else 2 if name in _RANGES else 0
        learns(len(amounts) == number, f"{name} with {number} number{'s' * (number != 1)}")
        learns(all(amount.unit != "kappa" for amount in amounts), "thresholds in standard deviations of a map")
        learns(name in _FILTERS or not any(amount.unit for amount in amounts), "wavelengths of filters only")
        values = [amount.value for amount in amounts]
        if name in _FILTERS:
            (amount,), (low, high) = amounts, self.ells
            seen = amount.redshifts or redshifts
            if amount.unit == "Mpc/h":
                learns(len(set(seen)) == 1, "one cut for all bins")
                values = [ell_from_length(amount.value, seen[0])]
            learns(low <= values[0] <= high, f"{low:.0f} to {high:.0f}", f"ell = {values[0]:.0f}, ")
        if name in _RANGES:
            far = _FARTHEST + _CLOSEST
            learns(values[0] < values[1], "ranges that rise")
            learns(not any(far < abs(value) < math.inf for value in values), f"thresholds up to {far:g}")
            learns(values != [-math.inf, math.inf], "ranges with an end")
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
        open_end = jnp.where(self._among(kind, "keep_kappa"), jax.random.randint(ends, (maps,), 0, 3), 2)
        first = jnp.where(open_end == 0, -jnp.inf, low)
        second = jnp.where(open_end == 0, low, jnp.where(open_end == 1, jnp.inf, beyond))
        ranges = self._among(kind, *_RANGES)
        first = jnp.where(self._among(kind, *_FILTERS), ell, jnp.where(ranges, first, 0.0))
        return SampledDegradation(kind, first, jnp.where(ranges, second, 0.0))

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
        mine = [self._among(drawn.kind, kind)[:, None, None, None] for kind in self.kinds]
        return jnp.select(mine, [degraded[kind]() for kind in self.kinds])

    def told(self, drawn: SampledDegradation) -> Float[Array, "map number"]:
        """What the network is told of each degradation: one of `kinds`, and its strengths between -1 and 1."""
        low, high = self.ells
        on_log = 2 * jnp.log(jnp.maximum(drawn.first, low) / low) / math.log(high / low) - 1
        thresholds = [jnp.clip(numbers / _OPEN, -1, 1) for numbers in (drawn.first, drawn.second)]
        ranges = self._among(drawn.kind, *_RANGES)
        cut = jnp.where(self._among(drawn.kind, *_FILTERS), on_log, 0.0)
        strengths = jnp.stack([cut, *(jnp.where(ranges, numbers, 0.0) for numbers in thresholds)], axis=1)
        return jnp.concatenate([jax.nn.one_hot(drawn.kind, len(self.kinds)), strengths], axis=1)

    def standardised(
        self, kappa: Float[Array, "map bin y x"], drawn: SampledDegradation
    ) -> Float[Array, "map bin y x"]:
        """Degraded maps in units of the mean and standard deviation that a typical map would have left.

        For a filter that is the square root of the power left; for a range of kappa it is that of a Gaussian histogram.
        It is the same for all cosmologies, so nothing is lost. Kappa comes in units of the standard deviation of
        typical undegraded maps.
        """
        low_passed = jnp.interp(jnp.log(jnp.maximum(drawn.first, 1.0)), np.log(self.grid), np.asarray(self.power))
        first, second = jnp.clip(drawn.first, -9, 9), jnp.clip(drawn.second, -9, 9)
        density = [jax.scipy.stats.norm.pdf(edge) for edge in (first, second)]
        inside = jax.scipy.stats.norm.cdf(second) - jax.scipy.stats.norm.cdf(first)
        mean = density[0] - density[1]
        square = inside + first * density[0] - second * density[1]
        removed, ranges = self._among(drawn.kind, "remove_kappa"), self._among(drawn.kind, *_RANGES)
        mean, square = jnp.where(removed, -mean, mean), jnp.where(removed, 1 - square, square)
        mean = jnp.where(ranges, mean, 0.0)
        left = jnp.where(ranges, square - mean**2, 1.0)
        left = jnp.where(self._among(drawn.kind, "low_pass"), low_passed, left)
        left = jnp.where(self._among(drawn.kind, "high_pass"), 1 - low_passed, left)
        signal = 1 - self.noise
        left = jnp.maximum(left, 1e-4) * signal + self.noise
        mean = mean * math.sqrt(signal)
        return (kappa - mean[:, None, None, None]) / jnp.sqrt(left)[:, None, None, None]

    @property
    def numbers(self) -> int:
        """How many numbers `told` gives."""
        return len(self.kinds) + 3

    def _among(self, kind: Array, *names: str) -> Array:
        return jnp.isin(kind, jnp.array([self.kinds.index(name) for name in names]))


def family(shown: Float[Array, "map bin y x"], side: float, noise: float) -> DegradationFamily:
    """The family for maps like these."""
    blank = DegradationFamily(side, shown.shape[-1], shown.shape[1], (0.0,) * 32, noise)
    variance = float(jnp.var(shown))
    low = [float(jnp.var(low_pass(shown, ell, side=side))) for ell in blank.grid]
    return dataclasses.replace(blank, power=tuple(round(min(part / variance, 1.0), 6) for part in low))
