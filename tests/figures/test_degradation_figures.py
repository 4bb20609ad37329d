"""Figures of chapter 5: the gain for each e-fold of scale, and its error."""

import numpy as np

from wlbook.figures import degradation
from wlbook.inference.figure_of_merit import Remaining


def test_the_gain_of_an_e_fold_has_the_errors_of_both_its_ends():
    cuts = [100.0, 200.0, 800.0]
    logs = np.log(cuts) - np.log(50)

    def left(values):
        pairs = np.stack([values, 2 * values], axis=1)
        errors = np.array([[0.3, 0.6], [0.4, 0.8], [0.0, 0.0]])
        return [Remaining(one, error, one[None], False) for one, error in zip(pairs, errors, strict=True)]

    curves = {"low pass": (cuts, left(logs)), "high pass": (cuts, left(-logs))}  # one gains as the other loses
    figure = degradation.scales(curves, {}, length=5000.0, nonlinear=400.0, trusted=1500.0)
    for axis, times in ((figure.axes[1], 1), (figure.axes[3], 2)):
        assert len(axis.containers) == 2
        for container in axis.containers:
            points, _, (bars,) = container.lines
            np.testing.assert_allclose(points.get_xydata(), [[2**0.5 * 100, times], [400, times]])
            error = [np.ptp(segment[:, 1]) / 2 for segment in bars.get_segments()]
            np.testing.assert_allclose(error, [times * 0.5 / np.log(2), times * 0.4 / np.log(4)])
