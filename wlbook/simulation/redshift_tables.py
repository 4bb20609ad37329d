"""Distributions of redshifts in other people's files: text tables, 2pt FITS files and SACC files.

A table is cut into cells with the galaxies that each holds, whatever it gives: lower edges of a histogram, both edges,
or a density at points, which is taken as straight between them. So means are those of the file, galaxies at a redshift
of zero stay galaxies, and narrow bins have nodes enough for the splines of theory.
"""

import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from wlbook.common import checks
from wlbook.simulation.sources import Sources, at, smail

#: What a first column of redshifts holds: as the file says, redshifts of the densities, or lower edges of bins.
MEANINGS = ("as the file says", "points", "edges")
TAIL = 1e-4  # of each bin's galaxies: a share that may lie beyond the last redshift kept
_NODES = 48  # of every bin, at least: CCL needs a few to draw a curve
_STEP = 0.02  # half a step [redshift] that moves no mean noticeably in a table that starts above 0 ...
_STEP_FROM_0 = 0.004  # ... and in one that starts at 0, as histograms do

_LOW = re.compile(r"z_?(low|lo|min|left)", re.IGNORECASE)
_HIGH = re.compile(r"z_?(high|hi|max|right)", re.IGNORECASE)
_POINT = re.compile(r"z_?(mid|mean|cen|center|centre)", re.IGNORECASE)
_PLAIN = re.compile(r"(z|redshift|zs|z_?s)", re.IGNORECASE)
_BIN = re.compile(r"bin_?(\d+)", re.IGNORECASE)
_TABLE = re.compile(r"(?P<file>.+?)\[(?P<table>[^\[\]]*)\]")


class TailWarning(UserWarning):
    """A negligible share of the galaxies lies beyond the last redshift kept."""


class _Cells(NamedTuple):
    """Cells of redshift and how many galaxies of each bin they hold."""

    low: np.ndarray
    high: np.ndarray
    galaxies: np.ndarray  # [bin, cell]


def named(sources: str, source_redshift: float | list[float], nz: str = MEANINGS[0]) -> Sources:
    """The sources a page names: "plane", all at `source_redshift`; "stage-iii", four bins of `smail`; else a file."""
    if sources == "plane":
        return at(source_redshift)
    return smail() if sources == "stage-iii" else read(sources, nz)


def read(sources: str | Path, nz: str = MEANINGS[0]) -> Sources:
    """Read n(z) of one bin or several.

    Files: text with a column of redshifts and one of densities for each bin, its columns named in the last line before
    the numbers or not (Z_LOW, Z_MID, Z_HIGH, BIN1 ..., in any order), or marked `# hist` (lower edges) or `# pdf`
    (points); 2pt FITS and SACC files. Densities need no norm. Of several tables in a file one is chosen as
    "file.fits[nz_source]"; of a SACC file's tracers those whose names begin so.

    A table of text that says nothing of its first column is read as points only where half a step moves no mean
    noticeably: by at most 0.02, and 0.004 if it starts at 0 in equal steps, as histograms do. Else it is refused.

    Args:
        sources: the file, and perhaps its table.
        nz: what the first column of redshifts holds, one of `MEANINGS`.
    """
    checks.one_of("nz", nz, MEANINGS)
    path, table = Path(sources), ""
    try:
        if not path.exists() and (match := _TABLE.fullmatch(str(sources))):
            path, table = Path(match["file"]), match["table"]
        if not path.is_file():
            raise ValueError('must be "plane", "stage-iii" or a file, and there is no such file')
        found = _fits_cells(path, table, nz) if _is_fits(path) else _text_cells(path, table, nz)
        redshift, share, beyond = _to_nodes(found)
    except (OSError, ValueError) as error:
        raise ValueError(f"sources = {path}: {error}".splitlines()[0]) from None
    if beyond > 1e-12:
        told = f"sources = {path}: {beyond:.1g} of the galaxies lie beyond a redshift of {redshift[-1]:.3g}: left out"
        warnings.warn(told, TailWarning, stacklevel=2)
    return Sources(redshift, share)


def _is_fits(path: Path) -> bool:
    with path.open("rb") as stream:
        start = stream.read(9)
    return start == b"SIMPLE  =" or (start[:2] == b"\x1f\x8b" and ".fit" in path.name)


def _to_nodes(cells: _Cells) -> tuple[np.ndarray, np.ndarray, float]:
    low, high, galaxies = cells
    if not all(np.isfinite(part).all() for part in cells) or galaxies.min(initial=0) < 0:
        raise ValueError("redshifts and densities must be finite, densities >= 0")
    if (total := galaxies.sum(axis=1)).min() <= 0:
        raise ValueError(f"bin {int(total.argmin()) + 1} is empty: densities must not be all 0 in any bin")
    if (high[galaxies.any(axis=0)] <= 0).any():
        raise ValueError(f"galaxies at a redshift of {high.min():g}: must be >= 0")
    low = np.maximum(low, 0)
    parts = -(-_NODES // (galaxies > 0).sum(axis=1).min())
    middles = (low + (np.arange(parts)[:, None] + 0.5) / parts * (high - low)).ravel()
    share = np.repeat(galaxies[None] / total[:, None] / parts, parts, axis=0).swapaxes(0, 1).reshape(len(total), -1)
    order = np.argsort(middles, kind="stable")
    return _without_tail(middles[order], share[:, order])


def _without_tail(redshift: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Nodes up to where each bin has all of its galaxies but a share `TAIL`, and the largest share left out."""
    above = share[:, ::-1].cumsum(axis=1)[:, ::-1]
    kept = share.any(axis=0) & (above > TAIL).any(axis=0)
    redshift, left = redshift[kept], share[:, kept]
    if redshift[-1] >= 8:
        raise ValueError(f"galaxies reach a redshift of {redshift[-1]:.3g}: must be < 8, but for {TAIL:g} of them")
    redshift, place = np.unique(redshift, return_inverse=True)
    merged = np.stack([np.bincount(place, row, len(redshift)) for row in left])
    return redshift, merged / merged.sum(axis=1, keepdims=True), float(1 - left.sum(axis=1).min())


def _between_points(redshift: np.ndarray, density: np.ndarray) -> _Cells:
    """Straight lines between points, cut finely: the middle of a cell has its mean density."""
    if len(redshift) < 2 or (np.diff(redshift) <= 0).any():
        raise ValueError("redshifts must ascend, 2 or more of them")
    alive = ((density[:, :-1] > 0) | (density[:, 1:] > 0)).sum(axis=1).min()
    parts = max(-(-_NODES // max(int(alive), 1)), 1)
    edges = np.interp(np.arange((len(redshift) - 1) * parts + 1) / parts, np.arange(len(redshift)), redshift)
    middle = (edges[1:] + edges[:-1]) / 2
    values = np.stack([np.interp(middle, redshift, row) for row in density])
    return _Cells(edges[:-1], edges[1:], values * np.diff(edges))


def _from_edges(low: np.ndarray, density: np.ndarray) -> _Cells:
    """A histogram whose last cell is as wide as the one before."""
    if len(low) < 2 or (np.diff(low) <= 0).any():
        raise ValueError("lower edges must ascend, 2 or more of them")
    high = np.append(low[1:], 2 * low[-1] - low[-2])
    return _Cells(low, high, density * (high - low))


def _from_columns(names: list[str], columns: list[np.ndarray], meaning: str) -> _Cells | None:
    """Cells of a table with names; None if none of them is a redshift."""
    kinds = {"low": _LOW, "high": _HIGH, "point": _POINT, "plain": _PLAIN}
    is_redshift = [(kind, i) for i, name in enumerate(names) for kind, form in kinds.items() if form.fullmatch(name)]
    place = dict(is_redshift)
    if not place:
        return None
    told = f"has the columns {', '.join(names)}"
    others = [i for i in range(len(names)) if i not in place.values()]
    numbered = sorted((int(match[1]), i) for i in others if (match := _BIN.fullmatch(names[i])))
    if len(place) < len(is_redshift) or len(dict(numbered)) < len(numbered):
        raise ValueError(f"{told}: one of them twice")
    chosen = [i for _, i in numbered] or others
    if not chosen:
        raise ValueError(f"{told}: no densities beside the redshifts")
    if any(np.ndim(columns[i]) != 1 for i in (*chosen, *place.values())):
        raise ValueError(f"{told}: each must hold one number a row")
    density = np.stack([np.asarray(columns[i], np.float64) for i in chosen])
    z = {kind: np.asarray(columns[i], np.float64) for kind, i in place.items()}
    if "low" in z and "high" in z:
        order = np.argsort(z["low"], kind="stable")
        low, high, density = z["low"][order], z["high"][order], density[:, order]
        if (high <= low).any() or (np.diff(low) <= 0).any() or (np.diff(high) <= 0).any():
            raise ValueError("upper edges must lie above lower edges, and no cell within another")  # surveys' overlap
        return _Cells(low, high, density * (high - low))
    said = "points" if "point" in z else "edges" if "low" in z else meaning
    if meaning not in (MEANINGS[0], said):
        raise ValueError(f"{told}: redshifts are {said}, but nz = {meaning!r}")
    if "point" in z:
        return _between_points(z["point"], density)
    if "low" in z:
        return _from_edges(z["low"], density)
    if "high" in z:
        raise ValueError(f"has the columns {', '.join(names)}: upper edges alone; lower edges or middles are needed")
    return _unnamed(z["plain"], density, meaning)


def _unnamed(redshift: np.ndarray, density: np.ndarray, meaning: str) -> _Cells:
    """A first column that may be points or lower edges: as asked, or refused where that matters."""
    if meaning == "edges":
        return _from_edges(redshift, density)
    cells = _between_points(redshift, density)
    if meaning == "points":
        return cells
    steps = np.diff(redshift)
    equal, half = np.ptp(steps) <= 0.01 * steps.mean(), steps.mean() / 2
    centres = equal and abs(redshift[0] - half) < 0.01 * half
    if not centres and half > (_STEP_FROM_0 if equal and redshift[0] == 0 else _STEP):
        raise ValueError(
            f"its first column may be points or lower edges, {half:.3g} apart in mean redshift, and the file does not "
            'say which: set nz to "points" or "edges"'
        )
    return cells


def _text_cells(path: Path, table: str, meaning: str) -> _Cells:
    if table:
        raise ValueError(f"is a text file, which has no table {table!r}")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise ValueError("is neither text nor FITS") from None
    lines = [text for line in lines if (text := line.replace('"', "").strip())]
    if any(";" in line and re.search(r"\d,\d", line) for line in lines):  # a comma is the decimal point there
        lines = [re.sub(r"(?<=\d),(?=\d)", ".", line) for line in lines]
    split = re.compile(r"[,;\s]+")
    comments = [line.lstrip("#%! ").strip() for line in lines if line[0] in "#%!"]
    rows = [split.split(line.split("#")[0].strip(" ,;")) for line in lines if line[0] not in "#%!"]
    if rows and not _is_number(rows[0][0]):
        comments.append(" ".join(rows.pop(0)))
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise ValueError(f"cannot be read as a table: rows have {min(widths)} to {max(widths)} columns")
    if len(rows) < 2 or widths.pop() < 2:
        shape = (len(rows), len(rows[0]) if rows else 0)
        raise ValueError(f"has {shape} rows and columns, must have >= 2 of each: z, n of bin 1")
    try:
        columns = [*np.array(rows, np.float64).T]
    except ValueError as error:
        raise ValueError(f"cannot be read as a table of numbers ({error})") from None
    names = split.split(comments[-1]) if comments else []
    if len(names) == len(columns) and (found := _from_columns(names, columns, meaning)):
        return found
    marks = {word.lower() for comment in comments for word in comment.split()[:1] if len(comment.split()) == 1}
    said = "edges" if "hist" in marks else "points" if "pdf" in marks else meaning
    if "edges" in (said, meaning) and "points" in (said, meaning):
        raise ValueError(f"marks its first column as {said}, but nz = {meaning!r}")
    return _unnamed(columns[0], np.stack(columns[1:]), said)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _fits_cells(path: Path, table: str, meaning: str) -> _Cells:
    from astropy.io import fits  # only who has files waits for this import

    tables: dict[str, Any] = {}
    others = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cards that break the standard
            with path.open("rb") as stream, fits.open(stream, memmap=False) as opened:
                file: Any = opened
                for number, hdu in enumerate(file[1:], 1):
                    columns: Any = hdu.columns if isinstance(hdu, fits.BinTableHDU | fits.TableHDU) else None
                    names = [] if columns is None else list(columns.names)
                    if hdu.header.get("SACCCLSS") == "NZ" or _is_distribution(names):
                        name = str(hdu.header.get("SACCNAME", hdu.name))
                        name = name if name and name not in tables else f"{name or 'HDU'} {number}"
                        tables[name] = (names, [np.asarray(hdu.data[one]) for one in names])
                    else:
                        others.append(hdu.name or f"HDU {number}")
                sacc = "SACCFVER" in file[0].header or any("SACCCLSS" in hdu.header for hdu in file)
    except Exception as error:  # whatever astropy stumbles over, it is the file that is bad
        raise ValueError(f"not a FITS file that can be read ({str(error) or type(error).__name__})") from None
    if not tables:
        raise ValueError(f"holds no n(z): its tables are {', '.join(others) or 'none'}")
    return _tracers(tables, table) if sacc else _one_table(tables, table, meaning)


def _is_distribution(names: list[str]) -> bool:
    redshifts = sum(any(form.fullmatch(name) for form in (_LOW, _HIGH, _POINT, _PLAIN)) for name in names)
    return 0 < redshifts < len(names)


def _one_table(tables: dict[str, Any], table: str, meaning: str) -> _Cells:
    chosen = [name for name in tables if name.lower() == table.lower()] if table else list(tables)
    if len(chosen) != 1:
        raise ValueError(f"holds the n(z) tables {', '.join(tables)}: choose one, as in FILE[{next(iter(tables))}]")
    names, columns = tables[chosen[0]]
    found = _from_columns(names, columns, meaning)
    assert found is not None  # chosen for its names
    return found


def _tracers(tables: dict[str, Any], table: str) -> _Cells:
    """The tracers of a SACC file whose names begin alike, each a bin."""
    kinds = sorted({name.rstrip("0123456789").rstrip("_") for name in tables})
    chosen = [name for name in tables if name.startswith(table)]
    chosen.sort(key=lambda name: int(re.sub(r".*?(\d*)$", r"\1", name) or 0))
    if not chosen or len({name.rstrip("0123456789") for name in chosen}) > 1:
        raise ValueError(f"holds tracers of the kinds {', '.join(kinds)}: choose one, as in FILE[{kinds[0]}]")
    parts = [_from_columns(names, columns, "points") for names, columns in (tables[name] for name in chosen)]
    cells = [part for part in parts if part is not None]
    if len(cells) < len(chosen):
        raise ValueError(f"the tracers {', '.join(chosen)} must have columns z and nz")
    galaxies = np.zeros((len(cells), sum(part.low.size for part in cells)))
    start = 0
    for row, part in enumerate(cells):
        galaxies[row, start : start + part.low.size] = part.galaxies[0]
        start += part.low.size
    return _Cells(np.concatenate([p.low for p in cells]), np.concatenate([p.high for p in cells]), galaxies)
