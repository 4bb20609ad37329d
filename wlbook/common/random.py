"""Random keys by name, so that no result depends on order, batch or shard."""

import functools
import math
import zlib

import jax
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Key, UInt32

_AT_ONCE = 1 << 18  # normal numbers: one program for the weights of most networks


def key(seed: int, *names: str | int) -> Key[Array, ""]:
    """The JAX key of one purpose: `key(seed, "noise", 3)` is always the same stream.

    There is one seed in a run; names tell what the numbers are for, from the general to the special.
    """
    stream = jax.random.key(seed)
    for name in names:
        stream = jax.random.fold_in(stream, zlib.crc32(str(name).encode()))
    return stream


def of_maps(number: int) -> UInt32[np.ndarray, " map"]:
    """What to fold into `key(seed, "noise")` for the noise of map i: the stream is then `key(seed, "noise", i)`."""
    return np.array([zlib.crc32(str(i).encode()) for i in range(number)], np.uint32)


def normal(stream: Key[Array, ""], shape: tuple[int, ...]) -> Float[Array | np.ndarray, "*shape"]:
    """The numbers of `jax.random.normal`, without its compilation of a third of a second for each new shape.

    JAX counts through the flat array, so that a longer draw begins with the shorter one's numbers.
    """
    if isinstance(stream, Tracer):
        return jax.random.normal(stream, shape)
    number, drawn = math.prod(shape), _AT_ONCE
    while drawn < number:
        drawn *= 2
    return np.asarray(_normal(stream, drawn))[:number].reshape(shape)


@functools.partial(jax.jit, static_argnums=1)
def _normal(stream: Key[Array, ""], number: int) -> Array:
    return jax.random.normal(stream, (number,))
