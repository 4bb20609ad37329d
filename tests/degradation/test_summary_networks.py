"""Twins: what they are shown is all there is to know, and they learn it."""

import calls
import jax
import jax.numpy as jnp
import lessons_data
import numpy as np
import pytest

from wlbook import degradation
from wlbook.degradation import summary_networks
from wlbook.degradation.summary_networks import Summary
from wlbook.network import calibration
from wlbook.simulation import dataset

SIDE = lessons_data.SIDE
SPECTRA = Summary("spectra", SIDE, 16, 0.01, (1e-9,) * 2)
HISTOGRAM = Summary("histogram", SIDE, 16, 0.01, (1e-9,) * 2)
KEY = jax.random.key(4)
NOISELESS = {"n_gal": 30.0, "sigma_e": 0.0, "smoothing": 0.0}


def test_the_spectra_twin_cannot_tell_random_phases_from_the_map():
    kappa = lessons_data.maps(3, bins=2)
    turned = degradation.randomize_phases(kappa, key=KEY)
    assert not np.allclose(turned, kappa, atol=1e-3)
    np.testing.assert_allclose(SPECTRA.of(turned), SPECTRA.of(kappa), rtol=2e-4, atol=2e-4)
    separate = degradation.randomize_phases(kappa, phases="separate", key=KEY)
    assert not np.allclose(SPECTRA.of(separate), SPECTRA.of(kappa), atol=1e-2)  # it sees cross-spectra too


def test_the_histogram_twin_cannot_tell_shuffled_pixels_from_the_map():
    kappa = lessons_data.maps(3, bins=2)
    shuffled = degradation.shuffle_pixels(kappa, key=KEY)
    np.testing.assert_allclose(HISTOGRAM.of(shuffled), HISTOGRAM.of(kappa), rtol=1e-4, atol=1e-5)
    assert not np.allclose(HISTOGRAM.of(1.1 * kappa), HISTOGRAM.of(kappa), atol=1e-2)
    assert not np.allclose(SPECTRA.of(shuffled), SPECTRA.of(kappa), atol=1e-2)


def test_every_pair_of_bins_is_shown():
    kappa = lessons_data.maps(2, bins=2)
    ells = len(SPECTRA.ell_edges) - 1
    assert SPECTRA.of(kappa).shape == (2, 2 + 3 * ells)
    mirrored = jnp.stack([kappa[:, 0], -kappa[:, 0]], axis=1)
    np.testing.assert_allclose(SPECTRA.of(mirrored)[:, -ells:], -1.0, atol=0.02)


def test_a_band_that_was_filtered_away_tells_nothing():
    data = lessons_data.data()
    transform = degradation.parse("low_pass:300", side=SIDE)
    twin = calls.fit_twin(data, kind="spectra", transform=transform, steps=2, batch=8, **NOISELESS)
    edges = np.array(twin.summary.ell_edges)
    gone = np.r_[False, edges[:-1] > 300]
    assert gone.any() and np.isinf(np.asarray(twin.scale)[gone]).all()
    assert np.isfinite(np.asarray(twin.scale)[~gone]).all()


@pytest.mark.parametrize("kind", summary_networks.KINDS)
def test_a_twin_learns_the_amplitude_of_the_maps_and_is_kept(kind, tmp_path):
    data = lessons_data.data()
    twin = calls.fit_twin(data, kind=kind, steps=300, batch=32, learning_rate=1e-2, **NOISELESS)
    test = dataset.select(data, "test")
    told = calls.predictions(twin.trained, test["kappa"].values, side=SIDE, seed=1, **NOISELESS)
    assert calibration.r_squared(test["sigma_8"].values, told[:, 1]) > 0.4
    twin.save(tmp_path)
    again = summary_networks.Twin.load(tmp_path)
    kappa = test["kappa"].values[0]
    np.testing.assert_array_equal(again.trained(kappa), twin.trained(kappa))


def test_twins_of_turned_and_of_whole_maps_agree_whatever_they_have_learnt():
    data = lessons_data.data()
    settings = {"kind": "spectra", "steps": 30, "batch": 32, **NOISELESS}
    turn = degradation.parse("randomize_phases", side=SIDE)
    kappa = dataset.select(data, "test")["kappa"].values[:32]
    said = []
    for transform in (None, turn):
        twin = calls.fit_twin(data, transform=transform, **settings)
        answer = calls.predictions(twin.trained, kappa, side=SIDE, seed=1, transform=transform, **NOISELESS)
        said.append(answer)
    np.testing.assert_allclose(said[0], said[1], atol=2e-3)


def test_an_unknown_kind_is_named():
    with pytest.raises(ValueError, match=r"^kind = 'peaks': must be one of \"spectra\", \"histogram\"$"):
        calls.fit_twin(lessons_data.data(), kind="peaks")
