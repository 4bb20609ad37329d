"""A likelihood learnt from maps alone: a normalising flow for p(summary given cosmology), with no Gaussian anywhere."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Num

from wlbook.common import random
from wlbook.inference import grids
from wlbook.inference.emulator import Emulator
from wlbook.inference.vectors import Axis, Real


def learnt_posterior(
    parameters: Num[np.ndarray, "model 2"],
    summaries: Num[np.ndarray, "model map number"],
    observed: Num[Array | np.ndarray, "drawn number"],
    *,
    omega_m: Axis,
    sigma_8: Axis,
    n_fields: Real = 1,
    layers: int = 3,
    width: int = 24,
    seed: int,
    **training: Any,
) -> xr.DataArray:
    """Posterior by a neural likelihood: a masked autoregressive flow learns how summaries scatter at any cosmology.

    The likelihood of a survey of `n_fields` fields is the mean log-likelihood of the observed maps times `n_fields`
    (Papamakarios et al. 2019, arXiv:1805.07226). The prior is flat inside the design.

    Args:
        parameters: omega_m and sigma_8 of each model.
        summaries: a few numbers for each map of each model.
        observed: the numbers of each observed map.
        omega_m, sigma_8: grid, increasing.
        n_fields: observed fields.
        layers, width: of the flow, >= 1.
        seed: of the weights and the order of the maps.
        training: of `flowjax.train.fit_to_data`, such as `max_epochs`, passes over the maps (40), and `max_patience`,
            passes without a better loss on held-out maps after which to stop (6).

    Returns:
        Density [omega_m, sigma_8], as from `posterior_grid`.

    Raises:
        ValueError: a summary that is not finite or does not vary, an argument out of range.
    """
    from flowjax.distributions import Normal
    from flowjax.flows import masked_autoregressive_flow
    from flowjax.train import fit_to_data

    for name, value in (("layers", layers), ("width", width)):
        if value < 1:
            raise ValueError(f"{name} = {value}: must be >= 1")
    emulator = Emulator(parameters, summaries, method="linear")  # checks the summaries, knows the design
    _, maps, numbers = summaries.shape
    flat = np.asarray(summaries, np.float64).reshape(-1, numbers)
    centre, spread = flat.mean(axis=0), flat.std(axis=0)
    low, span = emulator.box
    centred = [(flat - centre) / spread, (np.repeat(parameters, maps, axis=0) - low) / span * 2 - 1]
    pairs = tuple(jnp.asarray(values, jnp.float32) for values in centred)
    flow: Any = masked_autoregressive_flow(
        random.key(seed, "flow"),
        base_dist=Normal(jnp.zeros(numbers)),
        cond_dim=2,
        flow_layers=layers,
        nn_width=width,
        nn_depth=1,
    )
    learning: Any = {"max_epochs": 40, "max_patience": 6, "learning_rate": 3e-3, "batch_size": min(256, len(flat) // 2)}
    flow, _ = fit_to_data(random.key(seed, "flow order"), flow, pairs, show_progress=False, **learning | training)
    points = grids.points(omega_m, sigma_8)
    inside = emulator.inside(points)
    seen = jnp.asarray((np.asarray(observed, np.float64) - centre) / spread, jnp.float32)
    where = jnp.asarray((points[inside] - low) / span * 2 - 1, jnp.float32)

    def mean_log(condition: Array) -> Array:
        return flow.log_prob(seen, condition).mean()

    log_density = np.full(len(points), -np.inf)
    log_density[inside] = n_fields * np.asarray(jax.jit(lambda at: jax.lax.map(mean_log, at, batch_size=64))(where))
    return grids.density(log_density, omega_m, sigma_8, inside, bins=numbers, n_fields=n_fields)
