"""The expected spectrum of a field against fields of known spectrum, and slabs against the whole path."""

import numpy as np
import pytest

from wlbook import statistics
from wlbook.simulation import cosmology, sources, theory
from wlbook.simulation.cosmology import FIDUCIAL, Cosmology

FID = Cosmology(*FIDUCIAL)


def test_leakage_is_what_fields_cut_from_a_wider_sky_show():
    side, pixels, wide = 3.5, 32, 4 * 32
    ell = np.hypot(np.fft.fftfreq(wide, 1 / wide)[:, None], np.fft.rfftfreq(wide, 1 / wide)) * 360 / (4 * side)
    power = np.zeros_like(ell)
    power[ell > 0] = cosmology.convergence_power(FID, ell[ell > 0], 1.0)
    white = np.random.default_rng(1).normal(size=(400, wide, wide))
    amplitude = np.sqrt(power / np.radians(4 * side) ** 2) * wide
    sky = np.fft.irfft2(np.fft.rfft2(white) * amplitude, s=(wide, wide))
    edges = np.array([150.0, 250.0, 400.0, 700.0, 1200.0])
    cut = sky[:, None, :pixels, :pixels].astype(np.float32)
    found = np.asarray(statistics.power_spectrum(cut, side=side, ell_edges=edges))[:, 0]
    expected = theory.field_power(FID, sources.at(1.0), side=side, pixels=pixels, ell_edges=edges)[0]
    error = found.std(axis=0) / len(found) ** 0.5
    assert np.all(np.abs(found.mean(axis=0) - expected) < 4 * error + 0.01 * expected)
    # Without leakage the mean of C_ell over the same modes would be expected: the test would see that.
    waves = np.hypot(np.fft.fftfreq(pixels, 1 / pixels)[:, None], np.fft.rfftfreq(pixels, 1 / pixels)) * 360 / side
    inside = waves[(waves > edges[2]) & (waves <= edges[3])]
    assert found.mean(axis=0)[2] > cosmology.convergence_power(FID, inside, 1.0).mean() + 3 * error[2]


def test_thick_slabs_are_the_whole_path_and_thin_ones_lose_long_waves():
    ell = np.array([100.0, 300.0, 1000.0])
    whole = cosmology.convergence_power(FID, ell, 1.0)
    np.testing.assert_allclose(cosmology.convergence_power(FID, ell, 1.0, slab=1e5), whole, rtol=1e-3)
    lost = 1 - cosmology.convergence_power(FID, ell, 1.0, slab=100.0) / whole
    assert np.all(np.diff(lost) < 0) and 0.01 < lost[1] < 0.05


def test_aligned_galaxies_weaken_the_spectrum_and_planes_cannot_be_aligned():
    edges = np.array([300.0, 500.0])
    look = {"side": 3.5, "pixels": 32, "ell_edges": edges}
    plain, aligned = (theory.field_power(FID, sources.smail(2), a_ia=a_ia, **look) for a_ia in (0.0, 1.0))
    assert plain.shape == (3, 1) and np.all(aligned < plain)
    with pytest.raises(ValueError, match=r"a_ia = 1.0: must be 0 for galaxies in a plane"):
        theory.field_power(FID, sources.at(1.0), a_ia=1.0, **look)
