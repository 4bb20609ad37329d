"""Kaiser-Squires: exact where waves fit the square, right for a halo, and what edges do is what the docstring says."""

import numpy as np
import pytest

from wlbook.simulation import shear
from wlbook.simulation.shear import kaiser_squires

N = 64


def waves(n=N, seed=0, highest=20):
    """A periodic field of known waves: kappa and its shear, from derivatives of the potential, wave by wave."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:n, :n] * 2 * np.pi / n
    kappa, gamma1, gamma2 = np.zeros((3, n, n))
    for _ in range(40):
        kx, ky = rng.integers(-highest, highest + 1, 2)
        if kx == ky == 0:
            continue
        wave = rng.normal() * 0.01 * np.cos(kx * x + ky * y + rng.uniform(0, 2 * np.pi))
        square = kx**2 + ky**2
        kappa += wave  # psi = -2 wave / k^2
        gamma1 += wave * (kx**2 - ky**2) / square
        gamma2 += wave * 2 * kx * ky / square
    return kappa, gamma1, gamma2


@pytest.mark.parametrize("n", [N, N + 1])
def test_waves_that_fit_the_square_are_exact_and_have_no_b_mode(n):
    kappa, gamma1, gamma2 = waves(n)
    found = kaiser_squires(gamma1, gamma2)
    np.testing.assert_allclose(found.kappa, kappa - kappa.mean(), atol=1e-12)
    np.testing.assert_allclose(found.b_mode, 0, atol=1e-12)


def test_bins_are_transformed_one_by_one():
    kappa, gamma1, gamma2 = (np.stack(parts) for parts in zip(waves(seed=1), waves(seed=2), strict=True))
    np.testing.assert_allclose(kaiser_squires(gamma1, gamma2).kappa, kappa, atol=1e-12)


def test_a_wrong_sign_of_gamma2_is_noticed_even_under_noise():
    rng = np.random.default_rng(0)
    _, gamma1, gamma2 = waves()
    for noise in (0.0, 0.03):
        noisy = [one + rng.normal(scale=noise, size=one.shape) for one in (gamma1, gamma2)]
        assert not shear.wrong_sign(*noisy)
        assert shear.wrong_sign(noisy[0], -noisy[1])
    wrong = kaiser_squires(gamma1, -gamma2)
    assert 0.5 < wrong.b_mode.std() / wrong.kappa.std() < 2


def test_shear_around_a_gaussian_halo_gives_it_back():
    n, width = 256, 6.0
    y, x = np.mgrid[:n, :n] - n / 2 + 0.5
    radius2 = x**2 + y**2
    kappa = np.exp(-radius2 / (2 * width**2))
    inside = 2 * width**2 / radius2 * (1 - kappa)  # mean kappa within a circle
    tangential = inside - kappa
    gamma1, gamma2 = -tangential * (x**2 - y**2) / radius2, -tangential * 2 * x * y / radius2
    found = kaiser_squires(gamma1, gamma2)
    near = radius2 < (n / 4) ** 2
    assert np.abs(found.kappa + kappa.mean() - kappa)[near].max() < 0.01
    assert np.abs(found.b_mode)[near].max() < 0.01
    assert found.kappa.argmax() in np.flatnonzero(radius2.ravel() < 1)


def edge_error(width, seeds=range(8)):
    """Rms error over the standard deviation, of a quarter cut out of a periodic field with a spectrum like kappa's."""
    errors, scatter = [], []
    for seed in seeds:
        n = 4 * N
        ell = np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n))) * n * 360 / (4 * 3.5)
        amplitude = np.where(ell > 0, (1 + ell / 1000) ** -1.25 * np.maximum(ell, 1) ** -0.25, 0)
        field = np.fft.ifft2(np.fft.fft2(np.random.default_rng(seed).normal(size=(n, n))) * amplitude).real
        complex_ell = np.fft.fftfreq(n) + 1j * np.fft.fftfreq(n)[:, None]
        squared = np.where(ell > 0, np.abs(complex_ell) ** 2, 1)
        gamma = np.fft.ifft2(np.fft.fft2(field) * complex_ell**2 / squared)
        cut = (slice(N), slice(N))
        found = kaiser_squires(gamma.real[cut], gamma.imag[cut]).kappa
        inside = shear.border(N, width)
        errors.append(np.mean((found - field[cut] + field[cut].mean())[inside] ** 2))
        scatter.append(field[cut][inside].var())
    return (np.mean(errors) / np.mean(scatter)) ** 0.5


def test_the_error_that_edges_make_is_what_the_docstring_says():
    assert edge_error(0) == pytest.approx(0.30, abs=0.03)
    assert edge_error(N // 8) == pytest.approx(0.12, abs=0.03)


def test_a_border_leaves_out_the_edges():
    inside = shear.border(16, 3)
    assert inside.sum() == 100 and inside[3, 3] and not inside[2].any() and not inside[:, 13].any()
    with pytest.raises(ValueError, match="width = 8: must be >= 0 and < 8"):
        shear.border(16, 8)


def test_shear_that_is_not_finite_is_refused():
    _, gamma1, gamma2 = waves()
    with pytest.raises(ValueError, match=r"gamma1.* holds NaN"):
        kaiser_squires(np.full_like(gamma1, np.nan), gamma2)
