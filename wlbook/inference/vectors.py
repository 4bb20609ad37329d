"""Data vectors and the models they belong to: what their shapes are called, and how they are put together."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Num

AXES = ("omega_m", "sigma_8")

Real = int | float
Point = tuple[Real, Real]  # omega_m and sigma_8
Points = Num[Array | np.ndarray, "point 2"]
Models = Num[Array | np.ndarray, "model 2"]  # omega_m and sigma_8 of each
Axis = Num[Array | np.ndarray, " _"]  # a grid in one of them
Data = Num[Array | np.ndarray, " bin"]
Vectors = Num[Array | np.ndarray, "model map _"]
ByModel = Mapping[str, Num[np.ndarray, "model map _"]]  # by statistic, of the models' maps
ByName = Mapping[str, Num[np.ndarray, "drawn _"]]  # by statistic, of any maps
Names = Sequence[str]  # of statistics that are used together
Rows = Mapping[str, Names]  # for each row of a table


def by_model(maps: xr.Dataset) -> tuple[Float[np.ndarray, "model 2"], Int[np.ndarray, "model map"]]:
    """The models of a set of maps, in the order of their numbers, and the rows of each model's maps, as many for each.

    Maps of no model of the design (their number is negative: the second universe of paper A) are left out.
    """
    model = maps["model"].values
    known, counts = np.unique(model[model >= 0], return_counts=True)
    if len(set(counts.tolist())) > 1:
        raise ValueError(f"maps: {counts.min()} to {counts.max()} of a model, must be as many for each")
    rows = np.argsort(model, kind="stable")[(model < 0).sum() :].reshape(len(known), -1)
    return np.stack([maps[name].values for name in AXES], axis=-1)[rows[:, 0]], rows


def joined(vectors: ByName | ByModel, names: Names) -> Float[np.ndarray, "*maps _"]:
    """Statistics that are used together as one long vector for each map, in float64."""
    return np.concatenate([np.asarray(vectors[name], np.float64) for name in names], axis=-1)
