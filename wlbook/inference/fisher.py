"""Forecasts from derivatives: of common seeds only, since a difference of two universes is otherwise mostly chance."""

import math

import numpy as np
from jaxtyping import Array, Float, Int, Num

Real = int | float
Vectors = Num[Array | np.ndarray, "map bin"]


def slope(
    ahead: Vectors, behind: Vectors, step: Real, *, seeds: tuple[Int[np.ndarray, " map"], Int[np.ndarray, " map"]]
) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, " bin"]]:
    """Derivative of the mean vector by central differences, map by map, and its standard error.

    Args:
        ahead, behind: vectors of maps made at +step and -step of one parameter from the same seeds, noise included.
        step: half the distance of the two, > 0.
        seeds: of the maps ahead and behind, which must be the same.

    Raises:
        ValueError: seeds that differ, a step that is not positive.
    """
    if not np.array_equal(*seeds):
        raise ValueError("seeds: the maps ahead and behind must come from the same seeds, map by map")
    if not step > 0:
        raise ValueError(f"step = {step}: must be > 0")
    each = (np.asarray(ahead, np.float64) - np.asarray(behind, np.float64)) / (2 * step)
    return each.mean(axis=0), each.std(axis=0, ddof=1) / math.sqrt(len(each))


def fisher(
    slopes: Float[np.ndarray, "parameter bin"], covariance: Float[np.ndarray, "bin bin"], *, n_fields: Real = 1
) -> Float[np.ndarray, "parameter parameter"]:
    """Fisher matrix of a Gaussian vector with a fixed covariance.

    Args:
        slopes: of the mean vector by each parameter.
        covariance: of one map, its inverse debiased by the caller.
        n_fields: observed fields.
    """
    scale = np.sqrt(np.diagonal(covariance))
    scaled = slopes / scale
    return n_fields * scaled @ np.linalg.solve(covariance / scale / scale[:, None], scaled.T)


def ellipse_area(matrix: Float[np.ndarray, "2 2"], level: Real = 0.68) -> float:
    """Area of the ellipse that holds the share `level` of a Gaussian posterior: -2 log(1 - level) pi / sqrt(det F).

    Args:
        matrix: Fisher matrix of two parameters.
        level: 0 < level < 1.
    """
    return -2 * math.log(1 - level) * math.pi / math.sqrt(np.linalg.det(matrix))
