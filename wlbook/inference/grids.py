"""Densities on a grid in the plane of omega_m and sigma_8."""

from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float

from wlbook.inference.vectors import AXES, Axis


def points(omega_m: Axis, sigma_8: Axis) -> Float[np.ndarray, "point 2"]:
    """All points of a grid, sigma_8 running fastest."""
    grid = np.meshgrid(np.asarray(omega_m, np.float64), np.asarray(sigma_8, np.float64), indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 2)


def cells(omega_m: Axis, sigma_8: Axis) -> Float[np.ndarray, "omega_m sigma_8"]:
    """Area of the grid around each point."""
    return np.outer(np.gradient(np.asarray(omega_m, np.float64)), np.gradient(np.asarray(sigma_8, np.float64)))


def density(
    log_density: Float[np.ndarray, " point"],
    omega_m: Axis,
    sigma_8: Axis,
    inside: Bool[np.ndarray, " point"],
    **attrs: Any,
) -> xr.DataArray:
    """A posterior whose integral is one, from its logarithm up to a constant; `inside` the design is a coordinate."""
    area = cells(omega_m, sigma_8)
    found = np.exp(log_density - log_density.max()).reshape(area.shape)
    return xr.DataArray(
        found / (found * area).sum(),
        dims=AXES,
        coords=dict(zip(AXES, (omega_m, sigma_8), strict=True)) | {"inside": (AXES, inside.reshape(area.shape))},
        name="posterior",
        attrs=attrs,
    )
