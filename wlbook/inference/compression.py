"""Long vectors as two numbers that know as much near one point (MOPED; Heavens, Jimenez & Lahav 2000)."""

import numpy as np
from jaxtyping import Array, Float, Num

from wlbook.inference.credible_regions import Real
from wlbook.inference.emulator import Emulator
from wlbook.simulation.cosmology import FIDUCIAL


def score_weights(
    emulator: Emulator, *, at: tuple[Real, Real] = FIDUCIAL, step: Real = 0.05
) -> Float[np.ndarray, "bin 2"]:
    """C^-1 d mean / d (omega_m, sigma_8): what each bin counts for in the score, with the covariance held fixed.

    Args:
        emulator: mean and covariance.
        at: the point the compression is lossless at; at least `step` of the design's range inside it.
        step: of the central differences, in units of the design's range.

    Raises:
        ValueError: a point whose neighbours lie outside the design.
    """
    here = np.array(at, np.float64)
    slopes = slopes_at(emulator, at=at, step=step)
    scale, relative = (values[0] for values in emulator.scaled_covariance(here[None]))
    return np.linalg.solve(relative, (slopes / scale).T) / scale[:, None]


def slopes_at(emulator: Emulator, *, at: tuple[Real, Real], step: Real = 0.05) -> Float[np.ndarray, "2 bin"]:
    """Derivatives of the emulated mean by omega_m and sigma_8.

    Args:
        emulator: mean and covariance.
        at: where.
        step: of the central differences, in units of the design's range.

    Raises:
        ValueError: a point whose neighbours lie outside the design.
    """
    steps = np.diag(step * np.ptp(emulator.parameters, axis=0))
    ahead, behind = (emulator.mean(np.array(at, np.float64) + sign * steps) for sign in (1, -1))
    return (ahead - behind) / (2 * np.diagonal(steps)[:, None])


def compress(
    values: Num[Array | np.ndarray, "*batch bin"], weights: Float[np.ndarray, "bin 2"]
) -> Float[np.ndarray, "*batch 2"]:
    """The two numbers of each vector.

    Args:
        values: vectors.
        weights: from `score_weights`.
    """
    return np.asarray(values, np.float64) @ weights
