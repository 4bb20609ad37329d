"""How good a network's answers are: predictions against truth."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from wlbook.simulation import cosmology


def by_model(
    truth: Float[np.ndarray, "map parameter"],
    predicted: Float[np.ndarray, "map parameter"],
    model: Int[np.ndarray, " map"],
) -> xr.Dataset:
    """Bias and scatter of the answers, model by model.

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
        {name: (("model", "parameter"), values) for name, values in columns.items()}, coords={"model": names}
    )


def slope(table: xr.Dataset) -> Float[np.ndarray, " parameter"]:
    """Slope of the mean answer against truth over the models: 1 without regression to the mean."""
    return np.array([np.polyfit(*pair, 1)[0] for pair in zip(table["truth"].T, table["mean"].T, strict=True)])


def scores(
    truth: Float[np.ndarray, "map 2"], predicted: Float[np.ndarray, "map 2"], unseen: Bool[np.ndarray, " map"]
) -> dict[str, float]:
    """R^2 of one network's answers (omega_m, sigma_8): of S8, of S8 on unseen models, of omega_m and of sigma_8.

    Unseen are maps of models that the network did not learn from; their R^2 is held against the variance over all maps,
    and it is NaN where there are none.
    """
    s_8, answer = (np.array([cosmology.s_8(*pair) for pair in pairs.tolist()]) for pairs in (truth, predicted))
    few = r_squared(s_8[unseen], answer[unseen], variance=float(s_8.var())) if unseen.any() else np.nan
    return {
        "s8": r_squared(s_8, answer),
        "unseen": few,
        "omega_m": r_squared(truth[:, 0], predicted[:, 0]),
        "sigma_8": r_squared(truth[:, 1], predicted[:, 1]),
    }


def over_seeds(values: Sequence[float]) -> str:
    """A number of several networks as text: mean and standard deviation over them, or the one number alone."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    spread = np.std(values, ddof=1)
    digits = 2 if spread >= 0.01 else 3
    return f"{np.mean(values):.{digits}f} ± {spread:.{digits}f}"


def r_squared(
    truth: Float[np.ndarray, " map"], predicted: Float[np.ndarray, " map"], *, variance: float | None = None
) -> float:
    """The share of the variance of `truth` that `predicted` explains: 1 is perfect, 0 is no better than the mean.

    Where the maps are of a few models only, give the `variance` of the truth over the whole design.
    """
    truth, predicted = np.asarray(truth, np.float64), np.asarray(predicted, np.float64)
    return float(1 - np.mean((predicted - truth) ** 2) / (np.var(truth) if variance is None else variance))
