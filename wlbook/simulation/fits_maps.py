"""Other people's maps: folders of FITS images in, folders of FITS images out.

A folder is either in the Columbia layout, `Om0.260_si0.800/WLconv_z1.00_0001r.fits`, or holds a table `maps.csv` with a
line for each map. Each image says its side in degrees in the keyword ANGLE, as those of LensTools do.
"""

import csv
import re
import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from wlbook.common import checks
from wlbook.common.progress import progress
from wlbook.simulation.cosmology import FIDUCIAL
from wlbook.simulation.dataset import SPLITS, labelled

TABLE = "maps.csv"
COLUMNS = ("file", "omega_m", "sigma_8", "split", "seed", "redshift")
_MODEL = re.compile(r"Om(\d+\.?\d*)_si(\d+\.?\d*)")
_IMAGE = re.compile(r"WLconv_z(\d+\.?\d*)_(\d+)r?\.fits?")


class SkippedWarning(UserWarning):
    """A file could not be used and was left out, as asked."""


class _Map(NamedTuple):
    """One map before it is read: a file for each bin."""

    paths: tuple[Path, ...]
    omega_m: float
    sigma_8: float
    split: str
    seed: int
    redshift: tuple[float, ...]


def listing(folder: str | Path) -> list[list[Any]]:
    """Name, size [bytes] and time of change of the folder's images and table: different whenever its maps may be."""
    paths = [Path(folder) / TABLE, *(path for one in _named_in(folder) for path in one.paths)]
    there = [(path, path.stat()) for path in paths if path.is_file()]
    if not there:
        raise ValueError(f"source = {folder}: holds neither {TABLE} nor Om0.260_si0.800/WLconv_z1.00_0001r.fits")
    return [[str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns] for path, stat in there]


def _named_in(folder: str | Path) -> Iterable[_Map]:
    """The maps that the folder's table names, else those of the Columbia layout."""
    found, table = Path(folder).is_dir(), Path(folder) / TABLE
    checks.require(found, "source", folder, '"simulate" or a folder, and there is no such folder')
    return _from_table(table) if table.is_file() else _from_names(Path(folder))


def from_fits(
    folder: str | Path,
    *,
    pixels: int | None = None,
    n_maps: int | None = None,
    bad: str = "refuse",
    listing: Any = None,
) -> xr.Dataset:
    """Maps from a folder, labelled as `maps.simulate` does its own.

    In the Columbia layout the maps of each model are cut in two halves by number, one to train and one to test on, and
    those of Om0.260_si0.800 play the observed sky. Both halves may come from one box: then a score on the second
    flatters the network. Files that differ only in redshift are the bins of one map.

    The table has the columns file (bins separated by ;), omega_m, sigma_8, split (train, test or fiducial); it may have
    seed (of the box) and redshift (like file).

    Args:
        pixels: per side of the maps returned, a divisor of the images': pixels are averaged. By default as they are.
        n_maps: of each model and split at most.
        bad: what to do about a file that cannot be used: "refuse", or "skip" it with a warning that names it.
        listing: of the folder; only there so that a stored result notices when the folder changes.
    """
    del listing
    checks.one_of("bad_files", bad, ("refuse", "skip"))
    known = _first(_named_in(folder), n_maps)
    images, used, side = [], [], 0.0
    for one in progress(known, "reading maps", total=len(known), unit="map"):
        try:
            image, angle = _read(one.paths, pixels)
            if images and (image.shape, round(angle, 6)) != (images[0].shape, round(side, 6)):
                others = f"the others {images[0].shape} over {side:g} deg"
                raise ValueError(f"{one.paths[0]}: {image.shape} over {angle:g} deg, {others}")
        except ValueError as error:
            if bad == "refuse":
                raise
            warnings.warn(f"skipped {error}", SkippedWarning, stacklevel=2)
            continue
        side = angle
        images.append(image)
        used.append(one)
    return _dataset(Path(folder), images, used, side)


def _dataset(folder: Path, images: list[np.ndarray], used: list[_Map], side: float) -> xr.Dataset:
    if missing := [split for split in SPLITS if all(one.split != split for one in used)]:
        raise ValueError(f"source = {folder}: holds no usable map of split {missing[0]!r}; {TABLE} can name them")
    models = sorted({(one.omega_m, one.sigma_8) for one in used if one.split != "fiducial"})
    made_of: dict[str, Any] = {name: [getattr(one, name) for one in used] for name in ("omega_m", "sigma_8", "seed")}
    made_of["model"] = [-1 if one.split == "fiducial" else models.index((one.omega_m, one.sigma_8)) for one in used]
    made_of["split"] = [SPLITS.index(one.split) for one in used]
    data = labelled(np.stack(images), made_of, "convergence")
    pixel = side * 60 / images[0].shape[-1]
    data.attrs = {"side": side, "pixel": pixel, "source": folder.name, "trusted_ell": 180 * 60 / pixel}
    data.attrs["source_redshift"] = list(used[0].redshift)
    return data


def _first(maps: Iterable[_Map], n_maps: int | None) -> list[_Map]:
    seen, kept = Counter(), []
    for one in maps:
        place = (one.omega_m, one.sigma_8, one.split)
        seen[place] += 1
        if n_maps is None or seen[place] <= n_maps:
            kept.append(one)
    return kept


def _from_names(folder: Path) -> Iterable[_Map]:
    """The maps of the Columbia layout."""
    for number, model in enumerate(sorted(folder.glob("Om*_si*"))):
        if not (match := _MODEL.fullmatch(model.name)):
            continue
        omega_m, sigma_8 = (float(value) for value in match.groups())
        maps: dict[str, list[tuple[float, Path]]] = {}
        for path in sorted(model.iterdir()):
            if found := _IMAGE.fullmatch(path.name):
                maps.setdefault(found[2], []).append((float(found[1]), path))
        for i, bins in enumerate(bins for _, bins in sorted(maps.items())):
            redshift, paths = zip(*sorted(bins), strict=True)
            half = "train" if 2 * i < len(maps) else "test"
            split = "fiducial" if np.allclose((omega_m, sigma_8), FIDUCIAL) else half
            yield _Map(paths, omega_m, sigma_8, split, 2 * number + (split == "test"), redshift)


def _from_table(table: Path) -> Iterable[_Map]:
    with table.open(newline="") as stream:
        rows = csv.DictReader(stream)
        if missing := [name for name in COLUMNS[:4] if name not in (rows.fieldnames or [])]:
            raise ValueError(f"{table}: column {missing[0]} is missing; there must be {', '.join(COLUMNS[:4])}")
        for line, row in enumerate(rows, start=2):
            try:
                checks.one_of("split", row["split"], SPLITS)
                seed = int(row.get("seed") or SPLITS.index(row["split"]))
                model = float(row["omega_m"]), float(row["sigma_8"])
                redshift = tuple(float(z) for z in (row.get("redshift") or "nan").split(";"))
            except (TypeError, ValueError) as error:
                raise ValueError(f"{table}, line {line}: {error}") from None
            paths = tuple(table.parent / name.strip() for name in row["file"].split(";"))
            yield _Map(paths, *model, row["split"], seed, redshift)


def _read(paths: tuple[Path, ...], pixels: int | None) -> tuple[np.ndarray, float]:
    """One map [bin, y, x] and its side [deg]; what is wrong with a file is said by its name."""
    from astropy.io import fits  # only who has files waits for this import
    from astropy.utils.exceptions import AstropyUserWarning

    images, sides = [], []
    for path in paths:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", AstropyUserWarning)  # of a file that ends too early
                with path.open("rb") as stream, fits.open(stream) as file:
                    data, header = file[0].data, file[0].header  # pyright: ignore
        except (OSError, TypeError, ValueError, AstropyUserWarning) as error:
            reason = "no such file" if not path.exists() else f"not a FITS file ({error})"
            raise ValueError(f"{path}: {reason}".splitlines()[0]) from None
        if "ANGLE" not in header:
            raise ValueError(f"{path}: the header has no ANGLE, the side of the map [deg]")
        if data is None or data.ndim != 2 or data.shape[0] != data.shape[1]:
            raise ValueError(f"{path}: {None if data is None else data.shape} is not a square image")
        if not np.isfinite(data).all():
            raise ValueError(f"{path}: {int(np.sum(~np.isfinite(data)))} pixels are NaN or infinite")
        if pixels is not None and len(data) % pixels:
            raise ValueError(f"{path}: {len(data)} pixels a side cannot be averaged to pixels = {pixels}")
        n = pixels or len(data)
        images.append(np.asarray(data, np.float64).reshape(n, len(data) // n, n, -1).mean(axis=(1, 3)))
        sides.append(float(header["ANGLE"]))
    if len({(image.shape, side) for image, side in zip(images, sides, strict=True)}) > 1:
        raise ValueError(f"{paths[0]}: its bins differ in size")
    return np.stack(images).astype(np.float32), sides[0]


def to_fits(data: xr.Dataset, folder: str | Path) -> None:
    """Write maps as LensTools' `ConvergenceMap.load` reads them, in the Columbia layout, with a table of their splits.

    The folder is made if need be; images of the same names are replaced.
    """
    from astropy.io import fits

    folder, rows = Path(folder), []
    redshift = data.attrs.get("source_redshift", [])
    seen: Counter[str] = Counter()
    for i in progress(range(data.sizes["map"]), "writing maps", unit="map"):
        one = data.isel(map=i)
        model = f"Om{float(one.omega_m):.3f}_si{float(one.sigma_8):.3f}"
        seen[model] += 1
        (folder / model).mkdir(parents=True, exist_ok=True)
        names = []
        for b, image in enumerate(one["kappa"].values):
            z = redshift[b] if b < len(redshift) else b + 1
            names.append(f"{model}/WLconv_z{z:.2f}_{seen[model]:04d}r.fits")
            header = fits.Header({"ANGLE": data.attrs["side"], "Z": z, "OMEGA_M": float(one.omega_m)})
            header["SIGMA_8"] = float(one.sigma_8)
            fits.writeto(folder / names[-1], image.astype(np.float32), header, overwrite=True)
        numbers = (f"{float(one[name]):.8g}" for name in ("omega_m", "sigma_8"))
        depth = ";".join(f"{z:g}" for z in redshift)
        rows.append([";".join(names), *numbers, SPLITS[int(one.split)], int(one.seed), depth])
    with (folder / TABLE).open("w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
