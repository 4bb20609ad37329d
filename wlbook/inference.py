"""From statistics to constraints on (Omega_m, sigma_8): emulator, Gaussian likelihood, posterior, credible areas.

All in float64 on the CPU: the vectors are short, and covariances do not forgive rounding.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Num
from scipy.stats import chi2

from wlbook import random
from wlbook.cosmology import FIDUCIAL
from wlbook.emulator import Emulator, Vectors
from wlbook.progress import progress

AXES = ("omega_m", "sigma_8")
Real = int | float
Data = Num[Array | np.ndarray, " bin"]
Axis = Num[Array | np.ndarray, " _"]


# --- posterior ------------------------------------------------------------------------------------------------------


def posterior_grid(
    emulator: Emulator,
    data: Data,
    *,
    omega_m: Axis,
    sigma_8: Axis,
    covariance: str = "varying",
    n_fields: Real = 1,
    at: tuple[Real, Real] = FIDUCIAL,
) -> xr.DataArray:
    """Posterior density on a grid: Gaussian likelihood, flat prior inside the design, nothing outside.

    log L = -chi^2 / 2 - log det C / 2, with C the covariance of one map over `n_fields`, and chi^2 with the inverse
    debiased by (nu - d - 1) / nu (Hartlap, Simon & Schneider 2007): nu = (N - 1) / sum_k w_k^2 degrees of freedom for
    N maps a model whose covariance has weight w_k, so that it is (N - d - 2) / (N - 1) where one model counts.

    Args:
        emulator: mean and covariance.
        data: the observed vector, a mean over fields.
        omega_m: grid, increasing.
        sigma_8: grid, increasing.
        covariance: "varying": that of each point, with its determinant; "fixed": that of the point `at`, everywhere.
        n_fields: observed fields of the maps' area; the covariance shrinks by it.
        at: where "fixed" takes its covariance.

    Returns:
        Density [omega_m, sigma_8] whose integral is one; attributes `chi2` (at the best point), `bins`, `n_fields`; a
        coordinate `inside`, whether a point lies in the design.

    Raises:
        ValueError: a vector of another length or not finite, no grid point inside the design, a bad choice.
    """
    data, axes = np.asarray(data, np.float64), (np.asarray(omega_m, np.float64), np.asarray(sigma_8, np.float64))
    d = len(emulator.labels)
    if data.shape != (d,):
        raise ValueError(f"data of shape {data.shape}: must be ({d},), as the emulator's vectors")
    if not np.isfinite(data).all():
        raise ValueError(f"data: {emulator.labels[int(np.argmin(np.isfinite(data)))]} is not finite")
    if covariance not in ("varying", "fixed"):
        raise ValueError(f'covariance = {covariance!r}: must be one of "varying", "fixed"')
    if not n_fields > 0:
        raise ValueError(f"n_fields = {n_fields}: must be > 0")
    for name, axis in zip(AXES, axes, strict=True):
        if axis.size < 2 or not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
            raise ValueError(f"{name}: a grid needs 2 or more finite values, increasing")
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    inside = emulator.inside(points)
    if not inside.any():
        raise ValueError("omega_m, sigma_8: no point of the grid lies inside the design")

    residual = emulator.mean(points[inside]) - data
    if covariance == "fixed":
        square, log_det = _distance(emulator, np.array([at], np.float64), residual[None])
        square, log_det = square[0], np.zeros(len(residual))
    else:
        square, log_det = _distance(emulator, points[inside], residual[:, None])
        square = square[:, 0]
    log_density = -0.5 * (n_fields * square + log_det)
    density = np.zeros(len(points))
    density[inside] = np.exp(log_density - log_density.max())
    shape = (axes[0].size, axes[1].size)
    density = density.reshape(shape) / (density.reshape(shape) * _cells(*axes)).sum()
    return xr.DataArray(
        density,
        dims=AXES,
        coords={"omega_m": axes[0], "sigma_8": axes[1], "inside": (AXES, inside.reshape(shape))},
        name="posterior",
        attrs={"chi2": float(n_fields * square[np.argmax(log_density)]), "bins": d, "n_fields": n_fields},
    )


def _distance(
    emulator: Emulator, points: Float[np.ndarray, "point 2"], residual: Float[np.ndarray, "point vector bin"]
) -> tuple[Float[np.ndarray, "point vector"], Float[np.ndarray, " point"]]:
    """Debiased r C^-1 r of some vectors at each point, and log det C."""
    d = len(emulator.labels)
    weights = emulator._covariance_weights(emulator._checked(points))
    log_deviation = emulator._log_deviation(points)
    relative = emulator._relative.reshape(-1, d * d)
    squares, log_dets = [], []
    step = max(1, 4_000_000 // d**2)  # 32 MB of matrices at a time
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        factors = np.linalg.cholesky((weights[part] @ relative).reshape(-1, d, d))
        white = np.linalg.solve(factors, np.swapaxes(residual[part] * np.exp(-log_deviation[part, None]), -1, -2))
        squares.append(np.square(white).sum(axis=-2))
        log_dets.append(2 * np.log(np.diagonal(factors, axis1=-2, axis2=-1)).sum(axis=-1))
    freedom = (emulator.maps - 1) / np.square(weights).sum(axis=1)
    debias = (freedom - d - 1) / freedom
    return debias[:, None] * np.concatenate(squares), np.concatenate(log_dets) + 2 * log_deviation.sum(axis=1)


def posterior(emulator: Emulator, data: Data, *, points: int = 48, **options: Any) -> xr.DataArray:
    """`posterior_grid` on a grid that fits: first over the whole design, then around what is left, as fine as needed.

    Args:
        emulator: mean and covariance.
        data: the observed vector.
        points: of the grid, along each axis; doubled until the 68 % region holds 60 of them.
        options: `covariance`, `n_fields`, `at` of `posterior_grid`.
    """
    low, high = emulator.parameters.min(axis=0), emulator.parameters.max(axis=0)
    axes = [np.linspace(first, last, points) for first, last in zip(low, high, strict=True)]
    for _ in range(6):
        found = posterior_grid(emulator, data, omega_m=axes[0], sigma_8=axes[1], **options)
        # Where the density is above that of the 99.95 % region of a Gaussian, and a little more on either side.
        kept = found.values > found.values.max() * np.exp(-0.5 * chi2.ppf(0.9995, 2))
        tight = []
        for axis, across in zip(axes, (1, 0), strict=True):
            rows = np.flatnonzero(kept.any(axis=across))
            tight.append((axis[max(rows[0] - 2, 0)], axis[min(rows[-1] + 2, axis.size - 1)]))
        fits = all(new[1] - new[0] > 0.7 * (old[-1] - old[0]) for new, old in zip(tight, axes, strict=True))
        if fits and (found.values >= credible_level(found, 0.68)).sum() >= 60:
            break
        points = 2 * points if fits else points
        axes = [np.linspace(first, last, points) for first, last in tight]
    return found


# --- what a posterior says ------------------------------------------------------------------------------------------


def _cells(omega_m: Axis, sigma_8: Axis) -> Float[np.ndarray, "omega_m sigma_8"]:
    """Area of the grid around each point."""
    return np.outer(np.gradient(np.asarray(omega_m, np.float64)), np.gradient(np.asarray(sigma_8, np.float64)))


def _unpacked(posterior: Any, axes: Any, level: Real) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Density, area of each cell, and which points may hold density, after checks."""
    if not 0 < level < 1:
        raise ValueError(f"level = {level}: must be 0 < level < 1")
    if axes is None:
        if not isinstance(posterior, xr.DataArray):
            raise ValueError("axes: (omega_m, sigma_8) are needed for a posterior without labels")
        axes = [posterior[name].values for name in posterior.dims]
    density, cells = np.asarray(posterior, np.float64), _cells(*axes)
    if density.shape != cells.shape:
        raise ValueError(f"posterior of shape {density.shape}, axes of {cells.shape}: must be equal")
    if not (np.isfinite(density).all() and (density >= 0).all() and density.sum() > 0):
        raise ValueError("posterior: must be finite, nowhere negative and somewhere positive")
    labelled = isinstance(posterior, xr.DataArray) and "inside" in posterior.coords
    return density, cells, posterior["inside"].values if labelled else np.ones(density.shape, bool)


def credible_level(posterior: Any, level: Real, axes: Sequence[Axis] | None = None) -> float:
    """The density that bounds the smallest region holding the share `level` of the posterior: a contour's height.

    Args:
        posterior: density [omega_m, sigma_8], from `posterior_grid` or any array.
        level: 0 < level < 1.
        axes: the grid (omega_m, sigma_8), for an array without labels.

    Raises:
        ValueError: naming what is wrong with the posterior, its axes or the level.
    """
    density, cells, _ = _unpacked(posterior, axes, level)
    order = np.argsort(-density, axis=None)
    mass = np.cumsum((density * cells).ravel()[order])
    # Half of a point's own mass lies above its density.
    middle = mass - 0.5 * (density * cells).ravel()[order]
    return float(np.interp(level * mass[-1], middle, density.ravel()[order]))


def boundary(posterior: Any, level: Real = 0.68, axes: Sequence[Axis] | None = None) -> str | None:
    """Where the credible region runs into the end of the grid or of the design, in words; None where it does not.

    Args:
        posterior: density [omega_m, sigma_8].
        level: 0 < level < 1.
        axes: the grid (omega_m, sigma_8), for an array without labels.

    Raises:
        ValueError: naming what is wrong with the posterior, its axes or the level.
    """
    density, _, inside = _unpacked(posterior, axes, level)
    grid = axes if axes is not None else [posterior[name].values for name in posterior.dims]
    region = density >= credible_level(posterior, level, axes)
    for number, name in enumerate(AXES):
        for place, side in ((0, "below"), (-1, "above")):
            if np.take(region, place, axis=number).any():
                return f"{name} {side} {np.asarray(grid[number])[place]:.3g}"
    outside = np.pad(~inside, 1)
    beside = np.logical_or.reduce([np.roll(outside, step, axis)[1:-1, 1:-1] for step in (-1, 1) for axis in (0, 1)])
    if (region & beside).any():
        row, column = np.argwhere(region & beside)[0]
        return f"the design at omega_m = {np.asarray(grid[0])[row]:.3g}, sigma_8 = {np.asarray(grid[1])[column]:.3g}"
    return None


def credible_area(
    posterior: Any, axes: Sequence[Axis] | None = None, level: Real = 0.68, *, truncated: str = "refuse"
) -> float:
    """Area of the smallest region of the plane that holds the share `level` of the posterior.

    Args:
        posterior: density [omega_m, sigma_8], from `posterior_grid` or any array.
        axes: the grid (omega_m, sigma_8), for an array without labels.
        level: 0 < level < 1.
        truncated: "refuse" a region that runs into the end of the grid or of the design, or "allow" it: the area is
            then a lower limit.

    Raises:
        ValueError: naming what is wrong with the posterior, its axes or the level; the axis and the limit where the
            region leaves the grid or the design; a region of fewer than 12 grid points.
    """
    if truncated not in ("refuse", "allow"):
        raise ValueError(f'truncated = {truncated!r}: must be one of "refuse", "allow"')
    density, cells, _ = _unpacked(posterior, axes, level)
    if truncated == "refuse" and (where := boundary(posterior, level, axes)):
        raise ValueError(
            f"posterior: its {level:.0%} region leaves {where}: observe more fields, or widen the grid or the design"
        )
    order = np.argsort(-density, axis=None)
    mass, area = np.cumsum((density * cells).ravel()[order]), np.cumsum(cells.ravel()[order])
    if np.searchsorted(mass, level * mass[-1]) < 12:
        raise ValueError(f"posterior: its {level:.0%} region holds fewer than 12 points: the grid is too coarse")
    # A point's mass and area both begin before its middle: interpolate between middles.
    mass, area = (values - 0.5 * np.diff(values, prepend=0.0) for values in (mass / mass[-1], area))
    return float(np.interp(level, mass, area))


def figure_of_merit(posterior: Any, axes: Sequence[Axis] | None = None, level: Real = 0.68) -> float:
    """One over the credible area: larger is better.

    Args:
        posterior: density [omega_m, sigma_8].
        axes: the grid (omega_m, sigma_8), for an array without labels.
        level: 0 < level < 1.

    Raises:
        ValueError: as `credible_area`.
    """
    return 1.0 / credible_area(posterior, axes, level)


# --- errors ---------------------------------------------------------------------------------------------------------


def bootstrap_areas(
    parameters: Num[Array | np.ndarray, "model 2"],
    vectors: Mapping[str, Vectors],
    data: Mapping[str, Num[Array | np.ndarray, "drawn _"]],
    *,
    rows: Mapping[str, Sequence[str]],
    repeats: int,
    level: Real = 0.68,
    method: str = "linear",
    points: int = 24,
    seed: int,
    **options: Any,
) -> xr.DataArray:
    """Credible areas after drawing the maps of every model, and the observed ones, again with replacement.

    All rows of one repeat see the same draw, so that ratios of areas have smaller errors than the areas.

    Args:
        parameters: omega_m and sigma_8 of each model.
        vectors: by statistic, the vectors of the models' maps.
        data: by statistic, the vectors of the observed maps, whose mean is the observation.
        rows: for each row of the answer the statistics it uses together.
        repeats: how often to draw, >= 1.
        level: of the credible region.
        method: of the emulator.
        points: of the grid, along each axis.
        seed: of the draws.
        options: `covariance`, `n_fields`, `at` of `posterior_grid`.

    Returns:
        Areas [repeat, row]; those that reach the end of the design are lower limits.

    Raises:
        ValueError: as `Emulator` and `posterior_grid`; a row that names a statistic there is not.
    """
    if not repeats >= 1:
        raise ValueError(f"repeats = {repeats}: must be >= 1")
    for row, names in rows.items():
        for name in names:
            if name not in vectors or name not in data:
                raise ValueError(f'rows["{row}"] = {list(names)}: "{name}" is not among {sorted(vectors)}')
    stacked = {name: np.asarray(values, np.float64) for name, values in vectors.items()}
    models, maps = next(iter(stacked.values())).shape[:2]
    longest = max(sum(stacked[name].shape[2] for name in names) for names in rows.values())
    if method == "linear" and 0.55 * maps <= longest + 2:  # a draw of N maps holds (1 - 1/e) N different ones
        raise ValueError(
            f'{maps} maps a model for a vector of {longest} bins: a draw repeats too many for method = "linear", '
            f"must be more than {(longest + 2) / 0.55:.0f} maps, or fewer bins"
        )
    observed = len(next(iter(data.values())))
    areas = np.zeros((repeats, len(rows)))
    for repeat in progress(range(repeats), "bootstrap", unit="draw"):
        key = random.key(seed, "bootstrap", repeat)
        drawn = np.asarray(jax.random.randint(key, (models, maps), 0, maps))
        seen = np.asarray(jax.random.randint(random.key(seed, "bootstrap data", repeat), (observed,), 0, observed))
        again = {name: np.take_along_axis(values, drawn[:, :, None], axis=1) for name, values in stacked.items()}
        for column, names in enumerate(rows.values()):
            emulator = Emulator(parameters, {name: again[name] for name in names}, method=method)
            mean = np.concatenate([np.asarray(data[name], np.float64)[seen].mean(axis=0) for name in names])
            density = posterior(emulator, mean, points=points, **options)
            areas[repeat, column] = credible_area(density, level=level, truncated="allow")
    return xr.DataArray(areas, dims=("repeat", "row"), coords={"row": list(rows)}, name=f"{level:.0%} area")
