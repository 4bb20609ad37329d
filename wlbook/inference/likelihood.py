"""How probable data vectors are at points of the design: Gaussian, or wider where covariances are guesses."""

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

from wlbook.inference.emulator import Emulator
from wlbook.inference.vectors import Point, Real
from wlbook.simulation.cosmology import FIDUCIAL


def log_likelihood(
    emulator: Emulator,
    points: Float[np.ndarray, "point 2"],
    data: Float[np.ndarray, "vector bin"],
    *,
    covariance: str = "varying",
    likelihood: str = "hartlap",
    emulator_error: str = "ignore",
    n_fields: Real = 1,
    at: Point = FIDUCIAL,
) -> tuple[Float[np.ndarray, "point vector"], Float[np.ndarray, "point vector"]]:
    """Log-likelihood of data vectors at points of the design, up to one constant, and their chi^2.

    With nu = (N - 1) / sum_k w_k^2 degrees of freedom behind a covariance of d bins (N maps a model, model k with
    weight w_k), det C its determinant and chi^2 = r C^-1 r as estimated:

    - "plug-in": -(chi^2 + log det C) / 2, as if C were the truth; over-confident.
    - "hartlap": the same with chi^2 (nu - d - 1) / nu: the inverse is right on average (Hartlap et al. 2007).
    - "student": -log det C / 2 - (nu + 1) / 2 log(1 + chi^2 / nu): the unknown covariance integrated out (Sellentin &
      Heavens 2016, arXiv:1511.05969).
    - "matched": the same form with the power (m of Percival et al. 2022, arXiv:2108.10402) for which regions of two
      parameters hold the truth as often as they say, the scatter of the best fit included.

    Args:
        emulator: mean and covariance.
        points: inside the design.
        data: observed vectors, each a mean over fields.
        covariance: "varying": that of each point, with its determinant; "fixed": that of the point `at`, everywhere.
        likelihood: the form.
        emulator_error: "add" the covariance of the emulated mean's own error, or "ignore" it.
        n_fields: observed fields of the maps' area; the covariance shrinks by it.
        at: where "fixed" takes its covariance.

    Raises:
        ValueError: a bad choice, a point outside the design, too few maps for the form.
    """
    for name, value, allowed in (
        ("covariance", covariance, ("varying", "fixed")),
        ("likelihood", likelihood, ("plug-in", "hartlap", "student", "matched")),
        ("emulator_error", emulator_error, ("ignore", "add")),
    ):
        if value not in allowed:
            choices = ", ".join(f'"{one}"' for one in allowed)
            raise ValueError(f"{name} = {value!r}: must be one of {choices}")
    if not n_fields > 0:
        raise ValueError(f"n_fields = {n_fields}: must be > 0")
    residual = emulator.mean(points)[:, None] - data
    if covariance == "fixed":
        square, _, freedom = _distances(
            emulator, np.array([at], np.float64), residual.reshape(1, -1, data.shape[1]), n_fields, emulator_error
        )
        square, log_det = square.reshape(residual.shape[:2]), np.zeros(len(points))
        freedom = np.broadcast_to(freedom, len(points))
    else:
        square, log_det, freedom = _distances(emulator, points, residual, n_fields, emulator_error)
    d = data.shape[1]
    debias = (freedom - d - 1) / freedom
    if likelihood in ("plug-in", "hartlap"):
        square = square * (debias[:, None] if likelihood == "hartlap" else 1.0)
        return -0.5 * (square + log_det[:, None]), square
    power = freedom + 1
    if likelihood == "matched":
        if not (freedom > d + 3).all():
            raise ValueError(f'likelihood = "matched": {freedom.min():.0f} degrees of freedom for {d} bins: too few')
        b = (freedom - d - 1) / ((freedom - d) * (freedom - d - 3))
        power = 4 + (freedom + b * (d - 2)) / (1 + b * (d - 2))
    # A power that changes from point to point brings its normalisation along.
    norm = gammaln(power / 2) - gammaln((power - d) / 2) - d / 2 * np.log(freedom)
    found = (norm - 0.5 * log_det)[:, None] - power[:, None] / 2 * np.log1p(square / freedom[:, None])
    return found, square * debias[:, None]


def _distances(
    emulator: Emulator,
    points: Float[np.ndarray, "point 2"],
    residual: Float[np.ndarray, "point vector bin"],
    n_fields: Real,
    emulator_error: str,
) -> tuple[Float[np.ndarray, "point vector"], Float[np.ndarray, " point"], Float[np.ndarray, " point"]]:
    """r C^-1 r of some vectors at each point, log det C, and the degrees of freedom behind C."""
    d = len(emulator.labels)
    weights = emulator.covariance_weights(points)
    squares, log_dets = [], []
    step = max(1, 4_000_000 // d**2)  # 32 MB of matrices at a time
    for start in range(0, len(points), step):
        part = slice(start, start + step)
        scale, relative = emulator.scaled_covariance(points[part])
        if emulator_error == "add":
            relative = relative + n_fields * emulator.error(points[part]) / scale[:, :, None] / scale[:, None, :]
        factors = np.linalg.cholesky(relative)
        white = np.linalg.solve(factors, np.swapaxes(residual[part] / scale[:, None], -1, -2))
        squares.append(n_fields * np.square(white).sum(axis=-2))
        diagonal = np.diagonal(factors, axis1=-2, axis2=-1)
        log_dets.append(2 * np.log(diagonal).sum(axis=-1) + 2 * np.log(scale).sum(axis=-1))
    freedom = (emulator.maps - 1) / np.square(weights).sum(axis=1)
    return np.concatenate(squares), np.concatenate(log_dets), freedom
