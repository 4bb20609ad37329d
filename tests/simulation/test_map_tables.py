"""Tables that say which maps there are: read as people write them, and refused by line where they cannot be right."""

import numpy as np
import pytest

from wlbook.simulation import map_tables
from wlbook.simulation.images import Place
from wlbook.simulation.map_tables import one_universe_each, read_labels, rows

LINES = [
    "file,omega_m,sigma_8,split",
    "a.fits,0.3,0.7,train",
    "b.fits,0.3,0.7,test",
    "c.fits,0.26,0.8,fiducial",
]


def folder(path, lines, encoding="utf-8"):
    (path / "maps.csv").write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def read(path, *lines, **options):
    return rows(folder(path, lines, **options))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ", ", ";", "\t", " ; "])
def test_what_spreadsheets_save_is_read(tmp_path, encoding, separator):
    lines = ["# maps of 2026", *(line.replace(",", separator) for line in LINES), separator.join([""] * 4)]
    found = read(tmp_path, *lines, encoding=encoding)
    assert [row.places[0].path.name for row in found] == ["a.fits", "b.fits", "c.fits"]
    assert [row.universe for row in found] == [(0.3, 0.7), (0.3, 0.7), (0.26, 0.8)]
    assert [row.split for row in found] == ["train", "test", "fiducial"]


def test_a_comma_is_a_decimal_point_between_semicolons(tmp_path):
    lines = [line.replace(",", ";").replace(".3", ",3").replace("0.7", "0,7") for line in LINES]
    assert read(tmp_path, *lines)[0].universe == (0.3, 0.7)


def test_all_columns_are_read_in_any_order_and_case(tmp_path):
    header = "Seed,split,side,Omega_M,file,mask,redshift,sigma_8,axes,comment"
    line = '7.0,Train,3.5,0.3,"a.fits; b.npy[2]",m.fits > 0.5,0.5;1.0,0.7,y x,"mine, the first"'
    (row,) = read(tmp_path, header, line)
    assert row.places == (Place(tmp_path / "a.fits"), Place(tmp_path / "b.npy", "", (2,)))
    assert row.masks == (Place(tmp_path / "m.fits", "", (), 0.5),)
    assert (row.seed, row.split, row.side, row.redshift, row.axes) == (7, "train", 3.5, (0.5, 1.0), ("y", "x"))
    assert row.where == f"{tmp_path / 'maps.csv'}, line 2"


def test_large_seeds_are_exact(tmp_path):
    lines = ["file,omega_m,sigma_8,split,seed", *(f"a.fits,0.3,0.7,train,{2**60 + i}" for i in range(2))]
    assert [row.seed for row in read(tmp_path, *lines)] == [2**60, 2**60 + 1]


def test_s_8_is_read_as_sigma_8(tmp_path):
    (row,) = read(tmp_path, "file,omega_m,S_8,split", "a.fits,0.27,0.76,train")
    assert row.universe == pytest.approx((0.27, 0.76 / (0.27 / 0.3) ** 0.5))


def test_absolute_names_stay_absolute(tmp_path):
    (row,) = read(tmp_path, LINES[0], "/away/k.fits,0.3,0.7,train")
    assert str(row.places[0]) == "/away/k.fits"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.fits,x,0.8,train", "could not convert"),
        ("a.fits,0.3", "split = : must be one of"),
        ("a.fits,0.3,0.8,dev", "split = dev: must be one of"),
        ("a.fits,0.3,0.8,", "split = : must be one of"),
        (",0.3,0.8,train", "file is empty"),
        ("a.fits,0,0.8,train", "omega_m = 0.0: must be > 0 and < 1"),
        ("a.fits,2.6,0.8,train", "omega_m = 2.6: must be > 0 and < 1"),
        ("a.fits,nan,0.8,train", "omega_m = nan"),
        ("a.fits,0.3,-0.8,train", "sigma_8 = -0.8: must be > 0 and < 3"),
        ("a.fits,0.3,inf,train", "sigma_8 = inf"),
        ("a.fits,0.3,0.8,train,0.5", "seed = 0.5: must be a whole number"),
        ("a.fits,0.3,0.8,train,-1", "seed = -1: must be >= 0"),
        ("a.fits,0.3,0.8,train,1e30", "seed = 1e30: must be a whole number"),
        ("a.fits,0.3,0.8,train,1,9", "redshift = 9: must be > 0 and < 8"),
        ("a.fits;b.fits;c.fits,0.3,0.8,train,1,0.5;1.0", "redshift = 0.5;1.0: must be one for each of 3 files"),
        ("a.fits;b.fits,0.3,0.8,train,1,0.5;1.0,,m.fits;n.fits;o.fits", "mask = .*: must be one file, or one for each"),
        ("a.fits,0.3,0.8,train,1,1.0,0", "side = '0': must be the side in degrees"),
        ("a.fits,0.3,0.8,train,1,1.0,210", "side = '210': must be the side in degrees"),
        ("a.fits,0.3,0.8,train,1,1.0,3.5,,map z", "axes = 'map z': must be names of model, map"),
        ("a.npy[x][y],0.3,0.8,train", "an index must be whole numbers"),
        ("a.fits,0.3,0.8,train,1,1.0,3.5,,,more", "has 10 columns, the first line names 9"),
        ('"' + "x" * 200_000 + '",0.3,0.8,train', "field larger than field limit"),
    ],
)
def test_a_line_that_cannot_be_right_is_named(tmp_path, line, message):
    header = "file,omega_m,sigma_8,split,seed,redshift,side,mask,axes"
    with pytest.raises(ValueError, match=f"maps.csv, line 3: .*{message}") as error:
        read(tmp_path, header, "b.fits,0.3,0.7,train", line)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"# nothing\n\n", "is empty"),
        (b"file,omega_m,split\n", "column sigma_8 is missing"),
        (b"file,omega_m,omega_m,sigma_8,split\n", "there are two columns omega_m"),
        (b"\x89PNG\x00\xfe", "is no text in UTF-8"),
        (b'"file,omega_m\n', "column file is missing"),
    ],
)
def test_a_table_without_what_is_needed_is_named(tmp_path, content, message):
    (tmp_path / "maps.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"maps\.csv: {message}"):
        rows(tmp_path)


def test_universes_within_the_tolerance_are_one(tmp_path):
    near = ["a.fits,0.30000,0.70000,train", "b.fits,0.30004,0.69995,test", "c.fits,0.3002,0.7,train"]
    found = read(tmp_path, LINES[0], *near)
    assert [row.universe for row in found] == [(0.3, 0.7), (0.3, 0.7), (0.3002, 0.7)]


def test_thousands_of_universes_are_compared_within_a_second(tmp_path):
    import time

    (row,) = read(tmp_path, *LINES[:2])
    draws = np.random.default_rng(0).uniform((0.1, 0.5), (0.5, 1.1), (20_000, 2))
    many = [row._replace(universe=(float(a), float(b))) for a, b in draws]
    start = time.process_time()
    found = one_universe_each(many)
    assert time.process_time() - start < 2
    apart = [np.abs(np.subtract(a.universe, b.universe)).max() for a, b in zip(found, many, strict=True)]
    assert max(apart) <= map_tables.SAME


def test_the_columbia_layout_is_listed_by_number_and_redshift(tmp_path):
    for model in ("Om0.260_si0.800", "Om0.300_si0.700"):
        (tmp_path / model).mkdir()
        for number in range(1, 6):
            for z in ("0.50", "1.00"):
                (tmp_path / model / f"WLconv_z{z}_{number:04d}r.fits").touch()
    (tmp_path / "Om0.300_si0.700" / "notes.txt").touch()
    found = rows(tmp_path)
    assert [row.split for row in found] == ["fiducial"] * 5 + ["train"] * 3 + ["test"] * 2
    assert {row.redshift for row in found} == {(0.5, 1.0)}
    assert [place.path.name for place in found[5].places] == ["WLconv_z0.50_0001r.fits", "WLconv_z1.00_0001r.fits"]
    (tmp_path / "Om0.300_si0.700" / "WLconv_z1.00_0002r.fits.gz").touch()
    with pytest.raises(ValueError, match=r"0002r\.fits.*: is one of two maps of that number and redshift"):
        rows(tmp_path)


def test_a_folder_that_holds_neither_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"holds neither maps\.csv nor Om0\.260"):
        rows(tmp_path)
    (tmp_path / "Om0.000_si0.800").mkdir()
    with pytest.raises(ValueError, match=r"Om0\.000_si0\.800: omega_m = 0\.0"):
        rows(tmp_path)


def array(path, shape):
    np.save(path / "k.npy", np.zeros(shape, np.float32))
    return path / "k.npy"


def test_a_table_of_labels_parts_an_array_by_its_universes(tmp_path):
    path = array(tmp_path, (3, 5, 8, 8))
    (tmp_path / "labels.csv").write_text("Om,s8\n0.2,0.9\n0.3,0.8\n0.4,0.7\n")
    found = rows(path, axes="model map y x", labels="labels.csv")
    assert [(row.split, row.cut[:2]) for row in found] == [
        ("train", (0, slice(0, 3))),
        ("test", (0, slice(3, 5))),
        ("fiducial", (1, slice(0, 3))),
        ("fiducial", (1, slice(3, 5))),
        ("train", (2, slice(0, 3))),
        ("test", (2, slice(3, 5))),
    ]
    assert found[0].universe == pytest.approx((0.2, 0.9 / (0.2 / 0.3) ** 0.5))


def test_a_label_for_each_map_brings_those_of_one_universe_together(tmp_path):
    path = array(tmp_path, (8, 8, 8))
    low, middle, high = [0.2, 0.9], [0.3, 0.8], [0.45, 0.6]
    np.save(tmp_path / "labels.npy", [middle, low, middle, low, low, high, high, high])
    found = rows(path, axes="y x map", labels="labels.npy: omega_m sigma_8")
    of_one = {row.split: row.cut[2] for row in found if row.universe == (0.2, 0.9)}
    assert [row.cut[2] for row in found if row.universe == (0.2, 0.9)] == [slice(1, 2), slice(3, 4), slice(4, 5)]
    assert of_one == {"train": slice(3, 4), "test": slice(4, 5)}


def test_labels_for_each_map_of_each_model_are_read_in_the_order_of_the_axes(tmp_path):
    path = array(tmp_path, (2, 3, 8, 8))
    universes = [[0.2, 0.9], [0.3, 0.8], [0.4, 0.7]]
    np.save(tmp_path / "labels.npy", np.array([universes, universes]))
    found = rows(path, axes="map model y x", labels="labels.npy: omega_m sigma_8")
    cuts = {(row.universe, row.split): row.cut[:2] for row in found}
    assert cuts[(0.4, 0.7), "test"] == (slice(1, 2), 2) and cuts[(0.2, 0.9), "train"] == (slice(0, 1), 0)


@pytest.mark.parametrize(
    ("written", "labels", "message"),
    [
        ("0.2 0.9\n0.3 0.8\n", "labels.txt", "named nothing: omega_m and sigma_8 or s_8 must be among"),
        ("0.2 0.9\n0.3 0.8\n", "labels.txt: omega_m sigma_8", "has 2 rows, for an array of shape"),
        ("om s8\n0.2 0.9\n0.3\n0.4 0.7\n", "labels.txt", "the same number of columns"),
        ("om s8\n0.2 0.9\nnan 0.8\n0.4 0.7\n", "labels.txt", "omega_m = nan"),
        ("om s8\n0.2 0.9\nbad 0.8\n0.4 0.7\n", "labels.txt", "could not convert"),
        ("om s8\n0.2 0.9\n1.3 0.8\n0.4 0.7\n", "labels.txt", "omega_m = 1.3"),
        ("", "labels.txt", "the same number of columns"),
        ("", "nowhere.txt", "labels = nowhere.txt: there is no such file"),
        ("", "", "a table must name its universes: set labels"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path, written, labels, message):
    (tmp_path / "labels.txt").write_text(written)
    with pytest.raises(ValueError, match=message):
        rows(array(tmp_path, (3, 5, 8, 8)), axes="model map y x", labels=labels)


@pytest.mark.parametrize("axes", ["", "map y x", "model model y x", "model map bin y x", "bin map y"])
def test_axes_that_do_not_fit_are_refused(tmp_path, axes):
    (tmp_path / "labels.csv").write_text("om,s8\n0.2,0.9\n0.3,0.8\n0.4,0.7\n")
    with pytest.raises(ValueError, match=f"axes = '{axes}': must"):
        rows(array(tmp_path, (3, 5, 8, 8)), axes=axes, labels="labels.csv")


def test_labels_lie_beside_the_array_even_if_its_name_has_a_part(tmp_path):
    import h5py

    with h5py.File(tmp_path / "k.h5", "w") as file:
        file["stage3/kg"], file["other"] = np.zeros((3, 4, 8, 8)), np.zeros(3)
        file["labels"] = [[0.2, 0.9], [0.3, 0.8], [0.4, 0.7]]
    found = rows(tmp_path / "k.h5[stage3/kg]", axes="model map y x", labels="k.h5[labels]: omega_m sigma_8")
    assert len(found) == 6
    assert map_tables.files(tmp_path / "k.h5[stage3/kg]", "k.h5[labels]: omega_m sigma_8") == [tmp_path / "k.h5"]
    assert read_labels("k.h5[labels]: omega_m sigma_8", tmp_path)[1] == (0.3, 0.8)


def test_every_file_that_maps_are_read_from_is_listed(tmp_path):
    for name in ("a.fits", "m.fits", "b.npy"):
        (tmp_path / name).touch()
    folder(tmp_path, ["file,omega_m,sigma_8,split,mask", "a.fits;b.npy[1],0.3,0.7,train,m.fits > 2"])
    assert map_tables.files(tmp_path) == [tmp_path / name for name in ("maps.csv", "a.fits", "b.npy", "m.fits")]
