"""Which maps other people's files hold, and of which universes: Columbia's layout, `maps.csv`, an array with labels.

Nothing is read here but names and tables; `map_rows` reads the maps.
"""

import contextlib
import csv
import io
import math
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
        gamma2: where places are of gamma1, the arrays of the other component of shear; empty if they are of kappa.
        sign: of that component.
        border: pixels on each side that are left out.
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
    gamma2: tuple[Place, ...] = ()
    sign: int = 1
    border: int = 0


def rows(source: Path, *, axes: str = "", labels: str = "") -> list[Row]:
    """The maps that a folder or a file offers.

    Args:
        source: a folder in the Columbia layout or with a table `maps.csv`, or a file with an array.
        axes: names of the axes of arrays in their order, of `AXES`; by default "y x", with "map" or "bin y x" where
            an array has more of them.
        labels: for an array: a table with omega_m and sigma_8 (or s_8) of each model or map, and the names of its
            columns if it has none, as in "labels.npy: omega_m s_8".
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
        found = list(_from_labels(source, words, labels))
    return one_universe_each(found)


def files(source: Path, labels: str = "") -> list[Path]:
    """Every file that maps are read from, the tables among them: what they hold decides what the maps are."""
    if not source.is_dir() or source.suffix == ".zarr":
        path = images.place(str(source), Path()).path
        of_labels = [_labels_of(labels, path.parent)[0]] if labels else []
        return [one for one in dict.fromkeys([path, *of_labels]) if one.exists()]
    if not (source / TABLE).is_file():
        return sorted(source.glob("Om*_si*/WLconv_z*"))
    named = set()
    for _, line in table(source / TABLE)[1]:
        for column in ("file", "gamma1", "gamma2", "mask"):
            named |= {one.strip() for one in line.get(column, "").split(";")} - {""}
    paths = set()
    for name in {*named, *(one.removeprefix("-") for one in named)} - {""}:
        with contextlib.suppress(ValueError):  # `rows` says what is wrong, with its line
            paths.add(images.place(name, source).path)
    return [source / TABLE, *sorted((path for path in paths if images.exists(path)), key=str)]


def _axes(text: str) -> tuple[str, ...]:
    words = tuple(text.split())
    if words and (not {"y", "x"} <= {*words} <= {*AXES} or len({*words}) < len(words)):
        raise ValueError(f"axes = {text!r}: must be names of {', '.join(AXES)}, each once, y and x among them")
    return words


def one_universe_each(found: Sequence[Row]) -> list[Row]:
    """Rows whose universes differ by less than `SAME` have the same one, that of the first of them."""
    cells: dict[tuple[int, int], list[tuple[float, float]]] = {}
    known: dict[tuple[float, float], tuple[float, float]] = {}
    for row in found:
        if row.universe not in known:  # which others are near is asked of the cells around: there may be thousands
            x, y = (int(value // SAME) for value in row.universe)
            around = [one for i in range(x - 1, x + 2) for j in range(y - 1, y + 2) for one in cells.get((i, j), [])]
            near = [one for one in around if np.abs(np.subtract(one, row.universe)).max() <= SAME]
            if not near:
                cells.setdefault((x, y), []).append(row.universe)
            known[row.universe] = near[0] if near else row.universe
    return [row if (same := known[row.universe]) == row.universe else row._replace(universe=same) for row in found]


def _universe(omega_m: Any, sigma_8: Any) -> tuple[float, float]:
    found = float(omega_m), float(sigma_8)
    for name, value, most in zip(("omega_m", "sigma_8"), found, (1, 3), strict=True):
        if not 0 < value < most:
            raise ValueError(f"{name} = {value}: must be > 0 and < {most}")
    return found


def _from_names(folder: Path) -> Iterator[Row]:
    """The Columbia layout: both halves of a model's maps, by number, and Om0.260_si0.800 as the observed sky."""
    for number, model in enumerate(sorted(folder.glob("Om*_si*"))):
        match = _MODEL.fullmatch(model.name)
        if not match or not model.is_dir():
            continue
        try:
            universe = _universe(*match.groups())
        except ValueError as error:
            raise ValueError(f"{model}: {error}") from None
        observed = np.allclose(universe, FIDUCIAL)
        maps: dict[str, list[tuple[float, Path]]] = {}
        for path in model.iterdir():
            if named := _IMAGE.fullmatch(path.name):
                maps.setdefault(named[2], []).append((float(named[1]), path))
        for i, bins in enumerate(bins for _, bins in sorted(maps.items())):
            redshift, paths = zip(*sorted(bins), strict=True)
            if len({*redshift}) < len(redshift):
                raise ValueError(f"{paths[-1]}: is one of two maps of that number and redshift")
            half = "train" if 2 * i < len(maps) else "test"
            split = "fiducial" if observed else half
            places = tuple(map(Place, paths))
            seed = 2 * number + (split == "test")
            yield Row(places, ("y", "x"), universe, split, seed, redshift, None, (), str(paths[0]))


def table(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Names and lines of a table as spreadsheets save it: with a byte order mark, semicolons, tabs, spaces."""
    whole = path.read_bytes()
    try:
        text = whole.decode("utf-16" if whole[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path}: is no text in UTF-8") from None
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip(" ,;\t")]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError(f"{path}: is empty")
    separator = max(",;\t", key=lines[0][1].count)

    def cells(number: int, line: str) -> list[str]:
        if '"' not in line:
            return [cell.strip() for cell in line.split(separator)]
        try:
            read = next(csv.reader(io.StringIO(line), delimiter=separator, skipinitialspace=True))
        except csv.Error as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
        return [cell.strip() for cell in read]

    names = [name.lower() for name in cells(*lines[0])]
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise ValueError(f"{path}: there are two columns {twice[0]}")
    found = []
    for number, line in lines[1:]:
        values = cells(number, line)
        values += [""] * (len(names) - len(values))
        if len(values) > len(names):
            raise ValueError(f"{path}, line {number}: has {len(values)} columns, the first line names {len(names)}")
        if separator == ";":  # where semicolons part columns, a comma is a decimal point
            values = [re.sub(r"(?<=\d),(?=\d)", ".", value) for value in values]
        found.append((number, dict(zip(names, values, strict=True))))
    return names, found


def _from_table(path: Path, words: tuple[str, ...]) -> Iterator[Row]:
    names, lines = table(path)
    names = ["sigma_8" if name == "s_8" else name for name in names]
    missing = [name for name in NEEDED if name not in ({*names, "file"} if {"gamma1", "gamma2"} <= {*names} else names)]
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

    split = line["split"].lower()
    if split not in SPLITS:
        raise ValueError(f"split = {line['split']}: must be one of {', '.join(SPLITS)}")
    named, gamma2, sign = several("file"), *_second(several("gamma2"))
    if gamma2 and named:
        raise ValueError("names a file of kappa and one of gamma2: must be one of them")
    named = named or several("gamma1")
    if not named or len(gamma2) not in (0, len(named)) or (several("gamma1") and not gamma2):
        raise ValueError("file is empty" if not gamma2 else "gamma1 and gamma2 must name as many files")
    universe = _universe(*_parameters(line))
    redshift = tuple(float(z) for z in several("redshift"))
    if not all(0 < z < 8 for z in redshift):
        raise ValueError(f"redshift = {line['redshift']}: must be > 0 and < 8")
    places = tuple(images.place(one, path.parent) for one in named)
    if len(redshift) not in (0, 1, len(places)) and len(places) > 1:
        raise ValueError(f"redshift = {line['redshift']}: must be one for each of {len(places)} files")
    side = images.plausible_side(line["side"], "side") if line.get("side") else None
    masks = tuple(images.place(one, path.parent) for one in several("mask"))
    if len(masks) > 1 and len(masks) != len(places) > 1:
        raise ValueError(f"mask = {line['mask']}: must be one file, or one for each of {len(places)}")
    axes = _axes(line["axes"]) if line.get("axes") else words
    border = line.get("border") or "0"
    if not border.isdecimal():
        raise ValueError(f"border = {border}: must be a number of pixels, >= 0")
    return Row(
        places,
        axes,
        universe,
        split,
        _seed(line.get("seed", "")),
        redshift,
        side,
        masks,
        where,
        gamma2=tuple(images.place(one, path.parent) for one in gamma2),
        sign=sign,
        border=int(border),
    )


def _second(names: list[str]) -> tuple[list[str], int]:
    """Files of gamma2 and its sign: -FILE is of the other one."""
    if len({name.startswith("-") for name in names}) > 1:
        raise ValueError(f"gamma2 = {';'.join(names)}: must have a minus before each file, or before none")
    return [name.removeprefix("-") for name in names], -1 if names and names[0].startswith("-") else 1


def _parameters(line: dict[str, str]) -> tuple[float, float]:
    """omega_m and sigma_8, from S_8 = sigma_8 (omega_m / 0.3)^0.5 where a line has that."""
    omega_m = float(line["omega_m"])
    if "sigma_8" in line:
        return omega_m, float(line["sigma_8"])
    return omega_m, float(line["s_8"]) / (omega_m / 0.3) ** 0.5 if omega_m > 0 else 1.0


def _seed(text: str) -> int | None:
    """The number of a box; spreadsheets write 7.0 for 7."""
    if not text:
        return None
    try:
        seed = int(re.sub(r"\.0*$", "", text))
    except ValueError:
        raise ValueError(f"seed = {text}: must be a whole number") from None
    if not 0 <= seed < 2**63:
        raise ValueError(f"seed = {text}: must be >= 0 and < 2^63")
    return seed


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
    universes = read_labels(labels, where.path.parent)
    sizes = {word: size for word, size in zip(words, shape, strict=True) if word in ("map", "model")}
    whole = math.prod(sizes.values())
    if len(universes) not in (whole, sizes.get("model", whole)):
        raise ValueError(
            f"labels = {labels}: has {len(universes)} rows, for an array of shape {shape} in {' '.join(words)}"
        )
    cells = [dict(zip(sizes, cell, strict=True)) for cell in np.ndindex(*sizes.values())]
    of_cell = [cell["model"] if len(universes) < whole else i for i, cell in enumerate(cells)]
    rows = [Row((where,), words, one, "", None, (), None, (), str(path)) for one in universes]
    grouped = [row.universe for row in one_universe_each(rows)]
    middle, width = np.median(universes, axis=0), np.ptp(universes, axis=0) + SAME
    sky = grouped[int((((np.array(grouped) - middle) / width) ** 2).sum(axis=1).argmin())]
    members: dict[tuple[float, float], list[dict[str, int]]] = {}
    for label, cell in zip(of_cell, cells, strict=True):
        members.setdefault(grouped[label], []).append(cell)
    for universe, ones in members.items():
        half = -(-len(ones) // 2)
        for split, part in (("train", ones[:half]), ("test", ones[half:])):
            for at in _runs(part):
                cut = tuple(at.get(word, slice(None)) for word in words)
                told = ", ".join(f"{word} {one if isinstance(one, int) else one.start}" for word, one in at.items())
                yield rows[0]._replace(
                    universe=universe, split="fiducial" if universe == sky else split, cut=cut, where=f"{path}, {told}"
                )


def _runs(cells: Sequence[dict[str, int]]) -> Iterator[dict[str, int | slice]]:
    """Cells of one model whose maps follow each other, as one slice: they are read together."""
    run: dict[str, int | slice] = {}
    for cell in sorted(cells, key=lambda one: [one.get(word, 0) for word in ("model", "map")]):
        last = run.get("map")
        if isinstance(last, slice) and run.get("model") == cell.get("model") and last.stop == cell["map"]:
            run["map"] = slice(last.start, last.stop + 1)
            continue
        if run:
            yield run
        run = {word: one if word == "model" else slice(one, one + 1) for word, one in cell.items()}
    if run:
        yield run


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
        numbers = numbers.reshape(-1, numbers.shape[-1] if numbers.ndim else 1)
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
    name, _, given = labels.partition(": ")
    return images.place(name, folder).path, name.strip(), given.lower().split()


def _label_text(path: Path, names: list[str]) -> tuple[np.ndarray, list[str]]:
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError(f"labels = {path}: is no text in UTF-8") from None
    first = next((i for i, line in enumerate(lines) if re.match(r"[-+.\d]", line)), len(lines))
    head = lines[:first]
    rows = [re.split(r"[,;\s]+", line.strip(" ,;")) for line in lines[first:] if not line.startswith("#")]
    if not rows or len({len(row) for row in rows}) > 1:
        raise ValueError(f"labels = {path}: its rows must have the same number of columns")
    try:
        numbers = np.array(rows, np.float64)
    except ValueError as error:
        raise ValueError(f"labels = {path}: {error}") from None
    if not names and head:
        names = [one.lower() for one in re.split(r"[,;\s]+", head[-1].lstrip("#% ")) if one]
    return numbers, names
