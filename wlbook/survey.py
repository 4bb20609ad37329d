"""What a survey does to kappa: the noise of galaxy shapes, and smoothing."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


def shape_noise_sigma(n_gal: float, pixel: float, sigma_e: float = 0.4) -> float:
    """Standard deviation of the shape noise in one pixel [dimensionless].

    sigma_pix = sigma_e / sqrt(2 n_gal pixel^2): sigma_e^2 is shared by two components, and n_gal pixel^2 galaxies
    average (van Waerbeke 2000).

    Args:
        n_gal: source density [arcmin^-2], > 0.
        pixel: pixel side [arcmin], > 0.
        sigma_e: total intrinsic ellipticity dispersion, both components [dimensionless], >= 0.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if not n_gal > 0:
        raise ValueError(f"n_gal = {n_gal}: must be > 0 [arcmin^-2]")
    if not pixel > 0:
        raise ValueError(f"pixel = {pixel}: must be > 0 [arcmin]")
    if not sigma_e >= 0:
        raise ValueError(f"sigma_e = {sigma_e}: must be >= 0")
    return float(sigma_e / (2 * n_gal * pixel**2) ** 0.5)


def add_shape_noise(
    kappa: Float[Array, "*batch y x"], *, n_gal: float, pixel: float, sigma_e: float = 0.4, key: Key[Array, ""]
) -> Float[Array, "*batch y x"]:
    """Kappa with Gaussian shape noise, white and independent in every pixel.

    Args:
        kappa: noiseless kappa [dimensionless].
        n_gal: source density of each bin [arcmin^-2], > 0.
        pixel: pixel side [arcmin], > 0.
        sigma_e: total intrinsic ellipticity dispersion; 0 is a noiseless survey.
        key: JAX key; one key gives one noise field.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    sigma = shape_noise_sigma(n_gal, pixel, sigma_e)
    if sigma == 0:
        return kappa
    return kappa + sigma * jax.random.normal(key, kappa.shape, kappa.dtype)


def smooth(kappa: Float[Array, "*batch y x"], sigma: float, pixel: float) -> Float[Array, "*batch y x"]:
    """Kappa convolved with a Gaussian of standard deviation `sigma`; the map's edges wrap.

    Args:
        kappa: maps [dimensionless].
        sigma: standard deviation of the Gaussian [arcmin], >= 0; 0 changes nothing.
        pixel: pixel side [arcmin], > 0.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if not sigma >= 0:
        raise ValueError(f"smoothing = {sigma}: must be >= 0 [arcmin]")
    if not pixel > 0:
        raise ValueError(f"pixel = {pixel}: must be > 0 [arcmin]")
    if sigma == 0:
        return kappa
    y, x = kappa.shape[-2:]
    ell_y = 2 * jnp.pi * jnp.fft.fftfreq(y)[:, None]
    ell_x = 2 * jnp.pi * jnp.fft.rfftfreq(x)[None, :]
    window = jnp.exp(-0.5 * (sigma / pixel) ** 2 * (ell_y**2 + ell_x**2))
    return jnp.fft.irfft2(jnp.fft.rfft2(kappa) * window, s=(y, x)).astype(kappa.dtype)


def observe(
    kappa: Float[Array, "*batch y x"],
    *,
    pixel: float,
    n_gal: float,
    sigma_e: float,
    smoothing: float,
    key: Key[Array, ""],
) -> Float[Array, "*batch y x"]:
    """What a survey would map: shape noise first, smoothing after.

    Args:
        kappa: noiseless maps [dimensionless].
        pixel: pixel side [arcmin], > 0.
        n_gal: source density of each bin [arcmin^-2], > 0.
        sigma_e: total intrinsic ellipticity dispersion; 0 is a noiseless survey.
        smoothing: standard deviation of the Gaussian [arcmin], >= 0.
        key: JAX key of the noise.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    noisy = add_shape_noise(kappa, n_gal=n_gal, pixel=pixel, sigma_e=sigma_e, key=key)
    return smooth(noisy, smoothing, pixel)
