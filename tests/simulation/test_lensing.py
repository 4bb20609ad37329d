"""Light through planes whose kappa is known, and the simulated maps against theory."""

import functools
import sys

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook import statistics
from wlbook.common import random
from wlbook.simulation import cosmology, lens_planes, lensing, redshift_tables, sources, theory
from wlbook.simulation.cosmology import FIDUCIAL, Cosmology
from wlbook.simulation.lens_planes import LensPlanes

FID = Cosmology(*FIDUCIAL)
AT_1 = sources.at(1.0)
FAR = AT_1.distances(FID)
FIELD = {"side": 3.5, "pixels": 16, "key": random.key(1)}
METHODS = pytest.mark.parametrize("method", ["multi-plane", "born"])


def made_of(surface: np.ndarray, count: int = 12, far: float = float(FAR[0])) -> LensPlanes:
    """Planes up to distance `far`, all slabs of all of them alike."""
    chi = (np.arange(count) + 0.5) * far / count
    stack = jnp.broadcast_to(jnp.asarray(surface, jnp.float32), (count, 3, *surface.shape))
    return LensPlanes(stack, chi, cosmology.scale_factor_at(FID, chi), far / count, 240.0, FID)


def rough(seed: int, scale: float = 50.0, n: int = 64, waves: int = 4) -> np.ndarray:
    """A random surface density [Mpc/h] of standard deviation `scale`, of long waves: what can be read off exactly."""
    modes = np.fft.rfft2(np.random.default_rng(seed).normal(size=(n, n)))
    length = np.hypot(np.fft.fftfreq(n, 1 / n)[:, None], np.fft.rfftfreq(n, 1 / n))
    field = np.fft.irfft2(np.where((length > 0) & (length <= waves), modes, 0), s=(n, n))
    return field * (scale / field.std())


@METHODS
def test_a_uniform_overdensity_has_the_kappa_of_the_line_of_sight_integral(method):
    uniform = made_of(np.full((16, 16), 0.001 * float(FAR[0]) / 12))
    kappa = lensing.convergence(uniform, AT_1, n_maps=2, method=method, **FIELD)
    chi = np.linspace(1, float(FAR[0]), 2000)
    weight = lensing.efficiency(FID, chi, cosmology.scale_factor_at(FID, chi), AT_1)[:, 0]
    np.testing.assert_allclose(kappa, 0.001 * np.trapezoid(weight, chi), rtol=5e-3)


@METHODS
def test_matter_behind_a_source_does_not_lens_it(method):
    both = sources.at([0.3, 1.0])
    full = made_of(np.full((16, 16), 1.0))
    behind = full.distance > both.distances(FID)[0]
    empty = full._replace(surface=full.surface * jnp.asarray(behind, jnp.float32)[:, None, None, None])
    kappa = lensing.convergence(empty, both, n_maps=1, method=method, **FIELD)
    assert np.abs(kappa[:, 0]).max() < 1e-9 and kappa[:, 1].min() > 0


def test_a_lens_counts_by_its_place_between_us_and_the_source():
    # Without dark energy: chi = 2 c/H0 (1 - sqrt(a)), and 3/2 (H0/c)^2 chi (1 - chi / chi_s) / a.
    flat, hubble = Cosmology(0.99999, 0.8), 2997.92458
    scale_factor = np.array([0.9, 0.75, 0.6, 0.45])
    chi = 2 * hubble * (1 - np.sqrt(scale_factor))
    behind = 2 * hubble * (1 - np.sqrt([1 / 1.5, 1 / 2]))  # sources at redshifts 0.5 and 1
    expected = 1.5 / hubble**2 * (chi / scale_factor)[:, None] * np.clip(1 - chi[:, None] / behind, 0, None)
    found = lensing.efficiency(flat, chi, scale_factor, sources.at([0.5, 1.0]))
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-9)
    assert (found[2:, 0] == 0).all() and found[3, 1] == 0 < found[2, 1], "what lies behind a source does not lens it"


def test_faint_lenses_bend_no_light_so_that_both_methods_agree():
    faint = made_of(rough(1, scale=0.01))
    bent, straight = (
        lensing.convergence(faint, AT_1, n_maps=3, method=method, **FIELD) for method in ("multi-plane", "born")
    )
    np.testing.assert_allclose(bent, straight, atol=5e-3 * float(straight.std()))


def test_what_bending_changes_grows_with_the_square_of_the_lenses():
    def second_order(scale):
        lenses = made_of(rough(1, scale=scale))
        bent, straight = (lensing.convergence(lenses, AT_1, n_maps=2, method=one, **FIELD) for one in METHODS.args[1])
        return float((bent - straight).std())

    assert second_order(100.0) / second_order(50.0) == pytest.approx(4, rel=0.1)


def test_one_lens_plane_distorts_by_the_second_derivatives_of_its_potential():
    # With one plane nothing is bent twice: shear follows kappa by Kaiser and Squires 1993, and nothing rotates.
    rays = lensing.trace(made_of(rough(2), count=1), AT_1, side=3.5, pixels=64, n_maps=1, key=random.key(3))
    assert float(np.abs(rays["rotation"]).max()) < 1e-3 * float(rays["kappa"].std())
    # Rays enough to take derivatives: the shear must be the same second derivatives that kappa is the trace of.
    kappa, shear_1, shear_2 = (np.asarray(one[0, 0], np.float64) for one in list(rays.values())[:3])
    # div-curl identity: d_x gamma_1 + d_y gamma_2 = d_x kappa, d_x gamma_2 - d_y gamma_1 = d_y kappa
    d_y, d_x = (functools.partial(np.gradient, axis=axis) for axis in (0, 1))
    inner = (slice(2, -2), slice(2, -2))
    for found, wanted in (
        (d_x(shear_1) + d_y(shear_2), d_x(kappa)),
        (d_x(shear_2) - d_y(shear_1), d_y(kappa)),
    ):
        np.testing.assert_allclose(found[inner], wanted[inner], atol=0.05 * np.abs(wanted).max())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="LensTools does not build")
def test_rays_through_lenstools_planes_find_the_same_kappa():
    import lenstools_reference as lenstools

    lenses = made_of(rough(5, scale=200.0), count=6)
    path = lensing.recycle(6, 3, 1, FIELD["key"])
    bending = lensing.strength(FID, lenses.scale_factor) * 240.0**2 / lenses.distance
    potentials = [
        lenstools.potential(
            np.asarray(lenses.surface[i, 0]),
            strength=bending[i],
            shift=np.asarray(path.shift[i, 0], np.float64),
            flip=np.asarray(path.flip[i, 0], np.float64),
            corner=chi * np.radians(3.5) / 2 / 240.0,
            fine=2048,
        )
        for i, chi in enumerate(lenses.distance)
    ]
    theirs = lenstools.traced_convergence(lenstools.tracer(potentials, lenses.distance, 240.0, float(FAR[0])), 3.5, 16)
    ours, straight = (
        np.asarray(lensing.convergence(lenses, AT_1, n_maps=1, method=one, **FIELD))[0, 0] for one in METHODS.args[1]
    )
    assert np.median(np.abs(ours - theirs)) < 0.006 * theirs.std()
    assert np.median(np.abs(straight - theirs)) > 0.012 * theirs.std(), "the test would not see a missing deflection"


@METHODS
def test_a_distribution_of_galaxies_sees_the_mean_over_its_planes(method):
    lenses = made_of(rough(4), far=float(cosmology.distance(FID, 1.2)))
    redshift = np.array([0.4, 0.7, 1.1])
    share = np.array([[0.2, 0.5, 0.3], [0.0, 0.4, 0.6]])
    mixed = lensing.convergence(lenses, sources.Sources(redshift, share), n_maps=2, method=method, **FIELD)
    alone = lensing.convergence(lenses, sources.at(redshift.tolist()), n_maps=2, method=method, **FIELD)
    np.testing.assert_allclose(mixed, np.einsum("bz,mzyx->mbyx", share, alone), atol=1e-3 * float(mixed.std()))


def test_aligned_galaxies_show_the_matter_around_them():
    # In one slab of contrast 0.01 all around, galaxies have F(z) * 0.01 of kappa, spread as they are over redshift.
    bins = sources.smail(2)
    count = 20
    chi = float(bins.distances(FID).max()) * 1.01
    lenses = made_of(np.full((8, 8), 0.01 * chi / count), count, chi)
    weights = lensing.alignment(lenses, bins, 1.5, 0.8)
    expected = 0.01 * bins.share @ lensing.nla_factor(bins.redshift, FID, 1.5, 0.8)
    np.testing.assert_allclose(0.01 * chi / count * weights.sum(axis=0), expected, rtol=1e-3)
    for method in METHODS.args[1]:
        aligned, not_aligned = (
            lensing.convergence(lenses, bins, n_maps=1, method=method, a_ia=a_ia, eta=0.8, **FIELD).mean((0, 2, 3))
            for a_ia in (1.5, 0.0)
        )
        np.testing.assert_allclose(aligned - not_aligned, expected, rtol=0.02)


def test_alignment_weakens_the_signal_and_follows_its_power_law():
    near, far = lensing.nla_factor(np.array([0.2, 0.7]), FID, 1.0, 2.0)
    assert near < 0 and far < 0
    d = cosmology.growth(FID, 1 / 1.7)[0]
    assert far == pytest.approx(-0.0139 * 0.26 / d, rel=0.01)  # C1 rho_crit = 0.0139 (Joachimi et al. 2011)
    steeper = lensing.nla_factor(0.2, FID, 1.0, 3.0)
    assert steeper / near == pytest.approx(1.2 / 1.7)


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
    weights = lens_planes._slab_weights(np.array([start]), thickness, 240.0, mesh)[0]
    assert weights.sum() == pytest.approx(thickness, abs=1e-9)
    assert weights.min() >= 0 and weights.max() <= 240 / mesh + 1e-9


def test_projection_sums_along_each_axis():
    delta = np.random.default_rng(1).normal(size=(8, 8, 8)).astype(np.float32)
    weights = np.random.default_rng(2).uniform(size=(3, 2, 8)).astype(np.float32)
    found = lens_planes._project(delta, weights)
    for axis in range(3):
        np.testing.assert_allclose(found[axis, 1], np.tensordot(weights[axis, 1], delta, (0, axis)), atol=1e-5)


def test_painting_a_wave_and_cleaning_the_plane_gives_the_wave_back():
    n, waves = 32, np.array([7, 3])
    y, x = np.meshgrid(np.arange(n) / n, np.arange(n) / n, indexing="ij")
    wave = np.cos(2 * np.pi * (waves[0] * y + waves[1] * x) + 0.4)
    painted = jnp.asarray(wave * np.prod(np.sinc(waves / n) ** 2), jnp.float32)[None, None]
    for amplitude, tolerance in ((0.3, 0.02), (0.8, 1e-5)):
        window = jnp.asarray(lens_planes._windows(np.array([amplitude]), n), jnp.float32)
        np.testing.assert_allclose(lens_planes._clean(painted, window)[0, 0], wave, atol=tolerance)


def test_the_particles_lattice_does_not_show_in_the_maps_of_a_smooth_universe():
    lattice_wave = jnp.asarray(np.tile([1.0, -1.0], 16), jnp.float32) * jnp.ones((1, 1, 32, 1))
    window = jnp.asarray(lens_planes._windows(np.array([0.4]), 32), jnp.float32)
    assert np.abs(lens_planes._clean(lattice_wave, window)).max() < 0.3


def test_light_cone_ends_today_and_reaches_the_source():
    cone = lens_planes.light_cone(FID, box=240.0, steps=12, source_redshift=1.0)
    assert cone.scale_factors.shape == (13,) and cone.scale_factors[-1] == pytest.approx(1)
    assert np.all(np.diff(cone.scale_factors) > 0)
    assert cone.scale_factors[cone.early] == pytest.approx(0.5, rel=1e-4)
    assert cone.thickness * len(cone.distance) == pytest.approx(float(FAR[0]))
    middles = (np.arange(len(cone.distance)) + 0.5) * cone.thickness
    np.testing.assert_allclose(np.sort(cone.distance), middles, rtol=1e-5)
    assert 240 / 3 <= cone.thickness <= 240 / 2
    others = [
        lens_planes.light_cone(Cosmology(omega_m, 0.8), box=240.0, steps=12, source_redshift=1.0)
        for omega_m in (0.14, 0.5)
    ]
    assert {len(one.distance) for one in others} == {len(cone.distance)}, "models would not share a compiled program"


def test_a_map_does_not_depend_on_how_many_there_are():
    lenses = made_of(rough(3), 6)
    few, many = (lensing.convergence(lenses, AT_1, **FIELD, n_maps=n) for n in (2, 5))
    np.testing.assert_allclose(few, many[:2], atol=1e-7)
    assert np.abs(many[0] - many[1]).max() > 1e-4


def spectra_and_theory(
    boxes: int, edges: list[float], *, galaxies: str, a_ia: float, side: float, pixels: int, box: float
):
    """Spectra of maps of 64^3 particles [alignment, box, pair, ell], and theory for them [alignment, pair, ell].

    Alignment is none, `a_ia` and -`a_ia`, of the same light through the same matter. The seeds chose no constant of the
    simulation.
    """
    bins = redshift_tables.named(galaxies, 1.0)
    cone = {"box": box, "steps": 12, "source_redshift": float(bins.redshift.max())}
    look = {"side": side, "pixels": pixels}
    found = []
    for seed in range(7000, 7000 + boxes):
        matter = lens_planes.lens_planes(FID, particles=64, seed=seed, **cone)
        plain, aligned = (
            np.asarray(
                lensing.convergence(matter, bins, a_ia=one, n_maps=48, key=random.key(seed, "recycling"), **look)
            )
            for one in (0.0, a_ia)
        )
        ways = (plain, aligned, 2 * plain - aligned)  # alignment adds to kappa, so that its opposite takes away
        found.append(
            [np.asarray(statistics.power_spectrum(one, side=side, ell_edges=edges)).mean(axis=0) for one in ways]
        )
    slab = lens_planes.light_cone(FID, **cone).thickness
    theories = [
        theory.field_power(FID, bins, a_ia=one, ell_edges=np.array(edges), slab=slab, **look)
        for one in (0.0, a_ia, -a_ia)
    ]
    return np.swapaxes(found, 0, 1), np.array(theories)


def alignment_terms(spectra: np.ndarray) -> np.ndarray:
    """Lensing, its correlation with alignment, and alignment, of spectra with none, some and its opposite."""
    none, some, opposite = spectra
    return np.stack([none, (some - opposite) / 2, (some + opposite) / 2 - none])


@pytest.mark.slow
def test_power_spectrum_agrees_with_theory_at_the_demo_size():
    found, expected = spectra_and_theory(
        16, [300.0, 380.0, 460.0], galaxies="plane", a_ia=0.0, side=3.5, pixels=64, box=240.0
    )
    ratio = found[0].mean(axis=0) / expected[0]
    assert np.abs(ratio - 1).max() < 0.05, ratio


@pytest.mark.slow
def test_lensing_and_each_term_of_alignment_agree_with_theory_at_the_laptops_resolution():
    # Half the field and half the box have the laptop's spacing of particles at the demo's cost. For lensing the nearest
    # bin is left out: it is trusted below ell = 330, where this field holds a single wave.
    found, expected = spectra_and_theory(
        8, [300.0, 520.0, 800.0], galaxies="stage-iii", a_ia=1.0, side=1.75, pixels=32, box=120.0
    )
    far = [n for n, (first, _) in enumerate(statistics.pairs(4)) if first > 0]
    terms = alignment_terms(expected)
    lensing_only, *of_alignment = alignment_terms(found.mean(axis=1)) / terms
    assert np.abs(lensing_only[far] - 1).max() < 0.07, lensing_only
    # Each term alone, in the pairs where it is more than a chance correlation of eight boxes.
    for name, ratio, term, least in zip(("mixed", "alone"), of_alignment, terms[1:], (0.05, 0.01), strict=True):
        large = np.abs(term / terms[0]).min(axis=-1) > least
        assert large.sum() >= 5
        assert np.abs(ratio[large].mean(axis=-1) - 1).max() < 0.10, (name, ratio)


def test_a_field_that_outgrows_its_box_is_refused_with_the_box_that_would_do():
    with pytest.raises(ValueError, match=r"box = 240\.0: .* 262 Mpc/h wide .* box must be >= 262 \[Mpc/h\]"):
        lensing.fits_in_box(5.0, 3000.0, 240.0)
    lensing.fits_in_box(5.0, 3000.0, 262.0)


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="method = 'guess': must be one of"):
        lensing.convergence(made_of(np.zeros((8, 8))), AT_1, n_maps=1, method="guess", **FIELD)
    for source in (0.0, -1.0, 9.0):
        with pytest.raises(ValueError, match=f"source_redshift = {source}: must be > 0 and < 8"):
            lens_planes.light_cone(FID, box=240.0, steps=12, source_redshift=source)
    with pytest.raises(ValueError, match="steps = 3: must be >= 6"):
        lens_planes.light_cone(FID, box=240.0, steps=3, source_redshift=1.0)
