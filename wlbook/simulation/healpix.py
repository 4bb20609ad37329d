"""HEALPix maps of the sky, cut into flat squares that do not overlap."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from wlbook.common import checks
from wlbook.simulation.images import UNSEEN, Place, place

_GOLDEN = (5**0.5 - 1) / 2  # steps of this share of a row visit all of it evenly, however many are made


class FinePixelsWarning(UserWarning):
    """Flat pixels are finer than those of the sky: what they add is interpolation."""


class Sky(NamedTuple):
    """A map of the sky, NaN where nothing was observed."""

    values: np.ndarray  # 12 nside^2, in the order that HEALPix numbers them
    nested: bool  # or in rings

    @property
    def nside(self) -> int:
        """Pixels along the side of each of the twelve base pixels."""
        return round((self.values.size / 12) ** 0.5)

    @property
    def pixel(self) -> float:
        """Square root of a pixel's area [arcmin]."""
        return float(np.degrees((np.pi / 3) ** 0.5 / self.nside) * 60)


def cut(
    source: str | Path | np.ndarray, *, side: float, pixels: int, n_maps: int | None = None, nested: bool = False
) -> Float[np.ndarray, "square y x"]:
    """Flat squares of a sky, those with a pixel that was not observed left out; all of one sky are of one box.

    Args:
        source: a HEALPix FITS file, perhaps with the name of a column as in "sky.fits[KAPPA]", or an array.
        side: of a square [deg], > 0 and <= 40.
        pixels: per side of a square.
        n_maps: squares at most; any number of them is spread over all of the sky.
        nested: how an array is ordered; a file says it.
    """
    sky = sky_of(source, nested) if isinstance(source, np.ndarray) else read(place(str(source), Path()))
    found = []
    for square in squares([sky], side=side, pixels=pixels):
        if np.isfinite(square).all():
            found.append(square[0])
        if len(found) == n_maps:
            break
    return np.stack(found) if found else np.zeros((0, pixels, pixels))


def squares(skies: list[Sky], *, side: float, pixels: int) -> Iterator[Float[np.ndarray, "bin y x"]]:
    """The same squares of each sky, NaN where one touches what was not observed.

    A square is a tangent plane (gnomonic projection), y to the north and x to the east; between the middles of four
    HEALPix pixels values are linear. That smooths, as pixels do: trust ell up to about that of the HEALPix pixels.
    """
    healpix = _library()
    checks.within("side", side, 0, 40, "(]")
    checks.at_least("pixels", pixels, 1)
    if side * 60 / pixels < 0.999 * (finest := max(sky.pixel for sky in skies)):
        told = f"flat pixels of {side * 60 / pixels:.3g} arcmin are finer than those of the sky, {finest:.3g} arcmin"
        warnings.warn(told, FinePixelsWarning, stacklevel=2)
    for longitude, latitude in centres(side):
        angles = directions(longitude, latitude, side, pixels)
        found = []
        for sky in skies:
            order = "nested" if sky.nested else "ring"
            found.append(healpix.interpolate_bilinear_lonlat(*_with_units(angles), sky.values, order=order))
        yield np.stack(found)


def centres(side: float) -> Float64[np.ndarray, "square 2"]:
    """Longitude and latitude [deg] of squares that do not overlap, in an order that visits all of the sky evenly.

    They stand in bands of latitude from the equator to the poles. In a band squares are as close as the corners that
    are nearest to the pole allow, and a band begins where the one before ends.
    """
    half = np.radians(side) / 2
    end, found = np.arctan(half), []
    latitudes = [0.0]
    trial = np.linspace(0, np.pi / 2, 200_001)
    lowest = np.arcsin((np.sin(trial) - half * np.cos(trial)) / np.sqrt(1 + 2 * half**2))  # of the corners
    while True:
        free = np.flatnonzero((lowest >= end) & (trial + np.arctan(half) < np.pi / 2))
        if not free.size:
            break
        latitudes += [trial[free[0]], -trial[free[0]]]
        end = trial[free[0]] + np.arctan(half)
    for latitude in latitudes:
        wide = 2 * np.arctan2(half, np.cos(latitude) - half * abs(np.sin(latitude)))
        number = int(2 * np.pi / wide)
        found += [(360 * i / number, np.degrees(latitude)) for i in range(number)]
    if end <= np.pi / 2 - np.arctan(2**0.5 * half):
        found += [(0.0, 90.0), (0.0, -90.0)]
    south_to_north = np.array(found, np.float64)[np.argsort([latitude for _, latitude in found], kind="stable")]
    return south_to_north[np.argsort(np.arange(len(found)) * _GOLDEN % 1, kind="stable")]


def directions(
    longitude: float, latitude: float, side: float, pixels: int
) -> tuple[Float64[np.ndarray, "y x"], Float64[np.ndarray, "y x"]]:
    """Longitude and latitude [deg] of the pixels of a square around a point, x to the east and y to the north."""
    at = np.radians(side) * ((np.arange(pixels) + 0.5) / pixels - 0.5)
    y, x = np.meshgrid(at, at, indexing="ij")
    around, up = np.radians(longitude), np.radians(latitude)
    middle = np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])
    east = np.array([-np.sin(around), np.cos(around), 0.0])
    north = np.cross(middle, east)
    point = middle + x[..., None] * east + y[..., None] * north
    point /= np.linalg.norm(point, axis=-1, keepdims=True)
    return np.degrees(np.arctan2(point[..., 1], point[..., 0])) % 360, np.degrees(np.arcsin(point[..., 2]))


def sky_of(values: np.ndarray, nested: bool) -> Sky:
    """An array as a sky: what is UNSEEN or not finite becomes NaN."""
    values = np.asarray(values).ravel()
    nside = (values.size / 12) ** 0.5
    if not nside or nside % 1 or (nested and int(nside) & (int(nside) - 1)):
        raise ValueError(f"{values.size} pixels: must be 12 nside^2, and nside a power of two if they are nested")
    values = values.astype(np.result_type(values.dtype.newbyteorder("="), np.float32))
    values[~(values > 0.5 * UNSEEN) | ~np.isfinite(values)] = np.nan
    return Sky(values, nested)


def read(where: Place) -> Sky:
    """The sky in a HEALPix FITS file, whole or in part, in rings or nested; its column is the place's part."""
    from astropy.io import fits

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of cards and units that break the standard
            with where.path.open("rb") as stream, fits.open(stream) as file:
                hdus: Any = file
                tables = [hdu for hdu in hdus if hdu.header.get("PIXTYPE") == "HEALPIX" and hasattr(hdu, "columns")]
                if not tables:
                    raise ValueError("holds no HEALPix map")
                return _from_table(tables[0], where.part)
    except Exception as error:  # whatever astropy stumbles over, it is the file that is bad
        raise ValueError(f"{where}: {str(error) or type(error).__name__}".splitlines()[0]) from None


def _from_table(table: Any, part: str) -> Sky:
    names, ordering = list(table.columns.names), str(table.header.get("ORDERING", "")).strip().upper()
    if ordering not in ("RING", "NESTED", "NEST"):
        raise ValueError(f"ORDERING = {ordering!r}: must be RING or NESTED")
    explicit = str(table.header.get("INDXSCHM", "IMPLICIT")).strip().upper() == "EXPLICIT"
    fields = names[1:] if explicit else names
    upper = [name.upper() for name in fields]
    if (part or len(fields) != 1) and part.upper() not in upper:
        raise ValueError(f"holds the columns {', '.join(fields)}: choose one, as in FILE[{(fields or ['NAME'])[0]}]")
    field = fields[upper.index(part.upper())] if part else fields[0]
    values, nside = np.asarray(table.data[field]).ravel(), table.header.get("NSIDE")
    if not isinstance(nside, int) or not 1 <= nside <= 2**14:
        raise ValueError(f"NSIDE = {nside}: must be a whole number, >= 1 and <= 16384")
    if explicit:
        numbers = np.asarray(table.data[names[0]]).ravel().astype(np.int64)
        if numbers.size != values.size or np.unique(numbers).size != numbers.size:
            raise ValueError(f"{names[0]} must number each pixel once")
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < 12 * nside**2:
            raise ValueError(f"{names[0]} reaches from {numbers.min()} to {numbers.max()}, NSIDE is {nside}")
        kind = np.result_type(values.dtype.newbyteorder("="), np.float32)
        whole = np.full(12 * nside**2, np.nan, kind)
        whole[numbers] = values
        values = whole
    if values.size != 12 * nside**2:
        raise ValueError(f"holds {values.size} pixels, NSIDE = {nside} has {12 * nside**2}")
    return sky_of(values, ordering != "RING")


def _library() -> Any:
    try:
        import astropy_healpix
    except ImportError:
        raise ValueError("HEALPix maps need the package astropy-healpix: pip install wlbook[healpix]") from None
    return astropy_healpix


def _with_units(angles: tuple[np.ndarray, np.ndarray]) -> list[Any]:
    from astropy import units

    return [angle * units.deg for angle in angles]
