"""The smooth universe: distances, growth, linear and nonlinear power, and the models that are simulated.

Flat universes of matter and a cosmological constant. Everything here is float64 on the host; fields are made elsewhere.
"""

import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyccl
from jaxtyping import Float, Float64
from scipy.integrate import solve_ivp
from scipy.stats import qmc

from wlbook.common import checks

HUBBLE_DISTANCE = 2997.92458  # c / (100 km/s/Mpc) [Mpc/h]
FIDUCIAL = (0.26, 0.80)  # (omega_m, sigma_8) of the observed sky, as in the maps of Zorrilla Matilla et al. 2020
SECOND = (0.309, 0.816)  # the other universe they test on
CENTRES = {"paper-a": FIDUCIAL, "paper-b": (0.2915, 0.7835)}  # where each design is densest, and its observed sky
DESIGN_RANGE = ((0.14, 0.50), (0.50, 1.10))  # what the design covers in omega_m and sigma_8
CONCENTRATION = 1.4  # of the design: 1 is even, larger is denser in the centre
ALIGNED_AT = 0.7  # redshift at which the power law of intrinsic alignments is 1
_EARLIEST = 1e-3  # scale factor at which the growth of an Einstein-de Sitter universe is exact enough


@dataclass(frozen=True)
class Cosmology:
    """A flat universe of cold matter and a cosmological constant."""

    omega_m: float  # matter density today in units of the critical density, 0 < omega_m < 1
    sigma_8: float  # rms of the linear density in spheres of 8 Mpc/h today, > 0
    h: float = 0.72  # Hubble constant in units of 100 km/s/Mpc, > 0
    omega_b: float = 0.046  # baryon density today, 0 < omega_b < omega_m (it shapes the transfer function only)
    n_s: float = 0.96  # slope of the primordial spectrum

    def __post_init__(self):
        checks.within("omega_m", self.omega_m, 0, 1)
        checks.within("sigma_8", self.sigma_8, 0, 3)
        checks.within("h", self.h, 0.3, 1.5, "[]")
        below = 0 < self.omega_b < self.omega_m
        checks.require(below, "omega_b", self.omega_b, f"> 0 and < omega_m = {self.omega_m}")
        checks.within("n_s", self.n_s, 0.5, 1.5, "[]")


@functools.lru_cache(maxsize=16)
def ccl(cosmo: Cosmology) -> pyccl.Cosmology:
    """The same universe in CCL: transfer function of Eisenstein and Hu 1998, halofit of Takahashi et al. 2012."""
    return pyccl.Cosmology(
        Omega_c=cosmo.omega_m - cosmo.omega_b,
        Omega_b=cosmo.omega_b,
        h=cosmo.h,
        sigma8=cosmo.sigma_8,
        n_s=cosmo.n_s,
        Omega_g=0.0,
        Neff=0.0,
        transfer_function="eisenstein_hu",
        matter_power_spectrum="halofit",
    )


def distance(cosmo: Cosmology, redshift: Float[np.ndarray, "*shape"] | float) -> Float64[np.ndarray, "*shape"]:
    """Comoving distance to a redshift [Mpc/h]."""
    scale_factor = 1 / (1 + np.asarray(redshift, dtype=np.float64))
    chi = pyccl.comoving_radial_distance(ccl(cosmo), np.atleast_1d(scale_factor)) * cosmo.h
    return np.asarray(chi, dtype=np.float64).reshape(scale_factor.shape)


def scale_factor_at(cosmo: Cosmology, chi: Float[np.ndarray, "*shape"] | float) -> Float64[np.ndarray, "*shape"]:
    """Scale factor at which light now arriving was at comoving distance `chi` [Mpc/h]."""
    chi = np.asarray(chi, dtype=np.float64)
    a = pyccl.scale_factor_of_chi(ccl(cosmo), np.atleast_1d(chi) / cosmo.h)
    return np.asarray(a, dtype=np.float64).reshape(chi.shape)


def linear_power(cosmo: Cosmology, k: Float[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    """Linear matter power spectrum today [(Mpc/h)^3] at wavenumbers k [h/Mpc]."""
    return pyccl.linear_matter_power(ccl(cosmo), np.asarray(k, np.float64) * cosmo.h, 1.0) * cosmo.h**3


def nonlinear_power(
    cosmo: Cosmology, k: Float[np.ndarray, " k"], scale_factor: float = 1.0
) -> Float64[np.ndarray, " k"]:
    """Halofit matter power spectrum [(Mpc/h)^3] at wavenumbers k [h/Mpc]."""
    return pyccl.nonlin_matter_power(ccl(cosmo), np.asarray(k, np.float64) * cosmo.h, scale_factor) * cosmo.h**3


@functools.lru_cache(maxsize=16)
def _growth_solution(cosmo: Cosmology):
    """Solve the first- and second-order growth equations in ln a.

    D'' + (2 + H'/H) D' = 3/2 Omega_m(a) D and E'' + (2 + H'/H) E' = 3/2 Omega_m(a) (E - D^2),
    started on the Einstein-de Sitter solution D = a, E = -3/7 a^2.
    """

    def rates(log_a, state):
        d, d_rate, e, e_rate = state
        matter = cosmo.omega_m * np.exp(-3 * log_a)
        omega = matter / (matter + 1 - cosmo.omega_m)
        drag = 2 - 1.5 * omega
        return [d_rate, 1.5 * omega * d - drag * d_rate, e_rate, 1.5 * omega * (e - d**2) - drag * e_rate]

    a = _EARLIEST
    start = [a, a, -3 / 7 * a**2, -6 / 7 * a**2]
    return solve_ivp(rates, (np.log(a), 0.0), start, method="DOP853", rtol=1e-9, atol=1e-14, dense_output=True).sol


def growth(cosmo: Cosmology, scale_factor: Float[np.ndarray, "*shape"] | float) -> Float64[np.ndarray, "3 *shape"]:
    """Growth of the first two orders of perturbation theory: D, E and dE/dD, with D = 1 today, at 0.001 <= a <= 1.

    A displacement is D psi_1 + E psi_2; in an Einstein-de Sitter universe D = a and E = -3/7 D^2 (Bouchet et al. 1995).
    """
    solution = _growth_solution(cosmo)
    log_a = np.log(np.asarray(scale_factor, dtype=np.float64))
    d, d_rate, e, e_rate = solution(np.ravel(log_a))
    today = solution(0.0)[0]
    return np.stack([d / today, e / today**2, e_rate / d_rate / today]).reshape(3, *log_a.shape)


def s_8(omega_m: float, sigma_8: float):
    """S8 = sigma_8 (omega_m / 0.3)^0.5, the combination that weak lensing measures best."""
    return sigma_8 * (omega_m / 0.3) ** 0.5


def convergence_power(
    cosmo: Cosmology,
    ell: Float[np.ndarray, " ell"],
    source: float | Sequence[float | tuple[np.ndarray, np.ndarray]],
    *,
    a_ia: float = 0.0,
    eta: float = 0.0,
    slab: float | None = None,
) -> Float64[np.ndarray, "*pair ell"]:
    """Angular power spectrum of kappa [sr] at multipoles > 1 in the Limber approximation, from halofit.

    It is that of kappa for planes and distributions alike (CCL's galaxies have the prefactor of shear, 2 % less in
    power at ell = 10).
    It is [ell] for one redshift; [pair, ell] for a list, pairs in the order (0,0), (0,1), ..., (1,1), ...

    Args:
        source: redshift of one source plane, or a list with one entry a bin: a redshift, or an (unnormalised)
            distribution as the pair (redshifts, density).
        a_ia, eta: amplitude and slope (1 + z)^eta, from z = 0.7, of intrinsic alignments (NLA); for distributions only.
        slab: thickness of the planes that stand for the path of light, if they know nothing of each other [Mpc/h].
    """
    ell = np.asarray(ell, dtype=np.float64)
    checks.check_finite("ell", ell)
    checks.require(ell.min() > 1, "ell", float(ell.min()), "> 1")
    ascending, place = np.unique(ell, return_inverse=True)  # as CCL wants them
    sources = [source] if isinstance(source, (int, float)) else list(source)
    tracers = [_tracer(cosmo, one, a_ia, eta) for one in sources]
    matter: Any = None if slab is None else _slab_power(cosmo, slab)
    to_kappa = [1.0 if isinstance(one, (int, float)) else _shear_to_kappa(ascending) for one in sources]
    pairs = itertools.combinations_with_replacement(zip(tracers, to_kappa, strict=True), 2)
    spectra = [
        (a * b * np.asarray(pyccl.angular_cl(ccl(cosmo), one, two, ascending, p_of_k_a=matter), np.float64))[place]
        for (one, a), (two, b) in pairs
    ]
    return spectra[0] if isinstance(source, (int, float)) else np.stack(spectra)


def _shear_to_kappa(ell: Float[np.ndarray, " ell"]) -> Float[np.ndarray, " ell"]:
    """What turns the amplitude of shear on the curved sky into that of kappa (Kilbinger et al. 2017, equation 35)."""
    return np.sqrt(ell * (ell + 1) / ((ell + 2) * (ell - 1)))


def _tracer(cosmo: Cosmology, source: float | tuple[np.ndarray, np.ndarray], a_ia: float, eta: float):
    if isinstance(source, (int, float)):
        checks.positive("source_redshift", source)
        checks.require(not a_ia, "a_ia", a_ia, "0 for galaxies in a plane, whose neighbours have no depth")
        return pyccl.CMBLensingTracer(ccl(cosmo), z_source=source)
    redshift, density = (np.asarray(one, np.float64) for one in source)
    aligned = (redshift, a_ia * ((1 + redshift) / (1 + ALIGNED_AT)) ** eta) if a_ia else None
    return pyccl.WeakLensingTracer(ccl(cosmo), dndz=(redshift, density), ia_bias=aligned)


@functools.lru_cache(maxsize=64)
def _slab_power(cosmo: Cosmology, thickness: float) -> pyccl.Pk2D:
    """Halofit as slabs cut out at random see it: waves across the line of sight, smeared along it by the sharp cut.

    P(k) -> thickness times the mean over k_z of sinc^2(k_z thickness / 2) P(sqrt(k^2 + k_z^2)). What lies in two slabs
    is in step on the sky, and not in recycled ones: a few percent of the power are missing.
    """
    k = np.geomspace(1e-3, 60, 100)
    phase = np.concatenate([np.linspace(0, 20 * np.pi, 401), np.geomspace(20 * np.pi, 4e4, 150)[1:]])  # k_z d / 2
    far = phase > 20 * np.pi
    weight = np.sinc(phase / np.pi) ** 2 * (2 / np.pi)
    weight[far] = 1 / np.pi / phase[far] ** 2  # the mean of sin^2 is a half
    a = np.linspace(0.3, 1, 10)
    total = np.hypot(k[:, None], 2 * phase / thickness)
    matter = (nonlinear_power(cosmo, total.ravel(), float(one)).reshape(total.shape) for one in a)
    power = [np.trapezoid(weight * one, phase) for one in matter]
    return pyccl.Pk2D(a_arr=a, lk_arr=np.log(k * cosmo.h), pk_arr=np.log(np.array(power) / cosmo.h**3), is_logp=True)


def design(n: int, *, centre: tuple[float, float] = FIDUCIAL) -> Float64[np.ndarray, "n 2"]:
    """The first n >= 1 points of a low-discrepancy sequence in (omega_m, sigma_8), denser towards the centre.

    Halton's sequence fills the unit square evenly at any n, so a larger design holds every smaller one. Each axis is
    then stretched away from the centre by a power, CONCENTRATION: a density falling as distance^(1/CONCENTRATION - 1).
    """
    checks.at_least("n_models", n, 1)
    for axis, (low, high), middle in zip(("omega_m", "sigma_8"), DESIGN_RANGE, centre, strict=True):
        checks.within(f"{axis} of the centre", middle, low, high)
    unit = qmc.Halton(2, scramble=False).fast_forward(1).random(n)  # its first point is the corner
    away = 2 * unit - 1
    stretched = np.sign(away) * np.abs(away) ** CONCENTRATION
    (low, high), middle = np.array(DESIGN_RANGE).T, np.array(centre)
    return middle + np.where(stretched > 0, stretched * (high - middle), stretched * (middle - low))
