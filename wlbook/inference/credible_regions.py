"""What a posterior on a grid says: credible regions, their areas, and where they run into the end of the design."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Num

from wlbook.simulation.cosmology import s_8

AXES = ("omega_m", "sigma_8")
Real = int | float
Axis = Num[Array | np.ndarray, " _"]
Data = Num[Array | np.ndarray, " bin"]


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


def s_8_error(posterior: xr.DataArray) -> float:
    """Standard deviation of S8 under a posterior [omega_m, sigma_8].

    Args:
        posterior: from `posterior_grid`.
    """
    weights = posterior.values * _cells(posterior["omega_m"].values, posterior["sigma_8"].values)
    weights = weights / weights.sum()
    values = np.vectorize(s_8)(posterior["omega_m"].values[:, None], posterior["sigma_8"].values)
    return float(np.sqrt((weights * values**2).sum() - (weights * values).sum() ** 2))
