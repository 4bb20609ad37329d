"""The maps that a row of a table names, read and checked one after the other: images, arrays, shear, skies."""

import math
import warnings
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from wlbook.simulation import healpix, images, shear
from wlbook.simulation.map_tables import TABLE, Row

_AXES = ("map", "bin", "y", "x")
_BLOCK = 2**26  # bytes of maps that are read together


class SkippedWarning(UserWarning):
    """A file could not be used and was left out, as asked."""


class SignWarning(UserWarning):
    """The second component of shear seems to have the other sign."""


class Image(NamedTuple):
    """A map as it is read: kappa and what is observed [bin, y, x], and its side [deg]."""

    kappa: np.ndarray
    observed: np.ndarray | None
    side: float

    @property
    def size(self) -> tuple[tuple[int, ...], float]:
        """Shape and side, to compare."""
        return self.kappa.shape, round(self.side, 6)


def maps(row: Row, pixels: int | None, side: float | None) -> Iterator[Image | ValueError]:
    """The maps of a row, each checked, or what is wrong with one of them, or with all."""
    try:
        observed, number = None, 0
        for cut in _blocks(row):
            every = [_part(row, place, cut, side) for place in (*row.places, *row.gamma2)]
            parts, sides = zip(*every, strict=True)
            if len({(part.shape, one) for part, one in zip(parts, sides, strict=True)}) > 1:
                raise ValueError(f"{row.places[0]}: its bins differ in size")
            shape = (sum(part.shape[1] for part in parts) // (2 if row.gamma2 else 1), *parts[0].shape[2:])
            if observed is None and row.masks:
                observed = _observed(row, shape)
            kept = _within_border(row, observed, shape)
            for of_one in zip(*parts, strict=True):
                try:
                    kappa = np.concatenate(of_one)
                    kappa = _from_shear(row, kappa, observed) if row.gamma2 else kappa
                    yield _image(row, kappa, kept, sides[0], pixels)
                except ValueError as error:
                    yield ValueError(f"{error} (map {number} of {row.where})" if "map" in row.axes else str(error))
                number += 1
    except images.SkyError:
        yield from _squares(row, pixels, side)
    except ValueError as error:
        yield error


def _from_shear(row: Row, both: np.ndarray, observed: np.ndarray | None) -> np.ndarray:
    """Kappa of the bins of a map from gamma1 of each and then gamma2 of each; shear is 0 where it is not observed."""
    for number, part in enumerate(both):
        try:
            images.check_kappa(part, None if observed is None else observed[number % len(observed)])
        except ValueError as error:
            raise ValueError(
                f"{(*row.places, *row.gamma2)[number * 2 * len(row.places) // len(both)]}: {error}"
            ) from None
    gamma1, gamma2 = np.split(both, 2)
    if observed is not None:
        gamma1, gamma2 = np.where(observed, gamma1, 0), np.where(observed, gamma2, 0)
    if shear.wrong_sign(gamma1, row.sign * gamma2):
        other = "no minus" if row.sign < 0 else "a minus"
        told = f"{row.gamma2[0]}: kappa varies more with the other sign: should there be {other} before its name?"
        warnings.warn(told, SignWarning, stacklevel=2)
    return shear.kaiser_squires(gamma1, row.sign * gamma2).kappa


def _squares(row: Row, pixels: int | None, side: float | None) -> Iterator[Image | ValueError]:
    """Squares of a row's skies, one sky a bin; those that touch what was not observed are left out."""
    side, left = row.side or side, 0
    try:
        if side is None or row.gamma2 or row.masks:
            raise ValueError(
                f"{row.places[0]}: is a sky: the side of its squares [deg] must be given, and neither masks nor shear"
            )
        skies = [healpix.read(place) for place in row.places]
        pixels = pixels or max(8, int(side * 60 / skies[0].pixel))
        for kappa in healpix.squares(skies, side=side, pixels=pixels):
            if np.isfinite(kappa).all():
                yield _image(row, kappa, None, side, None)
            else:
                left += 1
    except ValueError as error:
        yield error
    finally:
        if left:
            told = f"{row.places[0]}: {left} squares touch pixels that were not observed: left out"
            warnings.warn(told, SkippedWarning, stacklevel=2)


def _blocks(row: Row) -> list[tuple[int | slice, ...]]:
    """Cuts of a row's arrays that are read at once; one where a file is read whole anyway."""
    place = row.places[0]
    if images.is_whole(place):
        return [row.cut]
    shape = images.shape(place)
    words = _words(row, len(shape))
    cut: list[Any] = [*(row.cut or [slice(None)] * len(words))]
    axis = words.index("map") if "map" in words else 0
    if "map" not in words or not isinstance(cut[axis], slice) or not shape[axis]:
        return [tuple(cut)]
    each = math.prod(size for size, word in zip(shape, words, strict=True) if word not in ("model", "map"))
    step, maps = max(1, _BLOCK // (8 * max(1, each))), range(*cut[axis].indices(shape[axis]))
    blocks = [slice(maps[i], maps[min(i + step, len(maps)) - 1] + 1) for i in range(0, len(maps), step)]
    return [tuple([*cut[:axis], block, *cut[axis + 1 :]]) for block in blocks]


def _words(row: Row, dimensions: int) -> tuple[str, ...]:
    """The names of a row's axes, without those that an index takes: by default y x, bin y x, map bin y x."""
    place = row.places[0]
    words = row.axes or (("bin", "y", "x") if dimensions == 3 else _AXES[-dimensions:])
    if len(words) == dimensions + len(place.index):
        words = words[len(place.index) :]
    if len(words) != dimensions or not {"y", "x"} <= {*words}:
        named = f", named {' '.join(row.axes)}" if row.axes else ""
        raise ValueError(f"{place}: has {dimensions} axes{named}: set axes")
    if "model" in words and not row.cut:
        raise ValueError(f"{place}: its axis model needs labels; {TABLE} can name each model, as in {place.path}[0]")
    return words


def _part(row: Row, place: images.Place, cut: tuple[int | slice, ...], side: float | None) -> tuple[np.ndarray, float]:
    """A cut of one of a row's arrays [map, bin, y, x], and the side of its maps [deg]."""
    values, header = images.read(place, cut)
    words = _words(row, values.ndim + sum(isinstance(one, int) for one in cut))
    whole = [slice(None)] * (len(words) - len(cut))
    left = [word for word, one in zip(words, (*cut, *whole), strict=True) if isinstance(one, slice)]
    order = [left.index(word) for word in _AXES if word in left]
    new = tuple(i for i, word in enumerate(_AXES) if word not in left)
    stack = np.expand_dims(np.transpose(values, order), new)
    if not stack.size or stack.shape[-1] != stack.shape[-2]:
        raise ValueError(f"{place}: {values.shape} is not a square image")
    try:
        own = row.side or images.side_of(header, stack.shape[-1]) or side
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    if own is None:
        raise ValueError(
            f"{place}: no ANGLE in a header, the side [deg]: give it as a column of {TABLE} or as source_side"
        )
    return stack, own


def _observed(row: Row, shape: tuple[int, ...]) -> np.ndarray:
    """What the masks of a row let through [bin, y, x]: one for all bins, or one for each, in files or in one array."""
    masks = []
    for place in row.masks:
        try:
            seen = images.observed(place)
        except ValueError as error:
            raise ValueError(f"mask = {error}") from None
        if seen.shape not in (shape[-2:], shape):
            raise ValueError(f"mask = {place}: is of shape {seen.shape}, must be {shape[-2:]} like the maps")
        masks.append(seen.reshape(-1, *shape[-2:]))
    if sum(map(len, masks)) not in (1, shape[0]):
        raise ValueError(f"mask = {row.masks[0]}: there must be one, or {shape[0]}, one a bin")
    return np.broadcast_to(np.concatenate(masks), shape)


def _within_border(row: Row, observed: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray | None:
    """What masks let through and the border of a row does not leave out."""
    if not row.border:
        return observed
    if 2 * row.border >= shape[-1]:
        raise ValueError(f"{row.where}: border = {row.border}: must be less than half of {shape[-1]} pixels")
    inside = np.broadcast_to(shear.border(shape[-1], row.border), shape)
    return inside if observed is None else observed & inside


def _image(row: Row, kappa: np.ndarray, observed: np.ndarray | None, side: float, pixels: int | None) -> Image:
    name = row.places[0]
    for number, part in enumerate(kappa):
        place = row.places[number] if len(row.places) == len(kappa) else name
        try:
            images.check_kappa(part, None if observed is None else observed[number])
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
    size = kappa.shape[-1]
    if pixels is not None and size % pixels:
        raise ValueError(f"{name}: {size} pixels a side cannot be averaged to pixels = {pixels}")
    whole, factor = kappa if observed is None else np.where(observed, kappa, 0), size // pixels if pixels else 1
    if factor == 1:
        return Image(whole.astype(np.float32), observed, side)
    blocks = (*whole.shape[:1], size // factor, factor, size // factor, factor)
    if observed is not None:
        observed = np.asarray(observed.reshape(blocks).all(axis=(2, 4)))
    coarse = whole.reshape(blocks).mean(axis=(2, 4), dtype=np.float64).astype(np.float32)
    return Image(coarse if observed is None else np.where(observed, coarse, np.float32(0)), observed, side)
