"""Where the galaxies are: bins hold equal numbers, tables are read as written, bad ones are named."""

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


def test_a_table_is_read_as_bins(tmp_path):
    z = np.linspace(0, 2, 41)
    np.savetxt(tmp_path / "nz.txt", np.column_stack([z, np.exp(-((z - 0.5) ** 2) / 0.02), 3 * (z > 1)]))
    bins = sources.named(str(tmp_path / "nz.txt"), 1.0)
    assert bins.share.shape[0] == 2 and bins.redshift[0] > 0
    np.testing.assert_allclose(bins.mean(), [0.5, 1.525], atol=0.02)


def test_uneven_tables_weigh_a_node_by_its_stretch(tmp_path):
    z = np.concatenate([np.linspace(0.1, 0.5, 50), np.linspace(0.55, 1.0, 5)])
    np.savetxt(tmp_path / "nz.txt", np.column_stack([z, np.ones_like(z)]))
    assert sources.read(tmp_path / "nz.txt").mean()[0] == pytest.approx(0.55, abs=0.02)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no such file"),
        ("z n", "cannot be read as a table"),
        ("0.1 1", r"has \(1, 2\) rows and columns"),
        ("0.1 1\n0.2 -1", "densities must be finite, >= 0"),
        ("0.1 0\n0.2 0", "not all 0 in any bin"),
        ("0.3 1\n0.2 1", "redshifts must ascend"),
    ],
)
def test_a_bad_table_is_named(tmp_path, text, message):
    path = tmp_path / "nz.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=f"sources = .*nz.txt.*{message}") as error:
        sources.named(str(path), 1.0)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("change", [{"bins": 0}, {"z0": 0.0}, {"alpha": -1.0}, {"beta": 0.0}, {"scatter": 0.0}])
def test_bad_arguments_are_named(change):
    name, value = next(iter(change.items()))
    with pytest.raises(ValueError, match=f"{name} = {value}: must be"):
        sources.smail(**change)
