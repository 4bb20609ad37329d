"""Other people's maps: files in, one dataset out, every file right or refused by its name."""

import dataclasses
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from wlbook.common import checks
from wlbook.common.progress import progress
from wlbook.simulation import images, map_tables
from wlbook.simulation.dataset import SPLITS, labelled
from wlbook.simulation.map_rows import Image, SkippedWarning, maps
from wlbook.simulation.map_tables import TABLE, Row
from wlbook.simulation.survey import NOISE

_SAMPLE = 9  # maps that are looked at first: most of them say what size the others must have


class UnknownBoxesWarning(UserWarning):
    """Nothing tells which maps are of one simulated box."""


@dataclasses.dataclass(frozen=True)
class Reading:
    """What a reader says of maps whose files and tables do not say it."""

    axes: str = ""  # of arrays, in their order, and
    labels: str = ""  # the table of their universes: both as in `map_tables.rows`
    side: float | None = None  # of the maps [deg]
    source_redshift: float | Sequence[float] = 1.0  # of the galaxies of all bins, or of each
    noise: str = "add"  # to maps without it at every look, or "in the maps" already

    def __post_init__(self) -> None:
        checks.one_of("noise", self.noise, NOISE)


def read_maps(
    source: str | Path,
    reading: Reading = Reading(),
    *,
    pixels: int | None = None,
    n_maps: int | None = None,
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
    it may have seed (of the box), redshift (of the sources, like file), side [deg], mask (like file, "FILE > 0.5" for
    weights), axes, and border, the number of pixels on each side that are left out. Where no seed is given each map
    counts as a box of its own, with a warning. Columns gamma1 and gamma2 instead of file are shear, turned into kappa
    (`shear.kaiser_squires`; -FILE has the other sign of gamma2). A HEALPix map is cut into squares (`healpix.squares`)
    of that side, all with the seed of its line.

    A pixel that a mask leaves out is 0 in kappa and False in `observed`, and may hold anything in the file. Pixels that
    are averaged must be observed all.

    Args:
        source, reading: where the maps are, and what their files leave unsaid.
        pixels: per side of the maps returned, a divisor of the files': pixels are averaged. By default as they are.
        n_maps: of each model and split at most.
        bad: what to do about a map that cannot be used: "refuse", or "skip" it with a warning that names it.
        content: hash of all the files; only there so that a stored result notices when they change.

    Returns:
        Dataset with kappa float32 (map, bin, y, x), omega_m, sigma_8, model, seed and split (map), and `observed` (map,
        bin, y, x) if anything is masked.
    """
    del content
    checks.one_of("bad_files", bad, ("refuse", "skip"))
    folder = Path(source)
    if not images.exists(images.place(str(folder), Path()).path):
        raise ValueError(f'source = {folder}: must be "simulate", a folder or a file, and there is no such')
    rows = map_tables.rows(folder, axes=reading.axes, labels=reading.labels)
    _check_redshifts(rows)
    usual = _usual(rows, pixels, reading.side)
    found: list[Row] = []
    sides: list[float] = []
    kappa: list[np.ndarray] = []
    observed: list[np.ndarray] = []
    masked = any(row.masks or row.border for row in rows)
    taken: Counter = Counter()
    for row in progress(rows, "reading maps", total=len(rows), unit="row"):
        place = row.universe, row.split
        for image in maps(row, pixels, reading.side) if n_maps is None or taken[place] < n_maps else ():
            if isinstance(image, Image):
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
    data = _dataset(folder, [found[i] for i in kept], np.stack([kappa[i] for i in kept]), sides[0], reading)
    if masked:
        data["observed"] = (data["kappa"].dims, np.stack([observed[i] for i in kept]))
    return data


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
        few = [next(maps(row, pixels, side), None) for row in rows[:: max(1, len(rows) // _SAMPLE)]]
    sizes = Counter(image.size for image in few if isinstance(image, Image))
    return sizes.most_common(1)[0][0] if sizes else None


def _dataset(folder: Path, rows: Sequence[Row], kappa: np.ndarray, side: float, reading: Reading) -> xr.Dataset:
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
    data, pixel = labelled(kappa, made_of, "convergence"), side * 60 / kappa.shape[-1]
    data.attrs = {"side": side, "pixel": pixel, "source": folder.name, "trusted_ell": 180 * 60 / pixel}
    unsaid = reading.source_redshift
    told = rows[0].redshift or (unsaid if isinstance(unsaid, Sequence) else [unsaid])
    data.attrs |= {"source_redshift": _redshifts(told, kappa.shape[1], rows[0].where), "boxes_known": int(known)}
    data.attrs["noise"] = reading.noise
    return data


def _redshifts(given: Sequence[float], bins: int, where: str) -> list[float]:
    """Of the sources of each bin, from one for all or one for each."""
    if len(given) not in (1, bins):
        raise ValueError(f"{where}: {len(given)} redshifts of sources, must be one or {bins}, one a bin")
    return [*given] * (bins if len(given) == 1 else 1)
