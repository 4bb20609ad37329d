"""A set of maps with what they were made of, and its parts: the words that every chapter uses for them."""

import numpy as np
import xarray as xr
from jaxtyping import Float

SPLITS = ("train", "test", "fiducial")


def independent(values: Float[np.ndarray, "map ..."], model: np.ndarray, seed: np.ndarray) -> Float[np.ndarray, "..."]:
    """How many of the maps from one box are worth an independent one, for a measured number of each map.

    Means over boxes of one model would differ by the scatter of maps over the number of maps, were those independent;
    the ratio of the two variances is the number that they are worth. Boxes of one model are compared, all models taken
    together, each in units of its own scatter.

    Args:
        values: measured on each map, such as its power spectrum.
        model, seed: of each map; every model needs two boxes or more.

    Raises:
        ValueError: no model has two boxes.
    """
    within, between = [], []
    for one in np.unique(model):
        boxes = [values[(model == one) & (seed == number)] for number in np.unique(seed[model == one])]
        if len(boxes) > 1:
            scatter = np.mean([box.var(axis=0, ddof=1) for box in boxes], axis=0)
            within.append(len(boxes) - 1.0)
            between.append(np.var([box.mean(axis=0) for box in boxes], axis=0, ddof=1) / scatter * (len(boxes) - 1))
    if not within:
        raise ValueError("seed: no model has two boxes or more, so that none can be compared")
    return np.sum(within) / np.sum(between, axis=0)


def select(data: xr.Dataset, split: str) -> xr.Dataset:
    """The maps of one split: "train", "test" or "fiducial".

    Raises:
        ValueError: for an unknown split.
    """
    if split not in SPLITS:
        raise ValueError(f"split = {split!r}: must be one of {', '.join(SPLITS)}")
    return data.isel(map=np.flatnonzero(data["split"].to_numpy() == SPLITS.index(split)))
