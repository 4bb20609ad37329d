"""Figures of chapter 6 that count or scale: the error of the emulator in a survey, and coverage."""

import numpy as np
import pytest
import xarray as xr

from wlbook import inference
from wlbook.figures import constraints


class Told(inference.Emulator):
    """An emulator whose errors are given."""

    def __init__(self, errors):
        self.errors = xr.DataArray(errors, dims=("model", "bin"))

    def leave_one_out(self):
        return self.errors


def test_the_emulators_error_is_a_root_mean_square_that_grows_with_the_survey():
    told = {"peaks": Told([[0.3, 0.0], [0.4, np.nan]]), "network": Told([[0.1], [-0.1]])}
    (axis,) = constraints.emulator_figure(told, 4.0).axes
    peaks, network = axis.lines[:2]
    np.testing.assert_allclose(peaks.get_xydata(), [[0, 2 * np.sqrt(0.125)], [1, 0]])  # a model without one is left out
    np.testing.assert_allclose(network.get_xydata(), [[2, 0.2]])


def test_coverage_is_the_share_of_regions_that_hold_the_truth_within_three_binomial_errors():
    held = {"surveys": np.array([0.1, 0.6, 0.7, 0.9]), "maps": np.full(4, 0.67), "ideal": np.full(4, 0.69)}
    (axis,) = constraints.coverage_figure({"peaks": held}).axes
    for container, share in zip(axis.containers, (0.5, 1.0, 0.0), strict=True):
        point, _, (bar,) = container.lines
        assert point.get_xdata()[0] == share
        assert np.ptp(bar.get_segments()[0][:, 0]) == pytest.approx(2 * 3 * np.sqrt(0.68 * 0.32 / 4))
