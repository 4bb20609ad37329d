"""What a survey does to kappa: the noise of galaxy shapes, masks, and smoothing."""

import dataclasses
import zlib
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, Key

from wlbook.common import arrays, checks, mask_names
from wlbook.simulation.dataset import seen_in_all

PerBin = float | int | Sequence[float | int]  # one number for all bins, or one for each
Mask = Bool[Array | np.ndarray, "rows columns"]  # True where the sky was observed; one for all maps and bins


NOISE = ("add", "in the maps")  # whose noise: ours, drawn anew each time, or what other people's maps come with


@dataclasses.dataclass(frozen=True)
class Footprint:
    """What of every map is observed, as a value that can be compared and hashed; `of` makes it of a mask."""

    pixels: int  # per side of the maps
    rows: str  # the mask's bits, row by row, as hexadecimal digits

    @classmethod
    def of(cls, mask: Mask) -> "Footprint":
        """The footprint of a square mask [y, x], True where the sky was observed."""
        return cls(len(mask), np.packbits(np.asarray(mask, bool)).tobytes().hex())

    def at(self, pixels: int) -> Bool[np.ndarray, "y x"]:
        """The mask on pixels as large or coarser: one is observed where all of it is."""
        fits = pixels > 0 and self.pixels % pixels == 0
        checks.require(fits, "pixels of the maps", pixels, f"{self.pixels} as in their footprint, or a divisor of it")
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(self.rows), np.uint8), count=self.pixels**2)
        return np.asarray(coarsen(bits.reshape(self.pixels, -1).astype(np.float32), self.pixels // pixels)) == 1


@dataclasses.dataclass(frozen=True)
class Survey:
    """The galaxies whose shapes are measured, how their map is smoothed, and what of it is observed."""

    n_gal: PerBin = 30.0  # source density of each bin [arcmin^-2], > 0
    sigma_e: float | int = 0.4  # total intrinsic ellipticity dispersion, both components [1], >= 0; 0 is without noise
    smoothing: PerBin = 1.0  # standard deviation of the Gaussian smoothing [arcmin], >= 0
    noise: str = "add"  # one of `NOISE`; of maps that come with it, n_gal and sigma_e only tell how much there is
    footprint: Footprint | None = None  # of all maps; None where everything is observed

    def __post_init__(self) -> None:
        for one in _listed(self.n_gal):
            checks.positive("n_gal", one, "arcmin^-2")
        checks.at_least("sigma_e", self.sigma_e, 0)
        for one in _listed(self.smoothing):
            checks.at_least("smoothing", one, 0, "arcmin")
        checks.one_of("noise", self.noise, NOISE)
        for name in ("n_gal", "sigma_e", "smoothing"):  # hashable, and the same for the store however it was written
            values = getattr(self, name)
            plain = float(values) if isinstance(values, int | float) else tuple(map(float, values))
            object.__setattr__(self, name, plain)

    @classmethod
    def of(cls, data: xr.Dataset, n_gal: PerBin, sigma_e: float, smoothing: PerBin) -> "Survey":
        """The survey that these maps are seen with: their own noise, if they have it, and what all of them observe.

        Maps with masks of their own are seen through what they have in common, as by `dataset.seen_in_all`.
        """
        seen = seen_in_all(data)
        whole = None if seen is None else Footprint.of(seen)
        return cls(n_gal, sigma_e, smoothing, data.attrs.get("noise", "add"), whole)

    def mask(self, pixels: int, more: Mask | None = None) -> Mask | None:
        """What is observed of maps with so many pixels a side, by this survey and by another mask of theirs."""
        if self.footprint is None:
            return more
        own = self.footprint.at(pixels)
        if more is None:
            return own
        checks.same_shape("mask", more, own.shape, "the maps'")
        return own & more  # pyright: ignore[reportOperatorIssue]


def shape_noise_sigma(n_gal: float, pixel: float, sigma_e: float = 0.4) -> float:
    """Standard deviation of the shape noise in one pixel of side `pixel` [arcmin], > 0; dimensionless.

    sigma_pix = sigma_e / sqrt(2 n_gal pixel^2): sigma_e^2 is shared by two components, and n_gal pixel^2 galaxies
    average, both as in `Survey` (van Waerbeke 2000).
    """
    checks.positive("n_gal", n_gal, "arcmin^-2")
    checks.positive("pixel", pixel, "arcmin")
    checks.at_least("sigma_e", sigma_e, 0)
    return float(sigma_e / (2 * n_gal * pixel**2) ** 0.5)


def add_shape_noise(
    kappa: Float[Array, "*batch y x"], *, n_gal: PerBin, pixel: float, sigma_e: float = 0.4, key: Key[Array, ""]
) -> Float[Array, "*batch y x"]:
    """Kappa with Gaussian shape noise as by `shape_noise_sigma`, white and independent in every pixel."""
    sigma = [shape_noise_sigma(one, pixel, sigma_e) for one in _per_bin("n_gal", n_gal, kappa)]
    if not any(sigma):
        return kappa
    scale = sigma[0] if len(sigma) == 1 else jnp.asarray(sigma, kappa.dtype)[:, None, None]
    return kappa + scale * jax.random.normal(key, kappa.shape, kappa.dtype)


def smooth(
    kappa: Float[Array, "*batch y x"], sigma: PerBin, pixel: float, mask: Mask | None = None
) -> Float[Array, "*batch y x"]:
    """Kappa convolved with a Gaussian of standard deviation `sigma` [arcmin], >= 0; the map's edges wrap.

    Under a mask each observed pixel is the Gaussian mean of the observed pixels around it, and the others are 0,
    whatever they held. Pixels have a side of `pixel` [arcmin], > 0.
    """
    lengths = _per_bin("smoothing", sigma, kappa)
    for one in lengths:
        checks.at_least("smoothing", one, 0, "arcmin")
    checks.positive("pixel", pixel, "arcmin")
    seen = None if mask is None else _fitting(mask, kappa)
    if seen is not None:
        kappa = jnp.where(seen, kappa, 0)
    if not any(lengths):
        return kappa
    y, x = kappa.shape[-2:]
    ell_y, ell_x = 2 * jnp.pi * jnp.fft.fftfreq(y)[:, None], 2 * jnp.pi * jnp.fft.rfftfreq(x)[None, :]
    squared = (jnp.asarray(lengths) / pixel) ** 2
    window = jnp.exp(-0.5 * squared[:, None, None] * (ell_y**2 + ell_x**2))
    window = window[0] if len(lengths) == 1 else window

    def convolve(image: Array) -> Array:
        return jnp.fft.irfft2(jnp.fft.rfft2(image) * window, s=(y, x)).astype(kappa.dtype)

    if seen is None:
        return convolve(kappa)
    weight = jnp.where(seen, convolve(seen.astype(kappa.dtype)), 1)
    return jnp.where(seen, convolve(kappa) / weight, 0)


def observe(
    kappa: Float[Array | np.ndarray, "*batch y x"],
    survey: Survey,
    *,
    pixel: float,
    transform: Callable[..., Array] | None = None,
    factor: int = 1,
    mask: Mask | None = None,
    key: Key[Array, ""],
) -> Float[Array, "*batch2 y2 x2"]:
    """What a survey would map, for statistics and networks alike: noise, mask, pixels, degradation, smoothing.

    In this order: the noise of galaxy shapes is added, what the mask hides is set to 0, pixels are averaged, the
    degradation takes information away, and last comes smoothing, within the mask. The mask comes before the degradation
    because under it lies nothing that a survey has seen: whatever a degradation moves about, the result does not depend
    on the sky there. A degradation that moves pixels (`shuffle_pixels`) therefore moves zeros of the mask about too.

    Args:
        pixel, factor: side of the pixels of the noiseless `kappa` [arcmin], > 0; how many to average along each side.
        transform: a degradation, called as `transform(kappa, key=key)`; it may make pixels coarser too.
        mask: beside the survey's own, on the pixels of `kappa`; a coarse pixel is observed where all of it is, and 0 in
            the result elsewhere.
        key: of the noise, and of the degradation if it draws numbers.
    """
    kappa = arrays.real("kappa", kappa)
    kappa = jnp.asarray(kappa, None if jnp.issubdtype(kappa.dtype, jnp.floating) else jnp.float32)
    image, mask = kappa, survey.mask(kappa.shape[-1], mask)
    if survey.noise == "add":
        image = add_shape_noise(kappa, n_gal=survey.n_gal, pixel=pixel, sigma_e=survey.sigma_e, key=key)
    if mask is not None:
        image = jnp.where(_fitting(mask, image), image, 0)
    image = jnp.asarray(coarsen(image, factor))
    if transform is not None:
        image = transform(image, key=jax.random.fold_in(key, zlib.crc32(b"degradation")))
    larger = kappa.shape[-1] // image.shape[-1]
    kept = None if mask is None else jnp.asarray(coarsen(jnp.asarray(mask, jnp.float32), larger) == 1)
    return smooth(image, survey.smoothing, pixel * larger, kept)


def random_holes(
    pixels: int, *, pixel: float, share: float, radius: float, key: Key[Array, ""]
) -> Bool[np.ndarray, "y x"]:
    """A mask with round holes at random places, as bright stars leave them; holes may overlap.

    Pixels have a side of `pixel` [arcmin], > 0; a `share` of them is masked, on average, >= 0 and < 0.9, those whose
    centres lie in a hole of `radius` [arcmin], > 0. More than `mask_names.MOST` holes are refused.
    """
    checks.positive("pixel", pixel, "arcmin")
    asked = mask_names.Holes(share, radius)
    asked.check(pixels * pixel)
    holes, wide = asked.number(pixels * pixel), pixels * pixel + 2 * radius
    centres = np.asarray(jax.random.uniform(key, (holes, 2), minval=-radius, maxval=wide - radius))
    at = (np.arange(pixels) + 0.5) * pixel
    seen = np.ones((pixels, pixels), bool)
    for y, x in centres:
        seen &= (at[:, None] - y) ** 2 + (at - x) ** 2 > radius**2
    return seen


def _listed(value: PerBin) -> list[float | int]:
    return [value] if isinstance(value, int | float) else list(value)


def _per_bin(name: str, value: PerBin, kappa: Array) -> list[float]:
    """A list of one number for all bins, or of one for each."""
    values = _listed(value)
    bins = kappa.shape[-3] if kappa.ndim > 2 else 1
    checks.require(len(values) in (1, bins), name, values, f"one number, or {bins}, one a bin")
    return [float(one) for one in values]


def _fitting(mask: Mask, kappa: Array) -> Bool[Array, "y x"]:
    checks.same_shape("mask", mask, kappa.shape[-2:], "the maps'")
    return jnp.asarray(mask, bool)


def coarsen(kappa: Float[Array | np.ndarray, "*batch y x"], factor: int) -> Float[Array | np.ndarray, "*batch y2 x2"]:
    """Maps averaged over squares of `factor` x `factor` pixels."""
    y, x = kappa.shape[-2:]
    if factor < 1 or y % factor or x % factor:
        raise ValueError(f"coarsen = {factor}: must divide the map's side of {x} pixels")
    if factor == 1:
        return kappa
    return kappa.reshape(*kappa.shape[:-2], y // factor, factor, x // factor, factor).mean(axis=(-3, -1))
