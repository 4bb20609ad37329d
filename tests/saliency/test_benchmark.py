"""All methods side by side: each answer stands under its own name, each correlation at its own depth."""

import jax
import numpy as np
import pytest
from scipy import stats
from test_relevance import FLAT, Net, compact, dense, key, maps

from wlbook import saliency
from wlbook.network.layers import ReLU
from wlbook.saliency import sanity


def test_every_method_of_the_gallery_stands_under_its_own_name():
    # As in `test_relevance`: h = (x1 + 2 x2, x1 - 3 x2, -x1 + 4 x2), output 2 h1 + 5 h2 - h3; x3 and x4 count nothing.
    model = Net((*FLAT, dense([[1, 1, -1], [2, -3, 4], [0, 0, 0], [0, 0, 0]]), ReLU(), dense([[2], [5], [-1]])))
    kappa = np.array([2, 1, 0, 0], np.float32).reshape(1, 1, 2, 2)  # h = (4, 0, 2), output 6
    methods = saliency.suite(sigma=0.0, others=0 * kappa, steps=4, square=1)
    found = saliency.attributions(methods, model, kappa, 0, key=key())
    on_paper = {
        "gradient": (3, 0),
        "SmoothGrad": (3, 0),  # without noise
        "VarGrad": (0, 0),
        "input x gradient": (6, 0),
        "integrated gradients": (6, 0),  # no unit turns on or off on the way from 0
        "expected gradients": (6, 0),
        "guided back-propagation": (2, 4),
        "deconvnet": (7, -11),
        "deep Taylor": (6 / 5, 24 / 5),
        "LRP, epsilon": (6, 0),
        "LRP, alpha-beta": (12, -6),
        "occlusion": (6 - 0, 6 - 14),  # h = (2, 0, 4) without the first pixel, (2, 2, 0) without the second
    }
    assert list(found) == list(on_paper)
    for name, answer in on_paper.items():
        np.testing.assert_allclose(found[name].ravel(), [*answer, 0, 0], rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_cascade_holds_the_correlation_of_every_map_at_every_depth(monkeypatch):
    model, kappa = compact(), maps(4)
    destroyed = {1: compact(outputs=2, ramps=2), 8: compact(bins=1)}
    destroyed = {depth: jax.tree.map(lambda leaf: -leaf, one) for depth, one in destroyed.items()}
    monkeypatch.setattr(sanity, "randomized", lambda model, depth, *, key: destroyed[depth])
    options = dict(depths=(1, 8), learnt=(model, model), shuffled=destroyed[1], small=kappa, key=key())
    methods = [saliency.Method("gradient", saliency.gradient), saliency.Method("product", saliency.input_x_gradient)]
    _, cascades = saliency.examine_all(methods, model, kappa, 0, **options)

    def slopes(network):
        return [np.asarray(jax.grad(lambda one: network(one)[0])(one)).ravel() for one in kappa]

    for name, factor in (("gradient", [1.0] * 4), ("product", [one.ravel() for one in kappa])):
        assert cascades[name].shape == (2, 4)
        for row, depth in enumerate((1, 8)):
            pairs = zip(slopes(model), slopes(destroyed[depth]), factor, strict=True)
            expected = [stats.spearmanr(abs(one * by), abs(other * by)).statistic for one, other, by in pairs]
            assert cascades[name][row] == pytest.approx(expected, abs=2e-3), (name, depth)
