"""How much of the information is left: figures of merit from networks' answers, with errors, against a reference."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy.stats import t as student

from wlbook.common.progress import progress
from wlbook.inference import credible_regions
from wlbook.inference import posteriors as wl_posteriors
from wlbook.inference.emulator import Emulator
from wlbook.simulation import cosmology

Vectors = Float[np.ndarray, "model map number"]
Named = tuple[str, str, int]  # how the answers were got, under which degradation, and the network's number
FIDUCIAL = cosmology.Cosmology(*cosmology.FIDUCIAL)
MERITS = ("1 / area", "1 / sigma(S8)")


class Draw(NamedTuple):
    """Which maps of every model, and which model's box, stand for each model."""

    maps: Int[np.ndarray, "model map"]
    boxes: Int[np.ndarray, " model"]


class Remaining(NamedTuple):
    """What is left relative to the reference, for both of `MERITS`.

    Attributes:
        value: the ratios.
        error: maps, boxes and networks together.
        bootstrap: maps and boxes only.
        networks: the ratio of each single network to the mean reference [network, merit].
        limited: whether a credible region ends at the edge of the design, so that its area is a lower limit.
    """

    value: Float[np.ndarray, " merit"]
    error: Float[np.ndarray, " merit"]
    bootstrap: Float[np.ndarray, " merit"]
    networks: Float[np.ndarray, "network merit"]
    limited: bool


def by_model(test: xr.Dataset) -> tuple[Float[np.ndarray, "model 2"], Int[np.ndarray, "model map"]]:
    """The models of a set of maps, and the rows of each model's maps.

    Raises:
        ValueError: models with different numbers of maps.
    """
    known, counts = np.unique(test["model"].values, return_counts=True)
    if len(set(counts.tolist())) > 1:
        raise ValueError(f"test: {counts.min()} to {counts.max()} maps a model, must be as many for each")
    rows = np.argsort(test["model"].values, kind="stable").reshape(len(known), -1)
    return np.stack([test["omega_m"].values, test["sigma_8"].values], axis=-1)[rows[:, 0]], rows


def draws(models: int, maps: int, *, repeats: int, seed: int) -> list[Draw]:
    """The maps and boxes as they are, and then drawn again: maps with replacement, boxes handed to other models."""
    generator = np.random.default_rng(seed)
    as_they_are = Draw(np.indices((models, maps))[1], np.arange(models))
    again = [Draw(generator.integers(0, maps, (models, maps)), generator.permutation(models)) for _ in range(repeats)]
    return [as_they_are, *again]


def constraints(
    parameters: Float[np.ndarray, "model 2"], values: Vectors, draw: Draw, *, n_fields: float
) -> xr.DataArray:
    """Posterior of the fiducial universe from vectors, with maps and boxes drawn as told.

    Mean and covariance are quadratic fits over the design; the data are the fit's own mean at the fiducial, because
    the question is how well, not where. How far a model's mean lies from the fit is mostly its one box, so a draw
    hands these distances to other models.

    Args:
        parameters: omega_m and sigma_8 of each model.
        values: what was measured on each map of each model.
        draw: from `draws`.
        n_fields: maps observed together.
    """
    emulator = Emulator(parameters, values, method="quadratic")
    distance = emulator.means - emulator.mean(parameters)
    moved = (distance[draw.boxes] - distance)[:, None]
    emulator = Emulator(
        parameters, np.take_along_axis(values, draw.maps[:, :, None], axis=1) + moved, method="quadratic"
    )
    at_fiducial = emulator.mean(np.array([cosmology.FIDUCIAL]))[0]
    return wl_posteriors.posterior(emulator, at_fiducial, n_fields=n_fields, points=24)


def of_posterior(posterior: xr.DataArray) -> Float[np.ndarray, " merit"]:
    """1 / (68 % area), and 1 / sigma(S8)."""
    weights = posterior.values / posterior.values.sum()
    s_8 = np.sqrt(posterior["omega_m"].values[:, None] / 0.3) * posterior["sigma_8"].values
    middle = (weights * s_8).sum()
    deviation = np.sqrt((weights * (s_8 - middle) ** 2).sum())
    return np.array([1 / credible_regions.credible_area(posterior, truncated="allow"), 1 / deviation])


def measured(
    parameters: Float[np.ndarray, "model 2"],
    vectors: Mapping[Named, Vectors],
    *,
    n_fields: float,
    repeats: int,
    seed: int,
) -> dict[Named, dict[str, Any]]:
    """Merits of every network, as the maps are and drawn again; the same draws for all.

    Args:
        parameters: omega_m and sigma_8 of each model.
        vectors: the answers of each network.
        n_fields: maps observed together, > 0.
        repeats: bootstrap draws, >= 2.
        seed: of the draws.

    Returns:
        For each network `logs`, the logarithms of both merits [draw, merit], first as the maps are, and `limited`.
    """
    first = next(iter(vectors.values()))
    drawn = draws(*first.shape[:2], repeats=repeats, seed=seed)
    found: dict[Named, dict[str, Any]] = {}
    for which, values in progress(vectors.items(), "drawing again", total=len(vectors), unit="network"):
        settled = np.asarray(values, np.float64) + _rounding(values, seed)
        posteriors = [constraints(parameters, settled, draw, n_fields=n_fields) for draw in drawn]
        logs = np.log([of_posterior(posterior) for posterior in posteriors])
        found[which] = {"logs": logs, "limited": credible_regions.boundary(posteriors[0]) is not None}
    return found


def _rounding(values: Vectors, seed: int) -> Float[np.ndarray, "model map number"]:
    """Noise of 2 % of each number's scatter: numbers that agree to better than that are not two pieces of news."""
    scatter = np.asarray(values, np.float64).std(axis=1).mean(axis=0)
    return 0.02 * scatter * np.random.default_rng([seed, 1]).standard_normal(values.shape)


def relative(
    found: Mapping[Named, Mapping[str, Any]], way: str, reference: tuple[str, str] = ("retrained", "none")
) -> dict[str, Remaining]:
    """What is left of the reference under each degradation, by one way of getting the answers.

    The scatter between networks that differ by their seed only is pooled over all groups of two or more, and widened
    by Student's factor for how few they are.

    Args:
        found: from `measured`.
        way: whose answers.
        reference: the way and the degradation that all are divided by.

    Raises:
        ValueError: nothing of that name, or no group of two networks.
    """
    groups = grouped(found)
    for name in [way, reference]:
        if name not in groups and name not in {known for known, _ in groups}:
            raise ValueError(f"{name!r}: must be among {', '.join(map(str, groups))}")
    scatter, few = seed_scatter(found)
    base = np.array([one["logs"] for one in groups[reference]])
    answers = {}
    for (mine, spec), networks in groups.items():
        if mine != way:
            continue
        group = np.array([one["logs"] for one in networks])
        ratio = np.exp(group.mean(0) - base.mean(0))
        bootstrap = ratio[1:].std(0, ddof=1)
        itself = (mine, spec) == reference
        seeds = ratio[0] * few * scatter * np.sqrt(0 if itself else 1 / len(group) + 1 / len(base))
        single = np.exp(group[:, 0] - base[:, 0].mean(0))
        limited = any(one["limited"] for one in networks)
        answers[spec] = Remaining(ratio[0], np.hypot(bootstrap, seeds), bootstrap, single, limited)
    return answers


def grouped(found: Mapping[Named, Any]) -> dict[tuple[str, str], list[Any]]:
    """The networks of each way and degradation together."""
    groups: dict[tuple[str, str], list[Any]] = {}
    for (way, spec, _), one in found.items():
        groups.setdefault((way, spec), []).append(one)
    return groups


def seed_scatter(found: Mapping[Named, Mapping[str, Any]]) -> tuple[Float[np.ndarray, " merit"], float]:
    """Standard deviation of a log merit between networks that differ by their seed, pooled, and Student's factor.

    Raises:
        ValueError: nothing was trained twice.
    """
    logs = [np.array([one["logs"][0] for one in group]) for group in grouped(found).values() if len(group) > 1]
    freedom = sum(len(group) - 1 for group in logs)
    if not freedom:
        raise ValueError("networks: one degradation must have two or more, to tell how far they scatter")
    squares = sum(((group - group.mean(0)) ** 2).sum(0) for group in logs)
    return np.sqrt(squares / freedom), float(student.ppf(0.8413, freedom))


def tension(one: Remaining, two: Remaining) -> Float[np.ndarray, " merit"]:
    """How many combined errors two numbers lie apart: that of the networks and that of maps and boxes."""
    return np.abs(one.value - two.value) / np.hypot(one.error, two.error)


def ratio(one: Remaining, two: Remaining) -> tuple[float, float]:
    """The ratio of two figures of merit and its error; the reference itself has none."""
    value = float(one.value[0] / two.value[0])
    return value, value * float(np.hypot(one.error[0] / one.value[0], two.error[0] / two.value[0]))


def judged(one: Remaining, two: Remaining, *, low: float, high: float) -> tuple[float, float, bool]:
    """The ratio of two figures of merit for a claim that it lies between `low` and `high`.

    A region that ends at the edge of the design is larger than its area says. If it is that of `one`, the ratio is an
    upper limit, which can bear out a claim of "at most" and nothing else; if it is that of `two`, nothing is known.

    Returns:
        ratio, error (infinite for a ratio that judges nothing), and whether it is an upper limit.
    """
    value, error = ratio(one, two)
    at_most = one.limited and not two.limited
    usable = not two.limited and (not one.limited or low <= 0 <= high - value - error)
    return value, error if usable else np.inf, at_most


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
