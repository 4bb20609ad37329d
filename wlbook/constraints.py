"""Chapter 6: rows of statistics used together, what each of them constrains, and whether it may be believed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int, Num
from matplotlib.figure import Figure

from wlbook import plots, statistics, training
from wlbook.cosmology import FIDUCIAL
from wlbook.inference import areas, coverage, errors
from wlbook.inference.emulator import Emulator
from wlbook.inference.posterior import posterior
from wlbook.store import Store

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
        return areas.credible_area(self.posterior, truncated="allow")

    @property
    def limited(self) -> str | None:
        """Where the 68 % region runs into the edge of the design."""
        return areas.boundary(self.posterior)


def measured(
    store: Store,
    kappa: Num[np.ndarray, "map bin y x"],
    *,
    look: Mapping[str, Any],
    smoothing: Any,
    bins: Mapping[str, Any],
    names: Sequence[str],
    networks: Mapping[str, Any],
    network_smoothing: Any,
    seed: int,
    copies: int = 8,
) -> dict[str, np.ndarray]:
    """Vectors [map, d] of the statistics and the networks' answers, all from the same noisy maps.

    The logarithm is taken of the power spectrum, whose bins scatter in proportion to their size.

    Args:
        store: where they are kept.
        kappa: noiseless maps.
        look: `side`, `n_gal` and `sigma_e` of the survey.
        smoothing: of the maps that statistics are measured on [arcmin].
        bins: from `statistics.binning`.
        names: of the statistics.
        networks: by name.
        network_smoothing: of the maps that networks look at [arcmin].
        seed: of the noise.
        copies: dihedral copies that a network is asked about.
    """
    shown = {"kappa": kappa, "seed": seed, **look}
    found = dict(store.make(statistics.measure, **shown, smoothing=smoothing, names=list(names), **bins))
    if "power spectrum" in found:
        found["power spectrum"] = np.log(found["power spectrum"])
    for name, network in networks.items():
        asked = {"trained": network, "smoothing": network_smoothing, "copies": copies}
        found[name] = store.make(training.predictions, **shown, **asked)
    return found


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
        wide = areas.credible_area(one.posterior, level=0.95, truncated="allow")
        sign = [">" if areas.boundary(one.posterior, level) else "" for level in (0.68, 0.95)]
        lines[row] = {
            "numbers": one.posterior.attrs["bins"],
            "68 % area [1e-3]": f"{sign[0]}{1e3 * one.area:.2f} ± {1e3 * draws[:, column].std(ddof=1):.2f}",
            "95 % area [1e-3]": f"{sign[1]}{1e3 * wide:.2f}",
            f"68 % area / {reference}": f"{one.area / found[reference].area:.2f} ± {ratios[:, column].std(ddof=1):.2f}",
            "error of S8": f"{areas.s_8_error(one.posterior):.4f}",
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
    return value, value * float(drawn), value * float(np.hypot(drawn, errors.seed_error(seeds, others)))


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


def coverage_figure(shares: Mapping[str, Mapping[str, np.ndarray]], level: float = 0.68) -> Figure:
    """Share of regions that hold the truth for each row, with binomial errors, around the nominal one."""
    figure, axis = plt.subplots(figsize=(6.4, 0.9 + 0.42 * len(shares)))
    axis.axvline(level, color="0.5", linewidth=1)
    kinds = (("surveys", "o", 0), ("maps", "s", 5), ("ideal", "D", 6))
    labels = {"surveys": "mock surveys", "maps": "single maps", "ideal": "mock surveys drawn from the emulator"}
    for place, kept in enumerate(shares.values()):
        for (kind, marker, color), shift in zip(kinds, (-0.2, 0.0, 0.2), strict=True):
            values = kept[kind] < level
            style: dict[str, Any] = {
                "color": plots.PALETTE[color],
                "capsize": 2,
                "mfc": "white" if kind == "ideal" else None,
            }
            label: dict[str, Any] = {"label": labels[kind]} if not place else {}
            bar = 3 * binomial_error(len(values), level)
            axis.errorbar(values.mean(), place + shift, xerr=bar, fmt=marker, markersize=5, **style, **label)
    axis.set_yticks(range(len(shares)), list(shares))
    axis.set(xlabel=f"share of {level:.0%} regions that hold the truth", xlim=(0.2, 1.0))
    axis.invert_yaxis()
    axis.legend(fontsize="small", loc="upper center", bbox_to_anchor=(0.4, 1.25), ncols=3)
    return figure


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
        values = np.stack([drawn[one].values.ravel() for one in areas.AXES], axis=1)
        kept = {"ignore_rows": 0, "smooth_scale_2D": -1, "fine_bins_2D": 128}
        one: Any = MCSamples(samples=values, names=list(areas.AXES), settings=kept).get2DDensity(*areas.AXES)
        axes = (("omega_m", one.x), ("sigma_8", one.y))
        found[name] = xr.DataArray(np.clip(one.P.T, 0, None), dims=areas.AXES, coords=dict(axes))
    return found


def opinions(axis: Any, posteriors: Mapping[str, xr.DataArray]) -> None:
    """68 % and 95 % regions of posteriors that each have a grid of their own, and the truth."""
    for number, (name, one) in enumerate(posteriors.items()):
        heights = sorted(areas.credible_level(one, level) for level in (0.68, 0.95))
        color = plots.PALETTE[number]
        grid = (one["omega_m"].values, one["sigma_8"].values)
        axis.contour(*grid, one.values.T, levels=heights, colors=color, linestyles=["dashed", "solid"])
        axis.plot([], [], color=color, label=name)
    axis.plot(*FIDUCIAL, "k+", markersize=9, label="truth")
    axis.set(xlabel=r"$\Omega_m$", ylabel=r"$\sigma_8$")
    axis.legend(fontsize="small")


def choices_figure(by_choice: Mapping[str, Mapping[str, float]]) -> None:
    """68 % areas of every row, a marker for each choice."""
    _, axis = plt.subplots(figsize=(6.8, 3.8))
    for number, (name, kept) in enumerate(by_choice.items()):
        place = np.arange(len(kept)) + 0.14 * (number - (len(by_choice) - 1) / 2)
        axis.plot(1e3 * np.array(list(kept.values())), place, "osD^v"[number % 5], markersize=5, label=name)
    axis.set_yticks(range(len(kept)), list(kept))
    axis.set(xlabel="68 % area [1e-3]", xlim=(0, None))
    axis.invert_yaxis()
    axis.legend(fontsize="small", loc="lower right")


def convergence_figure(fewer: Mapping[str, Mapping[str, Sequence[tuple[int, float]]]]) -> Figure:
    """68 % areas against the number of maps a model, and of models, from `smaller`."""
    figure, panels = plt.subplots(1, 2, figsize=(7.4, 3.0), sharey=True)
    for axis, kept, label in zip(panels, fewer.values(), ("maps a model", "models"), strict=True):
        for row, pairs in kept.items():
            numbers, values = np.array(pairs).T
            axis.plot(numbers, 1e3 * values, "o-", color=plots.COLORS.get(row), label=row)
        axis.set(xlabel=label, ylim=(0, None))
    panels[0].set_ylabel("68 % area [1e-3]")
    panels[0].legend(fontsize="small")
    return figure
