"""Gaussian processes between the models of a design: smooth curves as bent as the models ask for, with an error."""

import copy
import warnings
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy import ndarray

_SIGNAL = 1.5  # a component is kept while its spread over the models is above this times its noise


class Processes:
    """Means of many bins at any point, by Gaussian processes for their principal components.

    The models' means, in units of the scatter of one map, are turned onto their principal components (Habib et al.
    2007, arXiv:astro-ph/0702348). Each component that spreads more than its noise gets a process: a constant and a
    squared exponential whose height, two lengths and noise are those of largest likelihood (scikit-learn). What spreads
    no more than its noise is replaced by its mean over the models. Points are where the models are, in the unit square;
    `scale` is the scatter of one map in each bin, `errors` the standard error of a model's mean, were its maps
    independent.

    Attributes:
        directions: of the components kept [component, bin].
        weights: so that kernel @ weights is the component [model, component].
        left: variance of what no component holds, of each bin in units of its scale.
    """

    def __init__(
        self,
        points: Float[ndarray, "model 2"],
        means: Float[ndarray, "model bin"],
        scale: Float[ndarray, " bin"],
        errors: Float[ndarray, " bin"],
    ):
        self.scale, self.centre = scale, means.mean(axis=0)
        values = (means - self.centre) / scale
        noise = float(np.mean(errors / scale))
        _, spread, directions = np.linalg.svd(values, full_matrices=False)
        signal = int((spread / np.sqrt(len(points)) > _SIGNAL * noise).sum())
        kept = min(max(1, signal), len(points) - 2)
        self.directions = directions[:kept]
        components = values @ self.directions.T
        self.left = ((values - components @ self.directions) ** 2).sum(axis=0) / max(1, len(points) - 1 - kept)
        fits = [_fitted(points, component, noise) for component in components.T]
        self.height, self.noise = (np.array([fit[place] for fit in fits]) for place in (0, 2))
        self.lengths = np.stack([fit[1] for fit in fits])
        self._train(points, components)

    def _train(self, points: ndarray, components: Float[ndarray, "model component"]) -> "Processes":
        """Learn the components of the models at `points`, by the kernels there are."""
        self.points, self._components = points, components
        self.offset = components.mean(axis=0)
        noise = self.noise[:, None, None] * np.eye(len(points))
        self._inverses = np.linalg.inv(self._kernels(points) + noise)
        self.weights = np.einsum("kij,jk->ik", self._inverses, components - self.offset)
        return self

    def taught(self, points: Float[ndarray, "model 2"], means: Float[ndarray, "model bin"]) -> "Processes":
        """The same components and kernels, which have learnt other means."""
        return copy.copy(self)._train(points, (means - self.centre) / self.scale @ self.directions.T)

    def without(self, model: int) -> "Processes":
        """The same components and kernels, with one model left out of what they have learnt."""
        return copy.copy(self)._train(*(np.delete(values, model, axis=0) for values in (self.points, self._components)))

    def _kernels(self, at: Float[ndarray, "point 2"]) -> Float[ndarray, "component point model"]:
        apart = (at[None, :, None] - self.points[None, None]) / self.lengths[:, None, None]
        return self.height[:, None, None] * np.exp(-0.5 * (apart**2).sum(axis=-1))

    def mean(self, at: Float[ndarray, "point 2"]) -> Float[ndarray, "point bin"]:
        """Mean of each bin at points of the unit square."""
        components = self.offset + np.einsum("kpm,mk->pk", self._kernels(at), self.weights)
        return self.centre + self.scale * (components @ self.directions)

    def curve(self, scale: Float[ndarray, " bin"]) -> Callable[[Array], Array]:
        """The mean over `scale` as a function of one point of the unit square, for JAX to differentiate."""
        at, lengths, weights = (jnp.asarray(v, jnp.float32) for v in (self.points, self.lengths, self.weights))
        turned = self.scale / scale * self.directions
        height, onto = jnp.asarray(self.height, jnp.float32), jnp.asarray(turned, jnp.float32)
        start = jnp.asarray(self.centre / scale + self.offset @ turned, jnp.float32)

        def mean(unit: Array) -> Array:
            apart = jnp.square((unit - at[None]) / lengths[:, None]).sum(axis=-1)
            components = (height[:, None] * jnp.exp(-0.5 * apart) * weights.T).sum(axis=1)
            return start + components @ onto

        return mean

    def error(self, at: Float[ndarray, "point 2"]) -> Float[ndarray, "point bin bin"]:
        """Covariance of the error of that mean: the processes' own, and that of the part replaced by its mean."""
        kernels = self._kernels(at)
        known = np.einsum("kpi,kij,kpj->pk", kernels, self._inverses, kernels, optimize=True)
        variance = np.clip(self.height - known, 0.0, None) + self.noise / len(self.points)
        turned = self.directions * self.scale
        squares = turned[:, :, None] * turned[:, None]
        found = (variance @ squares.reshape(len(turned), -1)).reshape(-1, *squares.shape[1:])
        return found + np.diag(self.left / len(self.points) * self.scale**2)


def _fitted(points: ndarray, values: ndarray, noise: float) -> tuple[float, ndarray, float]:
    """Height, lengths and noise variance of the likeliest process."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    spread = float(values.std())
    quiet = (noise / spread) ** 2
    lengths: Any = np.ones(2)  # one for each parameter
    kernel = ConstantKernel(4.0, (0.05, 1e4)) * RBF(lengths, (0.15, 20.0)) + WhiteKernel(
        2 * quiet, (0.5 * quiet, max(1.0, quiet))
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound means: as smooth as allowed
        fit = GaussianProcessRegressor(kernel, n_restarts_optimizer=0).fit(points, (values - values.mean()) / spread)
    found: Any = fit.kernel_
    height, lengths, white = found.k1.k1.constant_value, found.k1.k2.length_scale, found.k2.noise_level
    return float(height) * spread**2, np.broadcast_to(lengths, 2).astype(np.float64), float(white) * spread**2
