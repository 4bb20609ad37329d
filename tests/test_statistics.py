"""Summary statistics against what is known: Gaussian fields, planted peaks, LensTools."""

import functools
import itertools
import math
import sys

import hypothesis.extra.numpy as npst
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook import random, statistics

SIDE = 3.5
ELL_EDGES = np.geomspace(200.0, 4000.0, 9)
EDGES = np.linspace(-2.0, 3.0, 11)


def gaussian_maps(power, *, maps: int, pixels: int, side: float = SIDE, seed: int = 1) -> jax.Array:
    """Periodic Gaussian fields [map, 1, y, x] whose spectrum is `power(ell)` [sr]."""
    per_mode = 360.0 / side
    ell = per_mode * np.hypot(np.fft.fftfreq(pixels, 1 / pixels)[:, None], np.arange(pixels // 2 + 1))
    pixel_area = (math.radians(side) / pixels) ** 2
    white = jax.random.normal(random.key(seed, "maps"), (maps, 1, pixels, pixels))
    return jnp.fft.irfft2(jnp.fft.rfft2(white) * jnp.asarray(np.sqrt(power(ell) / pixel_area), jnp.float32))


def smooth_power(ell):
    return 1e-6 * np.exp(-((ell / 1800.0) ** 2))


@functools.cache
def some_maps() -> np.ndarray:
    """Six maps of two correlated bins, and a few pixels of every height."""
    shared = gaussian_maps(smooth_power, maps=6, pixels=64)
    own = jax.random.normal(random.key(3), (6, 2, 64, 64))
    return np.asarray(shared / shared.std() + 0.5 * own, np.float32)


# --- truth: fields whose statistics are known -----------------------------------------------------------------------


def test_spectrum_of_white_noise_is_its_variance_times_the_pixel_area():
    kappa = 0.02 * jax.random.normal(random.key(1), (256, 1, 64, 64))
    found = np.asarray(statistics.power_spectrum(kappa, side=SIDE, ell_edges=ELL_EDGES))[:, 0]
    expected = 0.02**2 * (math.radians(SIDE) / 64) ** 2
    error = found.std(axis=0) / math.sqrt(len(found))
    assert (error < 0.03 * expected).all()
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - expected), 4 * error)


def test_spectrum_of_a_gaussian_field_is_the_one_it_was_drawn_from():
    def power(ell):
        return 1e-9 * (1000.0 / np.maximum(ell, 1.0)) ** 1.3

    found = np.asarray(
        statistics.power_spectrum(gaussian_maps(power, maps=256, pixels=64), side=SIDE, ell_edges=ELL_EDGES)
    )[:, 0]
    modes = np.fft.fftfreq(64, 1 / 64) * 360.0 / SIDE
    ell = np.hypot(modes[:, None], modes)
    expected = [power(ell[(ell > low) & (ell <= high)]).mean() for low, high in itertools.pairwise(ELL_EDGES)]
    error = found.std(axis=0) / math.sqrt(len(found))
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - expected), 4 * error + 0.01 * np.array(expected))


def test_cross_spectrum_sees_only_what_two_bins_share():
    shared = gaussian_maps(smooth_power, maps=256, pixels=32)
    noise = 10 * shared.std() * jax.random.normal(random.key(2), (256, 2, 32, 32))
    edges = [100.0, 600.0, 1200.0]
    spectra = np.asarray(statistics.power_spectrum(shared + noise, side=SIDE, ell_edges=edges))
    signal = np.asarray(statistics.power_spectrum(shared, side=SIDE, ell_edges=edges))[:, 0]
    assert statistics.pairs(2) == [(0, 0), (0, 1), (1, 1)]
    error = (spectra[:, 1] - signal).std(axis=0) / math.sqrt(256)
    np.testing.assert_array_less(np.abs((spectra[:, 1] - signal).mean(axis=0)), 4 * error)
    assert (spectra[:, 0].mean(axis=0) > signal.mean(axis=0) + 10 * error).all()


def test_minkowski_functionals_of_gaussian_fields_have_their_analytic_form():
    kappa = gaussian_maps(smooth_power, maps=200, pixels=256, side=14.0)
    edges = np.linspace(-3.0, 3.0, 25)
    sigma = float(kappa.std())
    found = np.asarray(statistics.minkowski_functionals(kappa / sigma, edges=edges)).mean(axis=(0, 1))
    # For central differences too the gradient at a point does not know kappa there, and the mean second derivative
    # given kappa is -slope^2 kappa: the continuum forms (Tomita 1986) hold exactly with the field's own slope.
    slope = float(jnp.square((jnp.roll(kappa, -1, -1) - jnp.roll(kappa, 1, -1)) / (2 * sigma)).mean()) ** 0.5
    fine = np.linspace(edges[:-1], edges[1:], 101)
    normal = np.exp(-(fine**2) / 2) / math.sqrt(2 * math.pi)
    expected = [
        [0.5 * math.erfc(nu / math.sqrt(2)) for nu in (edges[1:] + edges[:-1]) / 2],
        slope * math.sqrt(math.pi / 2) / 4 * normal.mean(axis=0),
        slope**2 / (2 * math.pi) * (fine * normal).mean(axis=0),
    ]
    for curve, truth in zip(found, expected, strict=True):
        np.testing.assert_allclose(curve, truth, atol=0.01 * np.max(np.abs(truth)))


def test_planted_peaks_are_counted_exactly():
    kappa = np.zeros((1, 16, 16), np.float32)
    heights = {(4, 4): 0.5, (4, 8): 1.5, (10, 3): 1.5, (12, 12): 2.0, (8, 8): 7.0}
    for (y, x), height in heights.items():
        kappa[0, y, x] = height
    # A height on an edge belongs to the bin above; the highest peak lies above all bins; flat zeros are no peaks.
    assert np.asarray(statistics.peak_counts(kappa, edges=[-1.0, 0.25, 1.0, 2.0, 3.0])).tolist() == [[0, 1, 2, 1]]
    assert np.asarray(statistics.minima_counts(-kappa, edges=[-3.0, -2.0, -1.0, -0.25])).tolist() == [[1, 2, 1]]


def test_peaks_ignore_map_edges_when_asked():
    kappa = np.zeros((1, 8, 8), np.float32)
    kappa[0, 0, 0], kappa[0, 7, 7] = 1.0, 2.0  # neighbours, where the edges wrap
    kappa[0, 4, 0], kappa[0, 4, 4] = 1.0, 1.0
    assert np.asarray(statistics.peak_counts(kappa, edges=[0.5, 1.5, 2.5])).tolist() == [[2, 1]]
    assert np.asarray(statistics.peak_counts(kappa, edges=[0.5, 1.5, 2.5], boundary="drop")).tolist() == [[1, 0]]


def test_edges_that_do_not_wrap_leave_no_mark_on_minkowski_functionals():
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32), (1, 32, 32))
    found = np.asarray(statistics.minkowski_functionals(ramp, edges=[-0.5, 31.5], boundary="drop"))
    # Slope 1 everywhere, spread over a bin of width 32, and no curvature; V0 counts 16, 17, ... 29 of 2 ... 29.
    np.testing.assert_allclose(found[0, :, 0], [14 / 28, 0.25 / 32, 0.0], atol=1e-7)


def test_histogram_adds_up_to_the_share_of_pixels_inside():
    kappa = some_maps()
    found = np.asarray(statistics.pixel_histogram(kappa, edges=EDGES))
    assert found.shape == (6, 2, 10)
    expected = np.stack([[np.histogram(m, EDGES)[0] for m in pair] for pair in kappa]) / 64**2
    np.testing.assert_allclose(found, expected, atol=1e-7)


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="LensTools 1.2 cannot be built above Python 3.11")
def test_lenstools_finds_the_same_in_the_same_maps():
    import lenstools_reference as lenstools

    kappa = some_maps()
    spectra = np.asarray(statistics.power_spectrum(kappa, side=SIDE, ell_edges=ELL_EDGES))
    peaks = np.asarray(statistics.peak_counts(kappa, edges=EDGES))
    functionals = np.asarray(statistics.minkowski_functionals(kappa, edges=EDGES))
    for m in range(len(kappa)):
        for pair, (i, j) in enumerate(statistics.pairs(2)):
            expected = lenstools.power_spectrum(kappa[m, i], kappa[m, j], SIDE, ELL_EDGES)
            np.testing.assert_allclose(spectra[m, pair], expected, rtol=1e-4)
        for i in range(2):
            np.testing.assert_allclose(peaks[m, i], lenstools.peak_counts(kappa[m, i], EDGES), atol=1e-6)
            expected = lenstools.minkowski_functionals(kappa[m, i], EDGES)
            scale = np.abs(expected).max(axis=1, keepdims=True)
            np.testing.assert_allclose(functionals[m, i] / scale, expected / scale, atol=1e-4)


# --- properties -----------------------------------------------------------------------------------------------------

STATISTICS = {
    "power spectrum": functools.partial(statistics.power_spectrum, side=SIDE, ell_edges=ELL_EDGES),
    "peaks": functools.partial(statistics.peak_counts, edges=EDGES),
    "minima": functools.partial(statistics.minima_counts, edges=EDGES),
    "Minkowski": functools.partial(statistics.minkowski_functionals, edges=EDGES),
    "histogram": functools.partial(statistics.pixel_histogram, edges=EDGES),
}
REAL_SPACE = [name for name in STATISTICS if name != "power spectrum"]


@pytest.mark.parametrize("name", STATISTICS)
@settings(max_examples=15, deadline=None)
@given(dy=st.integers(0, 63), dx=st.integers(0, 63), flip=st.sampled_from([(), (-1,), (-2,), (-1, -2)]))
def test_statistics_do_not_know_where_a_periodic_map_begins(name, dy, dx, flip):
    kappa = some_maps()[0]
    moved = np.flip(np.roll(kappa, (dy, dx), (-2, -1)), flip)
    before, after = np.asarray(STATISTICS[name](kappa)), np.asarray(STATISTICS[name](moved))
    np.testing.assert_allclose(after, before, rtol=2e-4, atol=2e-5 * np.abs(before).max())


@pytest.mark.parametrize("name", ["peaks", "minima", "Minkowski", "histogram"])
@settings(max_examples=10, deadline=None)
@given(power=st.integers(-6, 6))
def test_units_of_kappa_do_not_matter_when_the_edges_follow(name, power):
    kappa, factor = some_maps()[0], 2.0**power
    before = np.asarray(STATISTICS[name](kappa))
    after = np.asarray(STATISTICS[name].func(factor * kappa, edges=factor * EDGES))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-7)


@settings(max_examples=25, deadline=None)
@given(npst.arrays(np.float32, (2, 1, 6, 6), elements=st.floats(-1, 1, width=32)))
def test_every_peak_of_a_map_falls_into_one_bin(kappa):
    around = [np.roll(kappa, (dy, dx), (-2, -1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    expected = (kappa > np.max(around, axis=0)).sum(axis=(-1, -2))
    assert (
        np.asarray(statistics.peak_counts(kappa, edges=[-1.5, -0.1, 0.2, 1.5])).sum(axis=-1).tolist()
        == expected.tolist()
    )


@pytest.mark.parametrize("name", STATISTICS)
def test_maps_of_a_batch_do_not_see_each_other(name):
    kappa = jnp.asarray(some_maps())
    together = np.asarray(STATISTICS[name](kappa))
    one_by_one = np.stack([STATISTICS[name](m) for m in kappa])
    nested = np.asarray(STATISTICS[name](kappa.reshape(2, 3, 2, 64, 64))).reshape(together.shape)
    mapped = np.asarray(jax.jit(jax.vmap(STATISTICS[name]))(kappa))
    for other in (one_by_one, nested, mapped):
        np.testing.assert_allclose(other, together, rtol=1e-4, atol=1e-5 * np.abs(together).max())


@pytest.mark.parametrize("name", STATISTICS)
def test_an_empty_batch_gives_an_empty_answer(name):
    found = STATISTICS[name](np.zeros((0, 2, 64, 64), np.float32))
    assert found.shape == (0, *STATISTICS[name](some_maps()).shape[1:])


@pytest.mark.parametrize("name", STATISTICS)
def test_integers_are_numbers_too(name):
    kappa = np.round(2 * some_maps()[0]).astype(np.int32)
    np.testing.assert_array_equal(STATISTICS[name](kappa), STATISTICS[name](kappa.astype(np.float32)))


@pytest.mark.parametrize("name", REAL_SPACE)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (48, 32)])
def test_maps_may_be_oblong_or_a_single_pixel(name, shape):
    kappa = np.ascontiguousarray(some_maps()[0, :, : shape[0], : shape[1]])
    turned = np.ascontiguousarray(np.swapaxes(kappa, -1, -2))
    found = np.asarray(STATISTICS[name](kappa))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(STATISTICS[name](turned), found, rtol=1e-4, atol=1e-5)


def test_slope_of_the_spectrum_is_what_finite_differences_say():
    kappa, direction = jnp.asarray(some_maps()[0]), jnp.asarray(some_maps()[1])

    def total(amount):
        return jnp.sum(STATISTICS["power spectrum"](kappa + amount * direction)) * 1e5

    difference = (total(0.05) - total(-0.05)) / 0.1  # exact: the spectrum is quadratic in kappa
    np.testing.assert_allclose(jax.grad(total)(0.0), difference, rtol=1e-3)


def test_slope_of_the_boundary_length_is_what_finite_differences_say():
    kappa, direction = jnp.asarray(some_maps()[0]), jnp.asarray(some_maps()[1])

    def length(amount):  # one bin that holds every pixel, so that none crosses an edge
        return statistics.minkowski_functionals(kappa + amount * direction, edges=[-50.0, 50.0])[:, 1].sum()

    difference = (length(0.01) - length(-0.01)) / 0.02
    np.testing.assert_allclose(jax.grad(length)(0.0), difference, rtol=1e-2)
    flat = jax.grad(lambda k: statistics.minkowski_functionals(k, edges=[-1.0, 1.0]).sum())(jnp.zeros((1, 8, 8)))
    assert np.isfinite(flat).all()


# --- measure --------------------------------------------------------------------------------------------------------

SURVEY = {"side": SIDE, "n_gal": 30.0, "sigma_e": 0.4, "smoothing": 3.0, "seed": 5}


def test_measured_noise_does_not_depend_on_the_batch():
    kappa = 0.01 * some_maps()
    edges = {"peaks": np.linspace(-0.03, 0.05, 6), "Minkowski": np.linspace(-0.02, 0.03, 4)}
    whole = statistics.measure(kappa, **SURVEY, ell_edges=ELL_EDGES, edges=edges)
    pieces = statistics.measure(kappa, **SURVEY, ell_edges=ELL_EDGES, edges=edges, batch=4)
    first = statistics.measure(kappa[:4], **SURVEY, ell_edges=ELL_EDGES, edges=edges)
    assert {name: values.shape for name, values in whole.items()} == {
        "power spectrum": (6, 3 * 8),
        "peaks": (6, 2 * 5),
        "Minkowski": (6, 2 * 3 * 3),
    }
    for name, values in whole.items():
        np.testing.assert_allclose(pieces[name], values, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(first[name], values[:4], rtol=1e-4, atol=1e-9)


def test_measured_maps_are_noisy_then_smooth():
    flat = np.zeros((64, 1, 64, 64), np.float32)
    settings = SURVEY | {"ell_edges": ELL_EDGES, "edges": EDGES}
    found = statistics.measure(flat, **settings | {"smoothing": 0.0})["power spectrum"].mean(axis=0)
    noise = 0.4**2 / (2 * 30.0) * math.radians(1 / 60) ** 2
    np.testing.assert_allclose(found[1:], noise, rtol=0.1)  # the first bin has too few modes
    smoothed = statistics.measure(flat, **settings)["power spectrum"].mean(axis=0)
    window = np.exp(-((np.sqrt(ELL_EDGES[1:] * ELL_EDGES[:-1]) * math.radians(3.0 / 60)) ** 2))
    np.testing.assert_allclose(smoothed / found, window, atol=0.03)
    clean = statistics.measure(0.01 * some_maps(), **settings | {"sigma_e": 0, "smoothing": 0})
    direct = statistics.power_spectrum(0.01 * some_maps(), side=SIDE, ell_edges=ELL_EDGES)
    np.testing.assert_allclose(clean["power spectrum"], np.asarray(direct).reshape(6, -1), rtol=1e-4)


def test_a_degradation_acts_between_noise_and_smoothing():
    settings = SURVEY | {"ell_edges": ELL_EDGES, "edges": EDGES}
    gone = statistics.measure(some_maps(), **settings, transform=lambda kappa, *, key: 0 * kappa)
    assert not gone["power spectrum"].any()


def test_bins_follow_the_spread_of_the_observed_maps():
    bins = {"ell_bins": 6, "peak_bins": 9, "minkowski_bins": 5}
    keywords = {name: value for name, value in SURVEY.items() if name != "seed"}
    small, large = (statistics.binning(f * some_maps(), **keywords, **bins, seed=1) for f in (0.05, 0.1))
    assert large["sigma"] == pytest.approx(2 * small["sigma"], rel=0.02)
    np.testing.assert_allclose(np.diff(small["edges"]["peaks"])[:-1], 3 * small["sigma"] / 8, rtol=1e-2)
    assert len(small["ell_edges"]) == 7 and len(small["edges"]["Minkowski"]) == 6


# --- error paths ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_broken_pixels_are_counted_and_refused(name, bad):
    kappa = some_maps().copy()
    kappa[0, 0, 3, 4] = kappa[2, 1, 0, 0] = bad
    with pytest.raises(ValueError, match=r"^kappa: 2 of 49152 pixels are NaN or infinite: all must be finite$"):
        STATISTICS[name](kappa)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([1.0], r"^edges of shape \(1,\): must be a list of at least 2 bin edges$"),
        ([], r"^edges of shape \(0,\): must be a list of at least 2 bin edges$"),
        ([0.0, 2.0, 1.0], r"^edges\[1:3\] = \[2.0, 1.0\]: must increase$"),
        ([0.0, 0.0], r"^edges\[0:2\] = \[0.0, 0.0\]: must increase$"),
        ([0.0, np.nan, 1.0], r"^edges = \[0.0, nan, 1.0\]: must be finite$"),
    ],
)
@pytest.mark.parametrize("name", STATISTICS)
def test_edges_out_of_order_are_named(name, edges, message):
    keyword = {"ell_edges": edges, "side": SIDE} if name == "power spectrum" else {"edges": edges}
    if name == "power spectrum":
        message = message.replace("^edges", "^ell_edges")
    with pytest.raises(ValueError, match=message):
        STATISTICS[name].func(some_maps(), **keyword)


@pytest.mark.parametrize(
    ("shape", "keywords", "message"),
    [
        ((1, 1, 64, 32), {}, r"^kappa of shape \(1, 1, 64, 32\): a power spectrum needs square maps"),
        ((1, 1, 64, 64), {"side": -3.5}, r"^side = -3.5: must be > 0 \[deg\]$"),
        ((1, 1, 1, 1), {}, r"^ell_edges: no mode of 1 x 1 pixels over 3.5 deg lies in 200 < ell <="),
        ((1, 1, 64, 64), {"ell_edges": [10.0, 20.0, 300.0]}, r"^ell_edges: no mode .* lies in 10 < ell <= 20$"),
    ],
)
def test_maps_without_a_spectrum_are_refused(shape, keywords, message):
    with pytest.raises(ValueError, match=message):
        STATISTICS["power spectrum"](np.zeros(shape, np.float32), **keywords)


def test_maps_smaller_than_their_border_are_refused():
    with pytest.raises(ValueError, match=r'^kappa of shape \(1, 4, 9\): boundary = "drop" needs 5 x 5 pixels or more$'):
        statistics.minkowski_functionals(np.zeros((1, 4, 9), np.float32), edges=EDGES, boundary="drop")
    with pytest.raises(ValueError, match=r'^boundary = \'wrap\': must be one of "periodic", "drop"$'):
        statistics.peak_counts(np.zeros((1, 8, 8), np.float32), edges=EDGES, boundary="wrap")


def test_bins_of_nothing_are_refused():
    keywords = {name: value for name, value in SURVEY.items() if name != "seed"}
    bins = {"ell_bins": 6, "peak_bins": 9, "minkowski_bins": 5}
    with pytest.raises(ValueError, match=r"^peak_bins = 1: must be >= 2$"):
        statistics.binning(some_maps(), **keywords, **bins | {"peak_bins": 1}, seed=1)
    with pytest.raises(ValueError, match=r"^kappa: the observed maps are constant"):
        statistics.binning(0 * some_maps(), **keywords | {"sigma_e": 0}, **bins, seed=1)


def test_measure_names_what_it_cannot_use():
    settings = SURVEY | {"ell_edges": ELL_EDGES, "edges": EDGES}
    with pytest.raises(ValueError, match=r"^batch = 0: must be >= 1$"):
        statistics.measure(some_maps(), **settings, batch=0)
    with pytest.raises(ValueError, match=r"^edges = \['peaks'\]: \['Minkowski'\] is missing$"):
        statistics.measure(some_maps(), **settings | {"edges": {"peaks": EDGES}})
    with pytest.raises(ValueError, match=r"^n_gal = -1.0: must be > 0"):
        statistics.measure(some_maps(), **settings | {"n_gal": -1.0})
