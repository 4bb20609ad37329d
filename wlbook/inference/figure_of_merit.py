"""How much of the information is left: figures of merit from networks' answers, with errors, against a reference."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from wlbook.inference import bootstrap
from wlbook.inference.vectors import Models, Point, Vectors
from wlbook.simulation import cosmology

Named = tuple[str, str, int]  # how the answers were got, under which degradation, and the network's number
FIDUCIAL = cosmology.Cosmology(*cosmology.FIDUCIAL)

#: The ways of getting answers; each is measured against the retrained reference, the amortised one against itself.
WAYS = ("retrained", "amortised", "tuned", "spectra twin", "histogram twin")

#: Claims of paper B by the degradation that tests them, against the reference; shuffled maps against a power spectrum.
CLAIMS = {
    "b1-non-gaussian": "randomize_phases",
    "b2-scales": "low_pass:1000",
    "b3-middle-kappa": "keep_kappa:-1:1",
    "b4-sum-of-bins": "sum_bins",
    "b5-shuffled-pixels": "shuffle_pixels",
}


class Remaining(NamedTuple):
    """What is left relative to the reference of 1 / (68 % area), the figure of merit, and of 1 / sigma(S8)."""

    value: Float[np.ndarray, " merit"]  # the ratios
    error: Float[np.ndarray, " merit"]  # of maps, boxes and networks together
    networks: Float[np.ndarray, "network merit"]  # the ratio of each single network to the mean reference
    limited: bool  # whether a credible region ends at the edge of the design, so that its area is a lower limit


def measured(
    parameters: Models,
    vectors: Mapping[Named, Vectors],
    *,
    n_fields: float,
    repeats: int,
    seed: int,
    fiducial: Point | None = None,
) -> dict[Named, dict[str, Any]]:
    """Merits of every network's answers for the maps as they are and drawn again (`bootstrap.resample`), alike for all.

    Mean and covariance are quadratic fits over the design, and the data, `n_fields` > 0 maps observed together, the
    fit's own mean at the `fiducial` (as in `Emulator`). For each network there are `logs`, the logarithms of
    1 / (68 % area) and 1 / sigma(S8) [draw, merit], first as the maps are and then `repeats` >= 2 times, and `limited`
    as in `Remaining`.
    """
    settled = {f"{number}": _settled(values, seed) for number, values in enumerate(vectors.values())}
    options = {"rows": {name: [name] for name in settled}, "repeats": repeats, "seed": seed, "n_fields": n_fields}
    options |= {"fiducial": fiducial}
    found = bootstrap.resample(parameters, settled, None, method="quadratic", **options)
    logs = -np.stack([found["log_area"], found["log_s_8_error"]], axis=-1)
    return {which: {"logs": logs[:, row], "limited": bool(found["limited"][row])} for row, which in enumerate(vectors)}


def _settled(values: Vectors, seed: int) -> Float[np.ndarray, "model map _"]:
    """With noise of 2 % of each number's scatter: numbers that agree to better than that are not two pieces of news."""
    exact = np.asarray(values, np.float64)
    scatter = exact.std(axis=1).mean(axis=0)
    return exact + 0.02 * scatter * np.random.default_rng([seed, 1]).standard_normal(exact.shape)


def relative(
    found: Mapping[Named, Mapping[str, Any]], way: str, reference: tuple[str, str] = ("retrained", "none")
) -> dict[str, Remaining]:
    """What is left of the reference (way, degradation) under each degradation, by one way of getting the answers.

    The scatter between networks that differ by their seed only is pooled over all groups of two or more, of which
    there must be one, and widened by Student's factor for how few they are. `found` comes from `measured`.
    """
    groups = grouped(found)
    for name in [way, reference]:
        if name not in {*groups, *(known for known, _ in groups)}:
            raise ValueError(f"{name!r}: must be among {', '.join(map(str, groups))}")
    scatter, student = seed_scatter(found)
    base = np.array([one["logs"] for one in groups[reference]])
    answers = {}
    for (mine, spec), networks in groups.items():
        if mine != way:
            continue
        group = np.array([one["logs"] for one in networks])
        logs = group.mean(axis=0) - base.mean(axis=0)
        value, few_networks = np.exp(logs[0]), 0 if (mine, spec) == reference else 1 / len(group) + 1 / len(base)
        error = value * np.hypot(bootstrap.relative_error(logs), student * scatter * np.sqrt(few_networks))
        single = np.exp(group[:, 0] - base[:, 0].mean(axis=0))
        answers[spec] = Remaining(value, error, single, any(one["limited"] for one in networks))
    return answers


def by_way(found: Mapping[Named, Mapping[str, Any]]) -> dict[str, dict[str, Remaining]]:
    """What is left under each degradation, for every way in `WAYS` that `found` (from `measured`) holds."""
    own, here = {"amortised": ("amortised", "none")}, {way for way, _, _ in found}
    return {way: relative(found, way, own.get(way, ("retrained", "none"))) for way in WAYS if way in here}


def grouped(found: Mapping[Named, Any]) -> dict[tuple[str, str], list[Any]]:
    """The networks of each way and degradation together."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for (way, spec, _), one in found.items():
        groups.setdefault((way, spec), []).append(one)
    return groups


def seed_scatter(found: Mapping[Named, Mapping[str, Any]]) -> tuple[Float[np.ndarray, " merit"], float]:
    """`bootstrap.seed_scatter` of both log merits; something must have been trained twice."""
    groups = [np.array([one["logs"][0] for one in group]) for group in grouped(found).values()]
    if max(map(len, groups)) < 2:
        raise ValueError("networks: one degradation must have two or more, to tell how far they scatter")
    return bootstrap.seed_scatter(groups)


def tension(one: Remaining, two: Remaining) -> Float[np.ndarray, " merit"]:
    """How many combined errors two numbers lie apart: that of the networks and that of maps and boxes."""
    return np.abs(one.value - two.value) / np.hypot(one.error, two.error)


def compared(one: Remaining, two: Remaining) -> str:
    """Both merits of two networks beside each other, and how many combined errors they lie apart."""
    merits = zip(one.value, two.value, tension(one, two), strict=True)
    return ", ".join(f"{mine:.2f} and {other:.2f} ({apart:.1f} errors)" for mine, other, apart in merits)


def ratio(one: Remaining, two: Remaining) -> tuple[float, float]:
    """The ratio of two figures of merit and its error; the reference itself has none."""
    value = float(one.value[0] / two.value[0])
    return value, value * float(np.hypot(one.error[0] / one.value[0], two.error[0] / two.value[0]))


def judged(one: Remaining, two: Remaining, *, low: float, high: float) -> tuple[float, float, bool]:
    """The ratio of two figures of merit for a claim that it lies between `low` and `high`.

    A region that ends at the edge of the design is larger than its area says. If it is that of `one`, the ratio is an
    upper limit, which can bear out a claim of "at most" and nothing else; if it is that of `two`, nothing is known.
    The error of a ratio that judges nothing is infinite. Last comes whether the ratio is an upper limit.
    """
    value, error = ratio(one, two)
    at_most = one.limited and not two.limited
    usable = not two.limited and (not one.limited or low <= 0 <= high - value - error)
    return value, error if usable else np.inf, at_most


class Judged(NamedTuple):
    """Our number for a claim."""

    value: float  # a ratio of two figures of merit
    error: float  # infinite for a ratio that judges nothing
    text: str  # the ratio and its own error, for a reader; "at most" before an upper limit
    remark: str  # what a reader of the verdict must know of the regions


def judged_claims(
    left: Mapping[str, Mapping[str, Remaining]], bands: Mapping[str, tuple[float, float]], *, bins: int
) -> dict[str, Judged]:
    """Paper B's claims (`CLAIMS`) as far as the degradations that were trained can test them.

    What is `left` comes from `by_way`; `bands` say between which ratios a claim holds; one bin has nothing to sum.
    """
    retrained, found = left["retrained"], {}
    for claim, spec in CLAIMS.items():
        if spec not in retrained or (spec == "sum_bins" and bins == 1):
            continue
        against = left["spectra twin"]["none"] if spec == "shuffle_pixels" else retrained["none"]
        low, high = bands[claim]
        value, error, at_most = judged(retrained[spec], against, low=low, high=high)
        limited = retrained[spec].limited or against.limited
        text = f"{'at most ' * at_most}{value:.2f} ± {ratio(retrained[spec], against)[1]:.2f}"
        remark = "at most this; " * at_most + "regions end at the design's edge; " * limited
        found[claim] = Judged(value, error, text, remark)
    return found


def nonlinear_ell(redshift: float) -> float:
    """The multipole at which structures at a redshift become non-linear: k^3 P(k) / (2 pi^2) = 1 in linear theory."""
    wave_numbers = np.geomspace(0.01, 10.0, 200)
    growth = float(cosmology.growth(FIDUCIAL, 1 / (1 + redshift))[0])
    power = growth**2 * np.asarray(cosmology.linear_power(FIDUCIAL, wave_numbers))
    border = float(np.interp(1.0, wave_numbers**3 * power / (2 * np.pi**2), wave_numbers))
    return border * float(cosmology.distance(FIDUCIAL, redshift))


def slope(cuts: Sequence[float], values: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Information gained per e-fold of scale: middles (geometric) and d value / d ln cut between neighbours."""
    logs = np.log(np.asarray(cuts, np.float64))
    return np.exp((logs[1:] + logs[:-1]) / 2), np.diff(np.asarray(values, np.float64)) / np.diff(logs)
