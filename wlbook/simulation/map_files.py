"""Other people's maps: files in, one dataset out, every file right or refused by its name; and our maps out as FITS."""

import csv
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from wlbook.common import checks
from wlbook.common.progress import progress
from wlbook.simulation import images, map_tables
from wlbook.simulation.dataset import SPLITS, labelled
from wlbook.simulation.map_tables import TABLE, Row
from wlbook.simulation.survey import NOISE

_SAMPLE = 9  # maps that are looked at first: most of them say what size the others must have


class SkippedWarning(UserWarning):
    """A file could not be used and was left out, as asked."""


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
) -> xr.Dataset:
    """Maps from a folder or a file, as `maps.simulate` returns its own.

    A folder is in the Columbia layout, `Om0.260_si0.800/WLconv_z1.00_0001r.fits`, or holds a table `maps.csv` with a
    line for each map, or for each array of maps. In the Columbia layout the maps of each model are cut in two halves by
    number, one to train and one to test on, and those of Om0.260_si0.800 play the observed sky. Both halves may come
    from one box: then a score on the second flatters the network. Files that differ only in redshift are the bins of
    one map.

    The table has the columns file (bins separated by ;), omega_m, sigma_8 (or s_8) and split (train, test or fiducial);
    it may have seed (of the box), redshift (of the sources, like file), side [deg], mask (like file) and axes. Where no
    seed is given each map counts as a box of its own, with a warning.

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
    if not folder.exists() and "[" not in folder.name:
        raise ValueError(f'source = {folder}: must be "simulate", a folder or a file, and there is no such')
    rows = _first(map_tables.rows(folder, axes=axes, labels=labels), n_maps)
    _check_redshifts(rows)
    usual = _usual(rows, pixels, side)
    found: list[tuple[Row, int, _Image]] = []
    taken: Counter = Counter()
    for row in progress(rows, "reading maps", total=len(rows), unit="map"):
        try:
            of_row = _read(row, pixels, side)
            if usual and of_row[0].size != usual:
                raise ValueError(f"{row.places[0]}: {_told(of_row[0].size)}, most others {_told(usual)}")
        except ValueError as error:
            if bad == "refuse":
                raise
            warnings.warn(f"skipped {error}", SkippedWarning, stacklevel=2)
            continue
        for number, image in enumerate(of_row):
            taken[row.universe, row.split] += 1
            if n_maps is None or taken[row.universe, row.split] <= n_maps:
                found.append((row, number, image))
    for split in SPLITS:
        if not any(row.split == split for row, *_ in found):
            raise ValueError(f"source = {folder}: holds no usable map of split {split!r}; {TABLE} can name them")
    return _dataset(folder, _as_many(found), source_redshift).assign_attrs(noise=noise)


def _as_many(found: list[tuple[Row, int, _Image]]) -> list[tuple[Row, int, _Image]]:
    """Maps without those that some model has more of to test on: its means and covariances are set side by side."""
    numbers = Counter(row.universe for row, *_ in found if row.split == "test")
    least = min(numbers.values())
    if surplus := sum(numbers.values()) - least * len(numbers):
        short = "omega_m = {:g}, sigma_8 = {:g}".format(*min(numbers, key=numbers.__getitem__))
        told = f"{short} has {least} maps to test on: {surplus} of other models are left out, so that all have as many"
        warnings.warn(told, SkippedWarning, stacklevel=3)
    seen: Counter = Counter()
    kept = []
    for one in found:
        place = one[0].universe, one[0].split
        seen[place] += 1
        if one[0].split != "test" or seen[place] <= least:
            kept.append(one)
    return kept


def _told(size: tuple[tuple[int, ...], float]) -> str:
    return f"{size[0]} over {size[1]:g} deg"


def _first(rows: Sequence[Row], n_maps: int | None) -> list[Row]:
    seen: Counter = Counter()
    kept = []
    for row in rows:
        seen[row.universe, row.split] += 1
        if n_maps is None or seen[row.universe, row.split] <= n_maps:
            kept.append(row)
    return kept


def _check_redshifts(rows: Sequence[Row]) -> None:
    """All maps have sources at the same redshifts, in the same order: others cannot be compared."""
    usual = Counter(row.redshift for row in rows).most_common(1)[0][0] if rows else ()
    for row in rows:
        if row.redshift != usual:
            told = [";".join(f"{z:g}" for z in one) or "none" for one in (row.redshift, usual)]
            raise ValueError(f"{row.where}: sources at redshift {told[0]}, those of most maps at {told[1]}")


def _usual(rows: Sequence[Row], pixels: int | None, side: float | None) -> tuple[tuple[int, ...], float] | None:
    """The size that most of a few maps have, spread over all of them; None if none can be read."""
    sizes: Counter = Counter()
    for row in rows[:: max(1, len(rows) // _SAMPLE)]:
        try:
            sizes[_read(row, pixels, side)[0].size] += 1
        except ValueError:
            continue
    return sizes.most_common(1)[0][0] if sizes else None


def _read(row: Row, pixels: int | None, side: float | None) -> list[_Image]:
    """The maps of a row, each checked; what is wrong with a file is said by its name."""
    parts, sides = [], []
    for place in row.places:
        values, header = images.read(place, row.cut)
        stack = _ordered(place, values, row)
        try:
            own = row.side or images.side_of(header, stack.shape[-1]) or side
            if own is None:
                raise ValueError(
                    "no ANGLE in a header, the side [deg]: give it as a column of maps.csv or as source_side"
                )
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
        parts.append(stack)
        sides.append(own)
    if len({(part.shape, one) for part, one in zip(parts, sides, strict=True)}) > 1:
        raise ValueError(f"{row.places[0]}: its bins differ in size")
    kappa = np.concatenate(parts, axis=1)
    observed = _observed(row, kappa.shape)
    return [_image(row, one, observed, sides[0], pixels) for one in kappa]


def _ordered(place: images.Place, values: np.ndarray, row: Row) -> np.ndarray:
    """An array with the axes [map, bin, y, x]."""
    words = row.axes or ("map", "bin", "y", "x")[-values.ndim :] if values.ndim != 3 else row.axes or ("bin", "y", "x")
    left = [
        word for word, cut in zip(words, (*row.cut, *[slice(None)] * len(words)), strict=False) if cut == slice(None)
    ]
    if len(left) != values.ndim or not {"y", "x"} <= {*left}:
        raise ValueError(f"{place}: has the shape {values.shape}, its axes are {' '.join(left)}: set axes")
    order = [left.index(word) for word in ("map", "bin", "y", "x") if word in left]
    new = tuple(i for i, word in enumerate(("map", "bin", "y", "x")) if word not in left)
    stack = np.expand_dims(np.transpose(values, order), new)
    if stack.shape[-1] != stack.shape[-2]:
        raise ValueError(f"{place}: {values.shape} is not a square image")
    return stack


def _observed(row: Row, shape: tuple[int, ...]) -> np.ndarray | None:
    """What the masks of a row let through [bin, y, x]; None for everything."""
    masks = []
    for place in row.masks:
        values = images.read(place).values
        if values.shape != shape[-2:]:
            raise ValueError(f"mask = {place}: is of shape {values.shape}, must be {shape[-2:]} like the maps")
        try:
            masks.append(images.check_mask(values))
        except ValueError as error:
            raise ValueError(f"mask = {place}: {error}") from None
    return np.broadcast_to(np.stack(masks), shape[1:]) if masks else None


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
    whole = np.asarray(kappa if observed is None else np.where(observed, kappa, 0), np.float64)
    factor = size // pixels if pixels else 1
    blocks = (*whole.shape[:1], size // factor, factor, size // factor, factor)
    if observed is not None:
        observed = observed.reshape(blocks).all(axis=(2, 4))
    coarse = whole.reshape(blocks).mean(axis=(2, 4)).astype(np.float32)
    return _Image(coarse if observed is None else np.where(observed, coarse, np.float32(0)), observed, side)


def _dataset(
    folder: Path, found: Sequence[tuple[Row, int, _Image]], source_redshift: float | list[float]
) -> xr.Dataset:
    rows = [row for row, *_ in found]
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
    kappa = np.stack([image.kappa for *_, image in found])
    made_of = {
        "omega_m": [row.universe[0] for row in rows],
        "sigma_8": [row.universe[1] for row in rows],
        "model": [-1 if row.split == "fiducial" else number[row.universe] for row in rows],
        "seed": [row.seed if known else i for i, row in enumerate(rows)],
        "split": [SPLITS.index(row.split) for row in rows],
    }
    data = labelled(kappa, made_of, "convergence")
    masks = [image.observed for *_, image in found]
    if any(mask is not None for mask in masks):
        full = np.ones(kappa.shape[1:], bool)
        data["observed"] = (("map", "bin", "y", "x"), np.stack([full if mask is None else mask for mask in masks]))
    side = found[0][2].side
    pixel = side * 60 / kappa.shape[-1]
    data.attrs = {"side": side, "pixel": pixel, "source": folder.name, "trusted_ell": 180 * 60 / pixel}
    unsaid = source_redshift if isinstance(source_redshift, list) else [source_redshift]
    told = rows[0].redshift or unsaid
    data.attrs |= {"source_redshift": _redshifts(told, kappa.shape[1], rows[0].where), "boxes_known": int(known)}
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
    folder = Path(folder)
    redshift = data.attrs.get("source_redshift", [])
    seen: Counter = Counter()
    from astropy.io import fits

    rows = []
    for i in progress(range(data.sizes["map"]), "writing maps", unit="map"):
        one = data.isel(map=i)
        model = f"Om{float(one.omega_m):.3f}_si{float(one.sigma_8):.3f}"
        seen[model] += 1
        (folder / model).mkdir(parents=True, exist_ok=True)
        names = []
        for b, image in enumerate(one["kappa"].values):
            z = redshift[b] if b < len(redshift) else b + 1
            names.append(f"{model}/WLconv_z{z:.2f}_{seen[model]:04d}r.fits")
            header: Any = fits.Header({"ANGLE": data.attrs["side"], "Z": z, "OMEGA_M": float(one.omega_m)})
            header["SIGMA_8"] = float(one.sigma_8)
            fits.writeto(folder / names[-1], image.astype(np.float32), header, overwrite=True)
        values = [f"{float(one[name]):.8g}" for name in ("omega_m", "sigma_8")]
        split, depth = SPLITS[int(one.split)], ";".join(f"{z:g}" for z in redshift)
        rows.append([";".join(names), *values, split, int(one.seed), depth])
    with (folder / TABLE).open("w", newline="") as stream:
        csv.writer(stream).writerows([map_tables.COLUMNS, *rows])
