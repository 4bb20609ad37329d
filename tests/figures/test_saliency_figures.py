"""Figures of chapter 4: means over maps stand where they belong, with their standard errors."""

import numpy as np

from wlbook.figures import saliency


def drawn(container) -> tuple[np.ndarray, np.ndarray]:
    """Points of an errorbar, and the lengths of its bars to one side."""
    points, _, (bars,) = container.lines
    lengths = [np.ptp(segment, axis=0).max() for segment in bars.get_segments()]
    return points.get_xydata(), np.array(lengths) / 2


def test_a_cascade_shows_the_mean_over_maps_at_each_depth():
    falls = {"one": np.array([[0.5, 0.7], [0.0, 0.2]]), "two": np.array([[1.0, 1.0], [0.3, 0.1]])}
    (axis,) = saliency.cascade(falls, (1, 8), reference=0.4).axes
    for container, means, errors in zip(axis.containers, ([0.6, 1.0], [0.1, 0.2]), ([0.1, 0], [0.1, 0.1]), strict=True):
        points, error = drawn(container)
        np.testing.assert_allclose(points, [[means[0], 0], [means[1], 1]])
        np.testing.assert_allclose(error, errors, atol=1e-12)
    assert [text.get_text() for text in axis.get_yticklabels()] == ["one", "two"]
    assert [0.4, 0.4] in [list(line.get_xdata()) for line in axis.lines], "what the map alone gives"


def test_spectra_are_means_over_maps_with_standard_errors():
    ell = np.array([300.0, 600.0])
    own, cross = np.array([[1.0, 2.0], [3.0, 2.0]]), np.array([[0.2, -0.4], [0.4, 0.0]])
    profiles = {("noisy", "peaks"): (np.array([2.0, 1.0]), np.array([0.1, 0.1]))}
    figure = saliency.shape(np.array([1.0, 2.0]), profiles, ell, {"noisy": (own, cross)})
    weight = ell * (ell + 1) / (2 * np.pi)
    points, error = drawn(figure.axes[1].containers[0])
    np.testing.assert_allclose(points, np.column_stack([ell, weight * [2, 2]]))
    np.testing.assert_allclose(error, weight * [1, 0])  # a standard deviation of sqrt 2, over sqrt 2
    points, error = drawn(figure.axes[2].containers[0])
    np.testing.assert_allclose(points, np.column_stack([ell, [0.3, -0.2]]))
    np.testing.assert_allclose(error, [0.1, 0.2])
