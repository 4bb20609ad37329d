"""Other people's maps: what LensTools writes is read, what we write LensTools reads, and a bad file is named."""

import sys

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from wlbook.simulation import dataset, fits_maps, maps

MODELS = ((0.26, 0.80), (0.20, 0.90), (0.35, 0.70))
with_lenstools = pytest.mark.skipif(sys.version_info >= (3, 12), reason="LensTools does not build")


def image(seed: int, n: int = 16) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.01, size=(n, n)).astype(np.float32)


@pytest.fixture
def columbia(tmp_path):
    """Three models of six maps in the Columbia layout."""
    for number, (omega_m, sigma_8) in enumerate(MODELS):
        folder = tmp_path / f"Om{omega_m:.3f}_si{sigma_8:.3f}"
        folder.mkdir()
        for i in range(6):
            header = fits.Header({"ANGLE": 3.5})
            fits.writeto(folder / f"WLconv_z1.00_{i + 1:04d}r.fits", image(10 * number + i), header)
    return tmp_path


def broken(folder):
    return folder / "Om0.200_si0.900" / "WLconv_z1.00_0002r.fits"


def test_the_columbia_layout_is_read_whole(columbia):
    data = maps.fetch(str(columbia), pixels=16, n_maps=64)
    assert data["kappa"].shape == (18, 1, 16, 16) and data["kappa"].dtype == np.float32
    assert data.attrs["side"] == 3.5 and data.attrs["pixel"] == pytest.approx(3.5 * 60 / 16)
    assert data.attrs["source_redshift"] == [1.0]
    train, test, fiducial = (dataset.select(data, split) for split in dataset.SPLITS)
    assert (train.sizes["map"], test.sizes["map"], fiducial.sizes["map"]) == (6, 6, 6)
    assert set(fiducial["model"].values) == {-1} and set(fiducial["omega_m"].values) == {0.26}
    np.testing.assert_array_equal(np.unique(train["model"]), [0, 1])
    first = train.isel(map=0)
    assert (float(first.omega_m), float(first.sigma_8)) == (0.20, 0.90)
    np.testing.assert_array_equal(first["kappa"].values[0], image(10))


def test_pixels_are_averaged_and_maps_counted(columbia):
    data = fits_maps.from_fits(columbia, pixels=8, n_maps=2)
    assert data.sizes["map"] == 2 * (2 + 2) + 2
    expected = image(0).astype(np.float64).reshape(8, 2, 8, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(dataset.select(data, "fiducial")["kappa"].values[0, 0], expected, atol=1e-8)


def test_redshifts_of_one_number_are_bins(columbia):
    for folder in columbia.iterdir():
        for path in list(folder.iterdir()):
            fits.writeto(path.with_name(path.name.replace("z1.00", "z0.50")), image(99), fits.Header({"ANGLE": 3.5}))
    data = fits_maps.from_fits(columbia)
    assert data["kappa"].shape[1] == 2 and data.attrs["source_redshift"] == [0.5, 1.0]
    np.testing.assert_array_equal(data["kappa"].values[0, 0], image(99))


@with_lenstools
def test_what_lenstools_writes_is_read_and_what_we_write_it_reads(tmp_path):
    import astropy.units
    import lenstools_reference as lenstools

    for omega_m, sigma_8 in MODELS:
        folder = tmp_path / "theirs" / f"Om{omega_m:.3f}_si{sigma_8:.3f}"
        folder.mkdir(parents=True)
        for i in range(2):
            kappa = lenstools.ConvergenceMap(image(i).astype(np.float64), 3.5 * astropy.units.deg)
            kappa.save(str(folder / f"WLconv_z1.00_{i + 1:04d}r.fits"))
    data = fits_maps.from_fits(tmp_path / "theirs")
    fits_maps.to_fits(data, tmp_path / "ours")
    path = min((tmp_path / "ours" / "Om0.260_si0.800").iterdir())
    again = lenstools.ConvergenceMap.load(str(path))
    assert again.side_angle.to(astropy.units.deg).value == 3.5
    np.testing.assert_array_equal(again.data, image(0))


def test_writing_and_reading_give_the_same_dataset(columbia, tmp_path):
    data = fits_maps.from_fits(columbia)
    fits_maps.to_fits(data, tmp_path / "again")
    again = fits_maps.from_fits(tmp_path / "again")
    xr.testing.assert_equal(again.drop_vars("model"), data.drop_vars("model"))
    np.testing.assert_array_equal(again["model"], data["model"])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b"nothing"), "not a FITS file"),
        (lambda path: path.write_bytes(path.read_bytes()[:2900]), "not a FITS file"),
        (lambda path: fits.writeto(path, image(1), overwrite=True), "has no ANGLE"),
        (lambda path: fits.setval(path, "ANGLE", value=2.0), "over 2 deg, the others"),
        (
            lambda path: fits.writeto(path, image(1) * np.nan, fits.Header({"ANGLE": 3.5}), overwrite=True),
            "256 pixels are NaN or infinite",
        ),
        (
            lambda path: fits.writeto(path, image(1)[:8], fits.Header({"ANGLE": 3.5}), overwrite=True),
            r"\(8, 16\) is not a square image",
        ),
    ],
)
def test_a_bad_file_is_named_with_its_reason_and_refused_or_skipped(columbia, spoil, message):
    spoil(broken(columbia))
    with pytest.raises(ValueError, match=f"{broken(columbia)}: .*{message}") as error:
        fits_maps.from_fits(columbia)
    assert "\n" not in str(error.value)
    with pytest.warns(fits_maps.SkippedWarning, match=f"skipped {broken(columbia)}: .*{message}"):
        data = fits_maps.from_fits(columbia, bad="skip")
    assert data.sizes["map"] == 17


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,omega_m\n", "column sigma_8 is missing"),
        ("file,omega_m,sigma_8,split\na.fits,x,0.8,train\n", "line 2: could not convert"),
        ("file,omega_m,sigma_8,split\na.fits,0.3,0.8,dev\n", "line 2: split = 'dev': must be one of"),
        ("file,omega_m,sigma_8,split\na.fits,0.3,0.8,train\n", "a.fits: no such file"),
    ],
)
def test_a_bad_table_is_named_with_its_line(tmp_path, text, message):
    (tmp_path / "maps.csv").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        fits_maps.from_fits(tmp_path)
    assert "\n" not in str(error.value)


def test_folders_without_maps_are_refused(tmp_path, columbia):
    with pytest.raises(ValueError, match="there is no such folder"):
        fits_maps.from_fits(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"holds neither maps\.csv nor"):
        fits_maps.listing(tmp_path / "empty")
    with pytest.raises(ValueError, match="bad_files = 'maybe': must be one of"):
        fits_maps.from_fits(columbia, bad="maybe")
    with pytest.raises(ValueError, match="16 pixels a side cannot be averaged to pixels = 5"):
        fits_maps.from_fits(columbia, pixels=5)
    for path in (columbia / "Om0.260_si0.800").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="holds no usable map of split 'fiducial'"):
        fits_maps.from_fits(columbia)


def test_a_changed_folder_is_noticed(columbia):
    before = fits_maps.listing(columbia)
    fits.setval(broken(columbia), "ANGLE", value=3.25)
    assert fits_maps.listing(columbia) != before
