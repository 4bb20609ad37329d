"""How probable data vectors are at points of the design: Gaussian, or wider where covariances are guesses."""

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln

from wlbook.common import checks
from wlbook.inference.emulator import Emulator
from wlbook.inference.vectors import Real


def log_likelihood(
    emulator: Emulator,
    points: Float[np.ndarray, "point 2"],
    data: Float[np.ndarray, "vector bin"],
    *,
    covariance: str = "varying",
    likelihood: str = "hartlap",
    emulator_error: str = "ignore",
    n_fields: Real = 1,
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
        data: observed vectors, each a mean over fields.
        covariance: "varying": that of each point, with its determinant; "fixed": that of the emulator's fiducial.
        emulator_error: "add" the covariance of the emulated mean's own error, or "ignore" it.
        n_fields: observed fields of the maps' area, > 0; the covariance shrinks by it.
    """
    checks.one_of("covariance", covariance, ("varying", "fixed"))
    checks.one_of("likelihood", likelihood, ("plug-in", "hartlap", "student", "matched"))
    checks.one_of("emulator_error", emulator_error, ("ignore", "add"))
    checks.positive("n_fields", n_fields)
    d, residual = data.shape[1], emulator.mean(points)[:, None] - data
    where = emulator.fiducial[None] if covariance == "fixed" else points
    square, log_det = _distances(emulator, where, residual.reshape(len(where), -1, d), n_fields, emulator_error)
    square = square.reshape(residual.shape[:2])
    log_det = np.zeros(1) if covariance == "fixed" else log_det
    freedom, debias = emulator.freedom(emulator.covariance_weights(where))
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
    emulator: Emulator, points: np.ndarray, residual: np.ndarray, n_fields: Real, emulator_error: str
) -> tuple[Float[np.ndarray, "point vector"], Float[np.ndarray, " point"]]:
    """r C^-1 r of some vectors [point, vector, bin] at each point, and log det C."""
    squares, log_dets = [], []
    step = max(1, 4_000_000 // len(emulator.labels) ** 2)  # 32 MB of matrices at a time
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
    return np.concatenate(squares), np.concatenate(log_dets)
