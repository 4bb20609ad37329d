"""Other people's maps: files in, one dataset out, every file right or refused by its name; and our maps out as FITS."""

import csv
import math
import warnings
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from wlbook.common import checks
from wlbook.common.progress import progress
from wlbook.simulation import healpix, images, map_tables, shear
from wlbook.simulation.dataset import SPLITS, labelled
from wlbook.simulation.map_tables import TABLE, Row
from wlbook.simulation.survey import NOISE

_AXES = ("map", "bin", "y", "x")
_BLOCK = 2**26  # bytes of maps that are read together
_IN_MEMORY = 2**29  # bytes of maps from which on they go to disk, if a folder is given
_SAMPLE = 9  # maps that are looked at first: most of them say what size the others must have


class SkippedWarning(UserWarning):
    """A file could not be used and was left out, as asked."""


class SignWarning(UserWarning):
    """The second component of shear seems to have the other sign."""


class UnknownBoxesWarning(UserWarning):
    """Nothing tells which maps are of one simulated box."""


class _Image(NamedTuple):
    """A map as it is read: kappa and what is observed [bin, y, x], and its side [deg]."""

    kappa: np.ndarray
    observed: np.ndarray | None
    side: float

    @property
    def size(self) -> tuple[tuple[int, ...], float]:
        return self.kappa.shape, round(self.side, 6)


class _Heap:
    """Arrays of one shape, one after the other: in memory, or in a folder once they are too many."""

    def __init__(self, name: str, folder: Path | None):
        self._name, self._path = name, None if folder is None else folder / f"{name}.zarr"
        self._waiting: list[np.ndarray] = []
        self._kept: Any = None

    def append(self, array: np.ndarray) -> None:
        self._waiting.append(array)
        if self._path is not None and len(self._waiting) * array.nbytes > (_BLOCK if self._kept else _IN_MEMORY):
            self._flush()

    def _flush(self) -> None:
        import zarr  # only who reads many maps waits for this import

        if self._kept is None:
            one = self._waiting[0]
            self._kept = zarr.create_group(self._path, overwrite=True).create_array(
                self._name,
                shape=(0, *one.shape),
                dtype=one.dtype,
                chunks=(max(1, _BLOCK // one.nbytes), *one.shape),
                dimension_names=_AXES,
                compressors=None if one.dtype.kind == "f" else "auto",
            )
        for start in range(0, len(self._waiting), step := self._kept.chunks[0]):
            self._kept.append(np.stack(self._waiting[start : start + step]))
        self._waiting.clear()

    def variable(self, rows: list[int]) -> xr.Variable:
        """Some of them, in order; those in a folder stay there until they are asked for."""
        if self._kept is None:
            return xr.Variable(_AXES, np.stack([self._waiting[i] for i in rows]))
        if self._waiting:
            self._flush()
        data = xr.open_zarr(self._path, chunks=None, consolidated=False, mask_and_scale=False)
        return data[self._name].variable.isel(map=rows)


def read_maps(
    source: str | Path,
    *,
    pixels: int | None = None,
    n_maps: int | None = None,
    axes: str = "",
    labels: str = "",
    side: float | None = None,
    source_redshift: float | list[float] = 1.0,
    noise: str = "add",
    bad: str = "refuse",
    content: str = "",
    checkpoint: Path | None = None,
) -> xr.Dataset:
    """Maps from a folder or a file, as `maps.simulate` returns its own.

    A folder is in the Columbia layout, `Om0.260_si0.800/WLconv_z1.00_0001r.fits`, or holds a table `maps.csv` with a
    line for each map, or for each array of maps. In the Columbia layout the maps of each model are cut in two halves by
    number, one to train and one to test on, and those of Om0.260_si0.800 play the observed sky. Both halves may come
    from one box: then a score on the second flatters the network. Files that differ only in redshift are the bins of
    one map.

    The table has the columns file (bins separated by ;), omega_m, sigma_8 (or s_8) and split (train, test or fiducial);
    it may have seed (of the box), redshift (of the sources, like file), side [deg], mask (like file, "FILE > 0.5" for
    weights), axes, and border, the number of pixels on each side that are left out. Where no seed is given each map
    counts as a box of its own, with a warning. Columns gamma1 and gamma2 instead of file are shear, turned into kappa
    (`shear.kaiser_squires`; -FILE has the other sign of gamma2). A HEALPix map is cut into squares (`healpix.squares`)
    of that side, all with the seed of its line.

    A pixel that a mask leaves out is 0 in kappa and False in `observed`, and may hold anything in the file. Pixels that
    are averaged must be observed all.

    Args:
        source: where the maps are.
        pixels: per side of the maps returned, a divisor of the files': pixels are averaged. By default as they are.
        n_maps: of each model and split at most.
        axes, labels: of arrays, as in `map_tables.rows`.
        side, source_redshift: of the maps [deg] and of each bin's sources, where neither a table nor a file says it.
        noise: "add" to maps without it at every look, or "in the maps" already.
        bad: what to do about a map that cannot be used: "refuse", or "skip" it with a warning that names it.
        content: hash of all the files; only there so that a stored result notices when they change.
        checkpoint: a folder for more maps than memory should hold; kappa is then read when it is asked for.

    Returns:
        Dataset with kappa float32 (map, bin, y, x), omega_m, sigma_8, model, seed and split (map), and `observed` (map,
        bin, y, x) if anything is masked.

    Raises:
        ValueError: naming the file or the argument, and what is wrong with it.
    """
    del content
    checks.one_of("bad_files", bad, ("refuse", "skip"))
    checks.one_of("noise", noise, NOISE)
    folder = Path(source)
    if not images.exists(images.place(str(folder), Path()).path):
        raise ValueError(f'source = {folder}: must be "simulate", a folder or a file, and there is no such')
    rows = map_tables.rows(folder, axes=axes, labels=labels)
    _check_redshifts(rows)
    usual = _usual(rows, pixels, side)
    found: list[Row] = []
    sides: list[float] = []
    kappa, observed = _Heap("kappa", checkpoint), _Heap("observed", checkpoint)
    masked = any(row.masks or row.border for row in rows)
    taken: Counter = Counter()
    for row in progress(rows, "reading maps", total=len(rows), unit="row"):
        place = row.universe, row.split
        for image in _maps(row, pixels, side) if n_maps is None or taken[place] < n_maps else ():
            if isinstance(image, _Image):
                usual = usual or image.size
                if image.size != usual:
                    image = ValueError(f"{row.places[0]}: {_told(image.size)}, most others {_told(usual)}")
            if isinstance(image, ValueError):
                if bad == "refuse":
                    raise image
                warnings.warn(f"skipped {image}", SkippedWarning, stacklevel=2)
                continue
            taken[place] += 1
            found.append(row)
            sides.append(image.side)
            kappa.append(image.kappa)
            if masked:
                observed.append(np.ones(image.kappa.shape, bool) if image.observed is None else image.observed)
            if taken[place] == n_maps:
                break
    for split in SPLITS:
        if not any(row.split == split for row in found):
            raise ValueError(f"source = {folder}: holds no usable map of split {split!r}; {TABLE} can name them")
    kept = _as_many(found)
    maps = {"kappa": kappa.variable(kept)} | ({"observed": observed.variable(kept)} if masked else {})
    data = _dataset(folder, [found[i] for i in kept], maps, sides[0], source_redshift)
    return data.assign_attrs(noise=noise)


def _as_many(found: list[Row]) -> list[int]:
    """Numbers of the maps without those to test on that only some models have: all are compared map by map."""
    numbers = Counter(row.universe for row in found if row.split == "test")
    least = min(numbers.values())
    if surplus := sum(numbers.values()) - least * len(numbers):
        short = "omega_m = {:g}, sigma_8 = {:g}".format(*min(numbers, key=numbers.__getitem__))
        told = f"{short} has {least} maps to test on: {surplus} of other models are left out, so that all have as many"
        warnings.warn(told, SkippedWarning, stacklevel=3)
    seen: Counter = Counter()
    kept = []
    for number, row in enumerate(found):
        seen[row.universe, row.split] += 1
        if row.split != "test" or seen[row.universe, row.split] <= least:
            kept.append(number)
    return kept


def _told(size: tuple[tuple[int, ...], float]) -> str:
    return f"{size[0]} over {size[1]:g} deg"


def _check_redshifts(rows: Sequence[Row]) -> None:
    """All maps have sources at the same redshifts, in the same order: others cannot be compared."""
    usual = Counter(row.redshift for row in rows).most_common(1)[0][0] if rows else ()
    for row in rows:
        if row.redshift != usual:
            told = [";".join(f"{z:g}" for z in one) or "none" for one in (row.redshift, usual)]
            raise ValueError(f"{row.where}: sources at redshift {told[0]}, those of most maps at {told[1]}")


def _usual(rows: Sequence[Row], pixels: int | None, side: float | None) -> tuple[tuple[int, ...], float] | None:
    """The size that most of a few maps have, spread over all of them; None if none can be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is to be told is told when all are read
        few = [next(_maps(row, pixels, side), None) for row in rows[:: max(1, len(rows) // _SAMPLE)]]
    sizes = Counter(image.size for image in few if isinstance(image, _Image))
    return sizes.most_common(1)[0][0] if sizes else None


def _maps(row: Row, pixels: int | None, side: float | None) -> Iterator[_Image | ValueError]:
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


def _squares(row: Row, pixels: int | None, side: float | None) -> Iterator[_Image | ValueError]:
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


def _image(row: Row, kappa: np.ndarray, observed: np.ndarray | None, side: float, pixels: int | None) -> _Image:
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
        return _Image(whole.astype(np.float32), observed, side)
    blocks = (*whole.shape[:1], size // factor, factor, size // factor, factor)
    if observed is not None:
        observed = np.asarray(observed.reshape(blocks).all(axis=(2, 4)))
    coarse = whole.reshape(blocks).mean(axis=(2, 4), dtype=np.float64).astype(np.float32)
    return _Image(coarse if observed is None else np.where(observed, coarse, np.float32(0)), observed, side)


def _dataset(
    folder: Path,
    rows: Sequence[Row],
    maps: dict[str, xr.Variable],
    side: float,
    source_redshift: float | list[float],
) -> xr.Dataset:
    models = sorted({row.universe for row in rows if row.split != "fiducial"})
    number = {universe: i for i, universe in enumerate(models)}
    known = all(row.seed is not None for row in rows)
    if not known:
        warnings.warn(
            f"{folder}: no seeds, so that every map counts as a box of its own; if some are of one box, "
            "errors over boxes, coverage and the worth of a map come out too good",
            UnknownBoxesWarning,
            stacklevel=3,
        )
    made_of = {
        "omega_m": [row.universe[0] for row in rows],
        "sigma_8": [row.universe[1] for row in rows],
        "model": [-1 if row.split == "fiducial" else number[row.universe] for row in rows],
        "seed": [row.seed if known else i for i, row in enumerate(rows)],
        "split": [SPLITS.index(row.split) for row in rows],
    }
    shape = maps["kappa"].shape
    data = labelled(np.broadcast_to(np.float32(0), shape), made_of, "convergence")
    maps["kappa"].attrs = data["kappa"].attrs
    data = data.assign(maps)
    pixel = side * 60 / shape[-1]
    data.attrs = {"side": side, "pixel": pixel, "source": folder.name, "trusted_ell": 180 * 60 / pixel}
    unsaid = source_redshift if isinstance(source_redshift, list) else [source_redshift]
    told = rows[0].redshift or unsaid
    data.attrs |= {"source_redshift": _redshifts(told, shape[1], rows[0].where), "boxes_known": int(known)}
    return data


def _redshifts(given: Sequence[float], bins: int, where: str) -> list[float]:
    """Of the sources of each bin, from one for all or one for each."""
    if len(given) not in (1, bins):
        raise ValueError(f"{where}: {len(given)} redshifts of sources, must be one or {bins}, one a bin")
    return [*given] * (bins if len(given) == 1 else 1)


def to_fits(data: xr.Dataset, folder: str | Path) -> None:
    """Write maps as LensTools' `ConvergenceMap.load` reads them, in the Columbia layout, with a table of their splits.

    Args:
        data: maps, as `maps.simulate` returns them.
        folder: made if need be; images of the same names are replaced.
    """
    from astropy.io import fits

    folder = Path(folder)
    bins = data.sizes["bin"]
    redshift = [float(z) for z in data.attrs.get("source_redshift", [])] or [float(b + 1) for b in range(bins)]
    depths = [f"{z:.2f}" for z in redshift]
    ends = [""] * bins if len({*depths}) == bins else [f"_bin{b + 1}" for b in range(bins)]
    seen: Counter = Counter()
    rows = []
    for i in progress(range(data.sizes["map"]), "writing maps", unit="map"):
        one = data.isel(map=i)
        model = f"Om{float(one.omega_m):.3f}_si{float(one.sigma_8):.3f}"
        seen[model] += 1
        (folder / model).mkdir(parents=True, exist_ok=True)
        names = []
        for b, image in enumerate(one["kappa"].values):
            names.append(f"{model}/WLconv_z{depths[b]}_{seen[model]:04d}r{ends[b]}.fits")
            header: Any = fits.Header({"ANGLE": data.attrs["side"], "Z": redshift[b], "OMEGA_M": float(one.omega_m)})
            header["SIGMA_8"] = float(one.sigma_8)
            fits.writeto(folder / names[-1], image.astype(np.float32), header, overwrite=True)
        values = [f"{float(one[name]):.8g}" for name in ("omega_m", "sigma_8")]
        seed = int(one.seed) if data.attrs.get("boxes_known", 1) else ""
        row = [";".join(names), *values, SPLITS[int(one.split)], seed, ";".join(f"{z:g}" for z in redshift)]
        rows.append([*row, ";".join(_write_masks(one["observed"].values, folder)) if "observed" in one else ""])
    with (folder / TABLE).open("w", newline="") as stream:
        csv.writer(stream).writerows([(*map_tables.COLUMNS, "mask"), *rows])


def _write_masks(observed: np.ndarray, folder: Path) -> list[str]:
    """Names of the images that hold these masks [bin, y, x]; equal ones are written once."""
    from astropy.io import fits

    names = [f"mask_{zlib.crc32(np.packbits(mask).tobytes()):08x}.fits" for mask in observed]
    for name, mask in zip(names, observed, strict=True):
        if not (folder / name).exists():
            fits.writeto(folder / name, mask.astype(np.uint8))
    return names
