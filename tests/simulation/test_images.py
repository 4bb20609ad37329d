"""Arrays in files of other people: the same numbers in every format, and one line with the name for what is wrong."""

import gzip
import zlib

import h5py
import numpy as np
import pytest
import zarr
from astropy.io import fits

from wlbook.simulation import images
from wlbook.simulation.images import Place, place, read

KAPPA = np.random.default_rng(0).normal(scale=0.02, size=(3, 16, 16)).astype(np.float32)


def whole_numbers(kind):
    """An image of whole numbers as FITS keeps them, and what they stand for."""
    least = 0 if kind.startswith("u") or kind == "i1" else -100
    numbers = np.random.default_rng(1).integers(least, 100, (16, 16)).astype(kind)
    return fits.PrimaryHDU(numbers), numbers


def test_every_format_gives_the_same_numbers(tmp_path):
    np.save(tmp_path / "k.npy", KAPPA)
    np.save(tmp_path / "big.npy", KAPPA.astype(">f8"))
    np.save(tmp_path / "fortran.npy", np.asfortranarray(KAPPA))
    np.savez_compressed(tmp_path / "k.npz", kappa=KAPPA)
    fits.writeto(tmp_path / "k.fits", KAPPA)
    fits.writeto(tmp_path / "double.fits", KAPPA.astype(np.float64))
    with gzip.open(tmp_path / "k.fits.gz", "wb") as stream:
        stream.write((tmp_path / "k.fits").read_bytes())
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(KAPPA)]).writeto(tmp_path / "extension.fits")
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file.create_dataset("stage3/kg", data=KAPPA.astype(">f4"), compression="gzip")
    zarr.create_array(tmp_path / "k.zarr", data=KAPPA)
    zarr.create_group(tmp_path / "group.zarr").create_array("kappa", data=KAPPA)
    for name in sorted(path.name for path in tmp_path.iterdir()):
        values, _ = read(place(name, tmp_path))
        np.testing.assert_array_equal(values, KAPPA, err_msg=name)
        assert values.dtype.isnative
        assert images.shape(place(name, tmp_path)) == (3, 16, 16)
        part, _ = read(place(name, tmp_path), (1, slice(2, 5)))
        np.testing.assert_array_equal(part, KAPPA[1, 2:5], err_msg=name)


def test_arrays_are_mapped_and_not_loaded(tmp_path):
    np.save(tmp_path / "k.npy", KAPPA)
    assert isinstance(read(place("k.npy", tmp_path)).values, np.memmap)


@pytest.mark.parametrize("options", [{}, {"compression_type": "RICE_1", "quantize_level": 1e5}])
def test_a_compressed_image_is_read_with_its_header(tmp_path, options):
    header = fits.Header({"ANGLE": 3.5})
    fits.CompImageHDU(KAPPA[0], header, **{"quantize_level": 1e4, **options}).writeto(tmp_path / "k.fits.fz")
    values, cards = read(place("k.fits.fz", tmp_path))
    np.testing.assert_allclose(values, KAPPA[0], atol=1e-5)
    assert images.side_of(cards, 16) == 3.5


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "i8"])
def test_whole_numbers_of_any_depth_with_and_without_an_offset_are_read(tmp_path, kind):
    image, numbers = whole_numbers(kind)
    image.writeto(tmp_path / "k.fits")
    np.testing.assert_array_equal(read(place("k.fits", tmp_path)).values, numbers)


def test_scaled_numbers_and_blanks_are_what_their_header_says(tmp_path):
    stored = np.arange(256, dtype=np.int16).reshape(16, 16)
    image = fits.PrimaryHDU(stored)
    image.writeto(tmp_path / "k.fits")
    with fits.open(tmp_path / "k.fits", mode="update", do_not_scale_image_data=True) as file:
        file[0].header["BSCALE"], file[0].header["BZERO"], file[0].header["BLANK"] = 0.001, -0.1, 7
    values = read(place("k.fits", tmp_path)).values
    expected = np.where(stored == 7, np.nan, 0.001 * stored - 0.1)
    np.testing.assert_allclose(values, expected, atol=1e-7)


def test_one_of_several_arrays_is_chosen_and_never_guessed(tmp_path):
    named = [fits.ImageHDU(KAPPA[i], name=f"BIN{i + 1}") for i in range(3)]
    fits.HDUList([fits.PrimaryHDU(), *named]).writeto(tmp_path / "k.fits")
    alike = [fits.ImageHDU(KAPPA[i], name="KAPPA") for i in range(3)]
    fits.HDUList([fits.PrimaryHDU(), *alike]).writeto(tmp_path / "alike.fits")
    np.savez(tmp_path / "k.npz", a=KAPPA, b=2 * KAPPA)
    with h5py.File(tmp_path / "k.h5", "w") as file:
        file["stage3/kg"], file["stage3/ia"], file["18"] = KAPPA, 2 * KAPPA, 3 * KAPPA
    group = zarr.create_group(tmp_path / "k.zarr")
    group.create_array("a", data=KAPPA)
    group.create_array("b", data=2 * KAPPA)
    right = {
        "k.fits[BIN2]": KAPPA[1],
        "k.fits[bin3]": KAPPA[2],
        "k.fits[1]": KAPPA[0],
        "k.fits[BIN2][3]": KAPPA[1, 3],
        "alike.fits[2]": KAPPA[1],
        "k.npz[b]": 2 * KAPPA,
        "k.npz[b][2]": 2 * KAPPA[2],
        "k.h5[stage3/kg]": KAPPA,
        "k.h5[/stage3/ia][1,2]": 2 * KAPPA[1, 2],
        "k.zarr[b][0]": 2 * KAPPA[0],
    }
    for text, values in right.items():
        np.testing.assert_array_equal(read(place(text, tmp_path)).values, values, err_msg=text)
    for text, message in {
        "k.fits": "holds the images BIN1, BIN2, BIN3: choose one",
        "k.fits[BIN4]": "holds the images BIN1",
        "k.fits[0]": "extension 0 is no image",
        "k.fits[9]": "extension 9 is no image",
        "alike.fits": "holds the images 1, 2, 3: choose one",
        "alike.fits[KAPPA]": "holds the images 1, 2, 3: choose one",
        "k.npz": "holds the arrays a, b: choose one",
        "k.h5[stage3]": "holds the arrays 18, stage3/ia, stage3/kg",
        "k.zarr[c]": "c|holds",
    }.items():
        with pytest.raises(ValueError, match=message) as error:
            read(place(text, tmp_path))
        assert str(error.value).startswith(str(tmp_path / text.split("[")[0]))


def test_a_text_names_a_file_its_part_and_an_index(tmp_path):
    (tmp_path / "odd[1].npy").touch()
    assert place("odd[1].npy", tmp_path) == Place(tmp_path / "odd[1].npy")
    assert place(" k.npy[17] ", tmp_path) == Place(tmp_path / "k.npy", "", (17,))
    assert place("m.h5[kappa][3,17]", tmp_path) == Place(tmp_path / "m.h5", "kappa", (3, 17))
    assert place("/away/k.fits", tmp_path).path.as_posix() == "/away/k.fits"
    assert place("w.fits[2] > 0.5", tmp_path) == Place(tmp_path / "w.fits", "2", (), 0.5)
    assert str(place("m.h5[kappa][3]", tmp_path)) == f"{tmp_path}/m.h5[kappa][3]"
    for text in ("k.npy[1", "k.npy[a][b]", "k.npy[1]x"):
        with pytest.raises(ValueError, match=r"must read FILE|whole numbers"):
            place(text, tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.fits", None, "no such file"),
        ("x" * 3000, None, "no such file"),
        ("k.txt", b"1 2 3", "not a FITS file, nor one that ends in"),
        ("k.npy", b"nothing", "magic"),
        ("k.npz", b"PK\x03\x04nothing", "zip"),
        ("k.h5", b"\x89HDF\r\n\x1a\nnothing", "open"),
        ("k.fits", b"SIMPLE  = nonsense", "not a FITS file|holds no image"),
        ("k.fits.gz", b"\x1f\x8bnothing", "not a FITS file"),
        ("k.fits.gz", zlib.compress(b"SIMPLE")[:-3], "not a FITS file"),
        ("k.fits", b"", "not a FITS file"),
    ],
)
def test_a_broken_file_is_named_in_one_line(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        read(place(name, tmp_path))
    assert str(error.value).startswith(f"{tmp_path / name}: ") and "\n" not in str(error.value)


def test_what_is_no_array_of_real_numbers_is_refused(tmp_path):
    np.save(tmp_path / "complex.npy", KAPPA + 1j)
    np.save(tmp_path / "text.npy", np.array(["a", "b"]))
    with (tmp_path / "objects.npy").open("wb") as stream:  # a header alone: no object is ever read
        np.lib.format.write_array_header_1_0(stream, {"descr": "|O", "fortran_order": False, "shape": (2,)})
    np.save(tmp_path / "k.npy", KAPPA)
    for name in ("complex", "text", "objects"):
        with pytest.raises(ValueError, match=r"must hold real numbers|Python objects"):
            read(place(f"{name}.npy", tmp_path))
    for text in ("k.npy[3]", "k.npy[0,0,0,0]"):
        with pytest.raises(ValueError, match=r"has the shape \(3, 16, 16\): there is no"):
            read(place(text, tmp_path))


def test_a_healpix_map_or_a_table_is_said_to_be_one(tmp_path):
    columns = [fits.Column("SIGNAL", "E", array=np.zeros(12, np.float32))]
    table = fits.BinTableHDU.from_columns(columns)
    table.writeto(tmp_path / "table.fits")
    table.header["PIXTYPE"] = "HEALPIX"
    table.writeto(tmp_path / "sky.fits")
    for name, message in (("sky", "a HEALPix map, no flat image"), ("table", "holds no image")):
        with pytest.raises(ValueError, match=message):
            read(place(f"{name}.fits", tmp_path))


@pytest.mark.parametrize(
    ("cards", "side"),
    [
        ({"ANGLE": 3.5}, 3.5),
        ({"CDELT1": -0.01, "CTYPE1": "RA---TAN"}, 0.16),
        ({"CDELT1": 0.6, "CUNIT1": "arcmin", "CTYPE1": "RA---TAN"}, 0.16),
        ({"CDELT1": 36.0, "CUNIT1": "arcsec"}, 0.16),
        ({"CD1_1": 0.0, "CD2_1": 0.01, "CTYPE1": "GLON-TAN"}, 0.16),
        ({"CDELT1": 1.0}, None),
        ({"CDELT1": 1.0, "CTYPE1": "LINEAR"}, None),
        ({"CDELT1": 1.0, "CUNIT1": "Mpc"}, None),
        ({}, None),
    ],
)
def test_a_header_tells_the_side_in_degrees_or_nothing(cards, side):
    found = images.side_of(cards, 16)
    assert found is None if side is None else found == pytest.approx(side)


@pytest.mark.parametrize("value", [0.0, -3.5, None, "3.5 deg", True, np.nan, np.inf, 210.0])
def test_a_side_that_is_no_angle_in_degrees_is_refused(value):
    with pytest.raises(ValueError, match=r"ANGLE = .*: must be the side in degrees, > 0 and <= 40"):
        images.side_of({"ANGLE": value}, 16)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (images.UNSEEN, "are UNSEEN"),
        (np.nan, "are NaN or infinite"),
        (np.inf, "are NaN or infinite"),
        (-np.inf, "are NaN or infinite"),
        (-99.0, "are -99, a mark for missing data"),
        (999.0, "are 999, a mark for missing data"),
        (-9.0, "are -9, a mark for missing data"),
        (-1.0, "are -1, a mark for missing data"),
        (1e6, "are 1e.06, a mark for missing data"),
    ],
)
@pytest.mark.parametrize("number", [2, 40])
def test_marks_for_missing_data_are_no_kappa_unless_a_mask_hides_them(value, message, number):
    kappa = np.random.default_rng(0).normal(scale=0.02, size=(32, 32)).astype(np.float32)
    kappa.flat[:number] = value
    with pytest.raises(ValueError, match=f"{number} pixels {message}"):
        images.check_kappa(kappa)
    observed = np.arange(kappa.size).reshape(kappa.shape) >= number
    images.check_kappa(kappa, observed)


@pytest.mark.parametrize("scale", [100.0, 1e9, 1e-9, 0.0])
def test_a_spread_that_no_survey_has_is_refused(scale):
    with pytest.raises(ValueError, match=r"\|kappa\| reaches .* kappa is a few hundredths"):
        images.check_kappa(KAPPA.astype(np.float64) / 0.02 * scale)


def test_halos_and_noise_are_kappa():
    rng = np.random.default_rng(0)
    images.check_kappa(rng.normal(scale=1.0, size=(64, 64)))
    halo = rng.normal(scale=0.01, size=(64, 64))
    halo[10, 10] = 2.0
    images.check_kappa(halo)
    images.check_kappa(np.exp(rng.normal(scale=1.5, size=(64, 64))) * 0.01)


def test_no_observed_pixel_is_no_map():
    with pytest.raises(ValueError, match="no pixel is observed"):
        images.check_kappa(KAPPA, np.zeros(KAPPA.shape, bool))
