"""Errors of areas and of S8: from the maps, from the boxes they were cut from, and from the seeds of the networks."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr
from jaxtyping import Float, Num
from scipy.stats import t as student

from wlbook.common import checks, random
from wlbook.common.progress import progress
from wlbook.common.threads import two_at_a_time
from wlbook.inference import credible_regions
from wlbook.inference.emulator import Emulator
from wlbook.inference.posteriors import posterior
from wlbook.inference.vectors import ByModel, ByName, Models, Point, Rows, joined


def resample(
    parameters: Models,
    vectors: ByModel,
    observed: ByName | None,
    *,
    rows: Rows,
    repeats: int,
    method: str = "linear",
    boxes: str = "draw",
    fiducial: Point | None = None,
    seed: int,
    **options: Any,
) -> xr.Dataset:
    """What each row constrains: with the maps as they are, and with maps and boxes drawn again with replacement.

    How far a model's mean lies from the emulator is mostly the structure of the one box its maps are cut from, and
    could have been another's: a draw hands these distances, in units of each bin's scatter, to other models. All rows
    of one draw see the same maps and boxes, so that ratios have smaller errors than what they are ratios of.

    Measured on Gaussian vectors of 24 models of 64 maps, moved by a quarter of their scatter from box to box, which
    grows as sigma_8^1.5: errors are all of the scatter between such simulations for a quadratic fit of two numbers,
    nine tenths of it for twenty, and three quarters for Gaussian processes, whose kernels a draw does not fit anew; the
    truth lies within one error in 66, 54 and 46 cases of 100. Had distances been permuted and left unscaled, they would
    give nine tenths for two numbers and the same for the others; where scatter grows as sigma_8^3, eight to nine tenths
    (57 cases of 100), these draws all of it (68), for models of large scatter lie far from the curve.

    Args:
        observed: of the observed maps, drawn again as well, whose mean is the data; None: the data are the emulator's
            own mean at the fiducial, where the question is how well and not where.
        repeats: how often to draw, >= 1.
        boxes: "draw" them as well, or "keep" each model's distance, for maps that were drawn independently.
        fiducial: of the emulators, as in `Emulator`.
        options: of `posterior`; 24 `points` unless told.

    Returns:
        `log_area` (of the 68 % region) and `log_s_8_error` [draw, row], the first draw being the maps as they are, and
        `limited` [row]: whether the region reaches the end of the design there, so that its area is a lower limit.
    """
    checks.at_least("repeats", repeats, 1)
    checks.one_of("boxes", boxes, ("keep", "draw"))
    known = vectors.keys() if observed is None else vectors.keys() & observed.keys()
    for row, names in rows.items():
        if strange := [name for name in names if name not in known]:
            raise ValueError(f'rows["{row}"] = {list(names)}: "{strange[0]}" is not among {sorted(known)}')
    parameters, options = np.asarray(parameters, np.float64), {"points": 24} | options
    stacked = {row: joined(vectors, names) for row, names in rows.items()}
    sky = None if observed is None else {row: joined(observed, names) for row, names in rows.items()}
    models, maps = next(iter(stacked.values())).shape[:2]
    skies = 0 if sky is None else len(next(iter(sky.values())))
    longest = max(values.shape[2] for values in stacked.values())
    if method == "linear" and 0.55 * maps <= longest + 2:  # a draw of N maps holds (1 - 1/e) N different ones
        raise ValueError(
            f'{maps} maps a model for a vector of {longest} bins: a draw repeats too many for method = "linear", '
            f"must be more than {(longest + 2) / 0.55:.0f} maps, or fewer bins"
        )
    kind: Any = {"method": method, "fiducial": fiducial}
    named = {row: {name: vectors[name] for name in names} for row, names in rows.items()}
    fitted = {row: Emulator(parameters, one, **kind) for row, one in named.items()}
    scales = {row: values.std(axis=1) for row, values in stacked.items()}
    far = {row: (one.means - one.mean(parameters)) / scales[row] for row, one in fitted.items()}

    def data(row: str, emulator: Emulator, seen: Any) -> Float[np.ndarray, " bin"]:
        return emulator.mean(emulator.fiducial[None])[0] if sky is None else sky[row][seen].mean(axis=0)

    first = {row: posterior(one, data(row, one, slice(None)), **options) for row, one in fitted.items()}

    def one_draw(repeat: int) -> list[tuple[float, float]]:
        stream = np.random.default_rng(np.asarray(jax.random.key_data(random.key(seed, "bootstrap", repeat))))
        drawn, box = stream.integers(0, maps, (models, maps)), stream.integers(0, models, models)
        seen = None if sky is None else stream.integers(0, skies, skies)
        found = []
        for row, values in stacked.items():
            again = np.take_along_axis(values, drawn[:, :, None], axis=1)
            if boxes == "draw":
                again += ((far[row][box] - far[row]) * scales[row])[:, None]
            emulator = Emulator(parameters, again, **kind, like=fitted[row])
            found.append(_weighed(posterior(emulator, data(row, emulator, seen), like=first[row], **options)))
        return found

    each = progress(two_at_a_time(one_draw, range(repeats)), "bootstrap", total=repeats, unit="draw")
    logs = np.log([[_weighed(one) for one in first.values()], *each])
    kept = {name: (("draw", "row"), logs[..., place]) for place, name in enumerate(("log_area", "log_s_8_error"))}
    limited = [credible_regions.boundary(one) is not None for one in first.values()]
    return xr.Dataset(kept | {"limited": ("row", limited)}, coords={"row": list(rows)})


def _weighed(found: xr.DataArray) -> tuple[float, float]:
    return credible_regions.credible_area(found, truncated="allow"), credible_regions.s_8_error(found)


def relative_error(logs: Float[np.ndarray, "draw *_"]) -> Any:
    """Scatter of logarithms over the draws; the first of them, the maps as they are, is left out."""
    return logs[1:].std(axis=0, ddof=1)


def seed_scatter(groups: Sequence[Num[np.ndarray, "_ *_"]]) -> tuple[Any, float]:
    """How far networks scatter that differ by their seed only, pooled over groups of two or more.

    A group holds the logarithms of what networks of one kind find. Returned are the standard deviation, and the factor
    of Student by which so few networks widen it: the error of the mean of n networks is their product over sqrt(n).
    Both are NaN where no two networks are of one kind.
    """
    several = [np.asarray(group, np.float64) for group in groups if len(group) > 1]
    free = sum(len(group) - 1 for group in several)
    if not free:
        return np.nan, np.nan
    squares = sum(((group - group.mean(axis=0)) ** 2).sum(axis=0) for group in several)
    return np.sqrt(squares / free), float(student.ppf(0.8413, free))
