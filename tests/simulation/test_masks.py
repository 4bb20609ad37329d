"""Masks in other people's files: what counts as observed, and what is no mask."""

import numpy as np
import pytest
from astropy.io import fits

from wlbook.simulation import images, masks

SEEN = np.random.default_rng(0).uniform(size=(16, 16)) > 0.3


def written(path, values):
    fits.writeto(path, values, overwrite=True)
    return str(path)


@pytest.mark.parametrize("kind", ["u1", "i2", ">i4", "f4", "f8"])
def test_one_is_observed_and_zero_is_not(tmp_path, kind):
    found = masks.read_mask(written(tmp_path / "mask.fits", SEEN.astype(kind)), 16)
    np.testing.assert_array_equal(found, SEEN)
    np.save(tmp_path / "mask.npy", SEEN)
    np.testing.assert_array_equal(masks.read_mask(tmp_path / "mask.npy", 16), SEEN)


@pytest.mark.parametrize("mark", [images.UNSEEN, np.nan, np.inf, -np.inf])
def test_unseen_and_what_is_not_finite_is_not_observed(tmp_path, mark):
    values = np.where(SEEN, 1.0, mark)
    np.testing.assert_array_equal(masks.read_mask(written(tmp_path / "mask.fits", values), 16), SEEN)


def test_the_dither_of_a_lossy_compression_does_not_fill_the_holes(tmp_path):
    """fitsio writes floats so: what was 0 is up to 0.08 off, and nothing is 0."""
    dither = np.random.default_rng(1).uniform(-0.08, 0.08, SEEN.shape)
    path = written(tmp_path / "mask.fits", (SEEN + dither).astype(np.float32))
    np.testing.assert_array_equal(masks.read_mask(path, 16), SEEN)
    compressed = fits.CompImageHDU(SEEN.astype(np.float32), quantize_level=4.0, quantize_method=1)
    compressed.writeto(tmp_path / "compressed.fits")
    np.testing.assert_array_equal(masks.read_mask(tmp_path / "compressed.fits", 16), SEEN)


@pytest.mark.parametrize("values", [SEEN * 0.5, SEEN * 7, np.where(SEEN, 1, -1), np.where(SEEN, 1.0, -99.0)])
def test_weights_counts_and_signs_are_no_mask(tmp_path, values):
    with pytest.raises(ValueError, match=r"mask = .*mask\.fits: holds numbers from .* must be 1 where"):
        masks.read_mask(written(tmp_path / "mask.fits", values), 16)


@pytest.mark.parametrize("name", ["weights.fits", "weights.fits[0]"])
def test_weights_are_a_mask_above_a_number(tmp_path, name):
    weights = np.random.default_rng(2).uniform(0, 3, (16, 16))
    weights[0, :3] = np.nan, images.UNSEEN, np.inf
    written(tmp_path / "weights.fits", weights)
    for least in (0.5, -1.0):
        expected = np.isfinite(weights) & (weights > max(least, -1e29))
        np.testing.assert_array_equal(masks.read_mask(f"{tmp_path / name} > {least}", 16), expected)
    with pytest.raises(ValueError, match="no pixel is observed"):
        masks.read_mask(f"{tmp_path / name} > 9", 16)


def test_a_finer_mask_is_made_coarser_and_holes_only_grow(tmp_path):
    fine = np.ones((32, 32))
    fine[0, 0] = fine[5, 6] = 0
    found = masks.read_mask(written(tmp_path / "mask.fits", fine), 16)
    assert found.sum() == 254 and not found[0, 0] and not found[2, 3]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((16, 8)), r"is of shape \(16, 8\), must be \(16, 16\)"),
        (np.ones((24, 24)), r"is of shape \(24, 24\)"),
        (np.ones((2, 16, 16)), r"is of shape \(2, 16, 16\)"),
        (np.zeros((16, 16)), "no pixel is observed"),
        (np.indices((32, 32)).sum(axis=0) % 2, "leaves no pixel of the maps wholly observed"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused_by_name(tmp_path, values, message):
    path = written(tmp_path / "mask.fits", values)
    with pytest.raises(ValueError, match=f"mask = {path}: {message}"):
        masks.read_mask(path, 16)


def test_a_page_names_holes_or_a_file_or_none(tmp_path):
    assert masks.mask("none", pixels=16, pixel=1.0) is None
    holes = masks.mask("holes:0.2:2", pixels=64, pixel=1.0, seed=3)
    assert holes is not None and 0.6 < holes.mean() < 0.95
    found = masks.mask(written(tmp_path / "mask.fits", SEEN.astype("u1")), pixels=16, pixel=1.0)
    np.testing.assert_array_equal(found, SEEN)
    for spec in ("holes:0.2", "holes:a:b"):
        with pytest.raises(ValueError, match='must be "none", "holes:SHARE:RADIUS" or a file'):
            masks.mask(spec, pixels=16, pixel=1.0)
    with pytest.raises(ValueError, match=r"mask = .*nowhere\.fits: no such file"):
        masks.mask("nowhere.fits", pixels=16, pixel=1.0)
