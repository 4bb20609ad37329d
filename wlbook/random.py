"""Random keys by name, so that no result depends on order, batch or shard."""

import zlib

import jax
from jaxtyping import Array, Key


def key(seed: int, *names: str | int) -> Key[Array, ""]:
    """The JAX key of one purpose: `key(seed, "noise", 3)` is always the same stream.

    Args:
        seed: the one seed of a run.
        names: what the numbers are for, from the general to the special.
    """
    stream = jax.random.key(seed)
    for name in names:
        stream = jax.random.fold_in(stream, zlib.crc32(str(name).encode()))
    return stream
