# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Data: maps of matter made by light
#
# **The question.** What is a {term}`kappa` map, how do we make thousands of them, and how far may we trust them?
#
# **The papers.** Paper A {cite}`zorrilla2020` has 96 {term}`models <model>` in the plane of $\Omega_m$ and $\sigma_8$,
# one simulation of $512^3$ particles in a {term}`box` of 240 Mpc/h for each, and 512 maps of 3.5 degrees from each box.
# We follow its recipe at a size that your machine can make while you read.
#
# **The cost.** {glue:text}`data-cost`.

# %% tags=["parameters"]
source = "simulate"  # where the maps come from; a file or folder, or "simulate"
axes = ""  # of arrays in such files, in their order, as in "map y x bin"; any text
labels = ""  # of an array: the table of its universes; a file, or ""
source_side = 0.0  # of such maps, if no file says it, or 0 [deg]; 0 <= source_side <= 40
noise = "add"  # of galaxy shapes: added, or already there; one of "add", "in the maps"
bad_files = "refuse"  # what to do about a file of that folder that cannot be used; one of "refuse", "skip"
design = "paper-a"  # whose plane of models, and whose observed sky; one of "paper-a", "paper-b"
n_models = 24  # models of the design, each with a box to train on and one to test on; 1 <= n_models <= 512
n_maps = 64  # maps from each box; 2 <= n_maps <= 4096
n_fiducial = 4  # further boxes at the fiducial, the observed sky; 1 <= n_fiducial <= 512
side = 3.5  # of a map [deg]; 0.5 <= side <= 20
pixels = 64  # per side of a map; 16 <= pixels <= 1024
box = 240.0  # side of a simulated box [Mpc/h]; 50 <= box <= 2000
particles = 64  # per side of a box; even, 16 <= particles <= 1024
steps = 12  # of a simulation, from a = 0.1 to today; 6 <= steps <= 200
sources = "plane"  # galaxies: one plane, four bins, or n(z) in a file; a file, or one of "plane", "stage-iii"
nz = "as the file says"  # redshifts of n(z) in a text; one of "as the file says", "points", "edges"
source_redshift = 1.0  # of the plane of galaxies; 0.01 <= source_redshift < 8
method = "multi-plane"  # light bent at every plane, or straight rays; one of "multi-plane", "born"
a_ia = 0.0  # amplitude of intrinsic alignments; -6 <= a_ia <= 6
eta = 0.0  # their slope with redshift; -5 <= eta <= 7
n_second = 0  # further boxes at (0.309, 0.816), paper A's second test; 0 <= n_second <= 512
n_gal = 30.0  # source density, for the figure of noise [arcmin^-2]; 0.01 <= n_gal <= 1000
sigma_e = 0.4  # intrinsic ellipticity dispersion, both components; 0 <= sigma_e <= 1
smoothing = 3.3  # standard deviation of the Gaussian smoothing [arcmin]; 0 <= smoothing <= 30
mask = "holes:0.1:6"  # of the figure of noise [radius in arcmin]; a file, or one of "none", "holes:SHARE:RADIUS"
rungs = 5  # of the convergence ladder, each a box made anew, the sixth several; 0 <= rungs <= 6
finest = 256  # particles a side of the finest rung: 256 take 14 GB of memory, 128 take 4; 16 <= finest <= 2048
seed = 1  # of everything random; 0 <= seed < 2000

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np

from wlbook import figures
from wlbook.runner.store import Store

figures.use_style()
store = Store()
simulated = source == "simulate"

# %% [markdown]
# ## From matter to kappa
#
# Light from a distant galaxy passes clumps of matter on its way, and each bends it a little. What adds up is the
# {term}`convergence <kappa>`,
#
# $$
# \kappa = \frac{3}{2} \Omega_m \frac{H_0^2}{c^2} \int_0^{\chi_s}
#     \chi \left(1 - \frac{\chi}{\chi_s}\right) \frac{\delta}{a} \, \mathrm{d}\chi ,
# $$
#
# the density contrast $\delta$ along the line of sight, weighted by how well matter at distance $\chi$ lenses a source
# at $\chi_s$. Positive kappa means more matter than average. It is small: a few hundredths.
#
# We need $\delta$ along some 2400 Mpc/h, and a box is a tenth of that. So the path is cut into {term}`planes <plane>`.
# For each, every map takes a slab of the box at the time the light crossed it, along a random axis, shifted and flipped
# at random. The one box is seen again and again, each time from elsewhere.
#
# Light does not travel straight: each plane bends it a little, so that it meets the next one elsewhere, and shears the
# bundle it came in. We follow bundles through all planes ({term}`ray tracing`, {cite}`hilbert2009`), as paper A did. The
# formula above is what remains if the bending is left out (Born's approximation).

# %% mystnb={"image": {"alt": "The light cone from us to the source drawn to scale, the planes along it, a square of the box's size, and the lensing efficiency above"}, "figure": {"name": "fig-data-cone", "caption": "The path of light, to scale in both directions. Shaded: what one map sees. Vertical lines: the middles of the planes. Squares: the box, wider than the field everywhere. Above: how strongly matter at each distance lenses the source, relative to the best place."}}
from wlbook.simulation import Cosmology, cosmology, lens_planes, lensing
from wlbook.simulation.redshift_tables import named

fiducial = Cosmology(*cosmology.CENTRES[design])
galaxies = named(sources, source_redshift, nz)
path = {"box": box, "steps": steps, "source_redshift": float(galaxies.redshift.max())}
cone = lens_planes.light_cone(fiducial, **path)
weight = lensing.efficiency(fiducial, cone.distance, cone.scale_factor, galaxies)
far = galaxies.distances(fiducial)[-1]
_ = figures.simulation.light_cone(cone, weight, box=box, side=side, far=far)

# %% [markdown]
# ## Which universes
#
# Two numbers matter most to lensing: how much matter there is, $\Omega_m$, and how clumped it is, $\sigma_8$. This
# book's {term}`design` spreads models over both, denser near the {term}`fiducial`. Lines of equal
# $S_8 = \sigma_8 \sqrt{\Omega_m / 0.3}$ are universes that a lensing map can hardly tell apart.
#
# Every model has two boxes with different initial conditions: networks learn from one, and everything is judged on the
# other. Maps from the same box share its structures, so a split by maps instead of by boxes would let a network
# recognise what it is tested on. The fiducial has boxes of its own, the observed sky. A `Box` says how all of them are
# simulated and looked through; the universes say where. Maps from files bring models and an observed sky of their own,
# which the figure then shows.

# %%
from wlbook.simulation import Box, boxes

book_box = Box(
    side=side,
    pixels=pixels,
    n_maps=n_maps,
    box=box,
    particles=particles,
    steps=steps,
    sources=galaxies,
    method=method,
    a_ia=a_ia,
    eta=eta,
)
numbers_of_boxes = {
    "n_models": n_models,
    "n_fiducial": n_fiducial,
    "n_second": n_second,
}
universes = boxes.universes(book_box, **numbers_of_boxes, design=design, seed=seed)

# %% mystnb={"image": {"alt": "Points of the design in the plane of Omega_m and sigma_8, with the fiducial marked and lines of equal S_8"}, "figure": {"name": "fig-data-design", "caption": "The models, and the fiducial (cross) that plays the observed sky. Dashed: lines of equal S8. A larger design of this book holds every smaller one."}}
from wlbook import pipeline
from wlbook.simulation import dataset

models = cosmology.design(n_models, centre=cosmology.CENTRES[design])
truth = fiducial
if not simulated:  # those of the files
    data = pipeline.maps(store)
    truth = Cosmology(*dataset.fiducial(data))
    of_design = data.isel(map=data["split"].values < 2)
    models = np.stack([of_design["omega_m"], of_design["sigma_8"]], axis=1)
figure, axis = plt.subplots(figsize=(5.4, 3.8))
_ = axis.plot(*models.T, "o", markersize=5)
_ = axis.plot(truth.omega_m, truth.sigma_8, "kx", markersize=9)
omega_m = np.linspace(*cosmology.DESIGN_RANGE[0], 50)
for s_8 in (0.5, 0.75, 1.0, 1.25):
    same_s_8 = s_8 / cosmology.s_8(omega_m, 1.0)
    _ = axis.plot(omega_m, same_s_8, "--", color="0.6", linewidth=0.8)
low, high = np.min(models, axis=0)[1], np.max(models, axis=0)[1]
limits = min(0.95 * 0.5, 0.95 * low), max(1.03 * 1.1, 1.03 * high)
_ = axis.set(xlabel=r"$\Omega_m$", ylabel=r"$\sigma_8$", ylim=limits)

# %% [markdown]
# ## One map
#
# Before thousands, one. Gravity moves the particles of a box in the fiducial universe. On the way the box is cut into
# planes, one set for each time at which light crossed it. Then light runs through the planes and becomes a map.

# %% mystnb={"image": {"alt": "Left, a plane of matter with filaments and a white square; right, a kappa map with bright peaks"}, "figure": {"name": "fig-data-one", "caption": "Left: matter in one plane, half-way to the source; bright is dense. The white square is as wide as the map's field there; each map puts it elsewhere. Right: one map, what all planes together do to the light of the farthest galaxies."}}
from wlbook.common import random

coarse = {"particles": min(particles, 64), "seed": seed}
planes = lens_planes.lens_planes(fiducial, **path, **coarse)
paths = {"n_maps": 1, "key": random.key(seed, "one map")}
kappa = lensing.convergence(planes, galaxies, side=side, pixels=pixels, **paths)

middle = len(planes.distance) // 2
surface, width = planes.surface[middle, 0], planes.distance[middle] * np.deg2rad(side)
sizes = {"box": box, "side": side, "width": width}
_ = figures.simulation.plane_and_map(surface, kappa[0, -1], **sizes)

# %% [markdown]
# ## Make the maps
#
# The same for all universes is one call, `maps.simulate`. What was made once is kept in the store: run this page again,
# and its maps are only read. A folder of other people's maps takes the place of the simulations if `source` names one.

# %%
from wlbook.simulation import maps

if simulated:
    keep = store.make  # what was made before is read
    data = maps.simulate(book_box, universes, call=keep)
side, pixels = float(data.attrs["side"]), data.sizes["x"]  # of a folder, its own
pixel, trusted_ell = float(data.attrs["pixel"]), float(data.attrs["trusted_ell"])
observed, train = dataset.select(data, "fiducial"), dataset.select(data, "train")

# %% mystnb={"image": {"alt": "Kappa maps of six models in order of S8 on one colour scale"}, "figure": {"name": "fig-data-models", "caption": "One map from each of up to six models, in order of S8, on one scale. More clumped universes have brighter peaks and emptier voids."}}
first = train.isel(map=np.unique(train["model"], return_index=True)[1])
order = np.argsort(cosmology.s_8(first["omega_m"].values, first["sigma_8"].values))
few = np.unique(np.linspace(0, len(order) - 1, 6).astype(int))
shown = first.isel(map=order[few])
values = zip(shown.omega_m.values, shown.sigma_8.values, strict=True)
titles = [rf"$\Omega_m$ {m:.2f}, $\sigma_8$ {s:.2f}" for m, s in values]
_ = figures.map_panels(list(shown["kappa"].values[:, 0]), titles, side=side)

# %% [markdown]
# ## Where the galaxies are
#
# One plane of galaxies is what paper A has. A survey sees them spread over redshift, and sorts them into
# {term}`bins <bin>` by their colours, with errors. Nearer bins are lensed less, by nearer matter. And galaxies are not
# round on average: the tides of the matter around them stretch them a little, which looks like lensing
# ({term}`intrinsic alignments`). Run this page with `-p sources=stage-iii` to have the four bins below in the maps, and
# with `-p a_ia=1` for aligned ones.

# %% mystnb={"image": {"alt": "Left, four overlapping bumps of galaxies over redshift. Right, ratio of power with alignments to power without, lowest for the nearest bin"}, "figure": {"name": "fig-data-bins", "caption": "Left: four tomographic bins like those of today's surveys. Right: what intrinsic alignments of amplitude 1 do to the power spectrum of each bin and to that of the nearest with the farthest, from theory."}}
from wlbook.simulation.sources import STEP, smail

stage_iii, waves = smail(), np.geomspace(100, 3000, 30)
bins = stage_iii.tables()
plain = cosmology.convergence_power(fiducial, waves, bins)
aligned = cosmology.convergence_power(fiducial, waves, bins, a_ia=1.0)
figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2))
_ = left.plot(stage_iii.redshift, stage_iii.share.T / STEP)
_ = left.set(xlabel="redshift", ylabel="galaxies per unit redshift")
lines = {"bin 1": 0, "bin 2": 4, "bin 3": 7, "bin 4": 9}
for label, pair in lines.items():
    _ = right.plot(waves, aligned[pair] / plain[pair], label=label)
_ = right.plot(waves, aligned[3] / plain[3], "--", color="0.4", label="bins 1 and 4")
_ = right.set(xscale="log", xlabel="ell", ylim=(0, 1.02))
_ = right.set(ylabel="power with alignments / without")
_ = right.legend(fontsize="small", ncols=3, loc="lower center")

# %% [markdown]
# ## Against theory
#
# The mean {term}`power spectrum` of kappa follows from the matter spectrum without any simulation. We take halofit
# {cite}`takahashi2012` from CCL {cite}`chisari2019`, which is itself good to about 5 %, and ask what it predicts for
# *these* maps: a square field whose edges do not meet, with few waves in a bin, behind planes that were cut from the box
# without regard to each other. The lower panel is the ratio to that theory for every box of every model; its mean and
# the error of the mean over boxes are what counts.
#
# A particle mesh blurs matter over its cells, and particles are few. The rule we use trusts wavenumbers up to a quarter
# of the mesh's Nyquist wavenumber, seen at the distance that lenses most; of maps from files nothing is known but how
# small their pixels are. Here that is an {term}`ell` of {glue:text}`data-trusted-ell`: waves longer than
# {glue:text}`data-trusted-arcmin` arcmin.

# %%
from wlbook import statistics

widths = np.concatenate([[1.2, 1.4], np.full(40, 1.3)])  # a wave of the field in each
ell_edges = 360 / side * np.cumprod(widths)
ell_edges = ell_edges[ell_edges < 180 * 60 / pixel]
ell = np.sqrt(ell_edges[1:] * ell_edges[:-1])


def spectra_of(maps):
    """Power spectra [map, ell] of the first bin."""
    look = {"ell_edges": ell_edges, "mask": dataset.seen_in_all(maps)}
    first_bin = maps["kappa"].values[:, :1]
    return np.asarray(statistics.power_spectrum(first_bin, side=side, **look))[:, 0]


spectra = spectra_of(data)
made_of = np.stack([data[name] for name in ("seed", "omega_m", "sigma_8")], axis=1)
_, where, box_of = np.unique(made_of, axis=0, return_index=True, return_inverse=True)
seeds, box_of = data["seed"].values[where], box_of.ravel()  # of each box; of each map
by_box = np.array([spectra[box_of == one].mean(axis=0) for one in range(len(seeds))])

# %%
from wlbook.simulation import theory
from wlbook.simulation.sources import Sources, at

seen = galaxies if simulated else at(data.attrs["source_redshift"][0])
nearest = Sources(seen.redshift, seen.share[:1])
look = {"side": side, "pixels": pixels, "ell_edges": ell_edges}
look |= {"a_ia": a_ia, "eta": eta}


def expected(universe):
    """C_ell of the first bin, as these maps should show it: cut into planes."""
    far = galaxies.distances(universe)[-1]
    slab = float(far) / len(cone.distance) if simulated else None
    return theory.field_power(universe, nearest, slab=slab, **look)[0]


of_box = data.isel(map=where)
pairs = zip(of_box["omega_m"].values, of_box["sigma_8"].values, strict=True)
cosmologies = [Cosmology(*pair) for pair in pairs]
in_theory = {one: expected(one) for one in dict.fromkeys(cosmologies)}
ratio = by_box / np.stack([in_theory[one] for one in cosmologies])

# %% mystnb={"image": {"alt": "Power spectrum of the fiducial maps with theory above, ratio of all boxes to theory below, trusted ell marked"}, "figure": {"name": "fig-data-spectrum", "caption": "Above: power spectrum of the fiducial maps, mean and error over boxes (none of a single box), with theory. Below: ratio to theory for all boxes (grey), and its mean with the error over boxes. Dashed: the trusted ell. Shaded: 5 %."}}
of_sky = of_box["split"].values == dataset.SPLITS.index("fiducial")
spectrum, n_sky = by_box[of_sky].mean(axis=0), of_sky.sum()
spread = by_box[of_sky].std(axis=0) / (n_sky - 1) ** 0.5 if n_sky > 1 else 0 * ell
prediction = in_theory[cosmologies[int(np.argmax(of_sky))]]
mean, error = ratio.mean(axis=0), ratio.std(axis=0, ddof=1) / len(ratio) ** 0.5
_ = figures.simulation.spectrum_against_theory(
    ell,
    (spectrum, spread),
    prediction,
    ratio,
    (mean, error),
    trusted_ell=trusted_ell,
)

# %% [markdown]
# ## How far may we trust them?
#
# Theory cannot tell which of our shortcuts matters. So one fiducial box is made again and again with one thing changed,
# the {term}`convergence ladder`. All boxes have the same waves to begin with, a finer one only has more of them: the
# ratios below are almost free of chance (but for the planes: others are cut from the box when they are thinner or more).
# A box of another size cannot hold the same waves. So the sixth rung compares the mean of several wider boxes with that
# of the fiducial boxes above, and its errors come from how much boxes differ; this run has
# {glue:text}`data-wider-boxes` wider boxes. Of maps from files there is no ladder to climb.

# %%
from wlbook.simulation import convergence_ladder
from wlbook.simulation.boxes import simulate_box


def mean_spectrum(maps):
    """Power spectrum of a box: the mean over its maps."""
    return spectra_of(maps).mean(axis=0)


sky = [universe for universe in universes if universe.split == "fiducial"]
changed = {}
if simulated:
    changed = convergence_ladder.ladder(book_box, rungs, finest=finest)
wanted = {name: {"box": one} for name, one in changed.items()}
steps_of = pipeline.together(
    store,
    simulate_box,
    wanted,
    universe=sky[0],
    then=mean_spectrum,
)

# %%
wide = {}
if len(changed) > 1 and rungs > len(convergence_ladder.RUNGS) and n_fiducial > 1:
    wider = convergence_ladder.rung(convergence_ladder.WIDER, book_box)
    wanted = {one.seed: {"universe": one} for one in sky}
    wide = pipeline.together(
        store,
        simulate_box,
        wanted,
        box=wider,
        then=mean_spectrum,
    )

# %% mystnb={"image": {"alt": "Ratio of power spectra to that of the book's own setting, one line for each change, trusted ell marked"}, "figure": {"name": "fig-data-ladder", "caption": "Power spectrum of one fiducial box's maps with one thing changed, over that of the same box as in the book. With errors: means over several boxes, wider against as wide as in the book. Dashed: the trusted ell. Shaded: 5 %."}}
names = list(steps_of)[1:]
ladder = {name: steps_of[name] / steps_of["as in the book"] for name in names}
means = {}
if wide:
    wider_boxes = np.array(list(wide.values()))
    change = convergence_ladder.ratio_of_means(wider_boxes, by_box[of_sky])
    means = {convergence_ladder.WIDER: change}
_ = figures.simulation.ladder(ell, ladder, trusted_ell=trusted_ell, means=means)

# %% mystnb={"image": {"alt": "One map as made, and the same map with only the trusted waves"}, "figure": {"name": "fig-data-trusted", "caption": "One fiducial map as made, and what remains of it below the trusted ell. Details that only the left panel has are real structures with inexact shapes."}}
from wlbook import degradation

one = observed["kappa"].values[0]
trusted = degradation.low_pass(one, trusted_ell, side=side)
titles = ["as made", f"ell < {trusted_ell:.0f}"]
_ = figures.map_panels([one[0], trusted[0]], titles, side=side, columns=2)

# %% [markdown]
# ## How many maps are there?
#
# Maps that come out of one box share its structures; {glue:text}`data-maps-a-box`. If they were independent, the
# mean spectra of two boxes of the same universe would differ by the scatter of maps over the square root of their
# number. They differ as much as if a box gave the number of maps below.

# %% mystnb={"image": {"alt": "Number of independent maps in a box against ell, below the number made from it"}, "figure": {"name": "fig-data-independent", "caption": "How many independent maps the maps of one box are worth, for the mean of their power spectrum at each ell. Dashed: how many were made."}}
design_maps = data["split"].values < 2
model, of_design = data["model"].values[design_maps], box_of[design_maps]
worth = dataset.independent(spectra[design_maps], model, of_design)
made = design_maps.sum() / len(np.unique(of_design))
_ = figures.simulation.independent_maps(ell, worth, made=made)

# %% [markdown]
# ## What a survey sees
#
# Nobody observes kappa. Galaxies have shapes of their own, which average out only slowly: with
# {glue:text}`data-galaxies` of them in a pixel, {term}`shape noise` has a standard deviation of {glue:text}`data-noise`
# there, against {glue:text}`data-kappa` for kappa itself. Smoothing brings the large structures back. Noise is added
# first, smoothing comes after, as in paper A; every later page does the same.

# %% mystnb={"image": {"alt": "One map without noise, with noise, with noise and smoothing, and with round holes"}, "figure": {"name": "fig-data-noise", "caption": "One fiducial map without noise; with the shape noise of this page's survey; smoothed after that; and with the holes that bright stars leave, where smoothing takes the mean of what was seen."}}
from wlbook.simulation import Survey, masks, survey

unsmoothed, smoothed = (Survey(n_gal, sigma_e, length) for length in (0.0, smoothing))
holes = masks.mask(mask, pixels=pixels, pixel=pixel, seed=seed)
noise = {"pixel": pixel, "key": random.key(seed, "noise in a picture")}
looks = {
    "kappa": one,
    "with noise": survey.observe(one, unsmoothed, **noise),
    "with noise, smoothed": survey.observe(one, smoothed, **noise),
    "and masked": survey.observe(one, smoothed, mask=holes, **noise),
}
images = [look[0] for look in looks.values()]
_ = figures.map_panels(images, list(looks), side=side, columns=2)

# %% tags=["remove-cell", "nbval-ignore-output"]
band = (ell_edges[:-1] > 200) & (ell_edges[1:] < 1.1 * trusted_ell)
worst = "an amount not measured here"
kappa_of_sky = observed["kappa"].values
bright, scatter = np.percentile(kappa_of_sky, 99.9), kappa_of_sky.std()
worths = [f"{worth[n]:.0f} at ell = {ell[n]:.0f}" for n in (band.argmax(), -1)]
if np.isnan(worth).any():
    worths = ["not measured here, for want of boxes of several maps each"]
mean_ratio = "not measured"
if band.any():
    worst = f"{100 * np.abs(mean[band] - 1).max():.0f} %"
    mean_ratio = f"{mean[band].mean():.2f} ± {error[band].mean():.2f}"

# %% tags=["remove-cell", "nbval-ignore-output"]
from myst_nb import glue

names_of_light = {"multi-plane": "ray tracing", "born": "straight rays"}
numbers_in_the_text = {
    "cost": str(store.cost()),
    "trusted-ell": f"{trusted_ell:.0f}",
    "trusted-arcmin": f"{360 * 60 / trusted_ell:.0f}",
    "galaxies": f"{n_gal * pixel**2:.0f}",
    "noise": f"{survey.shape_noise_sigma(n_gal, pixel, sigma_e):.4f}",
    "kappa": f"{scatter:.4f}",
    "three-sigma": f"{3.1 * scatter:.3f}",
    "bright": f"{bright:.3f}",
    "boxes": f"{len(seeds)}, two a model",
    "maps": data.sizes["map"],
    "models": len(np.unique(train["model"])),
    "maps-a-box": f"here {data.sizes['map'] / len(seeds):.0f} of each",
    "wider-boxes": len(wide) or "no",
    "independent": " and ".join(worths),
    "particles": particles,
    "gravity": "mesh, twice the particles a side, sharpened",
    "pixels": f"{pixels}, over {side:g} degrees",
    "light": f"{names_of_light[method]}, {len(cone.distance)} planes",
    "mean-ratio": mean_ratio,
    "worst-ratio": worst,
    "high-ratio": f"{mean[-1]:.2f}",
}
if not simulated:
    unsaid = ("particles", "gravity", "light")
    numbers_in_the_text |= dict.fromkeys(unsaid, "not told by files")
    numbers_in_the_text["boxes"] = len(seeds)
    if not data.attrs.get("boxes_known", 1):
        numbers_in_the_text["boxes"] = "not told by files"
        numbers_in_the_text["maps-a-box"] = "nothing tells which do here"
for name, value in numbers_in_the_text.items():
    glue(f"data-{name}", str(value), display=False)

# %% [markdown]
# **What to notice**
#
# - From ell = 250 to about the trusted ell the maps differ from theory by {glue:text}`data-worst-ratio` in the worst
#   bin; the mean ratio there is {glue:text}`data-mean-ratio`. At the highest ell of {numref}`fig-data-spectrum` it is
#   {glue:text}`data-high-ratio`: a network can use such details to tell our models apart, but not to learn about the
#   real sky.
# - Kappa is not Gaussian: one pixel in a thousand is above {glue:text}`data-bright`, where a Gaussian field would be
#   above three standard deviations, {glue:text}`data-three-sigma`. That is why this book looks beyond the power spectrum.
# - Below ell = 250 a field of this size holds few waves and a box holds none longer than itself. The grey lines spread
#   because boxes differ, not because the physics does.
# - Bending light changes the spectrum by less than a percent ({numref}`fig-data-ladder`), and yet moves every peak by an
#   arcminute or so: what a network sees in one map is not what a mean spectrum sees in all.
# - How many independent ones the maps of a box are worth: {glue:text}`data-independent`.
# - {numref}`fig-data-models`: what changes along the row is the contrast, most of all in the peaks.
#
# |  | paper A | this run |
# |---|---|---|
# | models | 96 | {glue:text}`data-models` |
# | boxes | one a model, and more for the fiducial | {glue:text}`data-boxes` |
# | particles a side | 512 | {glue:text}`data-particles` |
# | gravity | tree and mesh | {glue:text}`data-gravity` |
# | light | ray tracing | {glue:text}`data-light` |
# | pixels a side, 3.5 degrees | 512 (averaged from 1024) | {glue:text}`data-pixels` |
# | maps | 49,152 | {glue:text}`data-maps` |
#
# **What a particle mesh gets wrong.** It cannot form halos smaller than its cells. Our mesh is helped in three ways. The
# blur of painting and reading is divided out of the force, which is exact. The force fades at the particles' Nyquist
# wavenumber, since a lattice of particles would otherwise mirror its long waves into short ones. And before a plane is
# cut, particles move a little towards the nearest halo, by one constant for all models, times and resolutions, chosen so
# that the matter spectrum agrees with halofit. That last help is a patch: it restores the spectrum, and nobody promises
# that it restores peaks. Where theory agrees with the maps beyond the trusted ell, it is partly because of it.
#
# Few particles have a fault of their own: where matter has hardly moved, they still stand on the lattice they started
# from. Without care it shows as a grid in the maps of the least clumped models, a signal that a network would happily
# learn. We take the finest waves out of the planes of such models; that is one reason why power is missing at high ell.
#
# Rays pass through the centres of pixels, so there is no pixel window.

# %% [markdown]
# ```{exercise}
# :label: data-resolution-exercise
# Run this page with half the particles: `wlbook run 01_data -p particles=32`. Where does the trusted ell go, and what
# happens to the ratio in {numref}`fig-data-spectrum`?
# ```
#
# ```{solution} data-resolution-exercise
# :class: dropdown
# The cell doubles, so the trusted ell halves and hardly any of the field's waves remain below it. Above it the ratio
# first *rises* well over one, then falls: power that is not in theory is the lattice of the particles, now coarse enough
# to be seen at these angles. Too few particles do not only blur, they also invent.
# ```
#
# ```{exercise}
# :label: data-box-exercise
# Ask for a field of 6 degrees: `wlbook run 01_data -p side=6`. Why is it refused, and why not simply tile the box?
# ```
#
# ```{solution} data-box-exercise
# :class: dropdown
# Far away the field would be wider than the box. Tiling would show the same halo twice in one map, side by side, and
# waves longer than the box would be missing exactly where the larger field should bring them. The message names the box
# that would do; with the same number of particles, a larger box has larger cells.
# ```
#
# ```{exercise}
# :label: data-redshift-exercise
# Move the sources to redshift 0.5. What happens to the spread of kappa, and to the distance that lenses most?
# ```
#
# ```{solution} data-redshift-exercise
# :class: dropdown
# The path is shorter, so less matter adds up: kappa spreads about half as much. The best lenses stand roughly
# half-way to the source, so the same wave of matter is seen at a larger angle, and the trusted ell falls with it.
# ```

# %% tags=["remove-cell"]
if simulated:
    assert data.sizes["map"] == (2 * n_models + n_fiducial + n_second) * n_maps
assert np.isfinite(data["kappa"].values).all()
test = dataset.select(data, "test")
shared = set(train["seed"].values) & set(test["seed"].values)
assert not (simulated and shared), "no box serves both splits"
if simulated and len(seeds) >= 8:  # fewer do not tell how far their means scatter
    each = np.split(data["kappa"].values, len(seeds))
    means = [kappa_of_box.mean() for kappa_of_box in each]
    sure = 5 * np.std(means, ddof=1) / len(means) ** 0.5
    assert abs(np.mean(means)) < 0.2 * scatter + sure, "as much matter as on average"
if band.any() and len(seeds) >= 16 and particles >= 64 and simulated:
    sure = np.abs(mean - 1) - 5 * error
    assert sure[band].max() < 0.15, "spectrum against theory"
    assert mean[-1] - 5 * error[-1] < 1.1, "no power from nowhere at small scales"
trusted_bins = ell < trusted_ell
if "straight rays (Born)" in steps_of and trusted_bins.any() and n_maps >= 16:
    straight = steps_of["straight rays (Born)"] / steps_of["as in the book"]
    bent = np.abs(straight[trusted_bins] - 1).max()
    assert bent < 0.05, "bending light hardly changes the spectrum"
setting = (particles, box, side, sources, source_redshift, pixels, design, a_ia)
usual = (64, 240.0, 3.5, "plane", 1.0, 64, "paper-a", 0.0)
if simulated and setting == usual and n_fiducial * n_maps >= 64:
    assert 0.008 < observed["kappa"].values.std() < 0.0135
    assert bright > 4 * observed["kappa"].values.std(), "kappa has a long tail"
