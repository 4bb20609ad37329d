"""How good a network's answers are: predictions against truth."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int


def r_squared(truth: Float[np.ndarray, " map"], predicted: Float[np.ndarray, " map"]) -> float:
    """The share of the variance of `truth` that `predicted` explains: 1 is perfect, 0 is no better than the mean."""
    truth, predicted = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    return float(1 - np.mean((predicted - truth) ** 2) / np.var(truth))


def by_model(
    truth: Float[np.ndarray, "map parameter"],
    predicted: Float[np.ndarray, "map parameter"],
    model: Int[np.ndarray, " map"],
) -> xr.Dataset:
    """Bias and scatter of the answers, model by model.

    Args:
        truth: of each map.
        predicted: of each map.
        model: which maps belong together.

    Returns:
        `truth`, `mean` and `scatter` (standard deviation) of the answers, and `error` (of the mean, as if maps were
        independent), each (model, parameter). The bias is mean - truth.
    """
    names = np.unique(model)
    groups = [predicted[model == name] for name in names]
    columns = {
        "truth": [truth[model == name][0] for name in names],
        "mean": [group.mean(axis=0) for group in groups],
        "scatter": [group.std(axis=0, ddof=1) if len(group) > 1 else np.nan * group[0] for group in groups],
        "error": [group.std(axis=0, ddof=1) / len(group) ** 0.5 if len(group) > 1 else np.inf for group in groups],
    }
    return xr.Dataset(
        {name: (("model", "parameter"), np.stack(values)) for name, values in columns.items()},
        coords={"model": names},
    )


def slope(table: xr.Dataset) -> Float[np.ndarray, " parameter"]:
    """Slope of the mean answer against truth over the models: 1 without regression to the mean."""
    return np.array([np.polyfit(*pair, 1)[0] for pair in zip(table["truth"].T, table["mean"].T, strict=True)])
