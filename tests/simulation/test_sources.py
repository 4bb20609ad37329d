"""Where the galaxies are: bins hold equal numbers, bad arguments are named."""

import numpy as np
import pytest

from wlbook.simulation import sources


def test_a_plane_is_all_galaxies_at_one_redshift():
    one = sources.at(1.0)
    np.testing.assert_array_equal(one.share, [[1.0]])
    several = sources.at([1.0, 0.5, 1.0])  # in any order, and twice
    np.testing.assert_array_equal(several.mean(), [1.0, 0.5, 1.0])


def test_bins_of_equal_numbers_add_up_to_smails_distribution():
    bins = sources.smail(4)
    z = bins.redshift
    overall = z**2 * np.exp(-((z / 0.42) ** 1.5))
    np.testing.assert_allclose(bins.share.sum(axis=1), 1)
    # Photometric scatter moves a few galaxies between bins, so that numbers are equal to a few percent only.
    np.testing.assert_allclose(
        bins.share.mean(axis=0), overall / overall.sum(), atol=0.06 * overall.max() / overall.sum()
    )
    assert np.all(np.diff(bins.mean()) > 0.1)


def test_less_scatter_means_sharper_bins():
    def overlap(scatter):
        share = sources.smail(4, scatter=scatter).share
        return np.minimum(share[1], share[2]).sum()

    assert overlap(0.01) < 0.5 * overlap(0.05)


@pytest.mark.parametrize("change", [{"bins": 0}, {"z0": 0.0}, {"alpha": -1.0}, {"beta": 0.0}, {"scatter": 0.0}])
def test_bad_arguments_are_named(change):
    name, value = next(iter(change.items()))
    with pytest.raises(ValueError, match=f"{name} = {value}: must be"):
        sources.smail(**change)
