"""Errors of areas: from the maps, from the boxes they were cut from, and from the seeds of the networks."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Num
from scipy.stats import t as student

from wlbook.common import random
from wlbook.common.progress import progress
from wlbook.common.threads import two_at_a_time
from wlbook.inference.credible_regions import Real, credible_area
from wlbook.inference.emulator import Emulator, Vectors
from wlbook.inference.posteriors import posterior


def bootstrap_areas(
    parameters: Num[Array | np.ndarray, "model 2"],
    vectors: Mapping[str, Vectors],
    data: Mapping[str, Num[Array | np.ndarray, "drawn _"]],
    *,
    rows: Mapping[str, Sequence[str]],
    repeats: int,
    level: Real = 0.68,
    method: str = "linear",
    boxes: str = "keep",
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
        boxes: "keep" each model's distance from the emulator, or "draw" it anew: how far a model's mean lies from a
            smooth curve is mostly the structure of the one box its maps are cut from, and could have been another's.
        points: of the grid, along each axis.
        seed: of the draws.
        options: of `posterior_grid`.

    Returns:
        Areas [repeat, row]; those that reach the end of the design are lower limits.

    Raises:
        ValueError: as `Emulator` and `posterior_grid`; a row that names a statistic there is not.
    """
    if not repeats >= 1:
        raise ValueError(f"repeats = {repeats}: must be >= 1")
    if boxes not in ("keep", "draw"):
        raise ValueError(f'boxes = {boxes!r}: must be one of "keep", "draw"')
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
    far = {name: np.zeros((models, values.shape[2])) for name, values in stacked.items()}
    scales = {name: np.ones((models, values.shape[2])) for name, values in stacked.items()}
    if boxes == "draw":
        parameters = np.asarray(parameters, np.float64)
        for name, values in stacked.items():
            emulator = Emulator(parameters, values, method=method)
            scales[name] = values.std(axis=1)
            far[name] = (emulator.means - emulator.mean(parameters)) / scales[name]
    expected = []
    once = [Emulator(parameters, {name: stacked[name] for name in names}, method=method) for names in rows.values()]
    for names, emulator in zip(rows.values(), once, strict=True):
        mean = np.concatenate([np.asarray(data[name], np.float64).mean(axis=0) for name in names])
        expected.append(posterior(emulator, mean, points=points, **options))

    def one_draw(repeat: int) -> list[float]:
        key = random.key(seed, "bootstrap", repeat)
        drawn = np.asarray(jax.random.randint(key, (models, maps), 0, maps))
        seen = np.asarray(jax.random.randint(random.key(seed, "bootstrap data", repeat), (observed,), 0, observed))
        box = np.asarray(jax.random.randint(random.key(seed, "bootstrap boxes", repeat), (models,), 0, models))
        again, areas = {}, []
        for name, values in stacked.items():
            moved = (far[name][box] - far[name]) * scales[name]
            again[name] = np.take_along_axis(values, drawn[:, :, None], axis=1) + moved[:, None]
        for column, (names, first) in enumerate(zip(rows.values(), once, strict=True)):
            emulator = Emulator(parameters, {name: again[name] for name in names}, method=method, like=first)
            mean = np.concatenate([np.asarray(data[name], np.float64)[seen].mean(axis=0) for name in names])
            density = posterior(emulator, mean, points=points, like=expected[column], **options)
            areas.append(credible_area(density, level=level, truncated="allow"))
        return areas

    each = two_at_a_time(one_draw, range(repeats))
    areas = np.array(list(progress(each, "bootstrap", total=repeats, unit="draw")))
    return xr.DataArray(areas, dims=("repeat", "row"), coords={"row": list(rows)}, name=f"{level:.0%} area")


def seed_error(log_areas: Num[np.ndarray, " seed"], others: Sequence[Num[np.ndarray, " _"]] = ()) -> float:
    """Relative error of the mean area of networks that differ in their seed only.

    The scatter of log areas over sqrt(number of seeds), widened by Student's factor for how few they are. One network
    has no scatter of its own: `others` lends it that of other networks.

    Args:
        log_areas: logarithms of the areas (or ratios of areas), one a seed.
        others: groups of log areas of other networks, each of one kind and several seeds.

    Returns:
        The error; NaN where no two networks of one kind are there.
    """
    groups = [np.asarray(group, np.float64) for group in (log_areas, *others) if len(group) > 1]
    free = sum(len(group) - 1 for group in groups)
    if not free:
        return float("nan")
    variance = sum(((group - group.mean()) ** 2).sum() for group in groups) / free
    return float(student.ppf(0.8413, free) * np.sqrt(variance / len(log_areas)))
