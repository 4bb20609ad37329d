"""How often regions hold the truth: the test that a likelihood must pass before its areas are believed."""

from typing import Any

import numpy as np
from jaxtyping import Array, Float, Int, Num

from wlbook.inference import grids
from wlbook.inference.emulator import Emulator
from wlbook.inference.likelihood import log_likelihood
from wlbook.inference.vectors import Real

_CHUNK = 64


def surveys(values: Num[np.ndarray, "map bin"], seeds: Int[np.ndarray, " map"]) -> Float[np.ndarray, "survey bin"]:
    """Mock surveys out of one map from each box: the first maps of all boxes, the second maps of all boxes, ...

    Maps of one box share its structure, so a mean over them scatters more than one over independent fields. A box is
    known by its seed; there are as many surveys as the box with the fewest has maps.
    """
    boxes, counts = np.unique(seeds, return_counts=True)
    return np.mean([np.asarray(values, np.float64)[seeds == box][: counts.min()] for box in boxes], axis=0)


def denser(
    emulator: Emulator, data: Num[Array | np.ndarray, "vector bin"], *, points: int = 40, **options: Any
) -> Float[np.ndarray, " vector"]:
    """Share of each posterior that is denser than at the emulator's fiducial: the smallest region that holds the truth.

    Over many observations it is spread evenly between 0 and 1 if regions hold the truth as often as they say. The grid
    has so many `points` along each axis over the part of the design that matters; `options` are of `log_likelihood`.
    """
    data = np.asarray(data, np.float64)
    low, high = emulator.parameters.min(axis=0), emulator.parameters.max(axis=0)
    here = log_likelihood(emulator, emulator.fiducial[None], data, **options)[0][0]
    found = np.zeros(len(data))
    for start in range(0, len(data), _CHUNK):
        part = slice(start, start + _CHUNK)
        first, last = low, high
        for _ in range(3):  # zoom in on what any of these posteriors fills
            grid = grids.points(*np.linspace(first, last, points).T)
            grid = grid[emulator.inside(grid)]
            log_density = log_likelihood(emulator, grid, data[part], **options)[0]
            above = (log_density > log_density.max(axis=0) - 10).any(axis=1)
            step = (last - first) / (points - 1)
            inner = np.maximum(grid[above].min(axis=0) - step, low), np.minimum(grid[above].max(axis=0) + step, high)
            if (inner[1] - inner[0] > 0.7 * (last - first)).all():
                break
            first, last = inner
        density = np.exp(log_density - log_density.max(axis=0))
        at_truth = np.exp(here[part] - log_density.max(axis=0))
        found[part] = np.where(density > at_truth, density, 0).sum(axis=0) / density.sum(axis=0)
    return found


def ideal(
    emulator: Emulator, number: int, *, n_fields: Real = 1, emulator_error: str = "ignore", seed: int
) -> Float[np.ndarray, "vector bin"]:
    """Vectors drawn from the emulator itself: for them only the prior's edges can keep coverage from its nominal value.

    Each is the mean of `n_fields` maps at the fiducial; "add" moves it by an error of the emulated mean.
    """
    at = emulator.fiducial[None]
    scale, relative = (values[0] for values in emulator.scaled_covariance(at))
    relative = relative / n_fields
    if emulator_error == "add":
        relative = relative + emulator.error(at)[0] / scale[:, None] / scale
    normal = np.random.default_rng(seed).normal(size=(number, scale.size))
    return emulator.mean(at)[0] + scale * (normal @ np.linalg.cholesky(relative).T)
