# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Bring your own
#
# Every chapter runs on other people's {term}`maps <map>`, with their own galaxies, masks and noise, and with your own
# statistics, degradations and networks. One word does it:
#
# ```bash
# .venv/bin/wlbook build -p 01_data.source=FOLDER                # the whole book on your maps
# .venv/bin/wlbook run 03_network -p 01_data.source=FOLDER       # one chapter
# .venv/bin/wlbook run 01_data -p sources=nz.fits[nz_source]     # our simulations, your galaxies
# .venv/bin/wlbook run 02_statistics -p mask=footprint.fits      # and your mask
# ```
#
# A relative path begins where you stand, one in a profile at the profile's folder. What the files hold is part of what
# is stored: edit one, and what depends on it is made anew; `wlbook why` names the file. What cannot be right is refused
# in one line, before any work.
#
# ## Which files
#
# | file | named as | remarks |
# |---|---|---|
# | FITS image | `kappa.fits`, `kappa.fits[BIN2]`, `kappa.fits[2]` | any extension, byte order and depth; compressed or gzipped; the side in `ANGLE` or `CDELT1` |
# | NumPy | `kappa.npy`, `kappa.npy[17]`, `all.npz[kappa]` | an index takes one map of many; mapped from the disk |
# | HDF5 | `maps.h5[stage3/kg]`, `maps.h5[kappa][3,17]` | |
# | zarr | `maps.zarr`, `maps.zarr[kappa]` | |
# | HEALPix | `sky.fits` | needs `pip install wlbook[healpix]`; cut into squares of the `side` given, which do not overlap |
# | a folder | `Om0.260_si0.800/WLconv_z1.00_0001r.fits` | the Columbia layout, as LensTools' users know it |
# | a folder | `maps.csv` in it | the table below |
#
# The table has a line for each map, or for each array of maps:
#
# | column | what | if it is missing |
# |---|---|---|
# | `file` | of a bin each, parted by `;`, or one with all bins | needed, or the next two |
# | `gamma1`, `gamma2` | shear, which is turned into kappa; `-FILE` for the other sign of `gamma2` | |
# | `omega_m`, `sigma_8` (or `s_8`) | of the universe | needed |
# | `split` | `train`, `test` or `fiducial` | needed |
# | `seed` | of the {term}`box` that the map is of | each map counts as a box of its own, and a warning says so |
# | `redshift` | of each bin's sources | `source_redshift` |
# | `side` | of the map [deg] | the header's, or `source_side` |
# | `mask` | like `file`: 1 where the sky was observed | everything is observed |
# | `border` | pixels to leave out on each side, where shear of an open field misleads | 0 |
# | `axes` | of an array, in its order, as in `map y x bin` | `axes` |
#
# Tables may come from a spreadsheet: with semicolons, tabs, decimal commas, spaces or a byte order mark.
#
# ## Images and a table
#
# Below are small Gaussian fields in place of your maps, and `read_maps`, which reads them as the chapters do. What
# files do not say themselves stands in a `Reading`.

# %%
import csv
import tempfile
from pathlib import Path

import numpy as np
from astropy.io import fits

temporary = tempfile.TemporaryDirectory()  # goes with this page's process
folder = Path(temporary.name)
draw = np.random.default_rng(1)


def your_maps(sigma_8, *shape):
    """White noise that grows with sigma_8."""
    return draw.normal(scale=0.02 * sigma_8, size=shape).astype(np.float32)


universes = [(0.25, 0.7), (0.3, 0.82), (0.35, 0.9)]
lines = [["file", "omega_m", "sigma_8", "split", "seed"]]
for number, (omega_m, sigma_8) in enumerate(universes):
    for box, split in enumerate(["fiducial"] if number == 1 else ["train", "test"]):
        seed = 2 * number + box
        two = [your_maps(sigma_8, 32, 32) for _ in range(2)]
        bins = [fits.ImageHDU(one, fits.Header({"ANGLE": 5.0})) for one in two]
        fits.HDUList([fits.PrimaryHDU(), *bins]).writeto(folder / f"{seed}.fits")
        files = f"{seed}.fits[1];{seed}.fits[2]"
        lines.append([files, omega_m, sigma_8, split, seed])

with (folder / "maps.csv").open("w", newline="") as table:
    csv.writer(table).writerows(lines)

# %%
from wlbook.simulation import Reading, read_maps


def tell(data):
    """What came in."""
    sizes = " x ".join(f"{size} {axis}" for axis, size in data["kappa"].sizes.items())
    models = len({*zip(data["omega_m"].values, data["sigma_8"].values, strict=True)})
    print(f"{sizes}, {models} universes, {data.attrs['side']:g} deg a side")


tell(read_maps(folder, Reading(source_redshift=[0.6, 1.0])))

# %% [markdown]
# The {term}`fiducial` is your own: its universe is the truth that chapter 6 marks. Maps of `train` teach the network,
# those of `test` measure everything. A {term}`design` of some twenty universes is the least that an {term}`emulator`
# bends around; under six none can be made.
#
# ## One array and its labels
#
# Simulators and challenges write all their maps into one array, and the parameters into another. `axes` says in words
# how the first is ordered, `labels` names the second, and its columns if it has no header. The universe in the middle
# plays the observed sky; of every other one half of the maps is to train, half to test on.

# %%
import warnings

inputs = {universe: your_maps(universe[1], 8, 32, 32) for universe in universes}
np.save(folder / "kappa.npy", np.stack(list(inputs.values())))
np.save(folder / "labels.npy", np.array([[om, 0.7, s8] for om, s8 in universes]))
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    reading = Reading(
        axes="model map y x",
        labels="labels.npy: omega_m h sigma_8",
        side=5.0,
    )
    data = read_maps(folder / "kappa.npy", reading)
tell(data)
print("warning:", str(told[0].message).replace(str(folder), "FOLDER"))

# %% [markdown]
# On the command line that is
# `-p 01_data.source=kappa.npy -p 01_data.axes="model map y x" -p 01_data.labels="labels.npy: omega_m h sigma_8"
# -p 01_data.source_side=5`.
#
# ## Masks
#
# A mask is 1 where the sky was observed and 0 elsewhere; UNSEEN and NaN are not observed either. Weights and counts are
# no mask until you say from which number on: `"weights.fits > 0.5"`. Under a mask a map may hold anything, NaN too.
# The chapters see all maps through what their masks have in common.

# %%
from wlbook.simulation import masks

weights = draw.uniform(size=(32, 32))
fits.writeto(folder / "weights.fits", weights)
observed = masks.mask(f"{folder}/weights.fits > 0.2", pixels=32, pixel=9.4)
print(f"{observed.mean():.0%} observed, of {(weights > 0.2).mean():.0%} with such weights")

# %% [markdown]
# ## Galaxies
#
# `sources` takes text with a column of redshifts and one for each bin, 2pt FITS files as DES and DECADE publish them
# (`file.fits[nz_source]`) and SACC files. Whether a first column holds points or lower edges changes the mean redshift by
# half a step. Names such as `Z_LOW` and `Z_MID`, and the marks `# hist` and `# pdf`, say which; where nothing does and it
# matters, the file is refused until you say `nz="points"` or `nz="edges"`.

# %%
from wlbook.simulation import redshift_tables

edges = np.arange(0.3, 1.475, 0.05)
density = np.exp(-(((edges + 0.025 - 0.9) / 0.2) ** 2) / 2)
np.savetxt(folder / "nz.txt", np.column_stack([edges, density]))
try:
    redshift_tables.read(folder / "nz.txt")
except ValueError as error:
    print(str(error).replace(str(folder), "FOLDER"))
found = redshift_tables.read(folder / "nz.txt", nz="edges")
print(f"mean redshift {found.mean()[0]:.3f}, put in 0.900")

# %% [markdown]
# ## Noise that is already there
#
# Maps of a real survey come with the noise of its galaxies. `-p 01_data.noise="in the maps"` adds none, in any chapter;
# `n_gal` and `sigma_e` then say how much there is. Where a page compares with noiseless maps, both are yours as they are.
# Conventions differ:
#
# | who | noise of a pixel | `sigma_e = 0.4`, 30 arcmin$^{-2}$, pixels of 1 arcmin |
# |---|---|---|
# | this book, paper A | $\sigma_e / \sqrt{2 n A}$, $\sigma_e$ of both components | 0.052 |
# | papers that quote one component | $\sigma_e / \sqrt{n A}$, $\sigma_e$ of one | 0.073: give $\sqrt{2}$ times theirs here |
# | LensTools' `getShapeNoise` | $(0.15 + 0.035 z) / \sqrt{n A}$, sources at $z$ | 0.034 at $z = 1$, whatever $\sigma_e$ |
#
# ## What is refused
#
# UNSEEN, -99 and infinities without a mask; a standard deviation that no kappa has; a side of 0, or in arcmin; maps of
# another size, side or redshift than most. `bad_files="skip"` leaves such files out and says which.

# %%
with fits.open(folder / "1.fits", mode="update") as file:
    file[1].data[3, 4] = -1.6375e30
try:
    read_maps(folder)
except ValueError as error:
    print(str(error).replace(str(folder), "FOLDER"))

# %% [markdown]
# ## Your own statistic, degradation or network
#
# A file of yours adds them under a name, without a change to the book:
#
# ```python
# # mine.py
# from wlbook.common.extras import degradation, statistic
#
#
# @statistic
# def third_moment(kappa):  # [map, bin, y, x]
#     return (kappa**3).mean(axis=(-2, -1))  # [map, ...]
#
#
# @degradation
# def scaled(kappa, factor):
#     return factor * kappa
# ```
#
# ```bash
# .venv/bin/wlbook run 02_statistics -p extra=mine.py
# .venv/bin/wlbook run 06_constraints -p extra=mine.py -p 'combine=["power spectrum", "third_moment"]'
# .venv/bin/wlbook run 05_degradation -p extra=mine.py -p 'degradations=["scaled:0.5", "low_pass:1000+scaled:2"]'
# ```
#
# A network is a class marked with `network`, a subclass of `wlbook.network.architectures.Network`, and then
# `-p 03_network.architecture=ITS_NAME`. Only results that use a name depend on your file: edit it, and they alone are
# made anew. Functions must be written with JAX, which compiles them, and may ask for more by name: a statistic for
# `side` [deg] and `mask`, a degradation for `side` and, to draw numbers, `key`.

# %% tags=["remove-cell"]
import shutil

assert abs(found.mean()[0] - 0.9) < 1e-3
assert data["kappa"].shape == (24, 1, 32, 32)
shutil.rmtree(folder)
