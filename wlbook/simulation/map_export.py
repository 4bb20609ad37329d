"""Our maps out, as FITS images that others read, with a table of what they are."""

import csv
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from wlbook.common.progress import progress
from wlbook.simulation.dataset import SPLITS
from wlbook.simulation.map_tables import COLUMNS, TABLE


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
        csv.writer(stream).writerows([(*COLUMNS, "mask"), *rows])


def _write_masks(observed: np.ndarray, folder: Path) -> list[str]:
    """Names of the images that hold these masks [bin, y, x]; equal ones are written once."""
    from astropy.io import fits

    names = [f"mask_{zlib.crc32(np.packbits(mask).tobytes()):08x}.fits" for mask in observed]
    for name, mask in zip(names, observed, strict=True):
        if not (folder / name).exists():
            fits.writeto(folder / name, mask.astype(np.uint8))
    return names
