"""Maps that come with masks and noise of their own: everything that looks at them sees the same."""

import numpy as np
import pytest
from fields import SIDE, some_maps, some_mask

from wlbook import statistics
from wlbook.common import random
from wlbook.network import Training, training_set
from wlbook.simulation.dataset import labelled
from wlbook.simulation.survey import Footprint, Survey, observe

MASK = some_mask()
UNIVERSES = {"omega_m": [0.2, 0.3], "sigma_8": [0.8, 0.9], "model": [0, 1], "seed": [1, 2], "split": 0}


def maps(observed=None, **attrs):
    data = labelled((0.01 * some_maps()[:2]).astype(np.float32), UNIVERSES, "kappa")
    data.attrs = {"side": SIDE, "pixel": 60 * SIDE / 64, **attrs}
    if observed is not None:
        data["observed"] = (("map", "bin", "y", "x"), np.broadcast_to(observed, data["kappa"].shape))
    return data


def test_a_footprint_is_its_mask_and_coarser_where_all_is_observed():
    footprint = Footprint.of(MASK)
    np.testing.assert_array_equal(footprint.at(64), MASK)
    np.testing.assert_array_equal(footprint.at(32), MASK.reshape(32, 2, 32, 2).all(axis=(1, 3)))
    assert footprint == Footprint.of(MASK.copy()) and hash(footprint) == hash(Footprint.of(MASK.copy()))
    assert footprint != Footprint.of(~MASK)
    with pytest.raises(ValueError, match=r"^pixels of the maps = 128: must be 64 as in their footprint"):
        footprint.at(128)
    with pytest.raises(ValueError, match=r"^mask has shape \(32, 32\): must be the maps', \(64, 64\)"):
        Survey(footprint=footprint).mask(64, np.ones((32, 32), bool))


def test_a_survey_observes_through_its_footprint_as_through_a_mask():
    look = {"pixel": 1.0, "key": random.key(1)}
    own, given = Survey.of(maps(MASK), 30.0, 0.4, 2.0), Survey(30.0, 0.4, 2.0)
    kappa = maps()["kappa"].values
    np.testing.assert_array_equal(observe(kappa, own, **look), observe(kappa, given, mask=MASK, **look))
    half = np.arange(64)[:, None] < np.full(64, 32)
    both = observe(kappa, own, mask=half, **look)
    np.testing.assert_array_equal(both, observe(kappa, given, mask=half & MASK, **look))


def test_statistics_and_networks_see_the_footprint():
    data, options = maps(MASK), {"side": SIDE, "seed": 1}
    own, given = Survey.of(data, 30.0, 0.4, 2.0), Survey(30.0, 0.4, 2.0)
    numbers, kappa = {"power spectrum": 4, "peaks": 4}, data["kappa"].values
    bins = statistics.binning(kappa, own, numbers, **options)
    assert bins == statistics.binning(kappa, given, numbers, mask=MASK, **options)
    names = ["power spectrum", "peaks"]
    found = statistics.measure(kappa, own, bins, names=names, **options)
    wanted = statistics.measure(kappa, given, bins, names=names, mask=MASK, **options)
    for name in names:
        np.testing.assert_array_equal(found[name], wanted[name])
    for coarsen in (1, 2):
        learning = Training(steps=1, held_out=(), coarsen=coarsen)
        one, other = (training_set.prepare(data, *how) for how in ((own, learning), (given, learning, MASK)))
        np.testing.assert_array_equal(one.shown(None, 1), other.shown(None, 1))


def test_maps_with_masks_of_their_own_are_seen_through_what_they_share():
    one, other = np.ones((64, 64), bool), np.ones((64, 64), bool)
    one[:4], other[:, :4] = False, False
    survey = Survey.of(maps(np.stack([one, other])[:, None]), 30.0, 0.4, 1.0)
    assert survey.footprint == Footprint.of(one & other)
    other[:, :40] = False
    one[:, 40:] = False
    with pytest.raises(ValueError, match=r"^masks: these maps have 0% of the pixels in common; must be half"):
        Survey.of(maps(np.stack([one, other])[:, None]), 30.0, 0.4, 1.0)
    assert Survey.of(maps(np.ones((64, 64), bool)), 30.0, 0.4, 1.0) == Survey(30.0, 0.4, 1.0)


def test_nothing_is_added_to_maps_that_come_with_noise():
    kappa = maps()["kappa"].values
    noisy = Survey.of(maps(noise="in the maps"), 30.0, 0.4, 0.0)
    np.testing.assert_array_equal(observe(kappa, noisy, pixel=1.0, key=random.key(1)), kappa)
    assert noisy.sigma_e == 0.4, "how much there is in them"
    added = Survey.of(maps(), 30.0, 0.4, 0.0)
    assert np.std(np.asarray(observe(kappa, added, pixel=1.0, key=random.key(1))) - kappa) > 0.03
    with pytest.raises(ValueError, match=r"^noise = 'there': must be"):
        Survey(noise="there")
