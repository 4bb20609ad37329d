"""Figures of chapter 2 that look into a map: what they mark in it is there."""

import numpy as np

from wlbook.figures import statistics


def test_circles_stand_on_peaks_and_squares_on_minima_larger_for_higher_ones():
    image = np.zeros((16, 16), np.float32)
    image[4, 7], image[0, 0], image[10, 2], image[9, 9] = 3.0, 2.0, 0.5, -4.0
    image[15, 15] = 2.5  # higher than its neighbour (0, 0), where the edges wrap
    figure = statistics.heights(image, image, sigma=1.0, side=8.0, titles=["waves", "peaks", "parts"])
    circles, squares = figure.axes[1].collections
    # Half a degree a pixel, marked in its middle; 0.5 is below one standard deviation, and flat zeros are no peaks.
    np.testing.assert_allclose(circles.get_offsets(), [[3.75, 2.25], [7.75, 7.75]])
    np.testing.assert_allclose(squares.get_offsets(), [[4.75, 4.75]])
    np.testing.assert_allclose([*circles.get_sizes(), *squares.get_sizes()], [75, 62.5, 100])


def test_the_strength_of_waves_is_their_root_mean_square_where_they_are():
    x = np.arange(64)
    small = np.where(x[:, None] < 32, 3 * np.cos(2 * np.pi * x / 4), 0).astype(np.float32)  # in the lower half only
    image = np.random.default_rng(1).normal(0.5, 2.0, size=(64, 64)).astype(np.float32)
    heights, strength, _ = statistics.beyond(image, image, small, sigma=2.0, side=3.5).axes
    found = np.asarray(strength.images[0].get_array())
    np.testing.assert_allclose(found[8:24].mean(axis=1), 3 / np.sqrt(2), rtol=0.02)
    assert found[40:56].max() < 0.01
    # Bars are shares for each unit of height, and the dashed line is the Gaussian of the pixels' own mean and width.
    shares = [0.4 * bar.get_height() for bar in heights.patches]
    np.testing.assert_allclose(shares, np.histogram(image / 2, np.arange(-4, 5.6, 0.4))[0] / 4096, atol=1e-3)
    heights_at, density = heights.lines[0].get_data()
    np.testing.assert_allclose(density, np.exp(-((heights_at - 0.25) ** 2) / 2) / np.sqrt(2 * np.pi), atol=0.02)
