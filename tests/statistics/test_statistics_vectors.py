"""Vectors of observed maps: noise, smoothing, bins, masks, and every statistic by its name."""

import math
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from fields import EDGES, ELL_EDGES, SIDE, some_maps, some_mask

from wlbook import statistics
from wlbook.common import random
from wlbook.runner.fingerprint import fingerprint
from wlbook.simulation import survey

SURVEY = {"side": SIDE, "n_gal": 30.0, "sigma_e": 0.4, "smoothing": 3.0, "seed": 5}


def test_measured_noise_does_not_depend_on_the_batch():
    kappa = 0.01 * some_maps()
    edges = {"peaks": np.linspace(-0.03, 0.05, 6), "Minkowski": np.linspace(-0.02, 0.03, 4)}
    whole = statistics.measure(kappa, **SURVEY, ell_edges=ELL_EDGES, edges=edges)
    pieces = statistics.measure(kappa, **SURVEY, ell_edges=ELL_EDGES, edges=edges, batch=4)
    first = statistics.measure(kappa[:4], **SURVEY, ell_edges=ELL_EDGES, edges=edges)
    assert {name: values.shape for name, values in whole.items()} == {
        "power spectrum": (6, 3 * 8),
        "peaks": (6, 2 * 5),
        "Minkowski": (6, 2 * 3 * 3),
    }
    for name, values in whole.items():
        np.testing.assert_allclose(pieces[name], values, rtol=1e-4, atol=1e-9)
        np.testing.assert_allclose(first[name], values[:4], rtol=1e-4, atol=1e-9)


def test_measured_maps_are_noisy_then_smooth():
    flat = np.zeros((64, 1, 64, 64), np.float32)
    settings = SURVEY | {"ell_edges": ELL_EDGES, "edges": EDGES}
    found = statistics.measure(flat, **settings | {"smoothing": 0.0})["power spectrum"].mean(axis=0)
    noise = 0.4**2 / (2 * 30.0) * math.radians(1 / 60) ** 2
    np.testing.assert_allclose(found[1:], noise, rtol=0.1)  # the first bin has too few modes
    smoothed = statistics.measure(flat, **settings)["power spectrum"].mean(axis=0)
    window = np.exp(-((np.sqrt(ELL_EDGES[1:] * ELL_EDGES[:-1]) * math.radians(3.0 / 60)) ** 2))
    np.testing.assert_allclose(smoothed / found, window, atol=0.03)
    clean = statistics.measure(0.01 * some_maps(), **settings | {"sigma_e": 0, "smoothing": 0})
    direct = statistics.power_spectrum(0.01 * some_maps(), side=SIDE, ell_edges=ELL_EDGES)
    np.testing.assert_allclose(clean["power spectrum"], np.asarray(direct).reshape(6, -1), rtol=1e-4)


def test_a_degradation_acts_between_noise_and_smoothing():
    settings = SURVEY | {"ell_edges": ELL_EDGES, "edges": EDGES}
    gone = statistics.measure(some_maps(), **settings, transform=lambda kappa, *, key: 0 * kappa)
    assert not gone["power spectrum"].any()


def test_bins_follow_the_spread_of_the_observed_maps():
    bins = {"ell_bins": 6, "peak_bins": 9, "minkowski_bins": 5}
    keywords = {name: value for name, value in SURVEY.items() if name != "seed"}
    small, large = (statistics.binning(f * some_maps(), **keywords, **bins, seed=1) for f in (0.05, 0.1))
    assert large["sigma"] == pytest.approx(2 * small["sigma"], rel=0.02)
    np.testing.assert_allclose(np.diff(small["edges"]["peaks"])[:-1], 3 * small["sigma"] / 8, rtol=1e-2)
    assert len(small["ell_edges"]) == 7 and len(small["edges"]["Minkowski"]) == 6


def test_bins_of_nothing_are_refused():
    keywords = {name: value for name, value in SURVEY.items() if name != "seed"}
    bins = {"ell_bins": 6, "peak_bins": 9, "minkowski_bins": 5}
    with pytest.raises(ValueError, match=r"^peak_bins = 1: must be >= 2$"):
        statistics.binning(some_maps(), **keywords, **bins | {"peak_bins": 1}, seed=1)
    with pytest.raises(ValueError, match=r"^kappa: the observed maps are constant"):
        statistics.binning(0 * some_maps(), **keywords | {"sigma_e": 0}, **bins, seed=1)


def every_name(**keywords) -> dict:
    """Arguments of `measure` for all statistics."""
    look = {name: value for name, value in SURVEY.items() if name != "seed"}
    bins = {"ell_bins": 6, "peak_bins": 5, "minkowski_bins": 4, "names": statistics.NAMES}
    found = statistics.binning(0.01 * some_maps(), **look, **bins, seed=1, **keywords)
    found.pop("sigma")
    return SURVEY | found | {"names": statistics.NAMES}


def test_every_statistic_has_a_vector_and_the_order_is_as_asked():
    settings = every_name()
    found = statistics.measure(0.01 * some_maps(), **settings)
    assert list(found) == list(statistics.NAMES)
    assert all(v.ndim == 2 and len(v) == 6 and np.isfinite(v).all() and v.std() > 0 for v in found.values())
    assert {name: v.shape[1] for name, v in found.items() if name in ("moments", "starlet peaks", "bispectrum")} == {
        "moments": 2 * 9,
        "starlet peaks": 2 * 4 * 6,
        "bispectrum": 2 * 7,
    }
    some = statistics.measure(0.01 * some_maps(), **settings | {"names": ["minima", "peaks"]})
    assert list(some) == ["minima", "peaks"]
    np.testing.assert_array_equal(some["peaks"], found["peaks"])


def test_measured_vectors_are_those_of_the_observed_maps():
    settings = every_name()
    edges = settings["edges"]
    kappa, look = 0.01 * some_maps()[:1], {"n_gal": 30.0, "sigma_e": 0.4, "smoothing": 3.0}
    image = survey.observe(jnp.asarray(kappa[0]), pixel=60 * SIDE / 64, **look, key=random.key(5, "noise", 0))
    found = statistics.measure(kappa, **settings)
    direct = statistics.starlet_peaks(
        image, edges=settings["edges"]["starlet peaks"], scales=3, units=settings["units"]
    )
    np.testing.assert_array_equal(found["starlet peaks"][0], np.ravel(direct))
    direct = statistics.bispectrum(image, side=SIDE, ell_edges=edges["bispectrum"])
    np.testing.assert_allclose(found["bispectrum"][0], np.ravel(direct), rtol=1e-3, atol=1e-5 * np.abs(direct).max())
    np.testing.assert_allclose(
        found["scattering"][0], np.ravel(statistics.scattering_transform(image, scales=3)), rtol=1e-5
    )


def test_measured_vectors_know_nothing_of_masked_pixels():
    mask, kappa = some_mask(), 0.01 * some_maps()
    settings = every_name(mask=mask)
    found = statistics.measure(kappa, **settings, mask=mask)
    again = statistics.measure(np.where(mask, kappa, np.nan).astype(np.float32), **settings, mask=mask)
    for name in statistics.NAMES:
        np.testing.assert_array_equal(again[name], found[name])
    assert every_name(mask=mask)["units"] != every_name()["units"]


def test_noise_and_smoothing_may_differ_from_bin_to_bin():
    flat = np.zeros((64, 2, 64, 64), np.float32)
    settings = SURVEY | {"ell_edges": ELL_EDGES, "edges": EDGES, "names": ["power spectrum"]}
    found = statistics.measure(flat, **settings | {"n_gal": [10.0, 40.0], "smoothing": [0.0, 0.0]})["power spectrum"]
    first, second = found.mean(axis=0).reshape(3, 8)[[0, 2]]
    np.testing.assert_allclose(first[2:] / second[2:], 4, rtol=0.15)
    with pytest.raises(ValueError, match=r"^n_gal = \[1.0, 2.0, 3.0\]: must be one number, or 2, one a bin"):
        statistics.measure(flat, **settings | {"n_gal": [1.0, 2.0, 3.0]})


def test_measure_names_what_it_cannot_use():
    settings = SURVEY | {"ell_edges": ELL_EDGES, "edges": EDGES}
    with pytest.raises(ValueError, match=r"^batch = 0: must be >= 1$"):
        statistics.measure(some_maps(), **settings, batch=0)
    with pytest.raises(ValueError, match=r"^edges = \['peaks'\]: \['Minkowski'\] is missing$"):
        statistics.measure(some_maps(), **settings | {"edges": {"peaks": EDGES}})
    with pytest.raises(
        ValueError, match=r"^names = \['peak'\]: must be one or more of \['power spectrum', .*, each once$"
    ):
        statistics.measure(some_maps(), **settings, names=["peak"])
    with pytest.raises(ValueError, match=r"^names = peaks: must be one or more of"):
        statistics.binning(
            some_maps(),
            side=SIDE,
            n_gal=30,
            sigma_e=0.4,
            smoothing=3,
            ell_bins=2,
            peak_bins=2,
            minkowski_bins=2,
            seed=1,
            names="peaks",
        )
    with pytest.raises(ValueError, match=r"^mask of shape \(3, 3\): must be \(64, 64\)"):
        statistics.measure(some_maps(), **settings, mask=np.ones((3, 3), bool))
    with pytest.raises(ValueError, match=r"^n_gal = -1.0: must be > 0"):
        statistics.measure(some_maps(), **settings | {"n_gal": -1.0})


def test_an_edit_of_any_statistic_measures_anew():
    followed = fingerprint(["wlbook.statistics.vectors"])
    files = Path(statistics.__file__).parent.glob("*.py")
    expected = {f"wlbook.statistics.{path.stem}".removesuffix(".__init__") for path in files}
    assert expected <= set(followed) and len(expected) > 8
