"""A set of maps with what they were made of, and its parts: the words that every chapter uses for them."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Float32

from wlbook.common import checks

SPLITS = ("train", "test", "fiducial")
_MADE_OF = {"omega_m": np.float64, "sigma_8": np.float64, "model": np.int32, "seed": np.int64, "split": np.int8}


def labelled(kappa: Float32[np.ndarray, "map bin y x"], made_of: Mapping[str, Any], long_name: str) -> xr.Dataset:
    """Maps with omega_m, sigma_8, model, seed and split of each, or of all; a split is its place in SPLITS."""
    variables = {name: ("map", np.full(len(kappa), made_of[name], kind)) for name, kind in _MADE_OF.items()}
    data = xr.Dataset({"kappa": (("map", "bin", "y", "x"), kappa), **variables})
    data["split"].attrs = {"flag_values": list(range(len(SPLITS))), "flag_meanings": " ".join(SPLITS)}
    data["kappa"].attrs = {"long_name": long_name, "units": "1"}
    return data


def independent(values: Float[np.ndarray, "map ..."], model: np.ndarray, seed: np.ndarray) -> Float[np.ndarray, "..."]:
    """How many of the maps from one box are worth an independent one, for what was measured on each.

    Means over boxes of one model would differ by the scatter of maps over the number of maps, were those independent;
    the ratio of the two variances is the number that they are worth. Boxes of one model are compared, all models taken
    together, each in units of its own scatter. NaN where no model has two boxes of two maps or more.
    """
    within, between = [], []
    for one in np.unique(model):
        boxes = [values[(model == one) & (seed == number)] for number in np.unique(seed[model == one])]
        boxes = [box for box in boxes if len(box) > 1]  # a single map has no scatter
        if len(boxes) > 1:
            scatter = np.mean([box.var(axis=0, ddof=1) for box in boxes], axis=0)
            within.append(len(boxes) - 1.0)
            between.append(np.var([box.mean(axis=0) for box in boxes], axis=0, ddof=1) / scatter * (len(boxes) - 1))
    return np.sum(within) / np.sum(between, axis=0) if within else np.full(values.shape[1:], np.nan)


def select(data: xr.Dataset, split: str) -> xr.Dataset:
    """The maps of one split: "train", "test" or "fiducial"."""
    checks.one_of("split", split, SPLITS)
    return data.isel(map=np.flatnonzero(data["split"].to_numpy() == SPLITS.index(split)))


def fiducial(data: xr.Dataset) -> tuple[float, float]:
    """omega_m and sigma_8 of the observed sky, the universe of split "fiducial": the truth of later chapters."""
    sky = select(data, "fiducial")
    universes = np.unique(np.stack([sky["omega_m"].values, sky["sigma_8"].values], axis=1), axis=0).tolist()
    if len(universes) != 1:
        told = ", ".join(f"({omega_m:g}, {sigma_8:g})" for omega_m, sigma_8 in universes) or "none"
        raise ValueError(f'maps of split "fiducial" are of the universes {told}: must be of one, the observed sky')
    return universes[0][0], universes[0][1]


def seen_in_all(data: xr.Dataset, mask: Bool[np.ndarray, "y x"] | None = None) -> Bool[np.ndarray, "y x"] | None:
    """Pixels that are observed in every map and bin, and that a further mask leaves; None for all of them.

    Maps whose own masks have no pixel in common count as they are, with zeros for what they leave out.
    """
    if "observed" not in data or not (own := np.asarray(data["observed"].values.all(axis=(0, 1)))).any():
        return mask
    return own if mask is None else np.logical_and(own, mask)
