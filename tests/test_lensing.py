"""Light through planes whose kappa is known, and the simulated maps against theory."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook import cosmology, lensing, maps, random, statistics
from wlbook.cosmology import FIDUCIAL, Cosmology
from wlbook.lensing import LensPlanes

FID = Cosmology(*FIDUCIAL)
FAR = cosmology.distance(FID, np.array([1.0]))


def empty_planes(count: int, surface: np.ndarray) -> LensPlanes:
    chi = (np.arange(count) + 0.5) * float(FAR[0]) / count
    stack = jnp.broadcast_to(jnp.asarray(surface, jnp.float32), (count, 3, *surface.shape))
    return LensPlanes(stack, chi, cosmology.scale_factor_at(FID, chi), 240.0, FID.omega_m)


def test_a_uniform_overdensity_has_the_kappa_of_the_line_of_sight_integral():
    planes = empty_planes(40, np.full((16, 16), 0.01 * float(FAR[0]) / 40))
    kappa = lensing.convergence(planes, source_distance=FAR, side=3.5, pixels=8, n_maps=2, key=random.key(1))
    chi = np.linspace(1, float(FAR[0]), 2000)
    weight = lensing.efficiency(0.26, chi, cosmology.scale_factor_at(FID, chi), FAR)[:, 0]
    np.testing.assert_allclose(kappa, 0.01 * np.trapezoid(weight, chi), rtol=2e-3)


def test_matter_behind_a_source_does_not_lens_it():
    sources = cosmology.distance(FID, np.array([0.3, 1.0]))
    planes = empty_planes(40, np.full((16, 16), 1.0))
    behind = planes.distance > sources[0]
    empty = planes._replace(surface=planes.surface * jnp.asarray(behind, jnp.float32)[:, None, None, None])
    kappa = lensing.convergence(empty, source_distance=sources, side=3.5, pixels=8, n_maps=1, key=random.key(1))
    assert np.abs(kappa[:, 0]).max() == 0 and kappa[:, 1].min() > 0


@pytest.mark.parametrize("waves", [(0, 3), (5, 0), (7, 2)])
def test_a_wave_on_a_plane_is_seen_where_it_is(waves):
    mesh, rays = 32, np.linspace(-0.2, 0.2, 9).astype(np.float32)
    y, x = np.meshgrid(np.arange(mesh) / mesh, np.arange(mesh) / mesh, indexing="ij")

    def wave(y, x):
        return np.cos(2 * np.pi * (waves[0] * y + waves[1] * x) + 0.4)

    seen = lensing._add_plane(
        jnp.zeros((1, 1, 9, 9)),
        jnp.asarray(wave(y, x)[None], jnp.float32),
        jnp.ones(1),
        rays,
        jnp.zeros(1, jnp.int32),
        jnp.asarray([[0.1, 0.7]], jnp.float32),
        jnp.asarray([[1.0, -1.0]], jnp.float32),
    )
    expected = wave(rays[:, None] + 0.1, 0.7 - rays[None, :])
    np.testing.assert_allclose(seen[0, 0], expected, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(start=st.floats(-500, 500), thickness=st.floats(0.1, 240), mesh=st.sampled_from([8, 33, 128]))
def test_a_slab_holds_exactly_its_thickness(start, thickness, mesh):
    weights = lensing._slab_weights(np.array([start]), thickness, 240.0, mesh)[0]
    assert weights.sum() == pytest.approx(thickness, abs=1e-9)
    assert weights.min() >= 0 and weights.max() <= 240 / mesh + 1e-9


def test_projection_sums_along_each_axis():
    delta = np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32)
    weights = np.random.default_rng(2).uniform(size=(3, 2, 8)).astype(np.float32)
    found = lensing._project(delta, weights)
    for axis in range(3):
        np.testing.assert_allclose(found[axis, 1], np.tensordot(weights[axis, 1], delta, (0, axis)), atol=1e-5)


def test_painting_a_wave_and_cleaning_the_plane_gives_the_wave_back():
    n, waves = 32, np.array([7, 3])
    y, x = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
    wave = np.cos(2 * np.pi * (waves[0] * y + waves[1] * x) + 0.4)
    painted = jnp.asarray(wave * np.prod(np.sinc(waves / n) ** 2), jnp.float32)[None, None]
    for amplitude, tolerance in ((0.3, 0.02), (0.8, 1e-5)):
        window = jnp.asarray(lensing._windows(np.array([amplitude]), n), jnp.float32)
        np.testing.assert_allclose(lensing._clean(painted, window)[0, 0], wave, atol=tolerance)


def test_the_particles_lattice_does_not_show_in_the_maps_of_a_smooth_universe():
    lattice_wave = jnp.asarray(np.tile([1.0, -1.0], 16), jnp.float32) * jnp.ones((1, 1, 32, 1))
    window = jnp.asarray(lensing._windows(np.array([0.4]), 32), jnp.float32)
    assert np.abs(lensing._clean(lattice_wave, window)).max() < 0.3


def test_light_cone_ends_today_and_reaches_the_source():
    cone = lensing.light_cone(FID, box=240.0, steps=12, source_redshift=1.0)
    assert cone.scale_factors.shape == (13,) and cone.scale_factors[-1] == pytest.approx(1)
    assert np.all(np.diff(cone.scale_factors) > 0)
    assert cone.scale_factors[cone.early] == pytest.approx(0.5, rel=1e-4)
    assert cone.thickness * len(cone.distance) == pytest.approx(float(FAR[0]))
    assert 240 / 3 <= cone.thickness <= 240 / 2
    others = [
        lensing.light_cone(Cosmology(omega_m, 0.8), box=240.0, steps=12, source_redshift=1.0) for omega_m in (0.14, 0.5)
    ]
    assert {len(one.distance) for one in others} == {len(cone.distance)}, "models would not share a compiled program"


def test_a_map_does_not_depend_on_how_many_there_are():
    planes = empty_planes(6, np.random.default_rng(3).normal(size=(16, 16)))
    settings = {"source_distance": FAR, "side": 3.5, "pixels": 8, "key": random.key(9)}
    few, many = (lensing.convergence(planes, **settings, n_maps=n) for n in (2, 5))
    np.testing.assert_allclose(few, many[:2], atol=1e-7)
    assert np.abs(many[0] - many[1]).max() > 1e-4


@pytest.mark.slow
def test_power_spectrum_agrees_with_theory_at_the_demo_size():
    edges = np.array([300.0, 400.0, 500.0, 600.0])
    ratios = []
    for seed in range(3):
        data = maps.simulate_box(
            omega_m=0.26, sigma_8=0.8, model=-1, split="fiducial", seed=seed, n_maps=64, side=3.5, pixels=64,
            box=240.0, particles=64, steps=12, source_redshift=1.0,
        )  # fmt: skip
        found = statistics.power_spectrum(data["kappa"].values, side=3.5, ell_edges=edges)[:, 0].mean(axis=0)
        fine = np.linspace(edges[:-1], edges[1:], 20)
        theory = [np.average(cosmology.convergence_power(FID, ell, 1.0), weights=ell) for ell in fine.T]
        ratios.append(found / np.array(theory))
    ratio = np.mean(ratios, axis=0)
    assert np.abs(ratio - 1).max() < 0.15, ratio
    assert abs(ratio.mean() - 1) < 0.08, ratio


def test_a_field_that_outgrows_its_box_is_refused_with_the_box_that_would_do():
    with pytest.raises(ValueError, match=r"box = 240\.0: .* 262 Mpc/h wide .* box must be >= 262 \[Mpc/h\]"):
        lensing.fits_in_box(5.0, 3000.0, 240.0)
    lensing.fits_in_box(5.0, 3000.0, 262.0)


def test_bad_arguments_are_named():
    planes = empty_planes(4, np.zeros((8, 8)))
    with pytest.raises(ValueError, match="method = 'guess': must be"):
        lensing.convergence(
            planes, source_distance=FAR, side=3.5, pixels=8, n_maps=1, method="guess", key=random.key(1)
        )
    for source in (0.0, -1.0, 9.0):
        with pytest.raises(ValueError, match=f"source_redshift = {source}: must be > 0 and < 8"):
            lensing.light_cone(FID, box=240.0, steps=12, source_redshift=source)
    with pytest.raises(ValueError, match="steps = 3: must be >= 6"):
        lensing.light_cone(FID, box=240.0, steps=3, source_redshift=1.0)
