"""Painting and reading: mass, places and fields, and chunks that change nothing."""

import jax.numpy as jnp
import numpy as np
import pytest

from wlbook.simulation import particle_mesh


def test_painting_conserves_mass_and_puts_it_in_the_right_place():
    box, mesh = 10.0, 8
    positions = jnp.asarray([[0.0, 0.0, 0.0], [9.9, 2.5, -0.6]], jnp.float32)
    density = np.asarray(particle_mesh.density_contrast(positions, mesh, box), np.float64) + 1
    assert density.sum() == pytest.approx(mesh**3, rel=1e-5)
    # Half of the mass, in its own cell, less what the second particle adds there.
    assert density[0, 0, 0] == pytest.approx(mesh**3 / 2, rel=0.02)
    assert density[0, 2, 7] > density[7, 2, 7] > 0


def test_chunks_change_nothing(monkeypatch):
    positions = jnp.asarray(np.random.default_rng(1).uniform(0, 100.0, (4096, 3)), jnp.float32)

    def painted_and_read() -> tuple[np.ndarray, np.ndarray]:
        delta = particle_mesh.density_contrast(positions, 32, 100.0)
        return np.asarray(delta), np.asarray(particle_mesh.read(delta[..., None], positions, 100.0))

    whole = painted_and_read()
    monkeypatch.setattr(particle_mesh, "CHUNK", 300)
    for kernel in (particle_mesh._paint, particle_mesh.read):
        kernel.clear_cache()
    for found, wanted in zip(painted_and_read(), whole, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-5)
    for kernel in (particle_mesh._paint, particle_mesh.read):
        kernel.clear_cache()


def test_reading_a_linear_field_is_exact():
    mesh, box = 16, 32.0
    grid = jnp.arange(mesh) * (box / mesh)
    field = jnp.stack(jnp.meshgrid(grid, grid, 2 * grid, indexing="ij"), axis=-1)
    positions = jnp.asarray(np.random.default_rng(2).uniform(0, box * (mesh - 1) / mesh, (50, 3)), jnp.float32)
    found = particle_mesh.read(field, positions, box)
    np.testing.assert_allclose(found, positions * jnp.array([1.0, 1.0, 2.0]), rtol=1e-4, atol=1e-4)
