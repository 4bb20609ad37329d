"""Long vectors as two numbers that know as much near one point (MOPED; Heavens, Jimenez & Lahav 2000)."""

import numpy as np
from jaxtyping import Array, Float, Num

from wlbook.inference.emulator import Emulator


def score_weights(emulator: Emulator) -> Float[np.ndarray, "bin 2"]:
    """C^-1 d mean / d (omega_m, sigma_8): what each bin counts for in the score, with the covariance held fixed.

    At the emulator's fiducial, where compression is then lossless.
    """
    scale, relative = (values[0] for values in emulator.scaled_covariance(emulator.fiducial[None]))
    return np.linalg.solve(relative, (emulator.slopes() / scale).T) / scale[:, None]


def compress(
    values: Num[Array | np.ndarray, "*batch bin"], weights: Float[np.ndarray, "bin 2"]
) -> Float[np.ndarray, "*batch 2"]:
    """The two numbers of each vector, with the weights of `score_weights`."""
    return np.asarray(values, np.float64) @ weights
