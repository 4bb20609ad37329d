"""Figures of chapter 3: what is drawn is what was measured."""

import numpy as np
import pytest

from wlbook.figures import network


def test_several_networks_share_one_entry_of_the_legend_and_all_losses_are_seen():
    one = {"step": np.arange(1, 11), "loss": np.linspace(1, 0.2, 10)}
    looked = {"held_out_step": np.array([5, 10]), "held_out_loss": np.array([0.6, 0.4])}
    figure = network.losses([one | looked, one | looked | {"loss": one["loss"] - 1.5}], window=3)
    (axis,) = figure.axes
    legend = axis.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["training", "held-out models"]
    assert axis.get_ylim()[0] == pytest.approx(-1.3)


def test_bias_is_answer_minus_truth_and_held_out_models_are_hollow():
    truth, hollow = np.array([0.7, 0.8, 0.9]), np.array([False, True, False])
    figure = network.bias(truth, [truth + 0.1, truth], [0 * truth, 0 * truth], hollow=hollow, name="S8")
    for axis, off in zip(figure.axes, (0.1, 0.0), strict=True):
        filled, empty = axis.lines[0], axis.lines[1]
        np.testing.assert_allclose(filled.get_ydata(), [off, off], atol=1e-12)
        np.testing.assert_allclose(empty.get_xdata(), [0.8])
        assert empty.get_markerfacecolor() == "white" != filled.get_markerfacecolor()


def test_the_thick_line_is_the_mean_of_the_steps_before():
    history = {"step": np.arange(1, 6), "loss": np.array([1.0, 4.0, 7.0, 1.0, 1.0])}
    (axis,) = network.losses([history], window=3).axes
    np.testing.assert_allclose(axis.lines[0].get_xydata(), np.column_stack(list(history.values())))
    np.testing.assert_allclose(axis.lines[1].get_xydata(), [[3, 4], [4, 4], [5, 3]])


def test_a_dot_is_the_mean_of_a_models_answers_and_its_bar_their_scatter():
    truth = np.array([[0.2], [0.2], [0.4], [0.4]])
    predicted = np.array([[0.1], [0.5], [0.3], [0.4]])
    models = np.array([7, 7, 3, 3])
    figure = network.predicted_against_true(truth, predicted, ["S8"], groups=models, hollow=np.array([7]))
    held, learnt = sorted((one for one in figure.axes[0].containers), key=lambda one: one.lines[0].get_xdata()[0])
    for one, (x, y, scatter), face in ((held, (0.2, 0.3, 0.2), True), (learnt, (0.4, 0.35, 0.05), False)):
        (dot, _, (bar,)) = one.lines
        np.testing.assert_allclose(dot.get_xydata(), [[x, y]])
        np.testing.assert_allclose(bar.get_segments()[0], [[x, y - scatter], [x, y + scatter]])
        assert (dot.get_markerfacecolor() == "white") == face
