"""Places and phases: what a map is without its structures, or with nothing but its power spectrum."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array, Key

from wlbook.common import checks
from wlbook.degradation.arguments import Draw, Maps
from wlbook.degradation.filters import multiply_modes


def shuffle_pixels(kappa: Maps, *, permutation: Draw = "shared", key: Key[Array, ""]) -> Maps:
    """Move every pixel to a random place: the histogram stays to the bit, every spatial structure goes.

    A "shared" permutation is one for all bins of a map, so that pixels of one line of sight stay together; a "separate"
    one is of each bin. Every map of a batch has its own either way.
    """
    checks.one_of("permutation", permutation, Draw)
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

    "Shared" phases are one angle for all bins of a map, which keeps the cross-spectra too; "separate" ones are of each
    bin, which keeps the auto-spectra only. Every map of a batch has its own either way.
    """
    checks.one_of("phases", phases, Draw)
    return _turn(kappa, key, bins=1 if phases == "shared" else kappa.shape[-3])


@functools.partial(jax.jit, static_argnames="bins")
def _turn(kappa: Maps, key: Key[Array, ""], *, bins: int) -> Maps:
    noise = jnp.fft.rfft2(jax.random.normal(key, (*kappa.shape[:-3], bins, *kappa.shape[-2:]), kappa.dtype))
    modulus = jnp.abs(noise)
    turn = jnp.where(modulus > 0, noise / jnp.where(modulus > 0, modulus, 1), 1)
    return multiply_modes(kappa, turn.at[..., 0, 0].set(1))
