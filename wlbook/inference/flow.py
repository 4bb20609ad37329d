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
from wlbook.inference.vectors import Axis, Models, Real

_SHAPE: Any = {"flow_layers": 3, "nn_width": 24, "nn_depth": 1}
#: Patience is passes over the maps without a better loss on held-out ones, after which to stop.
_LEARNING = {"max_epochs": 40, "max_patience": 6, "learning_rate": 3e-3}


def learnt_posterior(
    parameters: Models,
    summaries: Num[np.ndarray, "model map number"],
    observed: Num[Array | np.ndarray, "drawn number"],
    *,
    omega_m: Axis,
    sigma_8: Axis,
    n_fields: Real = 1,
    seed: int,
) -> xr.DataArray:
    """Posterior by a neural likelihood: a masked autoregressive flow learns how summaries scatter at any cosmology.

    The likelihood of a survey of `n_fields` fields is the mean log-likelihood of the observed maps times `n_fields`
    (Papamakarios et al. 2019, arXiv:1805.07226). The prior is flat inside the design, the grid increasing, and the
    density like that of `posterior_grid`.
    """
    from flowjax.distributions import Normal
    from flowjax.flows import masked_autoregressive_flow
    from flowjax.train import fit_to_data

    emulator = Emulator(parameters, summaries, method="linear")  # checks the summaries, knows the design
    _, maps, numbers = summaries.shape
    flat = np.asarray(summaries, np.float64).reshape(-1, numbers)
    centre, spread = flat.mean(axis=0), flat.std(axis=0)
    centred = [(flat - centre) / spread, emulator.unit(np.repeat(parameters, maps, axis=0)) * 2 - 1]
    pairs = tuple(jnp.asarray(values, jnp.float32) for values in centred)
    base = Normal(jnp.zeros(numbers))
    flow: Any = masked_autoregressive_flow(random.key(seed, "flow"), base_dist=base, cond_dim=2, **_SHAPE)
    learning: Any = _LEARNING | {"batch_size": min(256, len(flat) // 2), "show_progress": False}
    flow, _ = fit_to_data(random.key(seed, "flow order"), flow, pairs, **learning)
    points = grids.points(omega_m, sigma_8)
    inside = emulator.inside(points)
    seen = jnp.asarray((np.asarray(observed, np.float64) - centre) / spread, jnp.float32)
    where = jnp.asarray(emulator.unit(points[inside]) * 2 - 1, jnp.float32)
    mean_logs = jax.jit(lambda at: jax.lax.map(lambda one: flow.log_prob(seen, one).mean(), at, batch_size=64))
    log_density = np.full(len(points), -np.inf)
    log_density[inside] = n_fields * np.asarray(mean_logs(where))
    return grids.density(log_density, omega_m, sigma_8, inside, bins=numbers, n_fields=n_fields)
