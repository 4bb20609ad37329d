"""Statistics side by side: how each moves with cosmology, how they scatter together, and what one map tells by each."""

import timeit
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Array, Bool, Float, Num

from wlbook.inference.emulator import Emulator
from wlbook.inference.vectors import ByModel, ByName, Models, Point, joined


def responses(
    parameters: Models, vectors: ByModel, fiducial: Point | None = None
) -> dict[str, dict[str, Float[np.ndarray, " bin"]]]:
    """Change of the mean of every bin when Omega_m or sigma_8 grows by a tenth, in standard deviations of one map.

    At the fiducial, as in `Emulator`. NaN for a bin that is the same in all maps of a model.
    """
    found = {}
    for name, values in vectors.items():
        alive = _alive(values)
        emulator = Emulator(parameters, {name: values[..., alive]}, method="quadratic", fiducial=fiducial)
        scatter = np.sqrt(np.diagonal(emulator.covariance(emulator.fiducial[None])[0]))
        found[name] = {step: np.full(alive.size, np.nan) for step in ("Omega_m", "sigma_8")}
        for changed, at, slope in zip(found[name].values(), emulator.fiducial, emulator.slopes(), strict=True):
            changed[alive] = 0.1 * at * slope / scatter
    return found


def _alive(values: Num[np.ndarray, "model map bin"]) -> Bool[np.ndarray, " bin"]:
    """Bins that vary among the maps of every model: one that is empty in all maps of a model has no scatter there."""
    return np.ptp(values, axis=1).all(axis=0)


def fisher_error(parameters: Models, vectors: ByModel, fiducial: Point | None = None) -> float:
    """Error of sigma_8 from one map by these statistics together, omega_m known: (d^T C^-1 d)^-1/2, debiased.

    d is the slope of the mean and C the covariance of one map, both at the fiducial, as in `Emulator` (Hartlap et
    al. 2007, arXiv:astro-ph/0608064). Bins that are the same in all maps of a model are left out.
    """
    alive = {name: values[..., _alive(values)] for name, values in vectors.items()}
    emulator = Emulator(parameters, alive, method="quadratic", fiducial=fiducial)
    _, slope = emulator.slopes()
    here = emulator.fiducial[None]
    _, (hartlap,) = emulator.freedom(emulator.covariance_weights(here))
    return float((hartlap * slope @ np.linalg.solve(emulator.covariance(here)[0], slope)) ** -0.5)


def correlation(vectors: ByModel) -> Float[np.ndarray, "bin bin"]:
    """Correlation of all bins of all statistics: the mean over the models, each model's own mean taken away.

    0 for a bin that never varies.
    """
    together = joined(vectors, list(vectors))
    centred = together - together.mean(axis=1, keepdims=True)
    scatter = centred.std(axis=1, keepdims=True)
    unit = centred / np.where(scatter > 0, scatter, np.inf)
    sums = np.einsum("kmi,kmj->ij", unit, unit, optimize=True)
    scale = np.sqrt(np.where(np.diagonal(sums) > 0, np.diagonal(sums), np.inf))
    return sums / scale / scale[:, None]


def changes(before: ByName, after: ByName) -> dict[str, Float[np.ndarray, " bin"]]:
    """How far the mean of every bin moved from `before` to `after`, in standard deviations of one map before.

    0 for a bin that never varies; NaN if there is one map only.
    """
    scatter = {name: values.std(axis=0, dtype=np.float64) for name, values in before.items()}
    moved = {name: after[name].mean(axis=0) - values.mean(axis=0) for name, values in before.items()}
    found = {name: moved[name] / np.where(scatter[name] > 0, scatter[name], np.inf) for name in before}
    return {name: found[name] if len(before[name]) > 1 else found[name] + np.nan for name in before}


def seconds_a_map(statistic: Callable[[Any], Array], kappa: Num[np.ndarray, "map bin y x"]) -> float:
    """Time of a statistic for one map on this machine, after compilation: the best of three [s]."""
    measured = timeit.repeat(lambda: np.asarray(statistic(kappa)), repeat=4, number=1)
    return min(measured[1:]) / len(kappa)
