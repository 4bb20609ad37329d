"""How good a network's answers are: predictions against truth."""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int


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
        independent), each (model, parameter); the last two are NaN for a model with one map. The bias is mean - truth.
    """
    names = np.unique(model)
    groups = [predicted[model == name] for name in names]
    scatter = np.stack([group.std(axis=0, ddof=1) if len(group) > 1 else np.nan * group[0] for group in groups])
    counts = np.array([[len(group)] for group in groups])
    columns = {
        "truth": np.stack([truth[model == name][0] for name in names]),
        "mean": np.stack([group.mean(axis=0) for group in groups]),
        "scatter": scatter,
        "error": scatter / np.sqrt(counts),
    }
    return xr.Dataset(
        {name: (("model", "parameter"), values) for name, values in columns.items()},
        coords={"model": names},
    )


def slope(table: xr.Dataset) -> Float[np.ndarray, " parameter"]:
    """Slope of the mean answer against truth over the models: 1 without regression to the mean."""
    return np.array([np.polyfit(*pair, 1)[0] for pair in zip(table["truth"].T, table["mean"].T, strict=True)])
