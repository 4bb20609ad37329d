"""Vectors of observed maps: noise, smoothing, bins, masks, and every statistic by its name."""

import math
from dataclasses import replace
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from fields import EDGES, ELL_EDGES, SIDE, some_maps, some_mask
from scipy import ndimage

from wlbook import statistics
from wlbook.common import random
from wlbook.degradation import parse
from wlbook.network import training
from wlbook.network.estimators import Estimator
from wlbook.runner.fingerprint import fingerprint
from wlbook.simulation import survey
from wlbook.simulation.survey import Survey

SURVEY = Survey(n_gal=30.0, sigma_e=0.4, smoothing=3.0)
BINS = statistics.Bins(tuple(ELL_EDGES), {"peaks": tuple(EDGES), "Minkowski": tuple(EDGES)})
LOOK = {"side": SIDE, "seed": 5}
FEW = {"power spectrum": 6, "peaks": 9, "Minkowski": 5}


def test_measured_noise_does_not_depend_on_the_batch():
    kappa = 0.01 * some_maps()
    edges = {"peaks": tuple(np.linspace(-0.03, 0.05, 6)), "Minkowski": tuple(np.linspace(-0.02, 0.03, 4))}
    bins = replace(BINS, edges=edges)
    whole = statistics.measure(kappa, SURVEY, bins, **LOOK)
    pieces = statistics.measure(kappa, SURVEY, bins, **LOOK, batch=4)
    first = statistics.measure(kappa[:4], SURVEY, bins, **LOOK)
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

    def spectra(kappa, **change):
        return statistics.measure(kappa, replace(SURVEY, **change), BINS, **LOOK)["power spectrum"]

    found = spectra(flat, smoothing=0.0).mean(axis=0)
    noise = 0.4**2 / (2 * 30.0) * math.radians(1 / 60) ** 2
    np.testing.assert_allclose(found[1:], noise, rtol=0.1)  # the first bin has too few modes
    window = np.exp(-((np.sqrt(ELL_EDGES[1:] * ELL_EDGES[:-1]) * math.radians(3.0 / 60)) ** 2))
    np.testing.assert_allclose(spectra(flat).mean(axis=0) / found, window, atol=0.03)
    clean = spectra(0.01 * some_maps(), sigma_e=0.0, smoothing=0.0)
    direct = statistics.power_spectrum(0.01 * some_maps(), side=SIDE, ell_edges=ELL_EDGES)
    np.testing.assert_allclose(clean, np.asarray(direct).reshape(6, -1), rtol=1e-4)


def nothing(kappa, *, key):
    return 0 * kappa


def test_a_degradation_acts_between_noise_and_smoothing():
    gone = statistics.measure(some_maps(), SURVEY, BINS, **LOOK, transform=nothing)
    assert not gone["power spectrum"].any()


def test_bins_follow_the_spread_of_the_observed_maps():
    small, large = (statistics.binning(f * some_maps(), SURVEY, FEW, side=SIDE, seed=1) for f in (0.05, 0.1))
    assert large.sigma == pytest.approx(2 * small.sigma, rel=0.02)
    np.testing.assert_allclose(np.diff(small.edges["peaks"])[:-1], 3 * small.sigma / 8, rtol=1e-2)
    assert len(small.ell_edges) == 7 and len(small.edges["Minkowski"]) == 6
    dropped = statistics.binning(0.05 * some_maps(), SURVEY, FEW, side=SIDE, seed=1, boundary="drop")
    assert dropped == replace(small, boundary="drop"), "how edges of maps are treated changes no bin"


def test_the_units_of_starlets_are_the_scatter_of_each_scale():
    kappa, clear = some_maps()[:, :1], replace(SURVEY, sigma_e=0.0, smoothing=0.0)
    bins = statistics.binning(kappa, clear, {"starlet peaks": 6}, side=SIDE, seed=1, scales=2)
    smooth, left = np.asarray(kappa, np.float64), []
    for spread in ([1, 4, 6, 4, 1], [1, 0, 4, 0, 6, 0, 4, 0, 1]):  # the spline, and the spline of holes
        wider = smooth
        for axis in (-1, -2):
            wider = ndimage.convolve1d(wider, np.array(spread) / 16, axis=axis, mode="wrap")
        left.append(smooth - wider)
        smooth = wider
    np.testing.assert_allclose(bins.units, [one.std() for one in [*left, smooth]], rtol=6e-3)  # of three digits


def test_bins_of_nothing_are_refused():
    with pytest.raises(ValueError, match=r"^numbers\['peaks'\] = 1: must be >= 2$"):
        statistics.binning(some_maps(), SURVEY, FEW | {"peaks": 1}, side=SIDE, seed=1)
    with pytest.raises(ValueError, match=r"^numbers: 'moments' is not measured in bins; must be among"):
        statistics.binning(some_maps(), SURVEY, {"moments": 3}, side=SIDE, seed=1)
    with pytest.raises(ValueError, match=r"^kappa: the observed maps are constant"):
        statistics.binning(0 * some_maps(), replace(SURVEY, sigma_e=0.0), FEW, side=SIDE, seed=1)


def every_bin(mask=None) -> statistics.Bins:
    """Bins for all statistics."""
    numbers = {"power spectrum": 6, "peaks": 5, "minima": 5, "histogram": 5, "Minkowski": 4}
    numbers |= {"starlet peaks": 6, "starlet l1": 6, "bispectrum": 4}
    return statistics.binning(0.01 * some_maps(), SURVEY, numbers, side=SIDE, seed=1, mask=mask)


def test_every_statistic_has_a_vector_and_the_order_is_as_asked():
    bins = every_bin()
    found = statistics.measure(0.01 * some_maps(), SURVEY, bins, **LOOK, names=statistics.NAMES)
    assert list(found) == list(statistics.NAMES)
    assert all(v.ndim == 2 and len(v) == 6 and np.isfinite(v).all() and v.std() > 0 for v in found.values())
    assert {name: v.shape[1] for name, v in found.items() if name in ("moments", "starlet peaks", "bispectrum")} == {
        "moments": 2 * 9,
        "starlet peaks": 2 * 4 * 6,
        "bispectrum": 2 * 7,
    }
    some = statistics.measure(0.01 * some_maps(), SURVEY, bins, **LOOK, names=["minima", "peaks"])
    assert list(some) == ["minima", "peaks"]
    np.testing.assert_array_equal(some["peaks"], found["peaks"])


@pytest.mark.parametrize("number", [4, 6, 10])
def test_no_bin_of_the_starlets_says_what_is_in_the_others(number):
    kappa = np.random.default_rng(1).normal(scale=0.01, size=(200, 1, 32, 32)).astype(np.float32)
    noiseless = replace(SURVEY, sigma_e=0.0)
    bins = statistics.binning(kappa, noiseless, {"starlet l1": number}, side=SIDE, seed=1, scales=1)
    found = statistics.measure(kappa, noiseless, bins, side=SIDE, seed=1, names=["starlet l1"])["starlet l1"]
    # Coefficients of a scale sum to 0: with an edge there, the smallest eigenvalue would be 1e-11.
    assert np.linalg.eigvalsh(np.corrcoef(found[:, np.ptp(found, axis=0) > 0].T))[0] > 1e-5


def test_measured_vectors_are_those_of_the_observed_maps():
    bins, kappa = every_bin(), 0.01 * some_maps()[:1]
    image = survey.observe(jnp.asarray(kappa[0]), SURVEY, pixel=60 * SIDE / 64, key=random.key(5, "noise", 0))
    found = statistics.measure(kappa, SURVEY, bins, **LOOK, names=statistics.NAMES)
    direct = statistics.starlet_peaks(image, edges=bins.edges["starlet peaks"], scales=3, units=bins.units)
    np.testing.assert_array_equal(found["starlet peaks"][0], np.ravel(direct))
    direct = statistics.bispectrum(image, side=SIDE, ell_edges=bins.edges["bispectrum"])
    np.testing.assert_allclose(found["bispectrum"][0], np.ravel(direct), rtol=1e-3, atol=1e-5 * np.abs(direct).max())
    np.testing.assert_allclose(
        found["scattering"][0], np.ravel(statistics.scattering_transform(image, scales=3)), rtol=1e-5
    )


def test_measured_vectors_know_nothing_of_masked_pixels():
    mask, kappa = some_mask(), 0.01 * some_maps()
    options = LOOK | {"names": statistics.NAMES, "mask": mask}
    found = statistics.measure(kappa, SURVEY, every_bin(mask), **options)
    hidden = np.where(mask, kappa, np.nan).astype(np.float32)
    again = statistics.measure(hidden, SURVEY, every_bin(mask), **options)
    for name in statistics.NAMES:
        np.testing.assert_array_equal(again[name], found[name])
    assert every_bin(mask).units != every_bin().units


def test_noise_and_smoothing_may_differ_from_bin_to_bin():
    flat = np.zeros((64, 2, 64, 64), np.float32)

    def spectra(n_gal):
        look = Survey(n_gal=n_gal, smoothing=[0.0] * len(n_gal))
        return statistics.measure(flat, look, BINS, **LOOK, names=["power spectrum"])["power spectrum"]

    first, second = spectra([10.0, 40.0]).mean(axis=0).reshape(3, 8)[[0, 2]]
    np.testing.assert_allclose(first[2:] / second[2:], 4, rtol=0.15)
    with pytest.raises(ValueError, match=r"^n_gal = \[1.0, 2.0, 3.0\]: must be one number, or 2, one a bin"):
        spectra([1.0, 2.0, 3.0])


def test_measure_names_what_it_cannot_use():
    with pytest.raises(ValueError, match=r"^batch = 0: must be a whole number >= 1$"):
        statistics.measure(some_maps(), SURVEY, BINS, **LOOK, batch=0)
    with pytest.raises(ValueError, match=r"^bins.edges = \['peaks'\]: \['Minkowski'\] is missing$"):
        statistics.measure(some_maps(), SURVEY, replace(BINS, edges={"peaks": tuple(EDGES)}), **LOOK)
    with pytest.raises(
        ValueError, match=r"^names = \['peak'\]: must be one or more of \['power spectrum', .*, each once$"
    ):
        statistics.measure(some_maps(), SURVEY, BINS, **LOOK, names=["peak"])
    with pytest.raises(ValueError, match=r"^names = peaks: must be one or more of"):
        statistics.measure(some_maps(), SURVEY, BINS, **LOOK, names="peaks")
    with pytest.raises(ValueError, match=r"^mask has shape \(3, 3\): must be the maps' \[y, x\], \(64, 64\)"):
        statistics.measure(some_maps(), SURVEY, BINS, **LOOK, mask=np.ones((3, 3), bool))


# Networks and statistics look at the same maps.


class Everything(eqx.Module):
    """A network that answers with the very map it is shown."""

    layers: tuple = ()

    def __call__(self, kappa):
        return kappa.ravel()


@pytest.mark.parametrize("spec", ["none", "shuffle_pixels", "low_pass:600", "keep_kappa:-1:1", "coarsen:2"])
@pytest.mark.parametrize("masked", [False, True])
def test_with_one_seed_networks_and_statistics_see_the_same_maps(spec, masked):
    kappa, mask = 0.01 * some_maps()[:2, :1, :32, :32], some_mask()[:32, :32] if masked else None
    look, side, transform = Survey(smoothing=4.0), SIDE / 2, parse(spec, side=SIDE / 2)
    number = (32 // (2 if spec.startswith("coarsen") else 1)) ** 2
    reader = Estimator(Everything(), jnp.float32(1), jnp.zeros(number), jnp.ones(number), {})
    options = {"side": side, "seed": 7, "transform": transform, "mask": mask}
    seen = training.predictions(reader, kappa, look, **options, copies=1)
    edges = tuple(np.linspace(-0.02, 0.02, 21).tolist())
    bins = statistics.Bins(edges={"histogram": edges})
    shares = statistics.measure(kappa, look, bins, **options, names=["histogram"])["histogram"]
    for share, whole in zip(shares, seen, strict=True):
        if masked:
            kept = np.asarray(survey.coarsen(mask.astype(np.float32), int((1024 // number) ** 0.5)) == 1).ravel()
            assert not whole[~kept].any()
            whole = whole[kept]
        # A pixel on an edge may fall to either side: the two maps are rounded each in its own program.
        np.testing.assert_allclose(share * len(whole), np.histogram(whole, edges)[0], atol=1.01)
    assert shares.sum() > 1.5


@pytest.mark.parametrize("spec", ["none", "shuffle_pixels", "randomize_phases", "low_pass:600", "gaussianize"])
def test_nothing_under_a_mask_reaches_what_is_observed(spec):
    kappa, mask = 0.01 * some_maps()[:1], some_mask()
    look = {"pixel": 60 * SIDE / 64, "transform": parse(spec, side=SIDE), "mask": mask, "key": random.key(1, "noise")}
    here = survey.observe(jnp.asarray(kappa), SURVEY, **look)
    there = survey.observe(jnp.asarray(np.where(mask, kappa, 7.0), jnp.float32), SURVEY, **look)
    np.testing.assert_array_equal(here, there)


def test_an_edit_of_any_statistic_measures_anew():
    followed = fingerprint(["wlbook.statistics.vectors"])
    files = Path(statistics.__file__).parent.glob("*.py")
    expected = {f"wlbook.statistics.{path.stem}" for path in files} - {"wlbook.statistics.__init__"}
    assert expected <= set(followed) and len(expected) > 8


@pytest.mark.parametrize("number", [3, 4, 5, 6, 7, 12, 22])
def test_the_l1_norms_of_a_scale_do_not_depend_on_each_other(number):
    kappa = some_maps()[:, :1]
    kappa = np.concatenate([kappa, -kappa, np.roll(kappa, 7, axis=-1) ** 3])
    look = LOOK | {"seed": 1}
    bins = statistics.binning(kappa, SURVEY, {"starlet l1": number}, side=SIDE, seed=1)
    assert not np.any(np.asarray(bins.edges["starlet l1"]) == 0)
    found = statistics.measure(kappa, SURVEY, bins, **look | {"names": ["starlet l1"]})["starlet l1"]
    first = found[:, :number].astype(np.float64)
    if number < len(first):
        assert np.linalg.cond(np.corrcoef(first.T)) < 1e8
