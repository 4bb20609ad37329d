"""Posteriors of any number of parameters by the no-U-turn sampler (numpyro), in float32 with JAX's derivatives."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Int, Num
from scipy.spatial import ConvexHull

from wlbook.common import checks, random
from wlbook.inference import grids
from wlbook.inference.emulator import Emulator
from wlbook.inference.posteriors import posterior_grid
from wlbook.inference.vectors import AXES, Data, Real

LogDensity = Callable[[Float[Array, " parameter"]], Float[Array, ""]]

_CHAINS, _WARMUP = 2, 400  # two can be compared; steps to find the scales of the parameters in


def run(
    log_density: LogDensity, start: Float[np.ndarray, " parameter"], *, draws: int = 1000, seed: int
) -> tuple[Float[np.ndarray, "chain draw parameter"], dict[str, float]]:
    """Draw from a density by NUTS, `draws` >= 4 of each chain; with `r_hat` (the largest) and `n_eff` (the smallest).

    Parameters are of the order of one; minus infinity says where none may be. All chains `start` at one point.
    """
    with warnings.catch_warnings():
        # A page has no widgets, and wants none: numpyro draws its bars elsewhere.
        warnings.filterwarnings("ignore", message="IProgress not found")
        from numpyro.diagnostics import effective_sample_size, gelman_rubin
        from numpyro.infer import MCMC, NUTS

    checks.at_least("draws", draws, 4)
    first = jnp.asarray(start, jnp.float32)
    if not bool(jnp.isfinite(log_density(first))):
        raise ValueError(f"start = {np.asarray(start).tolist()}: the density is zero there")
    kernel = NUTS(potential_fn=lambda at: -log_density(at), dense_mass=True)
    lengths: Any = {"num_warmup": _WARMUP, "num_samples": draws, "num_chains": _CHAINS}
    sampler = MCMC(kernel, **lengths, chain_method="vectorized", progress_bar=False)
    sampler.run(random.key(seed, "NUTS"), init_params=jnp.broadcast_to(first, (_CHAINS, first.size)))
    found = np.asarray(sampler.get_samples(group_by_chain=True), np.float64)
    return found, {"r_hat": float(gelman_rubin(found).max()), "n_eff": float(effective_sample_size(found).min())}


def sample(
    emulator: Emulator,
    data: Data,
    *,
    n_fields: Real = 1,
    covariance: str = "varying",
    slopes: Mapping[str, Data] | None = None,
    widths: Mapping[str, Real] | None = None,
    **options: Any,
) -> xr.Dataset:
    """Draw from the posterior of omega_m, sigma_8 and nuisance parameters: [chain, draw], with `r_hat` and `n_eff`.

    The likelihood is the "hartlap" form of `likelihood.log_likelihood`; the prior is flat inside the design, and
    Gaussian around zero in each nuisance parameter, which moves the mean vector along its slope.

    The emulator must be smooth, "quadratic" or "gaussian process". By nuisance parameter `slopes` say what a unit of it
    adds to the mean vector, `widths` the standard deviation of its prior. Options are `draws` and `seed` of `run`.
    """
    slopes, widths = slopes or {}, widths or {}
    if emulator.method == "linear":
        raise ValueError('method = "linear": has corners, NUTS needs "quadratic" or "gaussian process"')
    if set(slopes) != set(widths):
        raise ValueError(f"slopes of {sorted(slopes)}, widths of {sorted(widths)}: must be of the same parameters")
    for name, slope in slopes.items():
        if np.shape(slope) != (len(emulator.labels),) or not widths[name] > 0:
            raise ValueError(f"{name}: needs a slope of {len(emulator.labels)} bins and a width > 0")
    density, start = _log_density(emulator, np.asarray(data, np.float64), n_fields, covariance, slopes, widths)
    found, quality = run(density, start, **options)
    units = [*zip(*emulator.box, strict=True), *((0.0, widths[name]) for name in slopes)]
    values = [(("chain", "draw"), low + span * found[..., place]) for place, (low, span) in enumerate(units)]
    return xr.Dataset(dict(zip([*AXES, *slopes], values, strict=True)), attrs=quality)


def _log_density(
    emulator: Emulator, data: np.ndarray, n_fields: Real, covariance: str, slopes: Any, widths: Any
) -> tuple[LogDensity, np.ndarray]:
    """Log-posterior of parameters in units of the design and of the priors' widths, and its best point."""
    d = len(emulator.labels)
    low, span = emulator.box
    hull = ConvexHull(emulator.unit(emulator.parameters)).equations.astype(np.float32)
    scale = np.exp(emulator.log_deviation(emulator.fiducial[None]))[0]  # numbers of the order of one, for float32
    mean, deviation, relative = emulator.curves(scale)
    moves = np.array([np.asarray(slope) * widths[name] / scale for name, slope in slopes.items()], np.float32)
    target = (data / scale).astype(np.float32)
    (here,) = jnp.asarray(emulator.unit(emulator.fiducial[None]), jnp.float32)

    def log_density(parameters: Float[Array, " parameter"]) -> Float[Array, ""]:
        unit, nuisance = parameters[:2], parameters[2:]
        of = unit if covariance == "varying" else here
        matrix, weights = relative(of)
        factor, spread = jnp.linalg.cholesky(matrix), deviation(of)
        residual = (mean(unit) + (nuisance @ moves if len(moves) else 0.0) - target) / spread
        white = jax.scipy.linalg.solve_triangular(factor, residual, lower=True)
        freedom, _ = emulator.freedom(weights)
        square = n_fields * jnp.square(white).sum() * (freedom - d - 1) / freedom
        log_det = 2 * jnp.log(jnp.diagonal(factor)).sum() + 2 * jnp.log(spread).sum()
        inside = (hull[:, :2] @ unit + hull[:, 2] <= 0).all()
        return jnp.where(inside, -0.5 * (square + log_det + jnp.square(nuisance).sum()), -jnp.inf)

    axes = dict(zip(AXES, np.linspace(low, low + span, 40).T, strict=True))
    grid = posterior_grid(emulator, data, n_fields=n_fields, covariance=covariance, **axes)
    best = grids.points(**axes)[[np.argmax(grid.values)]]
    return log_density, np.array([*emulator.unit(best)[0], *np.zeros(len(slopes))])


def paired_slope(
    ahead: Num[np.ndarray, "map bin"],
    behind: Num[np.ndarray, "map bin"],
    step: Real,
    *,
    seeds: tuple[Int[np.ndarray, " map"], Int[np.ndarray, " map"]],
) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, " bin"]]:
    """Slope of the mean vector by a nuisance parameter, map by map, and its standard error.

    Vectors ahead and behind are of maps made at +step and -step (> 0), noise included, from the same seeds: a
    difference of two universes is otherwise mostly chance.
    """
    if not np.array_equal(*seeds):
        raise ValueError("seeds: the maps ahead and behind must come from the same seeds, map by map")
    checks.positive("step", step)
    each = (np.asarray(ahead, np.float64) - np.asarray(behind, np.float64)) / (2 * step)
    return each.mean(axis=0), each.std(axis=0, ddof=1) / math.sqrt(len(each))
