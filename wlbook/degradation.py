"""Taking information away from a map: filters, cuts, shuffles, and what each one leaves untouched.

Every operator takes maps `[..., bin, y, x]` and treats each leading index (each map of a batch) by itself. All work
inside `jax.jit`; cut scales and thresholds may be traced arrays that broadcast against `[..., bin, y, x]`, so one
compiled function serves a whole ladder of cuts.
"""

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Inexact, Key, Shaped

from wlbook import cosmology
from wlbook.cosmology import Cosmology

Maps = Float[Array, "*batch bin y x"]
Real = int | float
Number = int | float | Shaped[Array, "..."]
Window = Literal["sharp", "gaussian"]
Fill = Literal["mean", "histogram"]
Draw = Literal["shared", "separate"]
AnyMaps = Float[Array, "..."]  # a degradation may change the number of bins or pixels
Multiplier = Inexact[np.ndarray | Array, "..."]
Degradation = Callable[..., AnyMaps]

FIDUCIAL = Cosmology(*cosmology.FIDUCIAL)


# Scales


def ell_from_angle(angle: Real) -> float:
    """Multipole of a wave of this length on the sky [dimensionless]: ell = 2 pi / angle.

    Args:
        angle: wavelength [arcmin], > 0.

    Raises:
        ValueError: if the angle is not positive.
    """
    _check_positive("angle", angle, "arcmin")
    return 2.0 * math.pi / math.radians(angle / 60.0)


def ell_from_length(length: Real, redshift: Real, cosmo: Cosmology = FIDUCIAL) -> float:
    """Multipole of a comoving wavelength seen at a redshift [dimensionless]: ell = 2 pi chi(z) / length.

    Args:
        length: comoving wavelength [Mpc/h], > 0.
        redshift: of the structures, > 0.
        cosmo: gives the distance chi; the fiducial by default, since a cut is chosen before the answer is known.

    Raises:
        ValueError: if the length or the redshift is not positive.
    """
    _check_positive("length", length, "Mpc/h")
    _check_positive("redshift", redshift, "dimensionless")
    return 2.0 * math.pi * float(cosmology.distance(cosmo, redshift)) / length


# Filters in ell


def low_pass(kappa: Maps, ell: Number, *, side: Real, window: Window = "sharp") -> Maps:
    """Keep the large scales: ell' <= ell, the mean included.

    Args:
        kappa: maps.
        ell: cut [dimensionless], > 0.
        side: side of the map along x [deg], > 0; pixels are square.
        window: "sharp" (1 up to the cut, 0 above; idempotent) or "gaussian", exp(-ell'^2 / (2 ell^2)).

    Raises:
        ValueError: if a number is not positive or the window is unknown.
    """
    _check_positive("ell", ell, "dimensionless")
    return _filter(kappa, _window(kappa, ell, side, window))


def high_pass(kappa: Maps, ell: Number, *, side: Real, window: Window = "sharp") -> Maps:
    """Keep the small scales: exactly what `low_pass` with the same arguments removes, the mean included.

    Args:
        kappa: maps.
        ell: cut [dimensionless], > 0.
        side: side of the map along x [deg], > 0; pixels are square.
        window: as in `low_pass`.

    Raises:
        ValueError: if a number is not positive or the window is unknown.
    """
    _check_positive("ell", ell, "dimensionless")
    return _filter(kappa, 1.0 - _window(kappa, ell, side, window))


def band_stop(kappa: Maps, low: Number, high: Number, *, side: Real, window: Window = "sharp") -> Maps:
    """Remove the scales low < ell' <= high: `low_pass` at `low` plus `high_pass` at `high`.

    Args:
        kappa: maps.
        low: lower edge of the removed band [dimensionless], > 0.
        high: upper edge [dimensionless], > low.
        side: side of the map along x [deg], > 0; pixels are square.
        window: as in `low_pass`.

    Raises:
        ValueError: if the edges are not positive and rising, or the window is unknown.
    """
    _check_positive("low", low, "dimensionless")
    _check_rising(low, high)
    return _filter(kappa, 1.0 + _window(kappa, low, side, window) - _window(kappa, high, side, window))


# Ranges of kappa


def keep_kappa(
    kappa: Maps,
    low: Number,
    high: Number,
    *,
    units: Literal["sigma", "kappa"] = "sigma",
    fill: Fill = "mean",
    key: Key[Array, ""] | None = None,
) -> Maps:
    """Keep the pixels with low <= value < high and fill the others.

    Args:
        kappa: maps.
        low: lower end; may be -inf.
        high: upper end, > low; may be inf.
        units: "sigma": (kappa - mean) / sigma, both measured on each bin of each map; "kappa": kappa itself.
        fill: "mean" of the bin before the cut, or "histogram": values drawn from the pixels that are kept, so that
            a removed pixel cannot be told by its value (a hole is itself a signal).
        key: for "histogram".

    Raises:
        ValueError: if low >= high, an option is unknown, or the key is missing.
    """
    return _fill(kappa, _inside(kappa, low, high, units), fill, key)


def remove_kappa(
    kappa: Maps,
    low: Number,
    high: Number,
    *,
    units: Literal["sigma", "kappa"] = "sigma",
    fill: Fill = "mean",
    key: Key[Array, ""] | None = None,
) -> Maps:
    """Fill the pixels with low <= value < high and keep the others: the complement of `keep_kappa`.

    Args:
        kappa: maps.
        low: lower end; may be -inf.
        high: upper end, > low; may be inf.
        units: as in `keep_kappa`.
        fill: as in `keep_kappa`.
        key: for "histogram".

    Raises:
        ValueError: if low >= high, an option is unknown, or the key is missing.
    """
    return _fill(kappa, ~_inside(kappa, low, high, units), fill, key)


@jax.jit
def gaussianize(kappa: Maps) -> Maps:
    """Replace every pixel by the Gaussian quantile of its rank: a Gaussian histogram, the same order of pixels.

    Mean and variance of each bin of each map are kept, equal pixels stay equal (Weinberg 1992, MNRAS 254, 315).

    Args:
        kappa: maps.
    """
    flat = kappa.reshape(-1, kappa.shape[-2] * kappa.shape[-1])

    def quantiles(values: Float[Array, " n"]) -> Float[Array, " n"]:
        ordered = jnp.sort(values)
        rank = jnp.searchsorted(ordered, values, side="left") + jnp.searchsorted(ordered, values, side="right")
        return jax.scipy.special.ndtri((0.5 * rank / values.size).astype(values.dtype))

    normal = jax.vmap(quantiles)(flat).reshape(kappa.shape)
    normal = normal - normal.mean((-2, -1), keepdims=True)
    spread = normal.std((-2, -1), keepdims=True)
    scale = jnp.where(spread > 0, kappa.std((-2, -1), keepdims=True) / jnp.where(spread > 0, spread, 1), 0)
    return kappa.mean((-2, -1), keepdims=True) + scale * normal


# Places and phases


def shuffle_pixels(kappa: Maps, *, permutation: Draw = "shared", key: Key[Array, ""]) -> Maps:
    """Move every pixel to a random place: the histogram stays to the bit, every spatial structure goes.

    Args:
        kappa: maps.
        permutation: "shared": one for all bins of a map, so pixels of one line of sight stay together;
            "separate": one for each bin. Every map of a batch has its own either way.
        key: random key.

    Raises:
        ValueError: if the permutation is unknown.
    """
    _check_option("permutation", permutation, Draw)
    return _shuffle(kappa, key, bins=1 if permutation == "shared" else kappa.shape[-3])


@functools.partial(jax.jit, static_argnames="bins")
def _shuffle(kappa: Maps, key: Key[Array, ""], *, bins: int) -> Maps:
    flat = kappa.reshape(*kappa.shape[:-2], kappa.shape[-2] * kappa.shape[-1])
    order = jnp.argsort(jax.random.bits(key, (*flat.shape[:-2], bins, flat.shape[-1])), axis=-1, stable=False)
    return jnp.take_along_axis(flat, order, axis=-1).reshape(kappa.shape)


def randomize_phases(kappa: Maps, *, phases: Draw = "shared", key: Key[Array, ""]) -> Maps:
    """Turn every Fourier mode by a random angle: power spectra stay, all higher-order information goes.

    The angles are the phases of the transform of a white-noise map, so they have the symmetry of a real map by
    construction: modes that must be real turn by 0 or pi. The mean stays.

    Args:
        kappa: maps.
        phases: "shared": one angle for all bins of a map, which keeps the cross-spectra too; "separate": one for
            each bin, which keeps the auto-spectra only. Every map of a batch has its own either way.
        key: random key.

    Raises:
        ValueError: if the choice of phases is unknown.
    """
    _check_option("phases", phases, Draw)
    return _turn(kappa, key, bins=1 if phases == "shared" else kappa.shape[-3])


@functools.partial(jax.jit, static_argnames="bins")
def _turn(kappa: Maps, key: Key[Array, ""], *, bins: int) -> Maps:
    noise = jnp.fft.rfft2(jax.random.normal(key, (*kappa.shape[:-3], bins, *kappa.shape[-2:]), kappa.dtype))
    modulus = jnp.abs(noise)
    turn = jnp.where(modulus > 0, noise / jnp.where(modulus > 0, modulus, 1), 1)
    return _filter(kappa, turn.at[..., 0, 0].set(1))


# Bins and pixels


def sum_bins(kappa: Maps) -> Float[Array, "*batch 1 y x"]:
    """Sum of the tomographic bins, as one bin: redshift information goes.

    Args:
        kappa: maps.
    """
    return kappa.sum(-3, keepdims=True)


def coarsen(kappa: Maps, factor: int) -> Float[Array, "*batch bin y_coarse x_coarse"]:
    """Average blocks of factor x factor pixels; the mean of the map stays.

    Args:
        kappa: maps.
        factor: >= 1, divides both sides of the map.

    Raises:
        ValueError: if the factor does not divide the map.
    """
    *batch, y, x = kappa.shape
    if factor < 1 or y % factor or x % factor:
        raise ValueError(f"factor = {factor!r}: must be >= 1 and divide the {y} x {x} pixels of the map")
    return kappa.reshape(*batch, y // factor, factor, x // factor, factor).mean((-3, -1))


# Compositions and their short names


def compose(kappa: Maps, functions: Sequence[Degradation], *, key: Key[Array, ""]) -> AnyMaps:
    """Apply degradations from left to right, each with a key of its own.

    Args:
        kappa: maps.
        functions: each called as `function(kappa, key=key)`, for example from `parse`.
        key: random key.
    """
    for index, function in enumerate(functions):
        kappa = function(kappa, key=jax.random.fold_in(key, index))
    return kappa


def degrade(kappa: Maps, *, spec: str, side: Real, key: Key[Array, ""]) -> AnyMaps:
    """Apply the degradations that a specification names (grammar: see `parse`).

    Args:
        kappa: maps.
        spec: for example "low_pass:1000+shuffle_pixels"; "none" changes nothing.
        side: side of the map along x [deg].
        key: random key.

    Raises:
        ValueError: if the specification does not follow the grammar.
    """
    return compose(kappa, [_step(part, spec, side) for part in _parts(spec)], key=key)


def parse(spec: str, *, side: Real) -> functools.partial[AnyMaps]:
    """Turn a specification into a degradation, called as `f(kappa, key=key)`.

    Grammar: STEP or STEP+STEP+..., STEP = NAME[:NUMBER...][:OPTION], for example "low_pass:1000",
    "low_pass:20arcmin", "high_pass:10Mpc/h@0.5" (a comoving wavelength seen at a redshift), "keep_kappa:-1:1" (in
    units of each map's sigma), "remove_kappa:3:inf:histogram", "low_pass:1000+shuffle_pixels", "none".

    The result is a partial of `degrade` whose arguments are plain text and numbers, so the store can name it.

    Args:
        spec: the specification.
        side: side of the map along x [deg], > 0.

    Raises:
        ValueError: one line with the specification, what is wrong, the grammar and the names.
    """
    _check_positive("side", side, "deg")
    for part in _parts(spec):
        _step(part, spec, side)
    return functools.partial(degrade, spec=spec.replace(" ", ""), side=side)


class _Step(NamedTuple):
    """How one name of the grammar is called."""

    function: Callable[..., Any]
    numbers: tuple[str, ...] = ()
    option: str = ""
    choices: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


_STEPS = {
    "low_pass": _Step(low_pass, ("ELL",), "window", get_args(Window), ("side",)),
    "high_pass": _Step(high_pass, ("ELL",), "window", get_args(Window), ("side",)),
    "band_stop": _Step(band_stop, ("ELL", "ELL"), "window", get_args(Window), ("side",)),
    "keep_kappa": _Step(keep_kappa, ("LOW", "HIGH"), "fill", get_args(Fill), ("key",)),
    "remove_kappa": _Step(remove_kappa, ("LOW", "HIGH"), "fill", get_args(Fill), ("key",)),
    "gaussianize": _Step(gaussianize),
    "shuffle_pixels": _Step(shuffle_pixels, (), "permutation", get_args(Draw), ("key",)),
    "randomize_phases": _Step(randomize_phases, (), "phases", get_args(Draw), ("key",)),
    "sum_bins": _Step(sum_bins),
    "coarsen": _Step(coarsen, ("FACTOR",)),
}

GRAMMAR = "NAME[:NUMBER...][:OPTION] joined by +, with " + ", ".join(
    ["none", *(":".join([name, *step.numbers]) for name, step in _STEPS.items())]
)


def _parts(spec: str) -> list[str]:
    parts = [part.strip() for part in spec.split("+")]
    return [] if parts == ["none"] else parts


def _step(part: str, spec: str, side: Real) -> Degradation:
    """One step of a specification as a function of (kappa, *, key)."""
    name, *words = part.replace(" ", "").split(":")
    if name not in _STEPS:
        raise _bad(spec, f"{name!r} is no degradation")
    function, numbers, option, choices, needs = _STEPS[name]
    keywords: dict[str, Any] = {"side": side} if "side" in needs else {}
    if len(words) == len(numbers) + 1 and choices:
        keywords[option] = words.pop()
        if keywords[option] not in choices:
            raise _bad(spec, f"{option} {keywords[option]!r} of {name} is none of {', '.join(choices)}")
    if len(words) != len(numbers):
        raise _bad(spec, f"{name} takes {len(numbers)} numbers, found {len(words)}")
    values = [_number(word, kind, spec) for word, kind in zip(words, numbers, strict=True)]
    if values != sorted(set(values)):
        raise _bad(spec, f"the range of {name} must rise")

    def call(kappa: Maps, *, key: Key[Array, ""]) -> AnyMaps:
        return function(kappa, *values, **keywords, **({"key": key} if "key" in needs else {}))

    return call


def _number(word: str, kind: str, spec: str) -> float | int:
    """A number of the grammar; scales may carry a unit: 20arcmin, 10Mpc/h@0.5."""
    try:
        if kind == "FACTOR":
            value = int(word)
        elif kind == "ELL" and word.endswith("arcmin"):
            value = ell_from_angle(float(word.removesuffix("arcmin")))
        elif kind == "ELL" and "Mpc/h@" in word:
            length, redshift = word.split("Mpc/h@")
            value = ell_from_length(float(length), float(redshift))
        else:
            value = float(word)
    except ValueError:
        scale = "must be a number, <n>arcmin or <n>Mpc/h@<redshift>, all > 0" if kind == "ELL" else "must be a number"
        raise _bad(spec, f"{word!r} {scale}") from None
    if math.isnan(value) or (kind in ("ELL", "FACTOR") and not 0 < value < math.inf):
        raise _bad(spec, f"{word!r} must be finite and > 0")
    return value


def _bad(spec: str, why: str) -> ValueError:
    return ValueError(f"degradation = {spec!r}: {why}; write {GRAMMAR}")


# Shared pieces


def _window(kappa: Maps, ell: Number, side: Real, window: str) -> Multiplier:
    """The low-pass window on the half plane of `rfft2`."""
    _check_positive("side", side, "deg")
    _check_option("window", window, Window)
    y, x = kappa.shape[-2:]
    pixel = math.radians(side) / x
    # on the host in float64 unless ell is traced, so that a mode next to the cut falls on its side of it
    square = (2 * np.pi / pixel) ** 2 * (np.fft.fftfreq(y)[:, None] ** 2 + np.fft.rfftfreq(x) ** 2)
    library = np if isinstance(ell, int | float) else jnp
    if window == "sharp":
        return library.where(np.sqrt(square) <= ell, np.float32(1), np.float32(0))
    return library.exp(-0.5 * square / ell**2).astype(np.float32)


@jax.jit
def _filter(kappa: Maps, window: Multiplier) -> Maps:
    return jnp.fft.irfft2(jnp.fft.rfft2(kappa) * window, s=kappa.shape[-2:])


def _inside(kappa: Maps, low: Number, high: Number, units: str) -> Bool[Array, "*batch bin y x"]:
    _check_option("units", units, Literal["sigma", "kappa"])
    _check_rising(low, high)
    return _between(kappa, low, high, units=units)


@functools.partial(jax.jit, static_argnames="units")
def _between(kappa: Maps, low: Number, high: Number, *, units: str) -> Bool[Array, "*batch bin y x"]:
    def edge(value: Number) -> Float[Array, "..."]:
        mean, sigma = kappa.mean((-2, -1), keepdims=True), kappa.std((-2, -1), keepdims=True)
        finite = jnp.where(jnp.isinf(value), 0.0, value)  # inf times the sigma of an empty bin is no number
        return jnp.where(jnp.isinf(value), value, mean + finite * sigma)

    if units == "kappa":
        return (kappa >= low) & (kappa < high)
    return (kappa >= edge(low)) & (kappa < edge(high))


def _fill(kappa: Maps, kept: Bool[Array, "*batch bin y x"], fill: str, key: Key[Array, ""] | None) -> Maps:
    _check_option("fill", fill, Fill)
    if fill == "mean":
        return jnp.where(kept, kappa, kappa.mean((-2, -1), keepdims=True))
    if key is None:
        raise ValueError('key = None: fill = "histogram" draws random values, so a key must be given')
    return _fill_at_random(kappa, kept, key)


@jax.jit
def _fill_at_random(kappa: Maps, kept: Bool[Array, "*batch bin y x"], key: Key[Array, ""]) -> Maps:
    shape = (*kappa.shape[:-2], kappa.shape[-2] * kappa.shape[-1])
    flags = kept.reshape(shape)
    count = flags.sum(-1, keepdims=True)
    # kept pixels first: a random index below their number is a random kept pixel
    first = jnp.argsort(~flags, axis=-1, stable=True)
    drawn = jnp.minimum((jax.random.uniform(key, shape) * count).astype(int), jnp.maximum(count - 1, 0))
    values = jnp.take_along_axis(kappa.reshape(shape), jnp.take_along_axis(first, drawn, -1), -1).reshape(kappa.shape)
    mean = kappa.mean((-2, -1), keepdims=True)
    return jnp.where(kept, kappa, jnp.where(count[..., None] > 0, values, mean))


def _check_positive(name: str, value: Number, unit: str) -> None:
    if isinstance(value, int | float) and not 0 < value < math.inf:
        raise ValueError(f"{name} = {value!r}: must be finite and > 0 [{unit}]")


def _check_rising(low: Number, high: Number) -> None:
    if isinstance(low, int | float) and isinstance(high, int | float) and not low < high:
        raise ValueError(f"low = {low!r}, high = {high!r}: low must be below high")


def _check_option(name: str, value: str, options: Any) -> None:
    if value not in get_args(options):
        raise ValueError(f"{name} = {value!r}: must be one of {', '.join(get_args(options))}")
