"""What each degradation removes, and what it must leave alone."""

import functools
import json
import math
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook import degradation
from wlbook.common import degradation_names, degradation_steps
from wlbook.degradation import composition
from wlbook.runner import cache_keys, chapters, parameters

SIDE = 3.5
KEY = jax.random.key(3)


def maps(*shape: int, seed: int = 0) -> jax.Array:
    """Skewed, correlated maps with the amplitude of convergence and a mean that is not zero."""
    white = np.fft.fft2(np.random.default_rng(seed).standard_normal(shape))
    y, x = (np.fft.fftfreq(n) for n in shape[-2:])
    smooth = 3.0 * np.fft.ifft2(white * np.exp(-15.0 * (y[:, None] ** 2 + x**2))).real
    return jnp.asarray(0.01 * (np.exp(smooth) - 1.0) + 0.002, jnp.float32)


def plane_wave(n: int, row: int, column: int) -> jax.Array:
    y, x = np.mgrid[:n, :n]
    return jnp.asarray(np.cos(2 * np.pi * (row * y + column * x) / n), jnp.float32)[None]


def modulus(kappa: jax.Array) -> np.ndarray:
    return np.abs(np.fft.fft2(np.asarray(kappa, np.float64)))


# Scales


def test_comoving_scales_of_paper_b_become_its_multipoles():
    # 8 and 12 Mpc/h at z = 0.3 and 0.5: ell = 660 to 440 and 1040 to 690, rounded to ten and in another cosmology
    for length, redshift, expected in [(8, 0.3, 660), (12, 0.3, 440), (8, 0.5, 1040), (12, 0.5, 690)]:
        assert degradation.ell_from_length(length, redshift) == pytest.approx(expected, rel=0.02)


# Filters


@pytest.mark.parametrize(("row", "column"), [(3, 0), (0, 5), (4, 3), (-4, 3), (16, 0), (0, 16), (16, 16)])
def test_a_wave_passes_below_its_multipole_and_stops_above(row, column):
    wave = plane_wave(32, row, column)
    ell = 360.0 / SIDE * math.hypot(row, column)
    low = functools.partial(degradation.low_pass, wave, side=SIDE)
    high = functools.partial(degradation.high_pass, wave, side=SIDE)
    np.testing.assert_allclose(low(ell * 1.001), wave, atol=2e-6)
    np.testing.assert_allclose(low(ell * 0.999), 0.0, atol=2e-6)
    np.testing.assert_allclose(high(ell * 0.999), wave, atol=2e-6)
    np.testing.assert_allclose(high(ell * 1.001), 0.0, atol=2e-6)
    np.testing.assert_allclose(degradation.band_stop(wave, ell * 0.9, ell * 1.1, side=SIDE), 0.0, atol=2e-6)
    np.testing.assert_allclose(degradation.band_stop(wave, ell * 1.1, ell * 1.2, side=SIDE), wave, atol=2e-6)


def test_a_gaussian_window_takes_a_wave_down_as_written():
    wave, ell = plane_wave(32, 4, 3), 360.0 / SIDE * 5
    filtered = degradation.low_pass(wave, 1.5 * ell, side=SIDE, window="gaussian")
    np.testing.assert_allclose(filtered, math.exp(-0.5 / 1.5**2) * wave, atol=2e-6)


@settings(max_examples=10, deadline=None)
@given(ell=st.floats(50, 2000), shape=st.sampled_from([(2, 2, 16, 16), (2, 2, 15, 12)]))
def test_filters_are_idempotent_and_complementary(ell, shape):
    kappa = maps(*shape, seed=int(ell))
    tolerance = {"rtol": 0, "atol": 1e-6 * float(jnp.abs(kappa).max())}
    for function in (degradation.low_pass, degradation.high_pass):
        once = function(kappa, ell, side=SIDE)
        np.testing.assert_allclose(function(once, ell, side=SIDE), once, **tolerance)
    stop = degradation.band_stop(kappa, ell, 2 * ell, side=SIDE)
    np.testing.assert_allclose(degradation.band_stop(stop, ell, 2 * ell, side=SIDE), stop, **tolerance)
    for window in ("sharp", "gaussian"):
        low = degradation.low_pass(kappa, ell, side=SIDE, window=window)
        high = degradation.high_pass(kappa, ell, side=SIDE, window=window)
        np.testing.assert_allclose(low + high, kappa, **tolerance)


def test_low_pass_keeps_the_mean_and_high_pass_takes_it():
    kappa = maps(2, 1, 16, 16)
    np.testing.assert_allclose(
        degradation.low_pass(kappa, 1.0, side=SIDE) - kappa.mean((-2, -1), keepdims=True), 0.0, atol=1e-8
    )
    np.testing.assert_allclose(degradation.high_pass(kappa, 1.0, side=SIDE).mean((-2, -1)), 0.0, atol=1e-8)


def test_a_cut_for_each_map_agrees_with_one_map_at_a_time_under_jit():
    kappa, cuts = maps(3, 2, 16, 16), jnp.asarray([150.0, 400.0, 800.0])
    together = jax.jit(functools.partial(degradation.low_pass, side=SIDE))(kappa, cuts[:, None, None, None])
    for one, cut, each in zip(kappa, cuts, together, strict=True):
        np.testing.assert_allclose(degradation.low_pass(one, float(cut), side=SIDE), each, atol=1e-8)


# Ranges


@settings(max_examples=10, deadline=None)
@given(low=st.floats(-3, 2), width=st.floats(0.1, 3), seed=st.integers(0, 99))
def test_kept_and_removed_pixels_are_the_two_parts_of_the_map(low, width, seed):
    kappa = maps(2, 2, 16, 16, seed=seed)
    values = np.asarray(kappa, np.float64)
    mean, sigma = values.mean((-2, -1), keepdims=True), values.std((-2, -1), keepdims=True)
    inside = (values >= mean + low * sigma) & (values < mean + (low + width) * sigma)
    keep = degradation.keep_kappa(kappa, low, low + width)
    remove = degradation.remove_kappa(kappa, low, low + width)
    np.testing.assert_allclose(keep, np.where(inside, values, mean), atol=1e-8)
    np.testing.assert_allclose(remove, np.where(inside, mean, values), atol=1e-8)


def test_a_fixed_range_does_not_move_with_the_map():
    kappa = jnp.asarray([[[-0.01, 0.0, 0.02, 0.03]]])
    kept = degradation.keep_kappa(kappa, 0.0, 0.03, units="kappa")
    np.testing.assert_allclose(kept, [[[0.01, 0.0, 0.02, 0.01]]], atol=1e-9)


def test_a_hole_filled_from_the_histogram_has_only_kept_values():
    kappa = maps(2, 2, 16, 16)
    filled = np.asarray(degradation.remove_kappa(kappa, 1.0, math.inf, fill="histogram", key=KEY))
    changed = filled != np.asarray(kappa)
    sigma = np.asarray((kappa - kappa.mean((-2, -1), keepdims=True)) / kappa.std((-2, -1), keepdims=True))
    assert np.array_equal(changed, sigma >= 1.0)
    for index in np.ndindex(2, 2):
        kept = np.asarray(kappa)[index][~changed[index]]
        drawn = filled[index][changed[index]]
        assert np.isin(drawn, kept).all()
        assert len(np.unique(drawn)) > 0.5 * len(drawn)
        assert abs(drawn.mean() - kept.mean()) < 4 * kept.std() / math.sqrt(len(drawn))


def test_a_range_that_keeps_nothing_leaves_the_mean():
    kappa = maps(1, 1, 8, 8)
    for fill in ("mean", "histogram"):
        filled = degradation.keep_kappa(kappa, 50.0, math.inf, fill=fill, key=KEY)
        np.testing.assert_allclose(filled, jnp.broadcast_to(kappa.mean(), kappa.shape), rtol=1e-5)


def test_gaussianize_keeps_order_mean_and_variance_and_takes_the_skewness():
    kappa = maps(2, 2, 32, 32)
    normal = degradation.gaussianize(kappa)
    np.testing.assert_allclose(normal.mean((-2, -1)), kappa.mean((-2, -1)), rtol=1e-5)
    np.testing.assert_allclose(normal.std((-2, -1)), kappa.std((-2, -1)), rtol=1e-5)
    for before, after in zip(kappa.reshape(4, -1), normal.reshape(4, -1), strict=True):
        assert np.array_equal(np.argsort(before, stable=True), np.argsort(after, stable=True))
        shape = (after - after.mean()) / after.std()
        assert abs(float((shape**3).mean())) < 1e-3
        assert float((shape**4).mean()) == pytest.approx(3.0, abs=0.1)


def test_gaussianize_keeps_equal_pixels_equal():
    kappa = jnp.asarray([[[1.0, 2.0, 2.0, 3.0]]])
    low, middle, other, high = np.asarray(degradation.gaussianize(kappa))[0, 0]
    assert middle == other == pytest.approx(2.0)
    assert low < middle < high


# Places and phases


@settings(max_examples=8, deadline=None)
@given(permutation=st.sampled_from(["shared", "separate"]), seed=st.integers(0, 99))
def test_shuffling_keeps_every_histogram_to_the_bit(permutation, seed):
    kappa = maps(3, 2, 16, 16, seed=seed)
    shuffled = degradation.shuffle_pixels(kappa, permutation=permutation, key=jax.random.key(seed))
    assert not np.array_equal(kappa, shuffled)
    assert np.array_equal(np.sort(kappa.reshape(3, 2, -1)), np.sort(shuffled.reshape(3, 2, -1)))


def test_a_shared_permutation_moves_a_line_of_sight_as_one_and_differs_between_maps():
    one = jnp.arange(256.0).reshape(16, 16)
    kappa = jnp.stack([jnp.stack([one, one + 500.0])] * 2)
    shared = degradation.shuffle_pixels(kappa, key=KEY)
    assert np.array_equal(shared[:, 0] + 500.0, shared[:, 1])
    assert not np.array_equal(shared[0], shared[1])
    separate = degradation.shuffle_pixels(kappa, permutation="separate", key=KEY)
    assert not np.array_equal(separate[:, 0] + 500.0, separate[:, 1])


def test_shuffling_leaves_a_flat_spectrum():
    kappa = maps(400, 1, 16, 16)
    power = (modulus(degradation.shuffle_pixels(kappa, key=KEY)) ** 2).mean((0, 1))
    power[0, 0] = np.nan
    half = np.r_[power[:2].ravel(), power[-1:].ravel()]
    # a row of 48 modes, 400 maps: 1 % noise; before shuffling the ratio is far from one
    assert np.nanmean(half) / np.nanmean(power[7:10]) == pytest.approx(1.0, abs=0.05)
    before = (modulus(kappa) ** 2).mean((0, 1))
    assert before[0, 1:].mean() / before[7:10].mean() > 1.5


@settings(max_examples=10, deadline=None)
@given(
    phases=st.sampled_from(["shared", "separate"]),
    shape=st.sampled_from([(3, 2, 16, 16), (2, 2, 15, 12)]),
    seed=st.integers(0, 99),
)
def test_random_phases_keep_the_modulus_of_every_mode(phases, shape, seed):
    kappa = maps(*shape, seed=seed)
    turned = degradation.randomize_phases(kappa, phases=phases, key=jax.random.key(seed))
    before, after = modulus(kappa), modulus(turned)
    # Nyquist and other real modes included: a window on the half plane that broke the symmetry would lose them
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-5 * np.sqrt((before**2).mean()))
    np.testing.assert_allclose((after**2).sum(), (before**2).sum(), rtol=1e-5)
    np.testing.assert_allclose(turned.mean((-2, -1)), kappa.mean((-2, -1)), rtol=1e-4)


def test_shared_phases_keep_cross_spectra_and_separate_ones_do_not():
    kappa = maps(2, 2, 16, 16)
    kappa = kappa.at[:, 1].add(kappa[:, 0])

    def cross(kappa):
        field = np.fft.fft2(np.asarray(kappa, np.float64))[..., :, :]
        return field[:, 0] * field[:, 1].conj()

    before = cross(kappa)
    atol = 1e-5 * np.abs(before[:, 1:, 1:]).max()
    np.testing.assert_allclose(cross(degradation.randomize_phases(kappa, key=KEY)), before, rtol=1e-5, atol=atol)
    separate = cross(degradation.randomize_phases(kappa, phases="separate", key=KEY))
    assert np.abs(separate - before)[:, 1:, 1:].max() > 100 * atol


def test_random_phases_take_the_skewness_and_differ_between_maps():
    kappa = jnp.broadcast_to(maps(1, 1, 32, 32), (16, 1, 32, 32))

    def skewness(kappa):
        return float((((kappa - kappa.mean()) / kappa.std()) ** 3).mean())

    turned = degradation.randomize_phases(kappa, key=KEY)
    assert skewness(kappa) > 0.3
    assert abs(skewness(turned)) < 0.1
    assert not np.allclose(turned[0], turned[1], atol=1e-4)


# Bins and pixels


def test_sums_and_means_are_conserved():
    kappa = maps(3, 4, 16, 24)
    total = degradation.sum_bins(kappa)
    assert total.shape == (3, 1, 16, 24)
    np.testing.assert_allclose(total.sum((-3, -2, -1)), kappa.sum((-3, -2, -1)), rtol=1e-5)
    coarse = degradation.coarsen(kappa, 4)
    assert coarse.shape == (3, 4, 4, 6)
    np.testing.assert_allclose(coarse.mean((-2, -1)), kappa.mean((-2, -1)), rtol=1e-5)
    np.testing.assert_allclose(coarse[1, 2, 3, 5], kappa[1, 2, 12:, 20:].mean(), rtol=1e-5)


def test_comoving_cuts_of_several_bins_are_those_of_each_bin_alone():
    kappa, redshifts = maps(2, 3, 32, 32), (0.2, 0.3, 0.45)
    for spec in ("low_pass:30Mpc/h", "high_pass:30Mpc/h:gaussian", "band_stop:40Mpc/h:20Mpc/h"):
        together = degradation.parse(spec, side=SIDE, redshifts=redshifts)(kappa, key=KEY)
        listed = spec.replace("Mpc/h", "Mpc/h@0.2,0.3,0.45")
        np.testing.assert_array_equal(degradation.parse(listed, side=SIDE)(kappa, key=KEY), together)
        assert not np.array_equal(together, kappa)
        for number, redshift in enumerate(redshifts):
            alone = degradation.parse(spec.replace("Mpc/h", f"Mpc/h@{redshift}"), side=SIDE)
            np.testing.assert_allclose(together[:, number], alone(kappa[:, [number]], key=KEY)[:, 0], atol=1e-8)


def test_lenses_stand_half_way_to_their_sources():
    from wlbook.simulation import cosmology

    found = degradation.lens_redshifts([0.5, 1.0])
    for lens, source in zip(found, (0.5, 1.0), strict=True):
        chi = [float(cosmology.distance(degradation.FIDUCIAL, z)) for z in (lens, source)]
        assert chi[0] == pytest.approx(0.5 * chi[1], rel=1e-6)
    assert 0.35 < found[1] < 0.5


def test_single_bins_add_up_to_their_sum():
    kappa = maps(2, 3, 16, 16)
    singles = [degradation.parse(f"single_bin:{number}", side=SIDE)(kappa, key=KEY) for number in range(3)]
    assert singles[1].shape == (2, 1, 16, 16)
    assert np.array_equal(singles[1][:, 0], kappa[:, 1])
    np.testing.assert_allclose(sum(singles), degradation.sum_bins(kappa), atol=1e-8)


def test_extra_noise_is_white_of_the_given_strength_and_fresh_in_every_bin():
    kappa = jnp.zeros((64, 2, 16, 16))
    noise = np.asarray(degradation.add_noise(kappa, 0.03, key=jax.random.key(1)))
    assert noise.std() == pytest.approx(0.03, rel=4 / math.sqrt(2 * noise.size))
    assert abs(np.corrcoef(noise[:, 0].ravel(), noise[:, 1].ravel())[0, 1]) < 4 / math.sqrt(noise[:, 0].size)
    power = (modulus(noise) ** 2).mean((0, 1)) / (0.03**2 * 256)
    assert abs(power[:8, :8].mean() - power[8:, 8:].mean()) < 0.1


def test_holes_lie_at_the_same_places_everywhere_and_leave_the_rest_alone():
    kappa = maps(3, 2, 32, 32) + 1.0
    once = jax.jit(degradation.parse("mask_holes:0.2:12", side=SIDE))(kappa, key=KEY)
    again = degradation.parse("mask_holes:0.2:12", side=SIDE)(kappa + 1.0, key=jax.random.key(99))
    seen = np.asarray(once[0, 0]) != 0
    assert 0.05 < 1 - seen.mean() < 0.4
    assert np.array_equal(np.asarray(once) != 0, np.broadcast_to(seen, kappa.shape))
    assert np.array_equal(np.asarray(again) != 0, np.broadcast_to(seen, kappa.shape))
    assert np.array_equal(np.asarray(once)[..., seen], np.asarray(kappa)[..., seen])


# Specifications


SPECS = [
    "none", "low_pass:500", "high_pass:1e3:gaussian", "band_stop:500:2000", "low_pass:40arcmin",
    "high_pass:10Mpc/h@0.5", "keep_kappa:-1:1", "remove_kappa:3:inf:histogram", "gaussianize", "shuffle_pixels",
    "shuffle_pixels:separate", "randomize_phases", "randomize_phases:separate", "low_pass:500+shuffle_pixels",
    " keep_kappa:-inf:0 + gaussianize", "remove_kappa:0.005kappa:inf", "mask_holes:0.3:10",
    "low_pass:50Mpc/h@0.2,0.3,0.4",
]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS)
def test_a_specification_works_in_jit_keeps_empty_bins_empty_and_takes_any_batch(spec):
    function = degradation.parse(spec, side=SIDE)
    kappa = maps(2, 3, 16, 16).at[:, 1].set(0.0)
    degraded = jax.jit(function)(kappa, key=KEY)
    assert degraded.dtype == kappa.dtype
    assert np.all(np.asarray(degraded)[:, 1] == 0.0)
    assert np.isfinite(np.asarray(degraded)).all()
    assert (spec == "none") == bool(np.array_equal(degraded, kappa))
    for batch in [(), (4,), (5, 6)]:
        shape = jax.ShapeDtypeStruct((*batch, 3, 16, 16), jnp.float32)
        assert jax.eval_shape(function, shape, key=KEY).shape == shape.shape
    named = cache_keys.describe(degradation.parse, {"transform": function}, lambda _: None)
    json.dumps(named["inputs"], allow_nan=False)  # the store names artefacts by these


def test_a_result_depends_on_the_degradations_that_it_uses_and_on_no_other():
    transform = degradation.parse("low_pass:500+keep_kappa:-1:1", side=SIDE)
    found = cache_keys.describe(composition.one_after_another, {"transform": transform}, lambda _: None)["fingerprint"]
    modules = {name.rpartition(".")[2] for name in found if name.startswith("wlbook.degradation.")}
    assert modules == {"arguments", "composition", "filters", "thresholds"}
    assert "wlbook.common.degradation_names" not in found


def test_specifications_say_what_the_functions_do():
    kappa = maps(2, 2, 16, 16)

    def parsed(spec):
        return degradation.parse(spec, side=SIDE)(kappa, key=KEY)

    first = jax.random.fold_in(KEY, 0)
    low = degradation.low_pass(kappa, 500.0, side=SIDE)
    assert np.array_equal(parsed("low_pass:500"), low)
    assert np.array_equal(parsed("low_pass:40arcmin"), degradation.low_pass(kappa, 540.0, side=SIDE))
    assert np.array_equal(parsed("keep_kappa:-1:1"), degradation.keep_kappa(kappa, -1.0, 1.0))
    separate = degradation.randomize_phases(kappa, phases="separate", key=first)
    assert np.array_equal(parsed("randomize_phases:separate"), separate)
    shuffled = degradation.shuffle_pixels(low, key=jax.random.fold_in(KEY, 1))
    assert np.array_equal(parsed("low_pass:500+shuffle_pixels"), shuffled)
    fixed = degradation.keep_kappa(kappa, -0.01, 0.02, units="kappa")
    assert np.array_equal(parsed("keep_kappa:-0.01kappa:0.02kappa"), fixed)
    assert np.array_equal(parsed("add_noise:0.1"), degradation.add_noise(kappa, 0.1, key=first))
    assert parsed("sum_bins+coarsen:4").shape == (2, 1, 4, 4)


def test_composition_gives_each_step_its_own_key():
    kappa = maps(1, 1, 16, 16)
    shuffle = degradation.shuffle_pixels
    twice = degradation.degrade(kappa, spec="shuffle_pixels+shuffle_pixels", side=SIDE, key=KEY)
    first = shuffle(kappa, key=jax.random.fold_in(KEY, 0))
    assert np.array_equal(twice, shuffle(first, key=jax.random.fold_in(KEY, 1)))


@pytest.mark.parametrize(
    ("spec", "why"),
    [
        ("", "'' is no degradation"),
        ("low_pas:1000", "'low_pas' is no degradation"),
        ("low_pass", "low_pass takes 1 numbers, found 0"),
        ("low_pass:1000:2000", "window '2000' of low_pass is none of sharp, gaussian"),
        ("low_pass:abc", "'abc' must be a number, <n>arcmin or <n>Mpc/h[@<redshift>[,...]], all > 0"),
        ("low_pass:-3", "'-3' must be finite and > 0"),
        ("low_pass:inf", "'inf' must be finite and > 0"),
        ("low_pass:-3arcmin", "'-3arcmin' must be finite and > 0"),
        ("low_pass:10Mpc/h@0", "'10Mpc/h@0' must be finite and > 0"),
        ("band_stop:2000:500", "the range of band_stop must rise"),
        ("keep_kappa:1:-1", "the range of keep_kappa must rise"),
        ("keep_kappa:nan:1", "'nan' must be finite"),
        ("keep_kappa:0:1:zero", "fill 'zero' of keep_kappa is none of mean, histogram"),
        ("coarsen:2.5", "'2.5' must be a whole number"),
        ("shuffle_pixels:3", "permutation '3' of shuffle_pixels is none of shared, separate"),
        ("sum_bins:3", "sum_bins takes 0 numbers, found 1"),
        ("low_pass:500+", "'' is no degradation"),
        ("low_pass:10Mpc/h", "10Mpc/h must name a redshift: 10Mpc/h@0.5"),
        ("low_pass:10Mpc/h@0.3,x", "'10Mpc/h@0.3,x' must be a number"),
        ("band_stop:8Mpc/h@0.3:12Mpc/h@0.3", "the range of band_stop must rise"),
        ("band_stop:30Mpc/h@0.3:200", "both ends of the range of band_stop must have one unit"),
        ("keep_kappa:-1:0.2kappa", "both ends of the range of keep_kappa must have one unit"),
        ("keep_kappa:xkappa:1", "'xkappa' must be a number or <n>kappa"),
        ("mask_holes:0.95:3", "'0.95' must be >= 0 and < 0.9"),
        ("add_noise:-1", "'-1' must be finite and >= 0"),
        ("single_bin:-1", "'-1' must be a whole number >= 0"),
        ("none+low_pass:1000", "'none' is no degradation"),
    ],
)
def test_a_bad_specification_gets_one_line_with_the_grammar(spec, why):
    with pytest.raises(ValueError, match=re.escape(why)) as error:
        degradation.parse(spec, side=SIDE)
    line = str(error.value)
    assert "\n" not in line
    assert line.startswith(f"degradation = {spec!r}: ")
    assert "NAME[:NUMBER...][:OPTION] joined by +" in line
    assert "keep_kappa:LOW:HIGH" in line


def test_a_page_refuses_a_bad_specification_before_anything_runs():
    line = 'degradations = ["none"]  # what to take away; each a degradation'
    page = chapters.Chapter("c", Path("c.py"), "C", {p.name: p for p in parameters.parse_parameters(line)})
    assert page.check({"degradations": ["low_pass:20", "keep_kappa:-1:1"]})
    with pytest.raises(ValueError, match=r"^c.degradations: degradation = 'low_pas:20': 'low_pas' is no") as error:
        page.check({"degradations": ["none", "low_pas:20"]})
    assert "(did you mean low_pass?); c prints the grammar" in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(ValueError, match="must be a list of texts, each a degradation"):
        page.check({"degradations": [3]})


SPECIFICATIONS = ("none", "low_pass:300", "high_pass:20arcmin:gaussian", "band_stop:10Mpc/h@0.2,0.3:5Mpc/h@0.2,0.3")
SPECIFICATIONS += ("keep_kappa:-inf:0.5:histogram", "remove_kappa:-0.02kappa:0.02kappa", "single_bin:1+coarsen:2")
SPECIFICATIONS += ("mask_holes:0.1:6 + shuffle_pixels:separate", "low_pass:10Mpc/h+gaussianize+add_noise:0.01")


@pytest.mark.parametrize("spec", SPECIFICATIONS)
def test_steps_are_the_same_with_and_without_the_table_of_names(spec):
    assert degradation_steps.read_steps(spec) == degradation_names.read(spec)


def test_specifications_are_read_without_jax():
    code = "import sys, wlbook.common.degradation_names as n; n.read('low_pass:20'); assert 'jax' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda k: degradation.low_pass(k, 0.0, side=SIDE), "ell = 0.0: must be finite and > 0"),
        (lambda k: degradation.high_pass(k, -1.0, side=SIDE), "ell = -1.0"),
        (lambda k: degradation.low_pass(k, 10.0, side=0.0), "side = 0.0: must be finite and > 0 [deg]"),
        (lambda k: degradation.band_stop(k, 20.0, 10.0, side=SIDE), "low = 20.0, high = 10.0: low must be below high"),
        (lambda k: degradation.keep_kappa(k, 1.0, 1.0), "low = 1.0, high = 1.0"),
        (lambda k: degradation.keep_kappa(k, 0.0, 1.0, fill="histogram"), "key = None"),
        (lambda k: degradation.coarsen(k, 3), "coarsen = 3: must divide the map's side of 8 pixels"),
        (lambda k: degradation.coarsen(k, 0), "coarsen = 0"),
        (lambda k: degradation.single_bin(k, 1), "number = 1: must be 0 <= number < 1, the bins of the maps"),
        (lambda k: degradation.add_noise(k, -0.1, key=KEY), "sigma = -0.1: must be >= 0"),
        (lambda k: degradation.mask_holes(k, 0.5, 0.0, side=SIDE), "radius = 0.0: must be > 0 [arcmin]"),
        (
            lambda k: degradation.parse("low_pass:10Mpc/h@0.3,0.4", side=SIDE)(k, key=KEY),
            "degradation = 'low_pass:10Mpc/h@0.3,0.4': 2 redshifts for maps of 1 bins",
        ),
        (lambda k: degradation.parse("low_pass:500", side=-1.0), "side = -1.0"),
        (lambda k: degradation.ell_from_length(8.0, -0.5), "redshift = -0.5"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        call(maps(1, 8, 8))
