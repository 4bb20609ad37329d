"""What a posterior on a grid says: credible regions, their areas, and where they run into the end of the design.

Arguments and errors are those of `credible_area`.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float

from wlbook.common import checks
from wlbook.inference import grids
from wlbook.inference.vectors import AXES, Axis, Real
from wlbook.simulation.cosmology import s_8


def _unpacked(posterior: Any, axes: Any, level: Real) -> tuple[np.ndarray, np.ndarray, np.ndarray, Any]:
    """Density, area of each cell, which points may hold density, and the grid, after checks."""
    checks.require(0 < level < 1, "level", level, "0 < level < 1")
    if axes is None:
        if not isinstance(posterior, xr.DataArray):
            raise ValueError("axes: (omega_m, sigma_8) are needed for a posterior without labels")
        axes = [posterior[name].values for name in posterior.dims]
    density, cells = np.asarray(posterior, np.float64), grids.cells(*axes)
    if density.shape != cells.shape:
        raise ValueError(f"posterior of shape {density.shape}, axes of {cells.shape}: must be equal")
    if not (np.isfinite(density).all() and (density >= 0).all() and density.sum() > 0):
        raise ValueError("posterior: must be finite, nowhere negative and somewhere positive")
    labelled = isinstance(posterior, xr.DataArray) and "inside" in posterior.coords
    return density, cells, posterior["inside"].values if labelled else np.ones(density.shape, bool), axes


def credible_level(posterior: Any, level: Real, axes: Sequence[Axis] | None = None) -> float:
    """The density that bounds the smallest region holding the share `level` of the posterior: a contour's height."""
    density, cells, *_ = _unpacked(posterior, axes, level)
    order = np.argsort(-density, axis=None)
    masses = (density * cells).ravel()[order]
    mass = np.cumsum(masses)
    middle = mass - 0.5 * masses  # half of a point's own mass lies above its density
    return float(np.interp(level * mass[-1], middle, density.ravel()[order]))


def boundary(posterior: Any, level: Real = 0.68, axes: Sequence[Axis] | None = None) -> str | None:
    """Where the credible region runs into the end of the grid or of the design, in words; None where it does not."""
    density, _, inside, grid = _unpacked(posterior, axes, level)
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

    The posterior is a density [omega_m, sigma_8] from `posterior_grid`, or any array with its grid as `axes`; 0 < level
    < 1, and a region of fewer than 12 grid points is refused. So is one that runs into the end of the grid or of the
    design, unless truncated is "allow": the area is then a lower limit.
    """
    checks.one_of("truncated", truncated, ("refuse", "allow"))
    density, cells, *_ = _unpacked(posterior, axes, level)
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


def ellipse_area(matrix: Float[np.ndarray, "2 2"], level: Real = 0.68) -> float:
    """Area of the ellipse that holds the share `level` of a Gaussian posterior: -2 log(1 - level) pi / sqrt(det F)."""
    return -2 * math.log(1 - level) * math.pi / math.sqrt(np.linalg.det(matrix))


def s_8_error(posterior: xr.DataArray) -> float:
    """Standard deviation of S8 under a posterior [omega_m, sigma_8]."""
    axes = [posterior[name].values for name in AXES]
    weights = posterior.values * grids.cells(*axes)
    values = np.outer([s_8(float(omega_m), 1.0) for omega_m in axes[0]], axes[1])  # S8 is proportional to sigma_8
    middle = (weights * values).sum() / weights.sum()
    return float(np.sqrt((weights * (values - middle) ** 2).sum() / weights.sum()))
