"""Arrays in other people's files, each named by a text: FITS images, .npy, .npz, HDF5 and zarr.

A text is a file, and in brackets what of it: `kappa.fits[BIN2]` an extension by name or number, `kappa.npz[kappa]` or
`maps.h5[stage3/kg]` an array, and then an index: `kappa.npy[17]`, `maps.h5[kappa][3,17]`.
"""

import functools
import math
import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

UNSEEN = -1.6375e30  # what HEALPix writes where nothing was observed
_SENTINELS = (-99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0)
_LARGEST = 50.0  # of |kappa|, noise included
_FAR = 30.0  # standard deviations of all other pixels from their mean
_NARROWEST, _WIDEST = 1e-6, 5.0  # of its standard deviation
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_ABOVE = re.compile(r"(?P<file>.+?)\s*>\s*(?P<least>[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?)")
_UNITS = {"deg": 1.0, "degree": 1.0, "degrees": 1.0, "arcmin": 1 / 60, "arcsec": 1 / 3600, "rad": math.degrees(1)}
_FITS = (".fits", ".fit", ".fts", ".fits.gz", ".fit.gz", ".fits.fz", ".fz")


class Place(NamedTuple):
    """Where an array lies.

    Attributes:
        path: the file, or the folder of a zarr store.
        part: extension, or name of the array; "" where the file holds one only.
        index: of the first axes.
        above: of weights: a pixel with more than that is observed.
    """

    path: Path
    part: str = ""
    index: tuple[int, ...] = ()
    above: float | None = None

    def __str__(self) -> str:
        part = f"[{self.part}]" if self.part else ""
        return f"{self.path}{part}{list(self.index) if self.index else ''}"


class SkyError(ValueError):
    """A file holds a HEALPix map where a flat image was looked for."""


class Found(NamedTuple):
    """An array as the file holds it, and the file's header, if it has one."""

    values: Any
    header: Mapping[str, Any]


def place(text: str, folder: Path) -> Place:
    """Read a text that names an array.

    Args:
        text: the file, relative to `folder` or absolute, and perhaps its part and an index in brackets.
        folder: where relative names begin.
    """
    text = text.strip()
    whole = folder / text
    if not ("[" in text or ">" in text) or exists(whole):
        return Place(whole)
    if above := _ABOVE.fullmatch(text):
        return place(above["file"], folder)._replace(above=float(above["least"]))
    if "[" not in text:
        return Place(whole)
    name, rest = text[: text.index("[")], text[text.index("[") :]
    groups = _BRACKETS.findall(rest)
    path = folder / name
    if "".join(f"[{group}]" for group in groups) != rest:
        raise ValueError(f"{text}: must read FILE, FILE[NAME], FILE[INDEX] or FILE[NAME][INDEX]")
    named = is_fits(path) or (groups and not _is_index(groups[0]))
    part, indices = (groups[0], groups[1:]) if named else ("", groups)
    if not all(map(_is_index, indices)):
        raise ValueError(f"{text}: an index must be whole numbers, as in FILE[17] or FILE[3,17]")
    return Place(path, part, tuple(int(number) for group in indices for number in group.split(",")))


def exists(path: Path) -> bool:
    """Whether there is such a file or folder."""
    try:
        return path.exists()
    except OSError:  # a name that is too long for a file
        return False


def _is_index(text: str) -> bool:
    return re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", text) is not None


def is_fits(path: Path) -> bool:
    """Whether a file is FITS, by its first bytes, or by its name if it is compressed or missing."""
    if path.is_file():
        with path.open("rb") as stream:
            start = stream.read(9)
        if start[:2] != b"\x1f\x8b":
            return start == b"SIMPLE  ="
    return path.name.lower().endswith(_FITS)


def read(where: Place, cut: tuple[int | slice, ...] = ()) -> Found:
    """The array at a place: numbers in the machine's own byte order, mapped from the disk where that is possible.

    Args:
        where: the place.
        cut: of the axes that its index leaves; only that part is read.
    """
    return _taken(where, lambda values: _native(_indexed(values, (*where.index, *cut))))


def shape(where: Place) -> tuple[int, ...]:
    """Shape of the array at a place."""
    return tuple(map(int, _taken(where, lambda values: values.shape).values))[len(where.index) :]


def is_whole(where: Place) -> bool:
    """Whether all of a file is read for any part of it."""
    return is_fits(where.path) or where.path.suffix == ".npz"


def _taken(where: Place, take: Callable[[Any], Any]) -> Found:
    """What is taken of the array at a place while its file is open."""
    path, part = where.path, where.part
    try:
        if not exists(path):
            raise ValueError("no such file")
        if is_fits(path):
            return _from_fits(path, part, take)
        if path.suffix == ".npy":
            return Found(take(np.lib.format.open_memmap(path, mode="r")), {})
        if path.suffix == ".npz":
            stat = path.stat()
            return Found(take(_from_npz(path, part, (stat.st_mtime_ns, stat.st_size, stat.st_ino))), {})
        if path.suffix in (".h5", ".hdf5", ".hdf"):
            return Found(_from_hdf5(path, part, take), {})
        if path.suffix == ".zarr" or (path.is_dir() and any(path.glob("*zarr*"))):
            return Found(take(_from_zarr(path, part)), {})
        raise ValueError("not a FITS file, nor one that ends in .npy, .npz, .h5, .hdf5 or .zarr")
    except Exception as error:  # whatever a library stumbles over, it is the file that is bad
        kind = SkyError if isinstance(error, SkyError) else ValueError
        raise kind(f"{where}: {str(error) or type(error).__name__}".splitlines()[0]) from None


def _native(values: Any) -> np.ndarray:
    """Real numbers in the machine's byte order; those that are so already stay where they are."""
    array = np.ma.filled(values.astype(np.float64), np.nan) if np.ma.isMaskedArray(values) else np.asanyarray(values)
    if array.dtype.kind not in "bfiu":
        raise ValueError(f"holds {array.dtype}, must hold real numbers")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _indexed(values: Any, index: tuple[int | slice, ...]) -> Any:
    shape = tuple(values.shape)
    numbers = [(i, size) for i, size in zip(index, shape, strict=False) if isinstance(i, int)]
    if len(index) > len(shape) or any(i >= size for i, size in numbers):
        raise ValueError(f"has the shape {shape}: there is no {list(index)}")
    return values[index] if index else values[...]


def _choose(part: str, names: list[str], what: str) -> str:
    if not part and len(names) == 1:
        return names[0]
    if part not in names:
        raise ValueError(
            f"holds the {what} {', '.join(names) or 'none'}: choose one, as in FILE[{(names or ['NAME'])[0]}]"
        )
    return part


@functools.lru_cache(1)  # maps are asked for one after the other, and an archive is read whole
def _from_npz(path: Path, part: str, changed: tuple[int, ...]) -> np.ndarray:
    del changed
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return file[_choose(part, list(file.files), "arrays")]


def _from_hdf5(path: Path, part: str, take: Callable[[Any], Any]) -> Any:
    import h5py  # only who has such files waits for this import

    with h5py.File(path, "r") as file:
        part = part.strip("/")
        if not part or not isinstance(file.get(part), h5py.Dataset):
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            part = _choose(part, names, "arrays")
        return take(file[part])


def _from_zarr(path: Path, part: str) -> Any:
    import zarr

    found: Any = zarr.open(path, mode="r")
    if isinstance(found, zarr.Group):
        names = [name for name, _ in found.arrays()] if not part else [part]
        found = found[_choose(part, names, "arrays")]
    return found


def _from_fits(path: Path, part: str, take: Callable[[Any], Any]) -> Found:
    from astropy.io import fits

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of cards that break the standard: those that matter are read one by one
        warnings.filterwarnings("error", message=".*truncated")
        try:
            with path.open("rb") as stream, fits.open(stream) as opened:
                file: Any = opened
                images = [hdu for hdu in file if hdu.is_image and hdu.header.get("NAXIS", 0) > 0]
                if not images:
                    tables = [hdu.header.get("PIXTYPE") == "HEALPIX" for hdu in file[1:]]
                    raise (
                        SkyError("holds a HEALPix map, no flat image") if any(tables) else ValueError("holds no image")
                    )
                named = Counter(hdu.name for hdu in images)
                numbers = [i for i, hdu in enumerate(file) if any(hdu is one for one in images)]
                names = [
                    hdu.name if hdu.name and named[hdu.name] == 1 else str(i)
                    for i, hdu in zip(numbers, images, strict=True)
                ]
                if part.isdigit() and part not in names:
                    number = int(part)
                    chosen: Any = file[number] if number < len(file) else None
                    if not any(chosen is one for one in images):
                        raise ValueError(f"extension {number} is no image; there are {', '.join(names)}")
                else:
                    upper = [name.upper() for name in names]
                    chosen = images[upper.index(_choose(part.upper(), upper, "images"))]
                header = {**_cards(file[0].header), **_cards(chosen.header)}
                if chosen.data is None:
                    raise ValueError("its image has no pixels")
                return Found(np.array(take(chosen.data)), header)
        except ValueError:  # ours
            raise
        except Exception as error:  # whatever astropy stumbles over
            raise ValueError(f"not a FITS file that can be read ({str(error) or type(error).__name__})") from None


def _cards(header: Any) -> dict[str, Any]:
    """The cards that tell the size of an image; one that cannot be read is as good as a text."""
    found = {}
    for name in ("ANGLE", "CDELT1", "CD1_1", "CD2_1", "CUNIT1", "CTYPE1"):
        try:
            if name in header:
                found[name] = header[name]
        except Exception:
            found[name] = "unreadable"
    return found


def side_of(header: Mapping[str, Any], pixels: int) -> float | None:
    """Side of an image by its header [deg]: ANGLE, else its pixels' width (CDELT1, CD1_1); None if it has neither."""
    if "ANGLE" in header:
        return plausible_side(header["ANGLE"], "ANGLE")
    celestial = str(header.get("CTYPE1", ""))[:5] in ("RA---", "DEC--", "GLON-", "GLAT-", "ELON-", "ELAT-")
    unit = _UNITS.get(str(header.get("CUNIT1", "deg" if celestial else "")).strip().lower())
    widths = [header.get(name, 0) for name in (("CDELT1",) if "CDELT1" in header else ("CD1_1", "CD2_1"))]
    if unit is None or not all(isinstance(one, int | float) for one in widths) or not any(widths):
        return None
    return plausible_side(math.hypot(*widths) * unit * pixels, "CDELT1 x pixels")


def plausible_side(value: Any, name: str) -> float:
    """A side of a flat map [deg], checked."""
    try:
        side = math.nan if isinstance(value, bool) or value is None else float(value)
    except (TypeError, ValueError):
        side = math.nan
    if not 0 < side <= 40:
        raise ValueError(f"{name} = {value!r}: must be the side in degrees, > 0 and <= 40")
    return side


def check_kappa(kappa: np.ndarray, observed: np.ndarray | None = None) -> None:
    """Refuse pixels that are no convergence: sentinels, infinities, a spread that no survey has.

    Args:
        kappa: values of any shape.
        observed: True where they count; None: everywhere.
    """
    seen = kappa if observed is None else kappa[observed]
    if not seen.size:
        raise ValueError("no pixel is observed")
    with np.errstate(over="ignore", invalid="ignore"):
        mean, spread = float(np.mean(seen, dtype=np.float64)), float(np.std(seen, dtype=np.float64))
        low, high = float(seen.min()), float(seen.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ValueError(f"{int(np.sum(~np.isfinite(seen)))} pixels are NaN or infinite; a mask can leave them out")
    if low < 0.5 * UNSEEN:
        bad = int(np.sum(seen < 0.5 * UNSEEN))
        raise ValueError(f"{bad} pixels are UNSEEN ({UNSEEN:g}); a mask can leave them out")
    for value, fewest in ((low, 1), (high, 2)):
        number = int(np.sum(seen == value))
        if value in _SENTINELS or (
            number >= fewest and _is_far(seen, value, number, abs(value - mean) / (spread or 1))
        ):
            raise ValueError(f"{number} pixels are {value:g}, a mark for missing data; a mask can leave them out")
    largest = max(abs(low), abs(high))
    if largest > _LARGEST or not _NARROWEST <= spread <= _WIDEST:
        raise ValueError(
            f"|kappa| reaches {largest:.3g} with a standard deviation of {spread:.3g}: must be <= {_LARGEST:g}, and "
            f"{_NARROWEST:g} to {_WIDEST:g}; kappa is a few hundredths"
        )


def _is_far(seen: np.ndarray, value: float, number: int, deviations: float) -> bool:
    """Whether the least or largest value stands as far from all others as no kappa does."""
    if (number == 1 and deviations < min(_FAR, seen.size**0.5) / 2) or 10 * (seen.size - number) < seen.size:
        return False
    others = seen[seen != value].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(abs(value - others.mean()) > _FAR * others.std())


def observed(where: Place) -> np.ndarray:
    """What the mask at a place lets through, as `check_mask` reads it; where it has `above`, all that is more."""
    values = read(where).values
    try:
        if where.above is None:
            return check_mask(values)
        return check_mask(np.isfinite(values) & (values > max(where.above, 0.5 * UNSEEN)))
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def check_mask(values: np.ndarray) -> np.ndarray:
    """What a mask says: True where a pixel is observed.

    1 is observed and 0 is not; so is anything within 0.1 of them, for fitsio (1.4.2) compresses floats with a dither
    that moves them by up to 0.08 and leaves no zero. UNSEEN, NaN and infinities are not observed. Whatever else is
    there is no mask but weights or counts.
    """
    array = np.asarray(values, np.float64)
    array = np.where(np.isfinite(array) & (array > 0.5 * UNSEEN), array, 0.0)
    observed = np.abs(array - 1) < 0.1
    if not (observed | (np.abs(array) < 0.1)).all():
        raise ValueError(
            f"holds numbers from {array.min():.3g} to {array.max():.3g}: must be 1 where a pixel is observed, else 0; "
            'of weights or counts say from which on a pixel is observed, as in "FILE > 0.5"'
        )
    if not observed.any():
        raise ValueError("no pixel is observed")
    return observed
