"""Summary statistics against what is known: Gaussian fields, planted peaks, LensTools."""

import itertools
import math
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fields import EDGES, ELL_EDGES, SIDE, gaussian_maps, red_power, smooth_power, some_maps
from scipy import ndimage

from wlbook import statistics
from wlbook.common import random


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


def test_spectrum_without_edges_is_that_of_the_field_the_map_was_cut_from():
    def power(ell):
        return 1e-9 * (1000.0 / np.maximum(ell, 1.0)) ** 2

    field = gaussian_maps(power, maps=100, pixels=192, side=3 * SIDE)
    kappa = field.reshape(100, 1, 3, 64, 3, 64).transpose(0, 2, 4, 1, 3, 5).reshape(900, 1, 64, 64)
    edges = np.geomspace(350.0, 3000.0, 6)
    truth = np.asarray(statistics.power_spectrum(field, side=3 * SIDE, ell_edges=edges)).mean(axis=(0, 1))
    dropped, wrapped = (
        np.asarray(statistics.power_spectrum(kappa, side=SIDE, ell_edges=edges, boundary=boundary)).mean(axis=(0, 1))
        for boundary in ("drop", "periodic")
    )
    np.testing.assert_allclose(dropped, truth, rtol=0.03)
    # Where the edges meet there is a jump: what large scales have leaks to small ones.
    assert wrapped[-1] / truth[-1] - 1 > max(0.05, 3 * abs(dropped[-1] / truth[-1] - 1))


def test_bispectrum_of_a_squared_field_is_its_third_cumulant():
    white = jax.random.normal(random.key(4), (400, 1, 32, 32))
    kappa = white + 0.3 * (white**2 - 1)
    found = np.asarray(statistics.bispectrum(kappa, side=SIDE, ell_edges=[150.0, 300.0, 600.0, 1000.0]))[:, 0]
    expected = (6 * 0.3 + 8 * 0.3**3) * (math.radians(SIDE) / 32) ** 4
    error = found.std(axis=0) / 20
    np.testing.assert_array_less(np.abs(found.mean(axis=0) - expected), 4 * error)
    assert (error < 0.4 * expected).all()
    gaussian = np.asarray(statistics.bispectrum(white, side=SIDE, ell_edges=[150.0, 300.0, 600.0, 1000.0]))[:, 0]
    np.testing.assert_array_less(np.abs(gaussian.mean(axis=0)), 4 * gaussian.std(axis=0) / 20)


def test_bispectrum_is_the_mean_over_triangles_counted_one_by_one():
    n, per_mode = 12, 360.0 / SIDE
    edges = np.array([0.5, 1.5, 2.5, 3.5]) * per_mode
    kappa = np.random.default_rng(5).normal(size=(1, n, n)).astype(np.float32)
    waves = np.fft.fft2(kappa[0])
    numbers = np.fft.fftfreq(n, 1 / n).astype(int)
    plane = [(y, x) for y in numbers for x in numbers]
    bin_of = {k: int(np.searchsorted(edges, per_mode * math.hypot(*k))) - 1 for k in plane}
    sides = [(0, 0, 0), (1, 1, 1), (0, 1, 1), (0, 1, 2)]
    sums, counts = dict.fromkeys(sides, 0.0), dict.fromkeys(sides, 0)
    for first, second in itertools.product(plane, plane):
        third = (-first[0] - second[0], -first[1] - second[1])
        key = (bin_of[first], bin_of[second], bin_of.get(third, -1))
        if key in sums:
            sums[key] += (waves[first] * waves[second] * waves[third]).real
            counts[key] += 1
    found = np.asarray(statistics.bispectrum(kappa, side=SIDE, ell_edges=edges, sides=sides))[0]
    expected = [sums[s] / counts[s] * math.radians(SIDE) ** 4 / n**6 for s in sides]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_moments_of_known_distributions():
    white = jax.random.normal(random.key(6), (200, 1, 64, 64))
    found = np.asarray(statistics.moments(white)).mean(axis=(0, 1))
    # Independent pixels: central differences give <g^2> = 1, and every connected S and K is zero.
    np.testing.assert_allclose(found, [1, 1, 0, 0, 0, 0, 0, 0, 0], atol=0.02)
    squared = np.asarray(statistics.moments(white**2)).mean(axis=(0, 1))
    np.testing.assert_allclose(squared[[0, 2, 5]], [2, 8, 48], rtol=0.05)  # cumulants of chi^2


def test_starlet_coefficients_are_convolutions_with_the_spline_and_its_spread_copies():
    kappa, spline = some_maps()[0], np.array([1, 4, 6, 4, 1]) / 16
    for boundary, mode in (("periodic", "wrap"), ("reflect", "mirror")):
        found = np.asarray(statistics.starlet(kappa, scales=4, boundary=boundary))
        np.testing.assert_allclose(found.sum(axis=1), kappa, atol=2e-6)
        smooth = kappa.astype(np.float64)
        for scale in range(4):
            spread = np.zeros(4 * 2**scale + 1)
            spread[:: 2**scale] = spline
            rows = ndimage.convolve1d(smooth, spread, axis=-1, mode=mode)
            wider = ndimage.convolve1d(rows, spread, axis=-2, mode=mode)
            np.testing.assert_allclose(found[:, scale], smooth - wider, atol=2e-6)
            smooth = wider
        np.testing.assert_allclose(found[:, 4], smooth, atol=2e-6)


def test_starlet_noise_is_what_white_noise_leaves_on_each_scale():
    found = statistics.starlet_noise(4)
    np.testing.assert_allclose(found[:4], [0.8907, 0.2007, 0.0856, 0.0413], rtol=2e-3)  # Starck & Murtagh 2006
    white = jax.random.normal(random.key(7), (100, 1, 64, 64))
    measured = np.asarray(statistics.starlet(white, scales=4)).std(axis=(0, 1, 3, 4))
    np.testing.assert_allclose(measured, found, rtol=0.03)


def test_starlet_peaks_and_l1_are_those_of_the_coefficients():
    kappa, units = some_maps(), [1.0, 0.5, 0.3, 0.7]
    found = np.asarray(statistics.starlet_peaks(kappa, edges=EDGES, scales=3, units=units, boundary="reflect"))
    norms = np.asarray(statistics.starlet_l1(kappa, edges=EDGES, scales=3, units=units))
    for boundary in ("reflect", "periodic"):
        details = np.asarray(statistics.starlet(kappa, scales=3, boundary=boundary)) / np.reshape(units, (4, 1, 1))
        for m, b, j in np.ndindex(6, 2, 4):
            heights = details[m, b, j].astype(np.float64)
            if boundary == "reflect":  # outermost pixels are no peaks
                expected = statistics.peak_counts(details[m, b, j][None], edges=EDGES, boundary="drop")[0]
                np.testing.assert_array_equal(found[m, b, j], expected)
            else:
                expected = np.histogram(heights, EDGES, weights=np.abs(heights))[0] / heights.size
                np.testing.assert_allclose(norms[m, b, j], expected, rtol=1e-4, atol=1e-6)


def test_scattering_coefficients_are_those_of_wavelets_written_down_in_pixels():
    n, scales, angles = 32, 3, 2
    kappa = some_maps()[0, 0, :n, :n].astype(np.float64)
    steps = np.arange(-3 * n, 3 * n)
    y, x = np.meshgrid(steps, steps, indexing="ij")

    def moduli(image, j):  # of the convolutions with one scale's wavelets, [angle, y, x]
        found, slant, width, wave = [], 4 / angles, 0.8 * 2**j, 0.75 * math.pi / 2**j
        for angle in (math.pi * turn / angles for turn in range(angles)):
            along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
            envelope = np.exp(-(along**2 + (slant * across) ** 2) / 2 / width**2) * slant / (2 * math.pi * width**2)
            wavelet = envelope * (np.exp(1j * wave * along) - np.exp(-((width * wave) ** 2) / 2))
            folded = wavelet.reshape(6, n, 6, n).sum(axis=(0, 2))  # edges wrap
            found.append(np.abs(np.fft.ifft2(np.fft.fft2(image) * np.fft.fft2(folded))))
        return np.stack(found)

    first = [moduli(kappa, j) for j in range(scales)]
    expected = [modulus.mean() for modulus in first]
    for j in range(scales):
        expected += [np.mean([moduli(modulus, k).mean() for modulus in first[j]]) for k in range(j + 1, scales)]
    found = statistics.scattering_transform(kappa[None], scales=scales, angles=angles)
    np.testing.assert_allclose(found[0], expected, rtol=3e-3)  # ours takes wide moduli on fewer pixels


def test_scattering_tells_structures_from_their_spectrum():
    noise = gaussian_maps(red_power, maps=64, pixels=64)
    lumpy = jnp.exp(2 * noise / noise.std())
    amplitude = jnp.abs(jnp.fft.rfft2(lumpy))
    phases = jnp.exp(1j * jnp.angle(jnp.fft.rfft2(jax.random.normal(random.key(8), lumpy.shape))))
    same_spectrum = jnp.fft.irfft2(amplitude * phases)
    first, second = (np.asarray(statistics.scattering_transform(m)).mean(axis=(0, 1)) for m in (lumpy, same_spectrum))
    assert (first[:4] < 0.8 * second[:4]).all()  # sparse: less in the mean of the modulus, for the same mean square
    assert (first[4:] / first[[0, 0, 0, 1, 1, 2]] > 1.2 * second[4:] / second[[0, 0, 0, 1, 1, 2]]).all()


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="LensTools 1.2 cannot be built above Python 3.11")
def test_lenstools_finds_the_same_in_the_same_maps():
    import lenstools_reference as lenstools

    kappa = some_maps()
    spectra = np.asarray(statistics.power_spectrum(kappa, side=SIDE, ell_edges=ELL_EDGES))
    peaks = np.asarray(statistics.peak_counts(kappa, edges=EDGES))
    functionals = np.asarray(statistics.minkowski_functionals(kappa, edges=EDGES))
    nine = np.asarray(statistics.moments(kappa))
    for m in range(len(kappa)):
        for pair, (i, j) in enumerate(statistics.pairs(2)):
            expected = lenstools.power_spectrum(kappa[m, i], kappa[m, j], SIDE, ELL_EDGES)
            np.testing.assert_allclose(spectra[m, pair], expected, rtol=1e-4)
        for i in range(2):
            np.testing.assert_allclose(peaks[m, i], lenstools.peak_counts(kappa[m, i], EDGES), atol=1e-6)
            expected = lenstools.minkowski_functionals(kappa[m, i], EDGES)
            scale = np.abs(expected).max(axis=1, keepdims=True)
            np.testing.assert_allclose(functionals[m, i] / scale, expected / scale, atol=1e-4)
            expected = lenstools.moments(kappa[m, i] - kappa[m, i].astype(np.float64).mean())
            np.testing.assert_allclose(nine[m, i], expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("pixels", [8, 16, 32, 64])
def test_bins_in_ell_are_fewer_where_one_would_hold_no_mode(pixels):
    edges = statistics.bins_in_ell(0.99 * 360 / SIDE, pixels, SIDE, 10)
    modes = np.hypot(*np.meshgrid(np.arange(pixels // 2 + 1), np.arange(pixels // 2 + 1))) * 360 / SIDE
    counts, _ = np.histogram(modes, np.array(edges) + 1e-9)
    assert (counts > 0).all() and edges[-1] == pytest.approx(180 * pixels / SIDE)
    assert (len(edges) == 11) == (pixels >= 32)
