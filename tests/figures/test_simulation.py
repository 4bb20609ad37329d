"""Figures of the chapter on data show what they were given, where it belongs."""

import numpy as np
import pytest

from wlbook.figures import simulation
from wlbook.simulation import lens_planes
from wlbook.simulation.cosmology import Cosmology

ELL = np.array([150.0, 300.0, 600.0, 1200.0])


def test_the_field_is_as_wide_as_its_angle_at_the_source():
    cone = lens_planes.light_cone(Cosmology(0.26, 0.8), box=240.0, steps=6, source_redshift=1.0)
    weight = np.ones((len(cone.distance), 2))
    figure = simulation.light_cone(cone, weight, box=240.0, side=3.5, far=2000.0)
    corners = figure.axes[1].collections[0].get_paths()[0].vertices
    width = np.ptp(corners[corners[:, 0] == 2000.0, 1])
    assert width == pytest.approx(2 * 2000 * np.tan(np.deg2rad(1.75)))
    assert len(figure.axes[1].patches) == 9, "boxes of 240 Mpc/h that cover 2000"


def test_the_part_of_a_plane_that_a_map_sees_is_drawn_to_scale():
    figure = simulation.plane_and_map(np.eye(8), np.eye(4), box=240.0, side=3.5, width=80.0)
    (square,) = figure.axes[0].patches
    assert (square.get_x(), square.get_width(), square.get_height()) == (80.0, 80.0, 80.0)
    extents = [tuple(axis.images[0].get_extent()) for axis in figure.axes[:2]]
    assert extents == [(0, 240.0, 0, 240.0), (0, 3.5, 0, 3.5)]


def test_axes_in_ell_have_numbers_and_mark_what_is_trusted():
    error = (np.ones(4), np.full(4, 0.1))
    figures = [
        simulation.spectrum_against_theory(ELL, error, np.ones(4), np.ones((3, 4)), error, trusted_ell=500.0),
        simulation.ladder(ELL, {"half": np.ones(4)}, trusted_ell=500.0, means={"wider": error}),
        simulation.independent_maps(ELL, np.ones(4), made=8.0),
    ]
    for figure in figures:
        assert [text.get_text() for text in figure.axes[-1].get_xticklabels()] == ["200", "500", "1000"]
        assert figure.axes[-1].get_xlabel() == "ell" and figure.axes[0].get_ylabel()
    for figure in figures[:2]:
        assert any(list(line.get_xdata()) == [500.0, 500.0] for line in figure.axes[0].lines)
    assert [text.get_text() for text in figures[1].axes[0].get_legend().get_texts()] == ["half", "wider"]


def test_a_ladder_without_rungs_is_an_empty_figure():
    (axis,) = simulation.ladder(ELL, {}, trusted_ell=300.0, means={}).axes
    assert axis.get_legend() is None and axis.get_ylim() == (0.5, 1.6)
