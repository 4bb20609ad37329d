"""The posterior of (Omega_m, sigma_8) on a grid: exact, for a flat prior inside the design."""

from typing import Any

import numpy as np
import xarray as xr
from scipy.stats import chi2

from wlbook.inference import grids
from wlbook.inference.credible_regions import credible_level
from wlbook.inference.emulator import Emulator
from wlbook.inference.likelihood import log_likelihood
from wlbook.inference.vectors import AXES, Axis, Data, Real


def posterior_grid(
    emulator: Emulator, data: Data, *, omega_m: Axis, sigma_8: Axis, n_fields: Real = 1, **options: Any
) -> xr.DataArray:
    """Posterior density on a grid (`grids.density`): flat prior inside the design, nothing outside.

    Its attributes are `chi2` (at the best point), `bins` and `n_fields`. The data are a mean over fields, the grid is
    increasing, some of it inside the design; options are those of `likelihood.log_likelihood`.
    """
    data, axes = np.asarray(data, np.float64), (np.asarray(omega_m, np.float64), np.asarray(sigma_8, np.float64))
    bins = len(emulator.labels)
    if data.shape != (bins,):
        raise ValueError(f"data of shape {data.shape}: must be ({bins},), as the emulator's vectors")
    if not np.isfinite(data).all():
        raise ValueError(f"data: {emulator.labels[int(np.argmin(np.isfinite(data)))]} is not finite")
    for name, axis in zip(AXES, axes, strict=True):
        if axis.size < 2 or not np.isfinite(axis).all() or (np.diff(axis) <= 0).any():
            raise ValueError(f"{name}: a grid needs 2 or more finite values, increasing")
    points = grids.points(*axes)
    inside = emulator.inside(points)
    if not inside.any():
        raise ValueError("omega_m, sigma_8: no point of the grid lies inside the design")
    log_density = np.full(len(points), -np.inf)
    found, square = log_likelihood(emulator, points[inside], data[None], n_fields=n_fields, **options)
    log_density[inside] = found[:, 0]
    best = float(square[np.argmax(found[:, 0]), 0])
    return grids.density(log_density, *axes, inside, chi2=best, bins=bins, n_fields=n_fields)


def posterior(
    emulator: Emulator, data: Data, *, points: int = 48, like: xr.DataArray | None = None, **options: Any
) -> xr.DataArray:
    """`posterior_grid` on a grid that fits: first over the whole design, then around what is left, as fine as needed.

    Points along each axis are doubled until the 68 % region holds 60 of them. The search begins around `like`, a
    posterior that this one is expected to resemble, which is quicker. Options are those of `posterior_grid`.
    """
    low, high = emulator.parameters.min(axis=0), emulator.parameters.max(axis=0)
    axes = [*np.linspace(low, high, points).T]
    if like is not None:
        near = []
        for name, first, last in zip(AXES, low, high, strict=True):
            ends = like[name].values[[0, -1]] + 0.4 * np.ptp(like[name].values) * np.array([-1, 1])
            near.append(np.linspace(max(first, ends[0]), min(last, ends[1]), points))
        axes = near if emulator.inside(grids.points(*near)).any() else axes
    for _ in range(6):
        found = posterior_grid(emulator, data, **dict(zip(AXES, axes, strict=True)), **options)
        # Where the density is above that of the 99.95 % region of a Gaussian, and a little more on either side.
        kept = found.values > found.values.max() * np.exp(-0.5 * chi2.ppf(0.9995, 2))
        ends = [np.flatnonzero(kept.any(axis=across))[[0, -1]] for across in (1, 0)]
        for (first, last), axis, a, b in zip(ends, axes, low, high, strict=True):
            cut = (first == 0 and axis[0] > a) or (last == axis.size - 1 and axis[-1] < b)
            if like is not None and cut:  # by an end of the grid that is not the design's
                return posterior(emulator, data, points=points, **options)
        sides = zip(ends, axes, strict=True)
        tight = [(axis[max(first - 2, 0)], axis[min(last + 2, axis.size - 1)]) for (first, last), axis in sides]
        fits = all(new[1] - new[0] > 0.7 * (old[-1] - old[0]) for new, old in zip(tight, axes, strict=True))
        if fits and (found.values >= credible_level(found, 0.68)).sum() >= 60:
            break
        points = 2 * points if fits else points
        axes = [np.linspace(first, last, points) for first, last in tight]
    return found
