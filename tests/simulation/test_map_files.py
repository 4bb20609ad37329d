"""Other people's maps: whatever form they have, the numbers are theirs, and a file that cannot be used is named."""

import sys
import warnings

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from wlbook.simulation import dataset, images, map_export, map_rows
from wlbook.simulation.map_files import Reading, UnknownBoxesWarning, read_maps
from wlbook.simulation.map_rows import SkippedWarning

MODELS = ((0.26, 0.80), (0.20, 0.90), (0.35, 0.70))
SPLIT_OF = {0.26: "fiducial", 0.2: "train", 0.35: "test"}
with_lenstools = pytest.mark.skipif(sys.version_info >= (3, 12), reason="LensTools does not build")


def image(seed: int, n: int = 16, bins: tuple[int, ...] = ()) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=0.01, size=(*bins, n, n)).astype(np.float32)


def header(side: object = 3.5) -> fits.Header:
    return fits.Header({"ANGLE": side})


@pytest.fixture
def columbia(tmp_path):
    """Three models of six maps in the Columbia layout."""
    for number, (omega_m, sigma_8) in enumerate(MODELS):
        folder = tmp_path / f"Om{omega_m:.3f}_si{sigma_8:.3f}"
        folder.mkdir()
        for i in range(6):
            fits.writeto(folder / f"WLconv_z1.00_{i + 1:04d}r.fits", image(10 * number + i), header())
    return tmp_path


def broken(folder):
    return folder / "Om0.200_si0.900" / "WLconv_z1.00_0002r.fits"


def table(folder, *lines, columns="file,omega_m,sigma_8,split,seed"):
    (folder / "maps.csv").write_text("\n".join([columns, *lines]) + "\n")
    return folder


def three(folder, *, names="k{}.fits", extra="", columns="file,omega_m,sigma_8,split,seed", write=None):
    """A folder with a map of each split, `write` called for each image with its path and number."""
    lines = []
    for i, (omega_m, split) in enumerate(((0.2, "train"), (0.2, "test"), (0.26, "fiducial"))):
        name = names.format(i)
        (write or (lambda path, number: fits.writeto(path, image(number), header())))(folder / name, i)
        lines.append(f"{name},{omega_m},0.8,{split},{i}" + extra.format(i))
    return table(folder, *lines, columns=columns)


def test_the_columbia_layout_is_read_whole(columbia):
    data = read_maps(str(columbia), pixels=16, n_maps=64)
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
    data = read_maps(columbia, pixels=8, n_maps=2)
    assert data.sizes["map"] == 2 * (2 + 2) + 2
    expected = image(0).astype(np.float64).reshape(8, 2, 8, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(dataset.select(data, "fiducial")["kappa"].values[0, 0], expected, atol=1e-8)


def test_redshifts_of_one_number_are_bins(columbia):
    for folder in columbia.iterdir():
        for path in list(folder.iterdir()):
            fits.writeto(path.with_name(path.name.replace("z1.00", "z0.50")), image(99), header())
    data = read_maps(columbia)
    assert data["kappa"].shape[1] == 2 and data.attrs["source_redshift"] == [0.5, 1.0]
    np.testing.assert_array_equal(data["kappa"].values[0, 0], image(99))


def test_models_with_other_redshifts_are_not_mixed(columbia):
    for path in list((columbia / "Om0.350_si0.700").iterdir()):
        path.rename(path.with_name(path.name.replace("z1.00", "z0.50")))
    with pytest.raises(ValueError, match=r"sources at redshift 0\.5, those of most maps at 1"):
        read_maps(columbia)


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
    data = read_maps(tmp_path / "theirs")
    map_export.to_fits(data, tmp_path / "ours")
    path = min((tmp_path / "ours" / "Om0.260_si0.800").iterdir())
    again = lenstools.ConvergenceMap.load(str(path))
    assert again.side_angle.to(astropy.units.deg).value == 3.5
    np.testing.assert_array_equal(again.data, image(0))


def test_writing_and_reading_give_the_same_dataset(columbia, tmp_path):
    data = read_maps(columbia)
    map_export.to_fits(data, tmp_path / "again")
    again = read_maps(tmp_path / "again")
    xr.testing.assert_equal(again.drop_vars("model"), data.drop_vars("model"))
    np.testing.assert_array_equal(again["model"], data["model"])
    assert again.attrs | {"source": ""} == data.attrs | {"source": ""}


def test_bins_masks_and_unknown_boxes_survive_writing_and_reading(tmp_path):
    mask = np.random.default_rng(0).uniform(size=(2, 16, 16)) > 0.2
    (tmp_path / "first").mkdir()
    fits.writeto(tmp_path / "first" / "m.fits", mask.astype("u1"))
    three(
        tmp_path / "first",
        columns="file,omega_m,sigma_8,split,x,redshift,mask",
        extra=",0.5;0.502,m.fits",
        write=lambda path, i: fits.writeto(path, image(i, bins=(2,)), header()),
    )
    with pytest.warns(UnknownBoxesWarning):
        data = read_maps(tmp_path / "first")
    map_export.to_fits(data, tmp_path / "second")
    with pytest.warns(UnknownBoxesWarning):
        again = read_maps(tmp_path / "second")
    xr.testing.assert_equal(again, data)
    assert again.attrs["boxes_known"] == 0 and again.attrs["source_redshift"] == [0.5, 0.502]


NAN = np.full((16, 16), np.nan, np.float32)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_bytes(b"nothing"), "not a FITS file"),
        (lambda path: path.write_bytes(path.read_bytes()[:2900]), "not a FITS file"),
        (lambda path: path.write_bytes(path.read_bytes()[:3500]), "not a FITS file"),
        (lambda path: fits.writeto(path, image(1), overwrite=True), "no ANGLE in a header"),
        (lambda path: fits.setval(path, "ANGLE", value=2.0), "over 2 deg, most others"),
        (lambda path: fits.setval(path, "ANGLE", value="3.5 deg"), "ANGLE = '3.5 deg': must be the side in degrees"),
        (lambda path: fits.setval(path, "ANGLE", value=0.0), "ANGLE = 0.0: must be the side in degrees"),
        (lambda path: fits.setval(path, "ANGLE", value=210.0), "ANGLE = 210.0: must be the side in degrees"),
        (lambda path: fits.writeto(path, NAN, header(), overwrite=True), "256 pixels are NaN or infinite"),
        (lambda path: fits.writeto(path, 0 * image(1), header(), overwrite=True), "kappa is a few hundredths"),
        (lambda path: fits.writeto(path, 1e3 * image(1), header(), overwrite=True), "kappa is a few hundredths"),
        (lambda path: fits.writeto(path, image(1)[:8], header(), overwrite=True), r"\(8, 16\) is not a square image"),
        (lambda path: fits.writeto(path, image(1, 32), header(), overwrite=True), r"\(1, 32, 32\) over 3.5 deg, most"),
        (lambda path: fits.writeto(path, image(1)[0], header(), overwrite=True), "has 1 axes"),
    ],
)
def test_a_bad_file_is_named_with_its_reason_and_refused_or_skipped(columbia, spoil, message):
    spoil(broken(columbia))
    with pytest.raises(ValueError, match=f"{broken(columbia)}: .*{message}") as error:
        read_maps(columbia)
    assert "\n" not in str(error.value)
    with pytest.warns(SkippedWarning) as told:
        data = read_maps(columbia, bad="skip")
    assert len(told) == 1 and str(told[0].message).startswith(f"skipped {broken(columbia)}: ")
    assert data.sizes["map"] == 17


@pytest.mark.parametrize("number", [1, 2])
def test_the_odd_map_is_blamed_whatever_its_place(columbia, number):
    odd = columbia / "Om0.200_si0.900" / f"WLconv_z1.00_000{number}r.fits"
    fits.writeto(odd, image(0, 8), header(), overwrite=True)
    with pytest.raises(ValueError, match=f"{odd}: .*most others"):
        read_maps(columbia)
    with pytest.warns(SkippedWarning, match=str(odd)):
        assert read_maps(columbia, bad="skip")["kappa"].shape == (17, 1, 16, 16)


def test_skipped_maps_are_made_up_for_by_later_ones(columbia):
    broken(columbia).write_bytes(b"")
    with pytest.warns(SkippedWarning):
        data = read_maps(columbia, bad="skip", n_maps=2)
    train = dataset.select(data, "train")
    assert (train["model"] == 0).sum() == 2
    np.testing.assert_array_equal(train["kappa"].values[1, 0], image(12))


def test_all_models_keep_as_many_maps_to_test_on(columbia):
    (columbia / "Om0.350_si0.700" / "WLconv_z1.00_0006r.fits").write_bytes(b"broken download")
    with pytest.warns(SkippedWarning) as told:
        data = read_maps(columbia, bad="skip")
    assert "has 2 maps to test on: 1 of other models are left out" in str(told[1].message)
    test = dataset.select(data, "test")
    assert [(test["model"] == one).sum() for one in (0, 1)] == [2, 2]


def test_a_card_that_breaks_the_standard_does_not_matter(columbia):
    raw = bytearray(broken(columbia).read_bytes())
    end = raw.find(b"END     ")
    raw[end : end + 160] = b"CDELT1 =-1.0937E-01".ljust(80) + b"END".ljust(80)
    broken(columbia).write_bytes(bytes(raw))
    assert read_maps(columbia).sizes["map"] == 18


@pytest.mark.parametrize("ending", ["fits", "fits.gz", "fits.fz"])
def test_compressed_maps_in_an_extension_are_read(tmp_path, ending):
    def write(path, number):
        fits.CompImageHDU(image(number), header(), quantize_level=1e4).writeto(path)

    data = read_maps(three(tmp_path, names="k{}." + ending, write=write))
    np.testing.assert_allclose(data["kappa"].values[:, 0], [image(i) for i in range(3)], atol=1e-6)


def test_absolute_names_and_a_side_of_the_table_are_taken(tmp_path):
    (tmp_path / "away").mkdir()
    names = [tmp_path / "away" / f"k{i}.npy" for i in range(3)]
    for i, path in enumerate(names):
        np.save(path, image(i).astype(">f8"))
    kinds = ("train", "test", "fiducial")
    lines = [f"{path},0.3,0.7,{split},{i},7" for i, (path, split) in enumerate(zip(names, kinds, strict=True))]
    data = read_maps(table(tmp_path, *lines, columns="file,omega_m,sigma_8,split,seed,side"))
    np.testing.assert_array_equal(data["kappa"].values[:, 0], [image(i) for i in range(3)])
    assert data.attrs["side"] == 7.0


def test_without_seeds_each_map_is_a_box_and_that_is_told(tmp_path):
    with pytest.warns(UnknownBoxesWarning, match="every map counts as a box of its own"):
        data = read_maps(three(tmp_path, columns="file,omega_m,sigma_8,split,number"))
    assert data["seed"].values.tolist() == [0, 1, 2] and data.attrs["boxes_known"] == 0


def test_seeds_of_the_table_are_kept(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = read_maps(three(tmp_path))
    assert data["seed"].values.tolist() == [0, 1, 2] and data.attrs["boxes_known"] == 1


def test_redshifts_that_are_not_in_the_table_are_those_asked_for(tmp_path):
    write = lambda path, i: fits.writeto(path, image(i, bins=(2,)), header())  # noqa: E731
    three(tmp_path, write=write)
    assert read_maps(tmp_path, Reading(source_redshift=[0.5, 1.0])).attrs["source_redshift"] == [0.5, 1.0]
    assert read_maps(tmp_path).attrs["source_redshift"] == [1.0, 1.0]
    with pytest.raises(ValueError, match="3 redshifts of sources, must be one or 2"):
        read_maps(tmp_path, Reading(source_redshift=[0.5, 1.0, 1.5]))


ORDERS = ("map bin y x", "map y x bin", "bin map y x", "y x map bin")


@pytest.mark.parametrize("axes", ORDERS)
@pytest.mark.parametrize("ending", ["npy", "fits", "h5", "zarr", "npz"])
def test_a_row_for_a_whole_array_takes_its_axes_in_any_order(tmp_path, axes, ending, monkeypatch):
    import h5py
    import zarr

    monkeypatch.setattr(map_rows, "_BLOCK", 2 * 2 * 16 * 16 * 8)  # two maps at a time
    whole = image(0, bins=(5, 2))  # map bin y x
    turned = np.ascontiguousarray(np.transpose(whole, [ORDERS[0].split().index(word) for word in axes.split()]))
    path = tmp_path / f"k.{ending}"
    match ending:
        case "npy":
            np.save(path, turned)
        case "fits":
            fits.writeto(path, turned)
        case "h5":
            with h5py.File(path, "w") as file:
                file["kappa"] = turned
        case "zarr":
            zarr.create_array(path, data=turned)
        case "npz":
            np.savez(path, kappa=turned)
    kinds = ("train", "test", "fiducial")
    lines = [f"k.{ending},0.3,0.7,{split},{i},3.5,{axes}" for i, split in enumerate(kinds)]
    data = read_maps(table(tmp_path, *lines, columns="file,omega_m,sigma_8,split,seed,side,axes"))
    np.testing.assert_array_equal(data["kappa"].values, np.concatenate([whole] * 3))
    assert data["seed"].values.tolist() == [0] * 5 + [1] * 5 + [2] * 5


def test_an_index_takes_the_first_axes_and_leaves_their_names_out(tmp_path):
    np.save(tmp_path / "k.npy", image(0, bins=(4,)))
    kinds = ("train", "test", "fiducial")
    for axes in ("", "map y x", "y x"):
        lines = [f"k.npy[{i}],0.3,0.7,{split},{i},3.5,{axes}" for i, split in enumerate(kinds)]
        data = read_maps(table(tmp_path, *lines, columns="file,omega_m,sigma_8,split,seed,side,axes"))
        np.testing.assert_array_equal(data["kappa"].values[:, 0], image(0, bins=(4,))[:3])


def test_an_array_with_labels_is_read_by_universe(tmp_path):
    whole = image(0, bins=(3, 4))  # model map y x
    np.save(tmp_path / "k.npy", np.moveaxis(whole, 1, 0))
    (tmp_path / "labels.csv").write_text("omega_m,s8\n0.2,0.9\n0.3,0.8\n0.45,0.7\n")
    with pytest.warns(UnknownBoxesWarning):
        data = read_maps(tmp_path / "k.npy", Reading(axes="map model y x", labels="labels.csv", side=5.0))
    train, test, sky = (dataset.select(data, split) for split in dataset.SPLITS)
    np.testing.assert_array_equal(sky["kappa"].values[:, 0], whole[1])
    np.testing.assert_array_equal(train["kappa"].values[:, 0], np.concatenate([whole[0, :2], whole[2, :2]]))
    np.testing.assert_array_equal(test["kappa"].values[:, 0], np.concatenate([whole[0, 2:], whole[2, 2:]]))
    assert test["model"].values.tolist() == [0, 0, 1, 1] and data.attrs["side"] == 5.0


def test_a_bad_map_of_an_array_is_skipped_alone(tmp_path):
    whole = image(0, bins=(3, 4))
    whole[0, 1, 3, 3] = np.nan
    np.save(tmp_path / "k.npy", whole)
    (tmp_path / "labels.csv").write_text("omega_m,s8\n0.2,0.9\n0.3,0.8\n0.45,0.7\n")
    reading = Reading(axes="model map y x", labels="labels.csv", side=5.0)
    with pytest.raises(ValueError, match=r"k\.npy: 1 pixels are NaN .*\(map 1 of .*k\.npy, model 0, map 0\)"):
        read_maps(tmp_path / "k.npy", reading)
    with pytest.warns((SkippedWarning, UnknownBoxesWarning)):
        assert read_maps(tmp_path / "k.npy", reading, bad="skip").sizes["map"] == 11


def test_masked_maps_may_hold_anything_outside_and_are_zero_there(tmp_path):
    mask = np.random.default_rng(0).uniform(size=(2, 16, 16)) > 0.3
    marks = (np.nan, images.UNSEEN, -99.0)

    def write(path, number):
        fits.writeto(path, np.where(mask, image(number, bins=(2,)), np.float32(marks[number])), header())

    for b in range(2):
        fits.writeto(tmp_path / f"m{b}.fits", mask[b].astype("u1"))
    np.save(tmp_path / "both.npy", mask)
    np.save(tmp_path / "weights.npy", np.where(mask, 2.0, 0.3))
    columns = "file,omega_m,sigma_8,split,seed,mask"
    three(tmp_path, write=write, columns=columns)
    for masks in ("m0.fits;m1.fits", "both.npy", "both.npy[0];both.npy[1]", "weights.npy > 1"):
        lines = (tmp_path / "maps.csv").read_text().splitlines()[1:]
        table(tmp_path, *(",".join(line.split(",")[:5]) + f",{masks}" for line in lines), columns=columns)
        data = read_maps(tmp_path)
        np.testing.assert_array_equal(data["observed"], np.stack([mask] * 3))
        expected = np.stack([np.where(mask, image(i, bins=(2,)), 0) for i in range(3)])
        np.testing.assert_array_equal(data["kappa"], expected)
    coarse = read_maps(tmp_path, pixels=8)
    blocks = mask.reshape(2, 8, 2, 8, 2).all(axis=(2, 4))
    np.testing.assert_array_equal(coarse["observed"][0], blocks)
    np.testing.assert_array_equal(coarse["kappa"].values[0][~blocks], 0)
    np.testing.assert_allclose(
        coarse["kappa"].values[1][blocks],
        image(1, bins=(2,)).reshape(2, 8, 2, 8, 2).mean(axis=(2, 4))[blocks],
        atol=1e-8,
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones((8, 8)), r"is of shape \(8, 8\), must be \(16, 16\) like the maps"),
        (np.full((16, 16), 3.0), "must be 1 where a pixel is observed"),
        (np.ones((16, 16)), "256 pixels are NaN"),
        (np.ones((3, 16, 16)), r"is of shape \(3, 16, 16\)"),
    ],
)
def test_masks_that_do_not_fit_are_named(tmp_path, values, message):
    fits.writeto(tmp_path / "m.fits", values)
    write = lambda path, i: fits.writeto(path, NAN, header())  # noqa: E731
    three(tmp_path, write=write, columns="file,omega_m,sigma_8,split,seed,mask", extra=",m.fits")
    with pytest.raises(ValueError, match=message):
        read_maps(tmp_path)


@pytest.mark.parametrize(
    ("shape", "axes", "message"),
    [
        ((16,), "", "has 1 axes: set axes"),
        ((2, 2, 2, 16, 16), "", "has 5 axes: set axes"),
        ((4, 16, 16), "map bin y x", "has 3 axes, named map bin y x: set axes"),
        ((4, 16, 16), "model y x", "its axis model needs labels"),
        ((0, 16, 16), "map y x", "is not a square image"),
        ((0, 16, 16), "bin y x", "is not a square image"),
        ((0, 0), "y x", "is not a square image|mmap"),
    ],
)
def test_arrays_that_do_not_fit_their_axes_are_named(tmp_path, shape, axes, message):
    np.save(tmp_path / "k.npy", np.zeros(shape, np.float32))
    columns = "file,omega_m,sigma_8,split,side,axes"
    with pytest.raises(ValueError, match=rf"k\.npy: .*{message}"):
        read_maps(table(tmp_path, f"k.npy,0.3,0.7,train,3.5,{axes}", columns=columns))


def shear_of(kappa):
    """Both components, by waves [y, x]."""
    n = kappa.shape[-1]
    ell = np.fft.fftfreq(n) + 1j * np.fft.fftfreq(n)[:, None]
    ell[0, 0] = 1
    gamma = np.fft.ifft2(np.fft.fft2(kappa) * ell**2 / np.abs(ell) ** 2)
    return gamma.real.astype(np.float32), gamma.imag.astype(np.float32)


@pytest.mark.parametrize("sign", [1, -1])
def test_shear_is_turned_into_kappa(tmp_path, sign):
    from scipy.ndimage import gaussian_filter

    smooth = [gaussian_filter(image(i, bins=(2,)), (0, 2, 2), mode="wrap") for i in range(3)]
    smooth = [5 * (one - one.mean(axis=(1, 2), keepdims=True)) for one in smooth]
    lines = []
    for i, split in enumerate(("train", "test", "fiducial")):
        for b in range(2):
            for name, one in zip(("g1", "g2"), shear_of(smooth[i][b]), strict=True):
                fits.writeto(tmp_path / f"{name}_{i}{b}.fits", one if name == "g1" else sign * one, header())
        minus = "" if sign > 0 else "-"
        names = f"g1_{i}0.fits;g1_{i}1.fits,{minus}g2_{i}0.fits;{minus}g2_{i}1.fits"
        lines.append(f"{names},{0.3 - 0.1 * (i < 2)},0.8,{split},{i},3")
    columns = "gamma1,gamma2,omega_m,sigma_8,split,seed,border"
    data = read_maps(table(tmp_path, *lines, columns=columns))
    inside = np.s_[..., 3:-3, 3:-3]
    np.testing.assert_allclose(data["kappa"].values[inside], np.array(smooth)[inside], atol=1e-6)
    assert data["observed"].values[inside].all() and data["observed"].values.sum() == 6 * 100
    assert not data["kappa"].values[~data["observed"].values].any()
    turned = [line.replace("-g2", "g2") if sign < 0 else line.replace("g2", "-g2") for line in lines]
    with pytest.warns(map_rows.SignWarning, match=r"g2_.0\.fits: kappa varies more with the other sign"):
        read_maps(table(tmp_path, *turned, columns=columns))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.fits;b.fits,c.fits", "gamma1 and gamma2 must name as many files"),
        ("a.fits,", "file is empty"),
        (",c.fits", "gamma1 and gamma2 must name as many files"),
        ("a.fits;b.fits,-c.fits;d.fits", "must have a minus before each file, or before none"),
        ("a.fits,c.fits,8", "border = 8: must be less than half of 16 pixels"),
        ("a.fits,c.fits,-1", "border = -1: must be a number of pixels"),
        ("a.fits,bad.fits", r"bad\.fits: 1 pixels are -99, a mark"),
    ],
)
def test_shear_that_cannot_be_used_is_refused(tmp_path, line, message):
    for name in "abcd":
        fits.writeto(tmp_path / f"{name}.fits", image(ord(name)), header())
    bad = image(0)
    bad[0, 0] = -99
    fits.writeto(tmp_path / "bad.fits", bad, header())
    with pytest.raises(ValueError, match=message):
        read_maps(table(tmp_path, f"0.3,0.8,train,{line}", columns="omega_m,sigma_8,split,gamma1,gamma2,border"))


def test_bins_of_different_size_are_refused(tmp_path):
    fits.writeto(tmp_path / "a.fits", image(0), header())
    fits.writeto(tmp_path / "b.fits", image(0, 32), header())
    with pytest.raises(ValueError, match=r"a\.fits: its bins differ in size"):
        read_maps(table(tmp_path, "a.fits;b.fits,0.3,0.7,train,0"))


def test_folders_without_maps_are_refused(tmp_path, columbia):
    for name in ("nowhere", "nowhere.h5[kappa]", "x" * 3000):
        with pytest.raises(ValueError, match="a folder or a file, and there is no such"):
            read_maps(tmp_path / name)
    with pytest.raises(ValueError, match="bad_files = 'maybe': must be one of"):
        read_maps(columbia, bad="maybe")
    with pytest.raises(ValueError, match="16 pixels a side cannot be averaged to pixels = 5"):
        read_maps(columbia, pixels=5)
    for path in (columbia / "Om0.260_si0.800").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match="holds no usable map of split 'fiducial'"):
        read_maps(columbia)
