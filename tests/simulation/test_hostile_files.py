"""Files that are broken in some way, two hundred of them: each gives the right numbers or one line with its name."""

import warnings

import numpy as np
import pytest
from astropy.io import fits

from wlbook.simulation import map_files, map_tables, masks, redshift_tables

Z = np.arange(0.025, 2, 0.05)
DENSITY = np.exp(-((Z - 0.7) ** 2) / 0.02)
KAPPA = np.random.default_rng(0).normal(scale=0.02, size=(16, 16)).astype(np.float32)
SEEN = np.random.default_rng(1).uniform(size=(16, 16)) > 0.3
WORDS = ["", "nan", "inf", "-inf", "-99", "1e400", "x", "0x1f", "1,5", "\x00", "ß", "1 2", "--1", "9" * 400, "train"]


def attempt(path, read):
    """What is read, or None if it was refused in a line that names the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return read()
        except ValueError as error:
            assert "\n" not in str(error) and path.name in str(error), error
            return None


def spoilt(raw: bytes, rng: np.random.Generator) -> bytes:
    """Bytes cut off, changed, doubled or replaced."""
    at = int(rng.integers(0, len(raw)))
    match rng.integers(6):
        case 0:
            return raw[:at]
        case 1:
            return b""
        case 2:
            return bytes(rng.integers(0, 256, 300, dtype=np.uint8))
        case 3:
            return raw[:at] + bytes(rng.integers(0, 256, 20, dtype=np.uint8)) + raw[at + 20 :]
        case 4:
            return raw[at:] + raw[:at]
        case _:
            return raw[:at] + b"\n\x00\xff" + raw[at:]


def spoilt_table(rows: list[list[str]], rng: np.random.Generator) -> list[list[str]]:
    """Rows with a cell replaced, a cell gone, rows doubled, turned round or gone."""
    rows = [[*row] for row in rows if row]
    if not rows:
        return rows
    i = int(rng.integers(0, len(rows)))
    j = int(rng.integers(0, len(rows[i])))
    match rng.integers(6):
        case 0 | 1:
            rows[i][j] = str(rng.choice(WORDS))
        case 2:
            del rows[i][j]
        case 3:
            rows.insert(i, rows[i])
        case 4:
            rows = rows[::-1]
        case _:
            rows = rows[: i // 8]
    return rows


@pytest.mark.parametrize("seed", range(50))
def test_tables_of_redshifts(tmp_path, seed):
    rng, path = np.random.default_rng(seed), tmp_path / "nz.txt"
    rows = [["z_mid", "bin1"], *([f"{z:.5g}", f"{n:.5g}"] for z, n in zip(Z, DENSITY, strict=True))]
    rows = spoilt_table(rows, rng)
    path.write_text("\n".join(" ".join(row) for row in rows), encoding="utf-8")
    if (found := attempt(path, lambda: redshift_tables.read(path))) is None:
        return
    good = [row for row in rows if not row[0].startswith("z")]
    z, n = np.array(good, np.float64).T
    fine = np.linspace(z[0], z[-1], 40_001)
    assert found.mean()[0] == pytest.approx(np.average(fine, weights=np.interp(fine, z, n)), abs=1e-3)


@pytest.mark.parametrize("seed", range(30))
def test_fits_tables_of_redshifts(tmp_path, seed):
    rng, path = np.random.default_rng(seed), tmp_path / "nz.fits"
    density = DENSITY.copy()
    kinds = rng.choice(["D", "E", "16A", "2D"], p=[0.6, 0.2, 0.1, 0.1])
    if rng.uniform() < 0.3:
        density[rng.integers(0, len(Z))] = rng.choice([np.nan, -1, np.inf, 1e300])
    values = density.astype("U16") if kinds == "16A" else np.stack([density] * 2, 1) if kinds == "2D" else density
    z = [Z, Z[::-1], np.full_like(Z, 0.5), Z * 10][rng.choice(4, p=[0.7, 0.1, 0.1, 0.1])]
    columns = [fits.Column("Z_MID", "D", array=z), fits.Column("BIN1", kinds, array=values)]
    fits.BinTableHDU.from_columns(columns, name="nz").writeto(path)
    changed = rng.uniform() < 0.5
    if changed:
        path.write_bytes(spoilt(path.read_bytes(), rng))
    found = attempt(path, lambda: redshift_tables.read(path))
    assert found is None or np.isfinite(found.mean()).all()
    if found is not None and not changed:
        assert z is Z and np.isfinite(density).all() and (density >= 0).all()
        assert found.mean()[0] == pytest.approx(Z @ density / density.sum(), abs=2e-3)


@pytest.mark.parametrize("seed", range(40))
def test_masks(tmp_path, seed):
    rng, path = np.random.default_rng(seed), tmp_path / "mask.fits"
    values = SEEN.astype(rng.choice(["u1", "i2", "f4", "f8"]))
    where, changed = tuple(rng.integers(0, 16, 2)), rng.integers(4)
    if changed == 1:
        values = values.astype("f4")
        values[where] = rng.choice([np.nan, np.inf, -1.6375e30, 0.5, -1, 7, 1e30])
    if changed == 2:
        values = values[: rng.integers(0, 17), : rng.integers(0, 17)]
    fits.PrimaryHDU(values).writeto(path)
    if changed == 3:
        path.write_bytes(spoilt(path.read_bytes(), rng)[: 2880 * 3])
    found = attempt(path, lambda: masks.read_mask(path, 16))
    if found is not None and changed != 3:
        expected = np.nan_to_num(values, nan=0, posinf=0, neginf=0) == 1
        np.testing.assert_array_equal(found, expected)


def image(path, rng):
    """A FITS image with something odd about it; True if its numbers are still those of KAPPA over 3.5 degrees."""
    kappa, cards = KAPPA.astype(rng.choice(["f4", "f8", ">f4"])), {"ANGLE": 3.5}
    match rng.integers(5):
        case 0:
            kappa[tuple(rng.integers(0, 16, 2))] = rng.choice([np.nan, np.inf, -99, -1.6375e30, 1e30, 60])
        case 1:
            cards["ANGLE"] = rng.choice(np.array([0, -1, 1e9, None, "x", True, "3.5"], object))
        case 2:
            kappa = kappa[: rng.integers(0, 17), : rng.integers(1, 17)]
        case 3:
            cards |= {"CDELT1": 1e9, "CRVAL1": "x"}
    fits.PrimaryHDU(kappa, fits.Header(cards)).writeto(path, overwrite=True)
    raw = path.read_bytes()
    if rng.uniform() < 0.3:
        path.write_bytes(spoilt(raw, rng))
    elif rng.uniform() < 0.3:  # a size that no disk has
        path.write_bytes(raw.replace(b"NAXIS1  =                   16", b"NAXIS1  =           1600000000"))
    whole = path.read_bytes() == raw and kappa.shape == (16, 16) and np.array_equal(kappa, KAPPA)
    return whole and cards["ANGLE"] in (3.5, "3.5")


@pytest.mark.parametrize("seed", range(40))
def test_images(tmp_path, seed):
    rng = np.random.default_rng(seed)
    path, lines = tmp_path / "k.fits", ["file,omega_m,sigma_8,split,seed"]
    good = image(path, rng)
    fits.writeto(tmp_path / "good.fits", KAPPA, fits.Header({"ANGLE": 3.5}))
    for i, name in enumerate(("good", "k", "good", "good")):
        lines.append(f"{name}.fits,0.3,0.8,{('train', 'train', 'test', 'fiducial')[i]},{i}")
    (tmp_path / "maps.csv").write_text("\n".join(lines))
    found = attempt(path, lambda: map_files.read_maps(tmp_path))
    assert (found is not None) >= good
    if found is not None and good:
        np.testing.assert_array_equal(found["kappa"].values[1, 0], KAPPA)
    elif found is not None:  # bytes of the numbers themselves may change without a trace
        assert np.isfinite(found["kappa"]).all() and float(np.abs(found["kappa"]).max()) <= 50
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kept = map_files.read_maps(tmp_path, bad="skip")
    assert kept.sizes["map"] == 3 + (found is not None)


@pytest.mark.parametrize("seed", range(40))
def test_tables_of_maps(tmp_path, seed):
    rng, path = np.random.default_rng(seed), tmp_path / "maps.csv"
    rows = [["file", "omega_m", "sigma_8", "split", "seed", "redshift", "side"]]
    for i in range(12):
        split = ("train", "test", "fiducial")[i % 3]
        rows.append([f"k{i}.npy", f"{0.2 + 0.1 * (i % 3)}", "0.8", split, str(i), "1.0", "3.5"])
    for _ in range(rng.integers(1, 4)):
        rows = spoilt_table(rows, rng) or [[""]]
    text = "\n".join(",".join(row) for row in rows) or "\n"
    path.write_bytes(spoilt(text.encode(), rng) if rng.uniform() < 0.3 else text.encode())
    found = attempt(path, lambda: map_tables.rows(tmp_path))
    for row in found or []:
        if not row.places[0].path.stem.removeprefix("k").isdecimal():
            continue
        assert all(0 < value < 3 for value in row.universe) and row.split in ("train", "test", "fiducial")
        assert row.seed is None or 0 <= row.seed < 2**63
        assert row.side is None or 0 < row.side <= 40
