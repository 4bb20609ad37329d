"""Chapter 6: rows of statistics used together, what each of them constrains, and whether it may be believed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int, Num
from scipy.spatial import Delaunay

from wlbook.common.threads import two_at_a_time
from wlbook.inference import bootstrap, coverage, credible_regions
from wlbook.inference.compression import compress, score_weights
from wlbook.inference.emulator import Emulator
from wlbook.inference.flow import learnt_posterior
from wlbook.inference.gaussian_fields import GaussianFields
from wlbook.inference.posteriors import posterior
from wlbook.inference.sampling import sample
from wlbook.inference.vectors import AXES, ByModel, ByName, Data, Models, Names, Point, Real, Rows, joined

_LEAST = 12  # maps of every model in which a bin must differ from its median there


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


def alive(vectors: ByModel, observed: ByName) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The same without bins that hardly vary in some model, such as the counts of very rare peaks.

    A bin that differs in m maps only is the same in a share exp(-m) of all bootstrap draws, which can then say nothing
    of its scatter; and a count that rare is far from Gaussian.
    """
    kept = {
        name: ((values != np.median(values, axis=1, keepdims=True)).sum(axis=1) >= _LEAST).all(axis=0)
        for name, values in vectors.items()
    }
    sky = {name: np.asarray(values)[..., kept[name]] for name, values in observed.items()}
    return {name: values[..., kept[name]] for name, values in vectors.items()}, sky


def find(
    parameters: Models,
    vectors: ByModel,
    observed: ByName,
    rows: Rows,
    *,
    method: str,
    fiducial: Point | None = None,
    **options: Any,
) -> dict[str, Found]:
    """The posterior of each row, with the mean of the observed maps as data.

    Method and fiducial are those of `Emulator`, `options` those of `posterior`.
    """
    found = {}
    for row, names in rows.items():
        emulator = Emulator(parameters, {name: vectors[name] for name in names}, method=method, fiducial=fiducial)
        data = joined(observed, names).mean(axis=0)
        found[row] = Found(emulator, data, posterior(emulator, data, **options))
    return found


def table(found: Mapping[str, Found], drawn: xr.Dataset, *, reference: str) -> pd.DataFrame:
    """Areas with bootstrap errors (`drawn`, by `resample`), ratios to one row, errors of S8 and goodness of fit."""
    logs, lines = drawn["log_area"], {}
    for row, one in found.items():
        wide = credible_regions.credible_area(one.posterior, level=0.95, truncated="allow")
        sign = [">" if credible_regions.boundary(one.posterior, level) else "" for level in (0.68, 0.95)]
        area, ratio = 1e3 * one.area, one.area / found[reference].area
        error = bootstrap.relative_error(logs.sel(row=row).values)
        relative = bootstrap.relative_error((logs.sel(row=row) - logs.sel(row=reference)).values)
        lines[row] = {
            "numbers": one.posterior.attrs["bins"],
            "68 % area [1e-3]": f"{sign[0]}{area:.2f} ± {area * error:.2f}",
            "95 % area [1e-3]": f"{sign[1]}{1e3 * wide:.2f}",
            f"68 % area / {reference}": f"{ratio:.2f} ± {ratio * relative:.2f}",
            "error of S8": f"{credible_regions.s_8_error(one.posterior):.4f}",
            "chi2": f"{one.posterior.attrs['chi2']:.1f}",
        }
    return pd.DataFrame(lines).T


def ratio(
    found: Mapping[str, Found],
    drawn: xr.Dataset,
    row: str,
    reference: str,
    seeds: Num[np.ndarray, " seed"],
    others: Sequence[Num[np.ndarray, " _"]] = (),
) -> tuple[float, float, float]:
    """Ratio of two areas, a geometric mean over networks; its error from maps and boxes, and that with seeds.

    `seeds` are log areas of `row` for each seed of its network; `others`, those of other groups of networks, lend
    their scatter over seeds.
    """
    logs = drawn["log_area"].sel(row=row) - drawn["log_area"].sel(row=reference)
    scatter, student = bootstrap.seed_scatter([seeds, *others])
    value, error = float(np.exp(np.mean(seeds)) / found[reference].area), bootstrap.relative_error(logs.values)
    return value, value * float(error), value * float(np.hypot(error, student * scatter / math.sqrt(len(seeds))))


def seed_areas(
    parameters: Models, vectors: ByModel, observed: ByName, networks: Sequence[str], others: Names = (), **options: Any
) -> Float[np.ndarray, " network"]:
    """Log areas of networks that differ by their seed, each used together with the same other statistics."""
    rows = {name: [*others, name] for name in networks}
    return np.log([one.area for one in find(parameters, vectors, observed, rows, **options).values()])


def ranking(by_choice: Mapping[str, Mapping[str, float]]) -> str:
    """The order of the rows by area under the first choice, and which other choices change it: two sentences."""
    orders = {name: sorted(areas, key=areas.__getitem__) for name, areas in by_choice.items()}
    usual = next(iter(orders.values()))
    others = "; ".join(f"{name} ({', '.join(order)})" for name, order in orders.items() if order != usual)
    end = f"Another order comes from: {others}." if others else "No other choice changes that order."
    return f"From best to worst: {', '.join(usual)}. {end}"


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
    """For each row the share of posterior denser than the truth, over `surveys`, single `maps` and `ideal` data.

    A mock survey is one map from every box, known by its seed; `draws` ideal surveys come from the emulator itself.
    `observed` are maps that neither the emulator nor a network has seen; `options` are of `log_likelihood`.
    """
    boxes, shares = len(np.unique(seeds)), {}
    error = options.get("emulator_error", "ignore")
    for row, names in rows.items():
        emulator, single = found[row].emulator, joined(observed, names)
        drawn = coverage.ideal(emulator, draws, n_fields=boxes, emulator_error=error, seed=seed)
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
    parameters: Models, vectors: ByModel, observed: ByName, rows: Rows, **options: Any
) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Areas from fewer maps a model, and from fewer models: by row, pairs of a number and an area.

    The first models of the book's designs span them; of models in the order of omega_m some of all are taken. Fewer
    models that do not lie around the fiducial are left out.
    """
    models, maps = next(iter(vectors.values())).shape[:2]
    found: dict[str, dict[str, list[tuple[int, float]]]] = {"maps": {}, "models": {}}
    longest = max(sum(vectors[name].shape[-1] for name in names) for names in rows.values())
    parts = [("maps", n, models, n) for n in (maps // 2, 3 * maps // 4, maps) if n > longest + 2]
    parts += [("models", n, n, maps) for n in (2 * models // 3, 5 * models // 6, models) if n >= 7]
    in_order, at = (np.diff(parameters[:, 0]) >= 0).all(), options.get("fiducial")
    for kind, number, of_models, of_maps in parts:
        which = np.linspace(0, models - 1, of_models).round().astype(int) if in_order else slice(of_models)
        if at is not None and Delaunay(parameters[which]).find_simplex(at, tol=1e-9) < 0:
            continue
        few = {name: values[which, :of_maps] for name, values in vectors.items()}
        for row, one in find(parameters[which], few, observed, rows, **options).items():
            found[kind].setdefault(row, []).append((number, one.area))
    return found


@dataclass(frozen=True)
class NullTest:
    """Areas on Gaussian fields, where nothing beats the likelihood of all modes."""

    area: float  # the exact 68 % area
    ellipse: float  # what the Fisher matrix of all modes says it is
    over: dict[str, float]  # area of each row over the exact one
    error: dict[str, float]  # of these, from bootstrap draws

    @property
    def beaten_by(self) -> list[str]:
        """Rows that lie below one by more than three errors: not to be believed."""
        return [row for row, value in self.over.items() if value < 1 - 3 * self.error[row]]


def null_test(
    fields: GaussianFields,
    parameters: Models,
    vectors: ByModel,
    observed: ByName,
    *,
    rows: Rows,
    noise: Real,
    method: str,
    repeats: int,
    seed: int,
    **options: Any,
) -> NullTest:
    """What each row finds on Gaussian fields, against the exact posterior at the true spectrum.

    A few draws of one row can agree by chance, those of all rows together hardly do: its error is its own scatter, or
    that of all rows if that is larger. Vectors are of maps that `fields` drew for the models and for the observed sky;
    `noise` is the standard deviation of the shape noise in a pixel, `repeats` counts bootstrap draws, >= 2, and
    `options` are of `posterior`, `n_fields` among them.
    """
    data, options = (parameters, *alive(vectors, observed)), options | {"fiducial": fields.fiducial}
    found = find(*data, rows, method=method, **options)
    drawn = bootstrap.resample(*data, rows=rows, repeats=repeats, method=method, boxes="keep", seed=seed, **options)
    own = bootstrap.relative_error(drawn["log_area"].values)
    errors = np.maximum(own, np.sqrt(np.mean(own**2)))
    survey = {"noise": noise, "n_fields": options.get("n_fields", 1)}
    grid = dict(zip(AXES, np.linspace(parameters.min(axis=0), parameters.max(axis=0), 240).T, strict=True))
    exact = fields.posterior(fields.spectra(np.array([fields.fiducial]), noise)[0], **grid, **survey)
    area = credible_regions.credible_area(exact, truncated="allow")
    ellipse = credible_regions.ellipse_area(fields.fisher(fields.fiducial, **survey))
    over = {row: one.area / area for row, one in found.items()}
    error = {row: over[row] * float(error) for row, error in zip(rows, errors, strict=True)}
    return NullTest(area, ellipse, over, error)


def opinions(
    found: Found,
    vectors: ByModel,
    observed: ByName,
    names: Names,
    *,
    slopes: Mapping[str, Data],
    widths: Mapping[str, Real],
    covariance: str = "varying",
    seed: int,
) -> dict[str, xr.DataArray]:
    """One posterior by other means: a normalising flow, NUTS with getdist, and NUTS with nuisance parameters.

    The statistics `names` are those that `found` uses together; `slopes` and `widths` are as in `sampling.sample`.
    Returned are "grid", "flow", "NUTS, getdist" and "... free", named for the nuisance parameters; the last two have
    `r_hat` of their chains as an attribute. NUTS cannot use a "linear" emulator's corners: a quadratic stands in.
    """
    smooth, values, sky = found.emulator, joined(vectors, names), joined(observed, names)
    if smooth.method == "linear":
        smooth = Emulator(smooth.parameters, values, method="quadratic", fiducial=smooth.fiducial)
    n_fields, weights, around = found.posterior.attrs["n_fields"], score_weights(smooth), {}
    for name, within in zip(AXES, smooth.parameters.T, strict=True):
        axis = found.posterior[name].values  # twice as wide, for a flow's region may lie elsewhere
        ends = (axis[0] + axis[-1]) / 2 + np.array([-1, 1]) * np.ptp(axis)
        first, last = np.clip(ends, within.min(), within.max())
        around[name] = np.linspace(first, last, 90)

    def by_nuts(**free: Any) -> xr.Dataset:
        return sample(smooth, found.data, n_fields=n_fields, covariance=covariance, draws=600, seed=seed, **free)

    def by_flow() -> xr.DataArray:
        short, seen = compress(values, weights), compress(sky, weights)
        return learnt_posterior(smooth.parameters, short, seen, n_fields=n_fields, seed=seed, **around)

    samplers = [by_nuts, lambda: by_nuts(slopes=slopes, widths=widths), by_flow]
    plain, free, learnt = two_at_a_time(lambda sampler: sampler(), samplers)
    sampled = densities({"NUTS, getdist": plain, f"{', '.join(slopes)} free": free})
    return {"grid": found.posterior, "flow": learnt} | sampled


def densities(samples: Mapping[str, xr.Dataset]) -> dict[str, xr.DataArray]:
    """Smooth densities of draws in omega_m and sigma_8, by getdist: what it draws its contours from."""
    from getdist import MCSamples, chains

    chains.print_load_details = False
    settings, found = {"ignore_rows": 0, "smooth_scale_2D": -1, "fine_bins_2D": 128}, {}
    for name, drawn in samples.items():
        values = np.stack([drawn[axis].values.ravel() for axis in AXES], axis=1)
        one: Any = MCSamples(samples=values, names=list(AXES), settings=settings).get2DDensity(*AXES)
        axes = dict(zip(AXES, (one.x, one.y), strict=True))
        found[name] = xr.DataArray(np.clip(one.P.T, 0, None), dims=AXES, coords=axes, attrs=drawn.attrs)
    return found
