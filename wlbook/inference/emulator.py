"""Mean and covariance of a statistic between the models of a design."""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, Num
from scipy.spatial import Delaunay, QhullError

from wlbook.common import checks
from wlbook.inference.gaussian_process import Processes
from wlbook.inference.vectors import ByModel, Point, Points, Vectors
from wlbook.simulation.cosmology import FIDUCIAL

_FEWEST = {"linear": 3, "quadratic": 6, "gaussian process": 6}
_NEAR = 0.5  # distance in the unit square at which a model's covariance counts 0.6
_STEP = 0.05  # of differences of the mean, in units of the design's range
# Smallest eigenvalue of a correlation matrix that is taken for more than rounding. Bins that repeat each other, or add
# up to a constant, leave (6e-8 mean / scatter)^2 once they were rounded to float32: less than this while their scatter
# is above 1/500 of their mean. Two bins with a correlation of 0.9999 leave 1e-4, the book's statistics 1e-3 or more.
_SINGULAR = 1e-9


class Emulator:
    """Mean and covariance of a data vector anywhere inside a design of models.

    "linear": means and covariances of the three models around the point, weighted linearly over their triangle
    (Delaunay), as in the papers; these interpolate inverse covariances, which is the same at every model.
    "quadratic": the mean and the logarithm of each bin's standard deviation are quadratic polynomials in both
    parameters, fitted to all models; correlations are a mean over the models, the near ones (half the design's size)
    counting most. It averages the noise of the models down, and a covariance is always positive definite.
    "gaussian process": the mean is as bent as the models ask for (`Processes`), the covariance as under "quadratic".
    Vectors are one for each map of each model, or several by name, to be used together. With `like`, an emulator of the
    same bins, its kernels are reused: fitting them is slow. Points (omega_m, sigma_8) outside the design are refused.

    Attributes:
        box: lower corner and extent of the design in both parameters.
        fiducial: omega_m and sigma_8 of the observed sky, where slopes and fixed covariances are taken; unless told,
            the book's if that lies inside the design, else the mean of the models.
        labels, means, covariances: name of each bin, and of one map's vector at each model.
    """

    def __init__(
        self,
        parameters: Num[Array | np.ndarray, "_ 2"],
        vectors: Vectors | ByModel,
        *,
        method: str = "linear",
        like: "Emulator | None" = None,
        fiducial: Point | np.ndarray | None = None,
    ):
        checks.one_of("method", method, _FEWEST)
        named = dict(vectors) if isinstance(vectors, Mapping) else {"vector": vectors}
        self.labels = [f"{name}[{i}]" for name, part in named.items() for i in range(part.shape[-1])]
        values = np.concatenate([np.asarray(part, np.float64) for part in named.values()], axis=-1)
        self.parameters, self.method = np.asarray(parameters, np.float64), method
        models, self.maps, bins = values.shape
        if len(self.parameters) != models:
            raise ValueError(f"parameters of {len(self.parameters)} models, vectors of {models}: must be as many")
        if models < _FEWEST[method]:
            raise ValueError(f'{models} models: method = "{method}" needs {_FEWEST[method]} or more')
        if not bins:
            raise ValueError(
                f"vectors: no bin of {', '.join(named)} varies enough in every model: more maps are needed"
            )
        if self.maps <= bins + 2:
            few = f"{self.maps} maps a model for a vector of {bins} bins"
            raise ValueError(f"{few}: must be more than {bins + 2} maps, or fewer bins")
        self._check_values(values)
        self.means = values.mean(axis=1)
        centred = values - self.means[:, None]
        self.covariances = np.einsum("kmi,kmj->kij", centred, centred, optimize=True) / (self.maps - 1)
        # The design's box as the unit square: both parameters then weigh the same in the triangulation and the fit.
        self.box = self.parameters.min(axis=0), np.ptp(self.parameters, axis=0)
        unit = self.unit(self.parameters)
        try:
            self._triangles = Delaunay(unit)
        except (QhullError, ValueError) as error:
            raise ValueError("parameters: the models lie on one line, must span omega_m and sigma_8") from error
        usual = FIDUCIAL if self.inside(np.array([FIDUCIAL]))[0] else self.parameters.mean(axis=0)
        (self.fiducial,) = self._checked(np.array([usual if fiducial is None else fiducial]), "fiducial: ")
        # The standard deviations that covariances are taken relative to, before their average over models.
        deviations = np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        flat = np.log(deviations).mean(axis=0, keepdims=True) + np.zeros((models, 1))
        self._log_deviations = flat if method == "linear" else np.log(deviations)
        scale = np.exp(self.log_deviation(self.parameters))
        self._relative = self.covariances / scale[:, :, None] / scale[:, None, :]
        self._check_covariances()
        if method == "gaussian process" and like is not None:
            self._processes = like._processes.taught(unit, self.means)
        elif method == "gaussian process":
            typical = np.sqrt(np.mean(deviations**2, axis=0))
            self._processes = Processes(unit, self.means, typical, typical / np.sqrt(self.maps))

    def _check_values(self, values: Float[np.ndarray, "model map bin"]) -> None:
        if (broken := np.argwhere(~np.isfinite(values))).size:
            model, drawn, place = broken[0]
            raise ValueError(f"vectors: {self.labels[place]} of model {model}, map {drawn} is not finite")
        if (constant := np.argwhere(np.ptp(values, axis=1) == 0)).size:
            model, place = constant[0]
            raise ValueError(
                f"vectors: {self.labels[place]} is {values[model, 0, place]:g} in every map of model {model}: "
                "drop this bin or widen it"
            )

    def _check_covariances(self) -> None:
        # "linear" inverts the covariances of single models, the others an average over all of them, in units of each
        # model's own scatter. There a sum of bins that is the same in all maps is hidden: so also as they are.
        used = self._relative
        if self.method != "linear":
            used = np.stack([self._relative.mean(axis=0), self.covariances.mean(axis=0)])
        scale = np.sqrt(np.diagonal(used, axis1=1, axis2=2))
        values, directions = np.linalg.eigh(used / scale[:, :, None] / scale[:, None, :])
        if (singular := np.flatnonzero(values[:, 0] < _SINGULAR)).size:
            size = np.abs(directions[singular[0], :, 0])
            named = [self.labels[place] for place in np.flatnonzero(size > 1e-3 * size.max())]
            where = f"of model {singular[0]}" if self.method == "linear" else "of the vectors"
            told = f"{', '.join(named[:-1])} and {named[-1]}"
            raise ValueError(f"vectors: the covariance {where} is singular, {told} repeat each other: drop one")

    def unit(self, points: Points) -> Float[np.ndarray, "point 2"]:
        """Points (omega_m, sigma_8) in units of the design's box: between 0 and 1 inside it."""
        low, span = self.box
        with np.errstate(all="ignore"):  # a design without extent is refused where its triangles are looked for
            return (np.asarray(points, np.float64) - low) / span

    def inside(self, points: Points) -> Bool[np.ndarray, " point"]:
        """Whether each point (omega_m, sigma_8) lies inside the design: between models, not beyond them."""
        return self._triangles.find_simplex(self.unit(points), tol=1e-9) >= 0

    def _checked(self, points: Points, what: str = "") -> Float[np.ndarray, "point 2"]:
        if not (inside := self.inside(points)).all():
            omega_m, sigma_8 = np.asarray(points)[np.argmin(inside)]
            (low_m, low_8), (high_m, high_8) = self.box[0], self.box[0] + self.box[1]
            raise ValueError(
                f"{what}omega_m = {omega_m:g}, sigma_8 = {sigma_8:g}: outside the design, whose models lie within "
                f"{low_m:g} <= omega_m <= {high_m:g} and {low_8:g} <= sigma_8 <= {high_8:g}"
            )
        return np.asarray(points, np.float64)

    def _mean_weights(self, points: Float[np.ndarray, "point 2"]) -> Float[np.ndarray, "point model"]:
        """What each model's mean counts for at each point; sums to one."""
        if self.method != "linear":
            return quadratic_terms(self.unit(points)) @ np.linalg.pinv(quadratic_terms(self.unit(self.parameters)))
        unit = self.unit(points)
        triangle = self._triangles.find_simplex(unit, tol=1e-9)
        affine = self._triangles.transform[triangle]
        first = np.einsum("pij,pj->pi", affine[:, :2], unit - affine[:, 2])
        found = np.zeros((len(points), len(self.parameters)))
        corners = np.concatenate([first, 1 - first.sum(axis=1, keepdims=True)], axis=1)
        np.put_along_axis(found, self._triangles.simplices[triangle], corners, axis=1)
        return found

    def covariance_weights(self, points: Points) -> Float[np.ndarray, "point model"]:
        """What each model's covariance counts for at each point: nowhere negative, sums to one."""
        points = self._checked(points)
        if self.method == "linear":
            return self._mean_weights(points)
        return _near(self.unit(points), self.unit(self.parameters))

    def freedom(self, weights: Any) -> tuple[Any, Any]:
        """Degrees of freedom behind a covariance with such weights of the models, and its Hartlap factor."""
        found = (self.maps - 1) / (weights**2).sum(axis=-1)
        return found, (found - len(self.labels) - 1) / found

    def log_deviation(self, points: Points) -> Float[np.ndarray, "point bin"]:
        """Logarithm of the scale of each bin at each point."""
        return self._mean_weights(np.asarray(points, np.float64)) @ self._log_deviations

    def mean(self, points: Points) -> Float[np.ndarray, "point bin"]:
        """Mean vector at each point (omega_m, sigma_8)."""
        points = self._checked(points)
        if self.method == "gaussian process":
            return self._processes.mean(self.unit(points))
        return self._mean_weights(points) @ self.means

    def slopes(self) -> Float[np.ndarray, "2 bin"]:
        """Derivatives of the mean by omega_m and sigma_8 at the fiducial: central differences, at the rim one-sided."""
        steps, means, taken = np.diag(_STEP * self.box[1]), [], np.zeros((2, 1))
        for sign in (1, -1):
            points = self.fiducial + sign * steps
            inside = self.inside(points)[:, None]
            means.append(self.mean(np.where(inside, points, self.fiducial)))
            taken += inside
        if not taken.all():
            raise ValueError("fiducial: in a corner of the design, where no slope can be taken")
        return (means[0] - means[1]) / (taken * np.diagonal(steps)[:, None])

    def error(self, points: Points) -> Float[np.ndarray, "point bin bin"]:
        """Covariance of the error of the mean vector at each point (omega_m, sigma_8).

        "quadratic": what the models leave of the fit, carried through it; six leave nothing, and are refused.
        "gaussian process": the processes' own. "linear": the noise of the models' means only, for nothing is known of
        the curve between them.
        """
        points = self._checked(points)
        if self.method == "gaussian process":
            return self._processes.error(self.unit(points))
        weights = self._mean_weights(points)
        if self.method == "linear":
            return np.tensordot(weights**2, self.covariances / self.maps, axes=1)
        free = len(self.parameters) - _FEWEST["quadratic"]
        if free < 1:
            raise ValueError(f'{len(self.parameters)} models: the error of method = "quadratic" needs 7 or more')
        # In units of each model's own scatter, for it grows with sigma_8.
        left = (self.means - self._mean_weights(self.parameters) @ self.means) / np.exp(self._log_deviations)
        scale = np.exp(self.log_deviation(points))
        spread = left.T @ left / free * np.square(weights).sum(axis=1)[:, None, None]
        return spread * scale[:, :, None] * scale[:, None, :]

    def covariance(self, points: Points) -> Float[np.ndarray, "point bin bin"]:
        """Covariance of one map's vector at each point (omega_m, sigma_8)."""
        scale, relative = self.scaled_covariance(points)
        return relative * scale[:, :, None] * scale[:, None, :]

    def scaled_covariance(
        self, points: Points
    ) -> tuple[Float[np.ndarray, "point bin"], Float[np.ndarray, "point bin bin"]]:
        """A scale for each bin at each point, and the covariance of one map in units of it."""
        relative = np.tensordot(self.covariance_weights(points), self._relative, axes=1)
        return np.exp(self.log_deviation(points)), relative

    def curves(self, scale: Float[np.ndarray, " bin"]) -> tuple[Callable, Callable, Callable]:
        """Functions of one point [2] of the unit square, for JAX to differentiate, of vectors divided by `scale`.

        The mean vector; the scale of each bin; the covariance in units of it, with the weights of the models.
        """
        if self.method == "linear":
            raise ValueError('method = "linear": has corners, derivatives need another')
        own = self.unit(self.parameters)
        inverse = np.linalg.pinv(quadratic_terms(own))
        bends, deviations = inverse @ (self.means / scale), inverse @ (self._log_deviations - np.log(scale))
        single = {"means": bends, "deviations": deviations, "models": own, "relative": self._relative}
        held = {name: jnp.asarray(values, jnp.float32) for name, values in single.items()}

        def relative(unit: Array) -> tuple[Array, Array]:
            weights = _near(unit, held["models"])
            return jnp.tensordot(weights, held["relative"], axes=1), weights

        curved = self.method == "gaussian process"
        mean = self._processes.curve(scale) if curved else lambda unit: quadratic_terms(unit) @ held["means"]
        return mean, lambda unit: jnp.exp(quadratic_terms(unit) @ held["deviations"]), relative

    def leave_one_out(self) -> xr.DataArray:
        """Error of the emulated mean at each model when it is fitted without that model [model, bin].

        In standard deviations of one map; NaN at the design's corners under "linear", where nothing is left to
        interpolate between.
        """
        predicted = np.array([self._without(model, point[None]) for model, point in enumerate(self.parameters)])
        errors = (predicted - self.means) / np.sqrt(np.diagonal(self.covariances, axis1=1, axis2=2))
        return xr.DataArray(errors, dims=("model", "bin"), coords={"bin": self.labels}, name="leave-one-out error")

    def _without(self, model: int, point: Float[np.ndarray, "1 2"]) -> Float[np.ndarray, " bin"]:
        if self.method == "gaussian process":
            return self._processes.without(model).mean(self.unit(point))[0]
        others = np.arange(len(self.parameters)) != model
        rest = copy.copy(self)
        rest.parameters = self.parameters[others]
        rest._triangles = Delaunay(self.unit(rest.parameters))
        if self.method == "linear" and not rest.inside(point)[0]:
            return np.full(len(self.labels), np.nan)
        return rest._mean_weights(point)[0] @ self.means[others]


def _near(unit: Any, models: Any) -> Any:
    """What each model counts for by its distance in the unit square: for many points, or for JAX at one."""
    numbers = np if isinstance(unit, np.ndarray) else jnp
    near = numbers.exp(-0.5 * numbers.square(unit[..., None, :] - models).sum(axis=-1) / _NEAR**2)
    return near / near.sum(axis=-1, keepdims=True)


def quadratic_terms(unit: Any) -> Any:
    """1, x, y, x^2, x y and y^2 [..., 6], for points [..., 2] of the unit square and x, y between -1 and 1."""
    numbers = np if isinstance(unit, np.ndarray) else jnp
    x, y = (2 * unit - 1).T
    return numbers.stack([numbers.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)
