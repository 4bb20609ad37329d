"""n(z) of other people: means are those of the file whatever its form, and what may be read two ways is refused."""

import warnings

import numpy as np
import pytest
from astropy.io import fits

from wlbook.simulation import redshift_tables
from wlbook.simulation.redshift_tables import TAIL, TailWarning, read

pytestmark = pytest.mark.filterwarnings(f"ignore::{TailWarning.__module__}.TailWarning")

EDGES = np.arange(0, 2.0001, 0.05)
LOW, HIGH = EDGES[:-1], EDGES[1:]
MIDDLE = (LOW + HIGH) / 2
BINS = np.array([np.exp(-((MIDDLE - centre) ** 2) / 0.02) for centre in (0.5, 0.8, 1.1)])
MEANS = BINS @ MIDDLE / BINS.sum(axis=1)


def text(path, columns, header="", **options):
    np.savetxt(path, np.column_stack(columns), header=header, fmt="%.8g", **options)
    return path


def two_point(path, bins=BINS, *, names=("nz_source",), order=None):
    """A 2pt FITS file as surveys publish it."""
    columns = [fits.Column(name, "D", array=z) for name, z in (("Z_LOW", LOW), ("Z_MID", MIDDLE), ("Z_HIGH", HIGH))]
    columns += [fits.Column(f"BIN{i + 1}", "D", array=one) for i, one in enumerate(bins)]
    columns = [columns[i] for i in order or range(len(columns))]
    pairs = [fits.Column("BIN1", "J", array=[1, 1]), fits.Column("BIN2", "J", array=[1, 2])]
    xi = fits.BinTableHDU.from_columns([*pairs, fits.Column("VALUE", "D", array=[1e-5, 2e-5])], name="xi_plus")
    tables = [fits.BinTableHDU.from_columns(columns, name=name) for name in names]
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.eye(4), name="COVMAT"), xi, *tables]).writeto(path)
    return path


def sacc(path, names=("source_0", "source_1", "lens_0")):
    tables = []
    for name, one in zip(names, BINS, strict=False):
        columns = [fits.Column("z", "D", array=MIDDLE), fits.Column("nz", "D", array=one)]
        header = fits.Header({"SACCTYPE": "tracer", "SACCCLSS": "NZ", "SACCNAME": name})
        tables.append(fits.BinTableHDU.from_columns(columns, header=header, name=f"tracer:NZ:{name}"))
    fits.HDUList([fits.PrimaryHDU(header=fits.Header({"SACCFVER": 1})), *tables]).writeto(path)
    return path


@pytest.mark.parametrize("order", [None, [5, 0, 4, 2, 3, 1]])
def test_the_table_of_a_2pt_file_has_its_means_whatever_the_order_of_columns(tmp_path, order):
    found = read(two_point(tmp_path / "2pt.fits", order=order))
    np.testing.assert_allclose(found.mean(), MEANS, atol=2e-4)
    np.testing.assert_allclose(found.share.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("header", "columns"),
    [
        ("Z_LOW Z_MID Z_HIGH BIN1 BIN2 BIN3", [LOW, MIDDLE, HIGH, *BINS]),
        ("Z_HIGH BIN3 BIN1 Z_LOW BIN2", [HIGH, BINS[2], BINS[0], LOW, BINS[1]]),
        ("zmid, n(z) 1, n(z)", [MIDDLE, *BINS]),
        ("z_low n1 n2 n3", [LOW, *BINS]),
        ("hist", [LOW, *BINS]),
        ("pdf", [MIDDLE, *BINS]),
        ("z n1 n2 n3", [MIDDLE, *BINS]),  # starts half a step above 0: middles of a histogram
        ("", [MIDDLE, *BINS]),
    ],
)
def test_text_says_by_its_names_or_marks_what_its_redshifts_are(tmp_path, header, columns):
    np.testing.assert_allclose(read(text(tmp_path / "nz.txt", columns, header)).mean(), MEANS, atol=2e-3)


def test_numbers_without_comments_and_names_without_marks_are_read(tmp_path):
    path = text(tmp_path / "nz.csv", [LOW, HIGH, *BINS], "Z_LOW,Z_HIGH,BIN1,BIN2,BIN3", delimiter=",", comments="")
    np.testing.assert_allclose(read(path).mean(), MEANS, atol=2e-4)


@pytest.mark.parametrize("change", ["mark", "semicolons", "decimal comma", "quotes", "trailing"])
def test_what_spreadsheets_save_has_the_same_means(tmp_path, change):
    lines = ["z_low;z_high;bin1", *(f"{a:.3f};{b:.3f};{n:.6f}" for a, b, n in zip(LOW, HIGH, BINS[0], strict=True))]
    lines = [line.replace(".", ",") for line in lines] if change == "decimal comma" else lines
    lines = [f'"{line}"'.replace(";", '";"') for line in lines] if change == "quotes" else lines
    lines = [line + ";;" for line in lines] if change == "trailing" else lines
    path = tmp_path / "nz.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8-sig" if change == "mark" else "utf-8")
    np.testing.assert_allclose(read(path).mean(), MEANS[:1], atol=1e-3)


@pytest.mark.parametrize("step", [0.05, 0.1])
def test_a_first_column_that_may_be_edges_is_refused_until_told(tmp_path, step):
    low = np.arange(0, 2, step)
    density = np.exp(-((low + step / 2 - 0.7) ** 2) / 0.02)
    path = text(tmp_path / "nz.txt", [low, density])
    with pytest.raises(ValueError, match='set nz to "points" or "edges"'):
        read(path)
    assert read(path, "edges").mean()[0] == pytest.approx(density @ (low + step / 2) / density.sum(), abs=2e-4)
    assert read(path, "points").mean()[0] == pytest.approx(density @ low / density.sum(), abs=1e-3)


@pytest.mark.parametrize(
    ("header", "nz", "message"),
    [
        ("hist", "points", "marks its first column as edges"),
        ("z_mid n1 n2 n3", "edges", "redshifts are points, but nz = 'edges'"),
        ("z_low n1 n2 n3", "points", "redshifts are edges, but nz = 'points'"),
    ],
)
def test_a_file_and_a_parameter_that_disagree_are_refused(tmp_path, header, nz, message):
    with pytest.raises(ValueError, match=message):
        read(text(tmp_path / "nz.txt", [LOW, *BINS], header), nz)


def test_uneven_cells_hold_density_times_width(tmp_path):
    path = text(tmp_path / "nz.txt", [[0.1, 0.2, 0.6], [0.2, 0.6, 0.7], [1.0, 1.0, 1.0]], "Z_LOW Z_HIGH BIN1")
    assert read(path).mean()[0] == pytest.approx(0.4)
    turned = text(tmp_path / "turned.txt", [[0.6, 0.1, 0.2], [0.7, 0.2, 0.6], [0.0, 2.0, 1.0]], "Z_LOW Z_HIGH BIN1")
    assert read(turned).mean()[0] == pytest.approx((0.2 * 0.15 + 0.4 * 0.4) / 0.6)


def test_cells_that_overlap_as_those_of_surveys_do_are_taken_as_they_are(tmp_path):
    low, high = np.array([-0.025, 0.01, 0.06, 0.11]), np.array([0.025, 0.06, 0.11, 0.16])  # the first rows of DECADE's
    found = read(text(tmp_path / "nz.txt", [low, high, [0.1, 1, 2, 1]], "Z_LOW Z_HIGH BIN1"))
    middles = (np.maximum(low, 0) + high) / 2
    weight = np.array([0.1, 1, 2, 1]) * (high - low)
    assert found.mean()[0] == pytest.approx(weight @ middles / weight.sum(), abs=1e-6)


def test_points_are_joined_by_straight_lines(tmp_path):
    found = read(text(tmp_path / "nz.txt", [[0.2, 0.5, 1.1], [0, 1, 0]]), "points")
    assert found.mean()[0] == pytest.approx((0.2 + 0.5 + 1.1) / 3, abs=1e-4)  # centre of mass of the triangle


@pytest.mark.parametrize("rows", [[(0.4, 1), (0.6, 1)], [(0.4, 1), (0.5, 2), (0.6, 2), (0.7, 1)]])
def test_a_few_rows_give_nodes_enough_for_theory(tmp_path, rows):
    found = read(text(tmp_path / "nz.txt", list(zip(*rows, strict=True))), "points")
    assert len(found.redshift) >= 48
    z, n = np.array(rows).T
    fine = np.linspace(z[0], z[-1], 100_001)
    density = np.interp(fine, z, n)
    assert found.mean()[0] == pytest.approx(np.average(fine, weights=density), abs=1e-3)


def test_galaxies_at_redshift_zero_stay_galaxies(tmp_path):
    low = np.arange(0, 1, 0.1)
    path = text(tmp_path / "nz.txt", [low, [5, *[1] * 9]], "hist")
    assert read(path).mean()[0] == pytest.approx((5 * 0.05 + np.sum(low[1:] + 0.05)) / 14, abs=1e-4)


def test_a_negligible_tail_is_cut_and_told(tmp_path):
    z = np.linspace(0, 3, 500)
    path = text(tmp_path / "nz.txt", [z, np.exp(-((z - 1) ** 2) / 0.045)])
    with pytest.warns(TailWarning, match=r"nz\.txt: .* lie beyond a redshift of 1\.5"):
        found = read(path)
    assert found.redshift[-1] < 2.2 and found.mean()[0] == pytest.approx(1.0, abs=TAIL)
    narrow = text(tmp_path / "narrow.txt", [[0.5, 0.6], [0.6, 0.7], [1, 1]], "Z_LOW Z_HIGH BIN1")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        read(narrow)


def test_a_small_bin_keeps_its_tail_where_another_has_none(tmp_path):
    bins = [np.exp(-((MIDDLE - 0.4) ** 2) / 0.005), 1e-8 * np.exp(-((MIDDLE - 1.4) ** 2) / 0.02)]
    found = read(text(tmp_path / "nz.txt", [LOW, HIGH, *bins], "Z_LOW Z_HIGH BIN1 BIN2"))
    np.testing.assert_allclose(found.mean(), [0.4, 1.4], atol=3e-3)


def test_one_of_several_tables_is_chosen_by_name(tmp_path):
    path = two_point(tmp_path / "2pt.fits", names=("nz_source", "nz_lens"))
    with pytest.raises(ValueError, match=r"holds the n\(z\) tables NZ_SOURCE, NZ_LENS: choose one"):
        read(path)
    np.testing.assert_allclose(read(f"{path}[nz_lens]").mean(), MEANS, atol=2e-4)
    alike = two_point(tmp_path / "alike.fits", names=("nz", "nz"))
    with pytest.raises(ValueError, match="tables NZ, NZ 4: choose one"):
        read(alike)
    none = two_point(tmp_path / "none.fits", names=())
    with pytest.raises(ValueError, match=r"holds no n\(z\): its tables are COVMAT, XI_PLUS"):
        read(none)


def test_tracers_of_a_sacc_file_are_bins_in_the_order_of_their_numbers(tmp_path):
    path = sacc(tmp_path / "data.sacc")
    with pytest.raises(ValueError, match="holds tracers of the kinds lens, source: choose one"):
        read(path)
    np.testing.assert_allclose(read(f"{path}[source]").mean(), MEANS[:2], atol=1e-3)
    turned = sacc(tmp_path / "turned.sacc", ("source_10", "source_9"))
    np.testing.assert_allclose(read(f"{turned}[source]").mean(), MEANS[1::-1], atol=1e-3)


def test_a_compressed_file_is_read(tmp_path):
    path = two_point(tmp_path / "2pt.fits.gz")
    np.testing.assert_allclose(read(path).mean(), MEANS, atol=2e-4)


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("", r"has \(0, 0\) rows and columns"),
        ("0.1 1\n", r"has \(1, 2\) rows and columns"),
        ("0.1\n0.2\n", r"has \(2, 1\) rows and columns"),
        ("0.1 1\n0.2 1 3\n", "rows have 2 to 3 columns"),
        ("0.1 1\n0.2 x\n", "cannot be read as a table of numbers"),
        ("0.1 nan\n0.11 1\n", "must be finite"),
        ("0.1 -1\n0.11 1\n", "densities >= 0"),
        ("0.1 0\n0.11 0\n", "bin 1 is empty"),
        ("0.2 1\n0.1 1\n", "redshifts must ascend"),
        ("-0.2 1\n-0.19 1\n-0.18 1\n", "must be >= 0"),
        ("8.50 1\n8.51 1\n", "must be < 8"),
        ("# z_high n\n0.1 1\n0.2 1\n", "upper edges alone"),
        ("# z_low z_high n\n0.2 0.1 1\n0.3 0.4 1\n", "upper edges must lie above lower edges"),
        ("# z_low z_high n\n0.1 0.4 1\n0.2 0.3 1\n", "no cell within another"),
        ("# z_low z_high n\n0.1 0.2 1\n0.1 0.2 1\n", "no cell within another"),
        ("# z zs n\n0.1 0.1 1\n0.11 0.2 1\n", "one of them twice"),
        ("# z_mid bin1 bin1\n0.1 0.1 1\n0.11 0.2 1\n", "one of them twice"),
        ("# z_mid z_low\n0.1 0.1\n0.11 0.2\n", "no densities beside the redshifts"),
        (b"\xff\xfe\x00\x81", "neither text nor FITS"),
        (b"SIMPLE  = nonsense", "not a FITS file that can be read|holds no n"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_in_a_line_with_its_name(tmp_path, written, message):
    path = tmp_path / "nz.txt"
    path.write_bytes(written if isinstance(written, bytes) else written.encode())
    with pytest.raises(ValueError, match=message) as error:
        read(path)
    assert str(error.value).startswith(f"sources = {path}: ") and "\n" not in str(error.value)


def test_a_page_names_a_plane_or_bins_or_a_file(tmp_path):
    assert redshift_tables.named("plane", [0.5, 1.0]).mean().tolist() == [0.5, 1.0]
    assert len(redshift_tables.named("stage-iii", 1.0).share) == 4
    np.testing.assert_allclose(redshift_tables.named(str(two_point(tmp_path / "a.fits")), 1.0).mean(), MEANS, atol=2e-4)
    for name in ("nowhere.txt", "x" * 5000):
        with pytest.raises(ValueError, match=r"there is no such file|File name too long"):
            redshift_tables.named(name, 1.0)
    with pytest.raises(ValueError, match="nz = 'ends'"):
        read(tmp_path / "a.fits", "ends")
