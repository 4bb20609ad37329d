"""Gaussian fields, where the answer is known: modes are independent, and no statistic beats them all together."""

import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Num

from wlbook.inference import grids
from wlbook.inference.emulator import quadratic_terms
from wlbook.inference.vectors import Axis, Models, Point, Points, Real
from wlbook.simulation.cosmology import FIDUCIAL

Maps = Num[Array | np.ndarray, "map bin y x"]

_STEP = 0.01  # of differences of the spectra, in units of the design's range


class GaussianFields:
    """Gaussian universes on a periodic square whose spectra bend smoothly with (omega_m, sigma_8).

    The mean power of the modes of equal length is measured on maps of each model, its matrix logarithm (bins times
    bins) is fitted by a quadratic in both parameters, and that fit *is* the universe: maps are drawn from it, and its
    likelihood is exact. Everywhere `noise` is the standard deviation of the shape noise in a pixel.

    It learns from noiseless maps with a `side` [deg], of 7 models or more; the `fiducial` is the observed sky. `shell`
    is that of each mode of `rfft2` [y, x_half], modes of equal length together, -1 for the mean; `counts` are the real
    numbers in each shell.
    """

    def __init__(self, kappa: Maps, parameters: Num[np.ndarray, "map 2"], *, side: Real, fiducial: Point = FIDUCIAL):
        models, which = np.unique(np.asarray(parameters, np.float64), axis=0, return_inverse=True)
        if len(models) < 7:
            raise ValueError(f"parameters of {len(models)} models: a quadratic needs 7 or more")
        self.side, self.pixels, self.fiducial = float(side), int(np.shape(kappa)[-1]), fiducial
        self.low, self.span = models.min(axis=0), np.ptp(models, axis=0)
        wave, half = np.fft.fftfreq(self.pixels, 1 / self.pixels), np.arange(self.pixels // 2 + 1)
        self.shell = np.rint(np.hypot(wave[:, None], half)).astype(int) - 1
        kept = self.shell >= 0
        self._twice = np.where((half == 0) | (2 * half == self.pixels), 1.0, 2.0) * np.ones(self.shell.shape)
        self.counts = np.bincount(self.shell[kept], self._twice[kept])
        logs = []
        for model in range(len(models)):
            power = self.power(np.asarray(kappa)[which.ravel() == model])
            values, vectors = np.linalg.eigh(power)
            if (values[:, 0] <= 1e-10 * values[:, -1]).any():  # of float32 maps: rounding
                raise ValueError("kappa: bins of the maps repeat each other, or have no power: drop one")
            logs.append(np.einsum("sij,sj,skj->sik", vectors, np.log(values), vectors))
        flat = np.array(logs).reshape(len(models), -1)
        self._coefficients = np.linalg.lstsq(self._powers(models), flat, rcond=None)[0]
        self.bins = power.shape[-1]

    def _powers(self, points: Points) -> Float[np.ndarray, "point 6"]:
        return quadratic_terms((np.asarray(points, np.float64) - self.low) / self.span)

    def spectra(self, points: Points, noise: Real = 0.0) -> Float[np.ndarray, "point shell bin bin"]:
        """Mean square of one mode, noise included, in units of the map's discrete transform over its pixels."""
        logs = (self._powers(points) @ self._coefficients).reshape(len(points), -1, self.bins, self.bins)
        values, vectors = np.linalg.eigh(logs)
        power = np.einsum("psij,psj,pskj->psik", vectors, np.exp(values), vectors)
        return power + noise**2 * np.eye(self.bins)

    def draw(self, point: Point, number: int, *, seed: int) -> Float[np.ndarray, "map bin y x"]:
        """Noiseless maps of one universe, without their mean."""
        white = np.random.default_rng(seed).normal(size=(number, self.bins, self.pixels, self.pixels))
        modes = np.fft.rfft2(white)
        factors = np.linalg.cholesky(self.spectra(np.array([point]))[0])
        factors = np.concatenate([factors, np.zeros_like(factors[:1])])[self.shell]  # the mean has no shell: zero
        modes = np.einsum("yxij,njyx->niyx", factors, modes, optimize=True)
        return np.fft.irfft2(modes, s=white.shape[-2:]).astype(np.float32)

    def universes(
        self, parameters: Models, number: int, *, seed: int
    ) -> tuple[Float[np.ndarray, "map bin y x"], Float[np.ndarray, "drawn bin y x"]]:
        """Noiseless maps of every model, one model after the other, and four times as many of the fiducial.

        The first model's maps come from `seed`, those of each next one from one higher.
        """
        points = [*map(tuple, parameters.tolist())]
        drawn = [self.draw(point, number, seed=seed + place) for place, point in enumerate(points)]
        return np.concatenate(drawn), self.draw(self.fiducial, 4 * number, seed=seed + len(points))

    def posterior(
        self, power: Float[np.ndarray, "shell bin bin"], *, omega_m: Axis, sigma_8: Axis, noise: Real, n_fields: Real
    ) -> xr.DataArray:
        """The exact posterior from all modes of observed maps, for a prior that is flat on the grid.

        -2 log L = n_fields sum over modes of tr(P^-1 p) + log det P: what is left of a Gaussian field is its power,
        that of the observed maps. The grid increases.
        """
        points = grids.points(omega_m, sigma_8)
        spectra = self.spectra(points, noise)
        fit = np.einsum("psij,sji->ps", np.linalg.inv(spectra), power) + np.linalg.slogdet(spectra)[1]
        everywhere = np.ones(len(points), bool)
        return grids.density(-0.5 * n_fields * fit @ self.counts, omega_m, sigma_8, everywhere, n_fields=n_fields)

    def power(self, kappa: Maps) -> Float[np.ndarray, "shell bin bin"]:
        """Mean power of maps (observed ones with their noise) in the modes of each length."""
        modes = np.fft.rfft2(np.asarray(kappa).astype(np.float64)) / self.pixels
        product = np.einsum("niyx,njyx->nijyx", modes, modes.conj()).real * self._twice
        kept = self.shell >= 0
        flat = product[..., kept].reshape(-1, int(kept.sum()))
        sums = np.stack([np.bincount(self.shell[kept], row, self.counts.size) for row in flat]) / self.counts
        return np.moveaxis(sums.reshape(*product.shape[:3], -1), -1, 1).mean(axis=0)

    def fisher(self, point: Point, *, noise: Real, n_fields: Real = 1) -> Float[np.ndarray, "2 2"]:
        """Fisher matrix of all modes: half the sum over modes of tr(P^-1 dP P^-1 dP), by central differences."""
        steps = np.diag(_STEP * self.span)
        ahead, behind = (self.spectra(np.array(point) + sign * steps, noise) for sign in (1, -1))
        inverse = np.linalg.inv(self.spectra(np.array([point]), noise)[0])
        slopes = inverse @ ((ahead - behind) / (2 * np.diagonal(steps)[:, None, None, None]))
        return 0.5 * n_fields * np.einsum("asij,bsji,s->ab", slopes, slopes, self.counts)
