"""Background, growth and theory spectra against analytic limits, CCL and an independent Limber integral."""

import numpy as np
import pyccl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook.simulation import cosmology
from wlbook.simulation.cosmology import FIDUCIAL, Cosmology

FID = Cosmology(*FIDUCIAL)


def test_growth_follows_einstein_de_sitter_without_dark_energy():
    a = np.array([0.01, 0.1, 0.5, 1.0])
    d, e, slope = cosmology.growth(Cosmology(0.99999, 0.8), a)
    np.testing.assert_allclose(d, a, rtol=1e-4)
    np.testing.assert_allclose(e, -3 / 7 * a**2, rtol=1e-4)
    np.testing.assert_allclose(slope, -6 / 7 * a, rtol=1e-4)


@pytest.mark.parametrize("omega_m", [0.14, 0.26, 0.5])
def test_growth_agrees_with_ccl(omega_m):
    cosmo = Cosmology(omega_m, 0.8)
    a = np.linspace(0.05, 1, 20)
    np.testing.assert_allclose(cosmology.growth(cosmo, a)[0], pyccl.growth_factor(cosmology.ccl(cosmo), a), rtol=1e-4)


def test_second_order_growth_has_its_known_dependence_on_omega_m():
    # Bouchet et al. 1995: E = -3/7 D^2 omega_m^(-1/143) to a fraction of a percent.
    cosmo = Cosmology(0.3, 0.8)
    d, e, _ = cosmology.growth(cosmo, 1.0)
    np.testing.assert_allclose(e, -3 / 7 * d**2 * 0.3 ** (-1 / 143), rtol=3e-3)


def test_slope_is_the_derivative_of_the_second_order():
    a = np.linspace(0.2, 0.8, 4001)
    d, e, slope = cosmology.growth(FID, a)
    np.testing.assert_allclose(np.gradient(e, d)[1:-1], slope[1:-1], rtol=1e-5)


def test_distance_is_the_integral_of_the_inverse_hubble_rate():
    z = np.linspace(0, 1, 20001)
    inverse = 1 / np.sqrt(0.26 * (1 + z) ** 3 + 0.74)
    np.testing.assert_allclose(
        cosmology.distance(FID, 1.0), cosmology.HUBBLE_DISTANCE * np.trapezoid(inverse, z), rtol=1e-5
    )


def test_scale_factor_inverts_distance():
    z = np.array([0.1, 0.5, 1.0, 2.0])
    np.testing.assert_allclose(cosmology.scale_factor_at(FID, cosmology.distance(FID, z)), 1 / (1 + z), rtol=1e-5)


def test_linear_power_has_the_sigma_8_asked_for():
    k = np.geomspace(1e-4, 20, 4000)
    x = 8 * k
    window = 3 * (np.sin(x) - x * np.cos(x)) / x**3
    variance = np.trapezoid(cosmology.linear_power(FID, k) * (k * window) ** 2, k) / (2 * np.pi**2)
    np.testing.assert_allclose(np.sqrt(variance), 0.80, rtol=2e-3)


def limber(cosmo, ell, sources):
    """C_ell by our own sum over distance, only the matter spectrum from CCL."""
    near = float(cosmology.distance(cosmo, min(sources)))
    chi = (np.arange(400) + 0.5) * near / 400
    a = cosmology.scale_factor_at(cosmo, chi)
    lens = np.prod([1.5 * cosmo.omega_m / a * (1 - chi / cosmology.distance(cosmo, z)) for z in sources], axis=0)
    power = [cosmology.nonlinear_power(cosmo, (ell + 0.5) / r, s) for r, s in zip(chi, a, strict=True)]
    return np.sum(lens[:, None] * np.array(power), axis=0) * near / 400 / cosmology.HUBBLE_DISTANCE**4


def test_convergence_power_agrees_with_an_independent_limber_integral():
    ell = np.array([100.0, 300.0, 1000.0, 3000.0])
    np.testing.assert_allclose(cosmology.convergence_power(FID, ell, 1.0), limber(FID, ell, (1.0, 1.0)), rtol=0.01)
    several = cosmology.convergence_power(FID, ell, [0.5, 1.0])
    assert several.shape == (3, 4)
    np.testing.assert_allclose(several[1], limber(FID, ell, (0.5, 1.0)), rtol=0.01)


def test_order_of_the_multipoles_does_not_matter():
    ell = np.array([1000.0, 300.0, 1000.0])
    np.testing.assert_array_equal(
        cosmology.convergence_power(FID, ell, 1.0), cosmology.convergence_power(FID, np.sort(ell), 1.0)[[1, 0, 2]]
    )


def test_a_narrow_distribution_is_a_source_plane_at_small_multipoles_too():
    ell = np.array([10.0, 30.0, 300.0, 1000.0])  # with the prefactor of shear it is 2 % less at 10
    z = np.linspace(0.9, 1.1, 401)
    narrow = cosmology.convergence_power(FID, ell, [(z, np.exp(-0.5 * ((z - 1) / 0.01) ** 2))])
    np.testing.assert_allclose(narrow[0], cosmology.convergence_power(FID, ell, 1.0), rtol=0.005)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 200), more=st.integers(1, 50))
def test_a_larger_design_holds_every_smaller_one(n, more):
    np.testing.assert_array_equal(cosmology.design(n), cosmology.design(n + more)[:n])


def test_design_covers_its_range_evenly_and_is_denser_in_the_centre():
    points = cosmology.design(96)
    for axis, (low, high) in zip(points.T, cosmology.DESIGN_RANGE, strict=True):
        assert low <= axis.min() < low + 0.1 * (high - low) and high - 0.1 * (high - low) < axis.max() <= high
    assert len(np.unique(points.round(6), axis=0)) == 96
    halves = np.abs(points - FIDUCIAL) / np.where(
        points > FIDUCIAL, np.ptp(cosmology.DESIGN_RANGE, axis=1), np.ptp(cosmology.DESIGN_RANGE, axis=1)
    )
    inner = np.mean(np.all(halves < 0.15, axis=1))
    assert inner > 1.5 * 0.3**2  # more than an even design would put there
    assert np.all(np.mean(points > FIDUCIAL, axis=0) > 0.4)


def test_s_8_of_a_universe_with_omega_m_of_0_3_is_sigma_8():
    assert cosmology.s_8(0.3, 0.77) == pytest.approx(0.77)
    assert cosmology.s_8(0.15, 0.8) == pytest.approx(0.8 / 2**0.5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"omega_m": 1.2}, "omega_m = 1.2: must be > 0 and < 1"),
        ({"omega_m": 0.04}, "omega_b = 0.046: must be > 0 and < omega_m"),
        ({"sigma_8": -0.1}, "sigma_8 = -0.1: must be > 0"),
        ({"h": 72.0}, "h = 72.0: must be"),
        ({"n_s": 0.0}, "n_s = 0.0: must be"),
    ],
)
def test_a_bad_universe_is_refused_in_one_line(change, message):
    with pytest.raises(ValueError, match=message.replace(".", r"\.")) as error:
        Cosmology(**({"omega_m": 0.26, "sigma_8": 0.8} | change))
    assert "\n" not in str(error.value)


def test_bad_arguments_of_theory_and_design_are_named():
    with pytest.raises(ValueError, match="source_redshift = -1"):
        cosmology.convergence_power(FID, np.array([100.0]), -1.0)
    for ell, said in ((0.0, r"ell = 0\.0: must be > 1"), (1.0, r"ell = 1\.0: must be > 1"), (np.nan, "ell.*finite")):
        with pytest.raises(ValueError, match=said):
            cosmology.convergence_power(FID, np.array([ell, 100.0]), 1.0)
    with pytest.raises(ValueError, match="n_models = 0: must be >= 1"):
        cosmology.design(0)
    with pytest.raises(ValueError, match=r"omega_m of the centre = 0\.6: must be > 0\.14 and < 0\.5"):
        cosmology.design(4, centre=(0.6, 0.8))
