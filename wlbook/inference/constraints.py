"""Chapter 6: rows of statistics used together, what each of them constrains, and whether it may be believed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int, Num

from wlbook.inference import bootstrap, coverage, credible_regions
from wlbook.inference.emulator import Emulator
from wlbook.inference.posteriors import posterior

ByName = Mapping[str, Num[np.ndarray, "drawn _"]]
ByModel = Mapping[str, Num[np.ndarray, "model map _"]]
Rows = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Found:
    """What one row finds: its emulator, the observed mean, and the posterior they give."""

    emulator: Emulator
    data: Float[np.ndarray, " bin"]
    posterior: xr.DataArray

    @property
    def area(self) -> float:
        """68 % area; a lower limit where `limited`."""
        return credible_regions.credible_area(self.posterior, truncated="allow")

    @property
    def limited(self) -> str | None:
        """Where the 68 % region runs into the edge of the design."""
        return credible_regions.boundary(self.posterior)


def alive(
    vectors: ByModel, observed: ByName, *, least: int = 12
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The same without bins that hardly vary in some model, such as the counts of very rare peaks.

    A bin that differs in m maps only is the same in a share exp(-m) of all bootstrap draws, which can then say nothing
    of its scatter; and a count that rare is far from Gaussian.

    Args:
        vectors: by statistic, of the models' maps.
        observed: by statistic, of the observed maps.
        least: maps of every model in which a bin must differ from its median there.
    """
    kept = {
        name: ((values != np.median(values, axis=1, keepdims=True)).sum(axis=1) >= least).all(axis=0)
        for name, values in vectors.items()
    }
    return (
        {name: values[..., kept[name]] for name, values in vectors.items()},
        {name: np.asarray(values)[..., kept[name]] for name, values in observed.items()},
    )


def find(
    parameters: Num[np.ndarray, "model 2"],
    vectors: ByModel,
    observed: ByName,
    rows: Rows,
    *,
    method: str,
    **options: Any,
) -> dict[str, Found]:
    """The posterior of each row.

    Args:
        parameters: omega_m and sigma_8 of each model.
        vectors: by statistic, of the models' maps.
        observed: by statistic, of the observed maps, whose mean is the data.
        rows: for each row the statistics it uses together.
        method: of the emulator.
        options: of `inference.posterior`.
    """
    found = {}
    for row, names in rows.items():
        emulator = Emulator(parameters, {name: vectors[name] for name in names}, method=method)
        data = np.concatenate([np.asarray(observed[name], np.float64).mean(axis=0) for name in names])
        found[row] = Found(emulator, data, posterior(emulator, data, **options))
    return found


def table(found: Mapping[str, Found], draws: Num[np.ndarray, "repeat row"], *, reference: str) -> pd.DataFrame:
    """Areas with bootstrap errors, their ratios to one row, errors of S8 and goodness of fit.

    Args:
        found: by row.
        draws: areas of the bootstrap, in the order of the rows.
        reference: the row that ratios are taken to.
    """
    ratios = draws / draws[:, [list(found).index(reference)]]
    lines = {}
    for column, (row, one) in enumerate(found.items()):
        wide = credible_regions.credible_area(one.posterior, level=0.95, truncated="allow")
        sign = [">" if credible_regions.boundary(one.posterior, level) else "" for level in (0.68, 0.95)]
        lines[row] = {
            "numbers": one.posterior.attrs["bins"],
            "68 % area [1e-3]": f"{sign[0]}{1e3 * one.area:.2f} ± {1e3 * draws[:, column].std(ddof=1):.2f}",
            "95 % area [1e-3]": f"{sign[1]}{1e3 * wide:.2f}",
            f"68 % area / {reference}": f"{one.area / found[reference].area:.2f} ± {ratios[:, column].std(ddof=1):.2f}",
            "error of S8": f"{credible_regions.s_8_error(one.posterior):.4f}",
            "chi2": f"{one.posterior.attrs['chi2']:.1f}",
        }
    return pd.DataFrame(lines).T


def ratio(
    found: Mapping[str, Found],
    draws: Num[np.ndarray, "repeat row"],
    row: str,
    reference: str,
    seeds: Num[np.ndarray, " seed"],
    others: Sequence[Num[np.ndarray, " _"]] = (),
) -> tuple[float, float, float]:
    """Ratio of two areas, a geometric mean over networks; its error from maps and boxes, and that with seeds.

    Args:
        found: by row.
        draws: areas of the bootstrap, in the order of the rows.
        row, reference: the rows.
        seeds: log areas of `row` for each seed of its network.
        others: log areas of other groups of networks, as in `inference.seed_error`.
    """
    order = list(found)
    drawn = np.log(draws[:, order.index(row)] / draws[:, order.index(reference)]).std(ddof=1)
    value = float(np.exp(np.mean(seeds)) / found[reference].area)
    return value, value * float(drawn), value * float(np.hypot(drawn, bootstrap.seed_error(seeds, others)))


def pooled_errors(values: Mapping[str, float], draws: Num[np.ndarray, "repeat row"]) -> dict[str, float]:
    """Errors of each row's area from a few draws: its own relative scatter, or all rows' if that is larger.

    Three draws of one row can agree by chance; those of all rows together hardly do.

    Args:
        values: areas by row, in any unit.
        draws: areas of the bootstrap, in the order of the rows.
    """
    own = draws.std(axis=0, ddof=1) / draws.mean(axis=0)
    pooled = np.sqrt(np.mean(own**2))
    return {row: value * float(max(one, pooled)) for (row, value), one in zip(values.items(), own, strict=True)}


def covered(
    found: Mapping[str, Found],
    observed: ByName,
    rows: Rows,
    seeds: Int[np.ndarray, " drawn"],
    *,
    draws: int = 400,
    seed: int = 0,
    **options: Any,
) -> dict[str, dict[str, np.ndarray]]:
    """For each row the share of posterior denser than the truth, over mock surveys, single maps and ideal data.

    Args:
        found: by row.
        observed: by statistic, of maps that neither the emulator nor a network has seen.
        rows: for each row its statistics.
        seeds: of the box of each map.
        draws: of ideal data.
        seed: of these.
        options: of `likelihood.log_likelihood`.

    Returns:
        For each row `surveys` (one map from every box), `maps` and `ideal` surveys, drawn from the emulator itself.
    """
    boxes, shares = len(np.unique(seeds)), {}
    for row, names in rows.items():
        emulator = found[row].emulator
        single = np.concatenate([observed[name] for name in names], axis=1)
        drawn = coverage.ideal(
            emulator, draws, n_fields=boxes, emulator_error=options.get("emulator_error", "ignore"), seed=seed
        )
        shares[row] = {
            "surveys": coverage.denser(emulator, coverage.surveys(single, seeds), n_fields=boxes, **options),
            "maps": coverage.denser(emulator, single, n_fields=1, points=32, **options),
            "ideal": coverage.denser(emulator, drawn, n_fields=boxes, **options),
        }
    return shares


def binomial_error(number: int, level: float = 0.68) -> float:
    """Standard error of a share measured on `number` trials."""
    return math.sqrt(level * (1 - level) / number)


def uncovered(shares: Mapping[str, Mapping[str, np.ndarray]], kind: str, level: float = 0.68) -> dict[str, str]:
    """The rows whose coverage is more than 3 binomial errors from nominal, and why, as far as ideal data tell."""
    found = {}
    for row, kept in shares.items():
        held, error = (kept[kind] < level).mean(), binomial_error(len(kept[kind]), level)
        if abs(held - level) <= 3 * error:
            continue
        edge = abs((kept["ideal"] < level).mean() - level) > 3 * binomial_error(len(kept["ideal"]), level)
        why = "regions too small" if held < level else "regions too large"
        found[row] = why + (", as they are for ideal data: the edge of the design" if edge else "")
    return found


def smaller(
    parameters: Num[np.ndarray, "model 2"],
    vectors: ByModel,
    observed: ByName,
    rows: Rows,
    *,
    method: str,
    **options: Any,
) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Areas from fewer maps a model, and from fewer models: by row, pairs of a number and an area."""
    models, maps = next(iter(vectors.values())).shape[:2]
    found: dict[str, dict[str, list[tuple[int, float]]]] = {"maps": {}, "models": {}}
    longest = max(sum(vectors[name].shape[-1] for name in names) for names in rows.values())
    for kind, numbers in (
        ("maps", [n for n in (maps // 2, 3 * maps // 4, maps) if n > longest + 2]),
        ("models", [n for n in (2 * models // 3, 5 * models // 6, models) if n >= 7]),
    ):
        for number in numbers:
            part = (slice(None), slice(number)) if kind == "maps" else (slice(number),)
            few = {name: values[part] for name, values in vectors.items()}
            points = parameters if kind == "maps" else parameters[:number]
            for row, one in find(points, few, observed, rows, method=method, **options).items():
                found[kind].setdefault(row, []).append((number, one.area))
    return found


def densities(samples: Mapping[str, xr.Dataset]) -> dict[str, xr.DataArray]:
    """Smooth densities of draws in omega_m and sigma_8, by getdist: what it draws its contours from."""
    from getdist import MCSamples, chains

    chains.print_load_details = False
    found = {}
    for name, drawn in samples.items():
        values = np.stack([drawn[one].values.ravel() for one in credible_regions.AXES], axis=1)
        kept = {"ignore_rows": 0, "smooth_scale_2D": -1, "fine_bins_2D": 128}
        one: Any = MCSamples(samples=values, names=list(credible_regions.AXES), settings=kept).get2DDensity(
            *credible_regions.AXES
        )
        axes = (("omega_m", one.x), ("sigma_8", one.y))
        found[name] = xr.DataArray(np.clip(one.P.T, 0, None), dims=credible_regions.AXES, coords=dict(axes))
    return found
