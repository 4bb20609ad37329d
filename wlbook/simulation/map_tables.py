"""Which maps other people's files hold, and of which universes: Columbia's layout, `maps.csv`, an array with labels.

Nothing is read here but names and tables; `map_files` reads the maps.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wlbook.simulation import images
from wlbook.simulation.cosmology import FIDUCIAL
from wlbook.simulation.dataset import SPLITS
from wlbook.simulation.images import Place

TABLE = "maps.csv"
COLUMNS = ("file", "omega_m", "sigma_8", "split", "seed", "redshift")
NEEDED = ("file", "omega_m", "sigma_8", "split")
AXES = ("model", "map", "bin", "y", "x")
SAME = 1e-4  # of omega_m and sigma_8: universes closer than that are one
_MODEL = re.compile(r"Om(\d+\.?\d*)_si(\d+\.?\d*)")
_IMAGE = re.compile(r"WLconv_z(\d+\.?\d*)_(\d+)r?\.fits?(\.gz|\.fz)?")


class Row(NamedTuple):
    """Maps of one universe before they are read.

    Attributes:
        places: of an array for each bin, or of one for all.
        axes: of that array, in its order.
        universe: omega_m, sigma_8.
        split: one of `SPLITS`.
        seed: of the box; None if unknown.
        redshift: of the sources of each bin; empty if unknown.
        side: of the maps [deg]; None if the files say it.
        masks: of an array for each bin, or of one for all; empty if all is observed.
        where: for messages, the file and line that said so.
        cut: what of the array's axes belongs to it; by default all.
    """

    places: tuple[Place, ...]
    axes: tuple[str, ...]
    universe: tuple[float, float]
    split: str
    seed: int | None
    redshift: tuple[float, ...]
    side: float | None
    masks: tuple[Place, ...]
    where: str
    cut: tuple[int | slice, ...] = ()


def rows(source: Path, *, axes: str = "", labels: str = "") -> list[Row]:
    """The maps that a folder or a file offers.

    Args:
        source: a folder in the Columbia layout or with a table `maps.csv`, or a file with an array.
        axes: names of the axes of arrays in their order, of `AXES`; by default "y x", with "map" or "bin y x" where
            an array has more of them.
        labels: for an array: a table with omega_m and sigma_8 (or s_8) of each model or map, and the names of its
            columns if it has none, as in "labels.npy: omega_m s_8".

    Raises:
        ValueError: one line with the file, the line, and what is wrong.
    """
    words = _axes(axes)
    if source.is_dir() and source.suffix != ".zarr":
        if (source / TABLE).is_file():
            found = list(_from_table(source / TABLE, words))
        else:
            found = list(_from_names(source))
            if not found:
                raise ValueError(
                    f"source = {source}: holds neither {TABLE} nor Om0.260_si0.800/WLconv_z1.00_0001r.fits"
                )
    else:
        found = _from_labels(source, words, labels)
    return one_universe_each(found)


def files(source: Path, labels: str = "") -> list[Path]:
    """Every file that maps are read from, the tables among them: what they hold decides what the maps are."""
    if not source.is_dir() or source.suffix == ".zarr":
        of_labels = [_labels_of(labels, source.parent)[0]] if labels else []
        return [one for one in (images.place(str(source), Path()).path, *of_labels) if one.exists()]
    if not (source / TABLE).is_file():
        return sorted(source.glob("Om*_si*/WLconv_z*"))
    named = {place.path for row in _from_table(source / TABLE, ()) for place in (*row.places, *row.masks)}
    return [source / TABLE, *sorted(path for path in named if path.exists())]


def _axes(text: str) -> tuple[str, ...]:
    words = tuple(text.split())
    if words and (not {"y", "x"} <= {*words} <= {*AXES} or len({*words}) < len(words)):
        raise ValueError(f"axes = {text!r}: must be names of {', '.join(AXES)}, each once, y and x among them")
    return words


def one_universe_each(found: Sequence[Row]) -> list[Row]:
    """Rows whose universes differ by less than `SAME` have the same one, that of the first of them."""
    known: list[tuple[float, float]] = []
    same = []
    for row in found:
        near = [one for one in known if np.abs(np.subtract(one, row.universe)).max() <= SAME]
        if not near:
            known.append(row.universe)
        same.append(row._replace(universe=near[0] if near else row.universe))
    return same


def _universe(omega_m: Any, sigma_8: Any) -> tuple[float, float]:
    found = float(omega_m), float(sigma_8)
    for name, value in zip(("omega_m", "sigma_8"), found, strict=True):
        if not 0 < value < 3:
            raise ValueError(f"{name} = {value}: must be > 0 and < 3")
    return found


def _from_names(folder: Path) -> Iterator[Row]:
    """The Columbia layout: both halves of a model's maps, by number, and Om0.260_si0.800 as the observed sky."""
    for number, model in enumerate(sorted(folder.glob("Om*_si*"))):
        match = _MODEL.fullmatch(model.name)
        if not match or not model.is_dir():
            continue
        universe = _universe(*match.groups())
        maps: dict[str, list[tuple[float, Path]]] = {}
        for path in sorted(model.iterdir()):
            if named := _IMAGE.fullmatch(path.name):
                maps.setdefault(named[2], []).append((float(named[1]), path))
        for i, bins in enumerate(bins for _, bins in sorted(maps.items())):
            redshift, paths = zip(*sorted(bins), strict=True)
            half = "train" if 2 * i < len(maps) else "test"
            split = "fiducial" if np.allclose(universe, FIDUCIAL) else half
            places = tuple(map(Place, paths))
            seed = 2 * number + (split == "test")
            yield Row(places, ("y", "x"), universe, split, seed, redshift, None, (), str(paths[0]))


def table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Names and lines of a table as spreadsheets save it: with a byte order mark, semicolons, tabs, spaces.

    Raises:
        ValueError: it is no text.
    """
    try:
        text = path.read_bytes().decode(
            "utf-16" if path.read_bytes()[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        )
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text in UTF-8") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip(" ,;\t")]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError(f"{path}: is empty")
    separator = max(",;\t", key=lines[0][1].count)

    def cells(line: str) -> list[str]:
        return [
            cell.strip() for cell in next(csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True))
        ]

    names = [name.lower() for name in cells(lines[0][1])]
    found = []
    for number, line in lines[1:]:
        values = cells(line)
        if len(values) > len(names):
            raise ValueError(f"{path}, line {number}: has {len(values)} columns, the first line names {len(names)}")
        if separator == ";":  # where semicolons part columns, a comma is a decimal point
            values = [re.sub(r"(?<=\d),(?=\d)", ".", value) for value in values]
        found.append((number, dict(zip(names, values, strict=False))))
    return names, found


def _from_table(path: Path, words: tuple[str, ...]) -> Iterator[Row]:
    names, lines = table(path)
    names = ["sigma_8" if name == "s_8" else name for name in names]
    missing = [name for name in NEEDED if name not in names]
    if missing:
        raise ValueError(f"{path}: column {missing[0]} is missing; there must be {', '.join(NEEDED)}")
    for number, line in lines:
        try:
            yield _row(path, line, words, f"{path}, line {number}")
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}, line {number}: {error}") from None


def _row(path: Path, line: dict[str, str], words: tuple[str, ...], where: str) -> Row:
    def several(name: str) -> list[str]:
        return [one.strip() for one in line.get(name, "").split(";") if one.strip()]

    if line["split"] not in SPLITS:
        raise ValueError(f"split = {line['split']}: must be one of {', '.join(SPLITS)}")
    if not several("file"):
        raise ValueError("file is empty")
    omega_m = float(line["omega_m"])
    sigma_8 = float(line["sigma_8"]) if "sigma_8" in line else float(line["s_8"]) / (omega_m / 0.3) ** 0.5
    universe = _universe(omega_m, sigma_8)
    seed = line.get("seed") or None
    if seed is not None and float(seed) % 1:
        raise ValueError(f"seed = {seed}: must be a whole number")
    redshift = tuple(float(z) for z in several("redshift"))
    if not all(0 < z < 20 for z in redshift):
        raise ValueError(f"redshift = {line['redshift']}: must be > 0 and < 20")
    places = tuple(images.place(one, path.parent) for one in several("file"))
    if len(redshift) not in (0, 1, len(places)) and len(places) > 1:
        raise ValueError(f"redshift = {line['redshift']}: must be one for each of {len(places)} files")
    side = images.plausible_side(line["side"], "side") if line.get("side") else None
    masks = tuple(images.place(one, path.parent) for one in several("mask"))
    if len(masks) > 1 and len(masks) != len(places):
        raise ValueError(f"mask = {line['mask']}: must be one file, or one for each of {len(places)}")
    axes = _axes(line["axes"]) if line.get("axes") else words
    whole = int(float(seed)) if seed is not None else None
    return Row(places, axes, universe, line["split"], whole, redshift, side, masks, where)


def _from_labels(path: Path, words: tuple[str, ...], labels: str) -> Iterator[Row]:
    """An array of many maps with a table of their universes, which are parted into splits here.

    The universe nearest to the middle of all of them plays the observed sky; of every other one the first half of its
    maps is for training and the second for testing.
    """
    where = images.place(str(path), Path())
    shape = images.shape(where)
    if not labels:
        raise ValueError(f"source = {path}: is an array, and a table must name its universes: set labels")
    if len(words) != len(shape) or not {"map", "model"} & {*words}:
        raise ValueError(
            f"axes = {' '.join(words)!r}: must name the {len(shape)} axes of {path}, as in 'model map y x'"
        )
    universes = read_labels(labels, path.parent)
    sizes = dict(zip(words, shape, strict=True))
    maps = sizes.get("map", 1)
    if sizes.get("model", len(universes)) != len(universes) or ("model" not in sizes and maps % len(universes)):
        raise ValueError(
            f"labels = {labels}: has {len(universes)} rows, for an array of shape {shape} in {' '.join(words)}"
        )
    each = maps if "model" in sizes else maps // len(universes)
    grouped = one_universe_each(
        [Row((where,), words, one, "", None, (), None, (), f"{path}, model {i}") for i, one in enumerate(universes)]
    )
    middle = np.median(universes, axis=0)
    off = (((np.array([row.universe for row in grouped]) - middle) / (np.ptp(universes, axis=0) + SAME)) ** 2).sum(
        axis=1
    )
    sky = grouped[int(off.argmin())].universe
    members: dict[tuple[float, float], list[tuple[int, int]]] = {}
    for i, row in enumerate(grouped):
        members.setdefault(row.universe, []).extend((i, number) for number in range(each))
    for universe, ones in members.items():
        for place, (model, number) in enumerate(ones):
            half = "train" if 2 * place < len(ones) else "test"
            at = {"model": model, "map": number if "model" in sizes else model * each + number}
            cut = tuple(at.get(word, slice(None)) for word in words)
            split = "fiducial" if universe == sky else half
            yield grouped[model]._replace(split=split, cut=cut, where=f"{path}, model {model}, map {number}")


def read_labels(labels: str, folder: Path) -> list[tuple[float, float]]:
    """Universes of an array's models, or maps, from a table or an array of their parameters.

    Args:
        labels: the file, and after a colon the names of its columns if it has none: omega_m, sigma_8 or s_8, and any
            other word for what is not used, as in "labels.npy: omega_m s_8 _ _".
        folder: where a relative name begins.
    """
    path, name, names = _labels_of(labels, folder)
    if not path.is_file() and "[" not in name:
        raise ValueError(f"labels = {name}: there is no such file")
    if path.suffix in (".csv", ".txt", ".dat", ".tsv"):
        numbers, names = _label_text(path, names)
    else:
        numbers = np.asarray(images.read(images.place(name, folder)).values, np.float64)
        numbers = numbers.reshape(-1, numbers.shape[-1])
    names = ["omega_m" if one in ("om", "omegam") else "s_8" if one == "s8" else one for one in names]
    names = ["sigma_8" if one == "sigma8" else one for one in names]
    if len(names) != numbers.shape[1] or "omega_m" not in names or not {"sigma_8", "s_8"} & {*names}:
        raise ValueError(
            f"labels = {labels}: has {numbers.shape[1]} columns, named {' '.join(names) or 'nothing'}: omega_m and "
            f'sigma_8 or s_8 must be among the names, as in "{name.strip()}: omega_m sigma_8"'
        )
    column = {one: numbers[:, i] for i, one in enumerate(names)}
    sigma_8 = column["sigma_8"] if "sigma_8" in column else column["s_8"] / np.sqrt(column["omega_m"] / 0.3)
    try:
        return [_universe(*pair) for pair in zip(column["omega_m"], sigma_8, strict=True)]
    except ValueError as error:
        raise ValueError(f"labels = {labels}: {error}") from None


def _labels_of(labels: str, folder: Path) -> tuple[Path, str, list[str]]:
    """File, its name as given, and names of columns that a text names."""
    name, _, given = labels.partition(": ") if not (folder / labels).exists() else (labels, "", "")
    return images.place(name, folder).path, name.strip(), given.lower().split()


def _label_text(path: Path, names: list[str]) -> tuple[np.ndarray, list[str]]:
    lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    head = [line for line in lines if not re.match(r"[-+.\d]", line)]
    rows = [re.split(r"[,;\s]+", line) for line in lines if re.match(r"[-+.\d]", line)]
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError(f"labels = {path}: its rows must have the same number of columns")
    try:
        numbers = np.array(rows, np.float64)
    except ValueError as error:
        raise ValueError(f"labels = {path}: {error}") from None
    if not names and head:
        names = [one.lower() for one in re.split(r"[,;\s]+", head[-1].lstrip("#% ")) if one]
    return numbers, names
