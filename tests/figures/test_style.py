import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from wlbook.figures import style


def test_all_panels_share_one_scale_that_covers_the_maps():
    images = [np.full((8, 8), 0.1) + 0.01 * np.arange(8), np.full((8, 8), -0.2)]
    figure = style.map_panels(images, ["a", "b"], side=3.5)
    scales = {axis.images[0].get_clim() for axis in figure.axes if axis.images}
    assert len(scales) == 1
    (low, high) = scales.pop()
    assert low == pytest.approx(-0.2)
    assert 0.1 < high <= 0.17


def test_an_unfinished_row_of_panels_shows_no_empty_axes():
    figure = style.map_panels([np.eye(4)] * 4, list("abcd"), side=1.0, columns=3)
    assert sum(axis.get_visible() and bool(axis.images) for axis in figure.axes) == 4


def test_every_density_is_named_and_drawn_where_it_is():
    omega_m, sigma_8 = np.linspace(0.1, 0.5, 41), np.linspace(0.5, 1.1, 61)
    density = np.exp(-(((omega_m[:, None] - 0.3) / 0.05) ** 2) - ((sigma_8[None] - 0.9) / 0.05) ** 2)
    density = xr.DataArray(density, {"omega_m": omega_m, "sigma_8": sigma_8})
    _, axis = plt.subplots()
    levels = {"peaks": [0.3], "network": [0.3]}
    style.contours(axis, {"peaks": density, "network": density}, levels=levels, truth=(0.3, 0.9))
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["peaks", "network", "truth"]
    vertices = np.concatenate([path.vertices for path in axis.collections[0].get_paths()])
    np.testing.assert_allclose(vertices.mean(axis=0), [0.3, 0.9], atol=0.01)


def test_an_axis_in_ell_has_plain_numbers_at_the_ticks_that_lie_on_it():
    figure, axis = plt.subplots()
    axis.set(xscale="log", xlim=(150, 2500))
    style.ell_axis(axis)
    figure.canvas.draw()
    assert [text.get_text() for text in axis.get_xticklabels()] == ["200", "500", "1000", "2000"]
    assert not any(text.get_text() for text in axis.get_xticklabels(minor=True))


def test_a_signed_map_alone_keeps_its_scale_and_its_degrees():
    _, axis = plt.subplots()
    shown = style.signed_field(axis, np.linspace(-1, 3, 64).reshape(8, 8), 3.5)
    low, high = shown.get_clim()
    assert low == -high and 2.9 < high <= 3
    assert tuple(shown.get_extent()) == (0, 3.5, 0, 3.5)
