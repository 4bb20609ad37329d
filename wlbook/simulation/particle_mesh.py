"""Particles and a mesh: painting one on the other, reading back, and the waves of a mesh.

Mass and fields are shared by the eight cells around a particle (cloud in cell).
"""

import functools
import itertools
import operator
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

Side = float | Float[Array, ""]  # of the box [Mpc/h]
CHUNK = 2**22  # particles painted or read at once: bounds the memory of their eight corners (64 bytes each)


def density_contrast(positions: Float[Array, "particle 3"], mesh: int, box: Side) -> Float[Array, "mesh mesh mesh"]:
    """rho / mean(rho) - 1 of particles of equal mass, each shared by eight cells (cloud in cell).

    On a CPU a scatter runs on one core: there, two threads paint half of the particles each.
    """
    count = positions.shape[0]
    if jax.default_backend() != "cpu" or isinstance(positions, Tracer) or count < 2**15:
        return _contrast([_paint(positions, mesh, box)], mesh**3 / count)
    parts = [positions[: count // 2], positions[count // 2 :]]
    with ThreadPoolExecutor(2) as threads:
        painted = list(threads.map(lambda some: _paint(some, mesh, box), parts))
    return _contrast(painted, mesh**3 / count)


@jax.jit
def _contrast(painted: list[Float[Array, "mesh mesh mesh"]], mean: float | Array) -> Float[Array, "mesh mesh mesh"]:
    return functools.reduce(operator.add, painted) * mean - 1


@functools.partial(jax.jit, static_argnames="mesh")
def _paint(positions: Float[Array, "particle 3"], mesh: int, box: Side) -> Float[Array, "mesh mesh mesh"]:
    """Number of particles in each cell, a chunk of particles at a time."""

    def add(total, some):
        cells, shares = (jnp.stack(one, axis=1).ravel() for one in zip(*_clouds(some, mesh, box), strict=True))
        return total.at[cells].add(shares, mode="promise_in_bounds"), None

    empty = jnp.zeros(mesh**3, positions.dtype)
    parts = _parts(positions.shape[0])
    if parts == 1:
        return add(empty, positions)[0].reshape(mesh, mesh, mesh)
    return jax.lax.scan(add, empty, positions.reshape(parts, -1, 3))[0].reshape(mesh, mesh, mesh)


@jax.jit
def read(
    field: Float[Array, "mesh mesh mesh c"], positions: Float[Array, "particle 3"], box: Side
) -> Float[Array, "particle c"]:
    """The field at each particle, interpolated from eight cells (cloud in cell); all components in one gather."""
    mesh, components = field.shape[0], field.shape[-1]
    rows = field.reshape(-1, components)

    def take(some):
        corners = _clouds(some, mesh, box)
        eighths = [rows.at[cell].get(mode="promise_in_bounds") * share[:, None] for cell, share in corners]
        return functools.reduce(operator.add, eighths)

    parts = _parts(positions.shape[0])
    if parts == 1:
        return take(positions)
    return jax.lax.map(take, positions.reshape(parts, -1, 3)).reshape(-1, components)


def _clouds(
    positions: Float[Array, "particle 3"], mesh: int, box: Side
) -> Iterator[tuple[Int[Array, " particle"], Float[Array, " particle"]]]:
    """The eight cells around each particle, one corner after the other: index in the flat mesh, and share."""
    scaled = positions * (mesh / box)
    first = jnp.floor(scaled)
    offset = scaled - first
    first = first.astype(jnp.int32) % mesh
    second = jnp.where(first + 1 == mesh, 0, first + 1)
    sides, shares = (first, second), (1 - offset, offset)
    for i, j, k in itertools.product((0, 1), repeat=3):
        cell = (sides[i][:, 0] * mesh + sides[j][:, 1]) * mesh + sides[k][:, 2]
        yield cell, shares[i][:, 0] * shares[j][:, 1] * shares[k][:, 2]


def _parts(count: int) -> int:
    """Into how many equal parts to cut `count` particles so that none is larger than a chunk."""
    parts = -(-count // CHUNK)
    while count % parts:
        parts += 1
    return parts


def wavenumbers(n: int, box: Side) -> tuple[Array, Array, Array]:
    """Wavenumbers of `rfftn` along each axis, shaped to broadcast [1 / units of `box`]."""
    full = jnp.asarray(2 * np.pi * np.fft.fftfreq(n) * n, jnp.float32) / box
    half = jnp.asarray(2 * np.pi * np.fft.rfftfreq(n) * n, jnp.float32) / box
    return full[:, None, None], full[None, :, None], half[None, None, :]


def cloud_in_cell_window(n: int) -> Float[Array, "n n half"]:
    """Fourier transform of a cell's cloud: sinc^2 along each axis."""
    windows = (jnp.asarray(np.sinc(waves(n)) ** 2, jnp.float32) for waves in (np.fft.fftfreq, np.fft.rfftfreq))
    full, half = jax.lax.optimization_barrier(tuple(windows))  # or the compiler works the whole mesh out, and keeps it
    return full[:, None, None] * full[None, :, None] * half[None, None, :]
