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
source = "simulate"  # where the maps come from: "simulate", or a folder of FITS maps; any text
bad_files = "refuse"  # what to do about a file of that folder that cannot be used; one of "refuse", "skip"
design = "paper-a"  # whose plane of models, and whose observed sky; one of "paper-a", "paper-b"
n_models = 24  # models of the design, each with a box to train on and one to test on; 1 <= n_models <= 512
n_maps = 64  # maps from each box; 2 <= n_maps <= 4096
n_fiducial = 4  # further boxes at the fiducial, the observed sky; 1 <= n_fiducial <= 512
side = 3.5  # of a map [deg]; 0.5 <= side <= 20
pixels = 64  # per side of a map; 16 <= pixels <= 1024
box = 240.0  # side of a simulated box [Mpc/h]; 50 <= box <= 2000
particles = 64  # per side of a box, even; 16 <= particles <= 1024
steps = 12  # of a simulation, from a = 0.1 to today; 6 <= steps <= 200
sources = "plane"  # galaxies: "plane", "stage-iii" (four bins), or a file with columns z, n_1, n_2 ...; any text
source_redshift = 1.0  # of the plane of galaxies; 0 < source_redshift < 8
method = "multi-plane"  # light bent at every plane, or straight rays; one of "multi-plane", "born"
a_ia = 0.0  # amplitude of intrinsic alignments; -6 <= a_ia <= 6
eta = 0.0  # their slope with redshift; -5 <= eta <= 7
n_second = 0  # further boxes at (0.309, 0.816), paper A's second test; 0 <= n_second <= 512
n_gal = 30.0  # source density, for the figure of noise [arcmin^-2]; 0 < n_gal <= 1000
sigma_e = 0.4  # intrinsic ellipticity dispersion, both components; 0 <= sigma_e <= 1
smoothing = 3.3  # standard deviation of the Gaussian smoothing [arcmin]; 0 <= smoothing <= 30
mask = "holes:0.1:6"  # of the figure of noise: "none", "holes:SHARE:RADIUS" in arcmin, or a file; any text
rungs = 5  # of the convergence ladder, each a box made anew, the sixth several; 0 <= rungs <= 6
finest = 256  # particles a side of the finest rung: 256 take 14 GB of memory, 128 take 4; 16 <= finest <= 2048
seed = 1  # of everything random; 0 <= seed < 2000

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
from myst_nb import glue

from wlbook import degradation, statistics
from wlbook.common import random
from wlbook.common.threads import two_at_a_time
from wlbook.figures import style
from wlbook.runner.store import Store
from wlbook.simulation import convergence_ladder, cosmology, dataset, lens_planes, lensing, maps, survey, theory
from wlbook.simulation import sources as galaxies
from wlbook.simulation.boxes import simulate_box, specifications
from wlbook.simulation.cosmology import Cosmology

style.use_style()
store = Store()
simulated = source == "simulate"
fiducial = Cosmology(*cosmology.CENTRES[design])
bins = galaxies.named(sources, source_redshift)

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
far = bins.distances(fiducial)[-1:]
cone = lens_planes.light_cone(fiducial, box=box, steps=steps, source_redshift=float(bins.redshift.max()))
weight = lensing.efficiency(fiducial, cone.distance, cone.scale_factor, bins)
figure, (top, bottom) = plt.subplots(2, 1, figsize=(7.6, 3.2), sharex=True, height_ratios=[1, 1.1])
_ = top.plot(cone.distance, weight / weight.max(axis=0), marker=".")
_ = top.set(ylabel="lensing weight", ylim=(0, 1.1))
edge = far[0] * np.array([0, 1]), far[0] * np.tan(np.deg2rad(side) / 2) * np.array([0, 1])
_ = bottom.fill_between(edge[0], -edge[1], edge[1], color=style.PALETTE[5], alpha=0.5, linewidth=0)
for start in np.arange(0, far[0], box):
    _ = bottom.add_patch(plt.Rectangle((start, -box / 2), box, box, fill=False, edgecolor="0.6"))
_ = bottom.vlines(cone.distance, -box / 2, box / 2, color="0.3", linewidth=0.5)
_ = bottom.set(xlabel="comoving distance [Mpc/h]", ylabel="[Mpc/h]", aspect="equal", xlim=(0, None))

# %% [markdown]
# ## Which universes
#
# Two numbers matter most to lensing: how much matter there is, $\Omega_m$, and how clumped it is, $\sigma_8$. The
# {term}`design` spreads models over both, denser near the {term}`fiducial`. Lines of equal
# $S_8 = \sigma_8 \sqrt{\Omega_m / 0.3}$ are universes that a lensing map can hardly tell apart.

# %% mystnb={"image": {"alt": "Points of the design in the plane of Omega_m and sigma_8, with the fiducial marked and lines of equal S_8"}, "figure": {"name": "fig-data-design", "caption": "The simulated models, and the fiducial (cross) that plays the observed sky. Dashed: lines of equal S8. A larger design holds every smaller one."}}
models = cosmology.design(n_models, centre=cosmology.CENTRES[design])
figure, axis = plt.subplots(figsize=(5.4, 3.8))
_ = axis.plot(*models.T, "o", markersize=5)
_ = axis.plot(fiducial.omega_m, fiducial.sigma_8, "kx", markersize=9)
omega_m = np.linspace(*cosmology.DESIGN_RANGE[0], 50)
for s_8 in (0.5, 0.75, 1.0, 1.25):
    _ = axis.plot(omega_m, s_8 / cosmology.s_8(omega_m, 1.0), "--", color="0.6", linewidth=0.8)
_ = axis.set(xlabel=r"$\Omega_m$", ylabel=r"$\sigma_8$", ylim=(0.95 * 0.5, 1.03 * 1.1))

# %% [markdown]
# ## Make the maps
#
# One call. Every model has two boxes with different initial conditions: networks learn from one, and everything is
# judged on the other. Maps from the same box share its structures, so a split by maps instead of by boxes would let a
# network recognise what it is tested on.

# %%
data = maps.make(
    source=source, bad_files=bad_files, design=design, n_models=n_models, n_maps=n_maps, n_fiducial=n_fiducial,
    side=side, pixels=pixels, box=box, particles=particles, steps=steps, sources=sources,
    source_redshift=source_redshift, method=method, a_ia=a_ia, eta=eta, n_second=n_second, seed=seed, call=store.make,
)  # fmt: skip
side, pixels = float(data.attrs["side"]), data.sizes["x"]  # of a folder, its own
pixel, trusted_ell = float(data.attrs["pixel"]), float(data.attrs["trusted_ell"])
observed, train = dataset.select(data, "fiducial"), dataset.select(data, "train")

# %% mystnb={"image": {"alt": "Kappa maps of six models in order of S8 on one colour scale"}, "figure": {"name": "fig-data-models", "caption": "One map from each of up to six models, in order of S8, on one scale. More clumped universes have brighter peaks and emptier voids."}}
first = train.isel(map=np.unique(train["model"], return_index=True)[1])
order = np.argsort(cosmology.s_8(first["omega_m"].values, first["sigma_8"].values))
shown = first.isel(map=order[np.unique(np.linspace(0, len(order) - 1, 6).astype(int))])
titles = [
    rf"$\Omega_m$ {m:.2f}, $\sigma_8$ {s:.2f}" for m, s in zip(shown.omega_m.values, shown.sigma_8.values, strict=True)
]
_ = style.map_panels(list(shown["kappa"].values[:, 0]), titles, side=side)

# %% [markdown]
# ## Where the galaxies are
#
# One plane of galaxies is what paper A has. A survey sees them spread over redshift, and sorts them into
# {term}`bins <bin>` by their colours, with errors. Nearer bins are lensed less, by nearer matter. And galaxies are not
# round on average: the tides of the matter around them stretch them a little, which looks like lensing
# ({term}`intrinsic alignments`). Run this page with `-p sources=stage-iii` to have the four bins below in the maps, and
# with `-p a_ia=1` for aligned ones.

# %% mystnb={"image": {"alt": "Left, four overlapping bumps of galaxies over redshift. Right, ratio of power with alignments to power without, lowest for the nearest bin"}, "figure": {"name": "fig-data-bins", "caption": "Left: four tomographic bins like those of today's surveys. Right: what intrinsic alignments of amplitude 1 do to the power spectrum of each bin and to that of the nearest with the farthest, from theory."}}
stage_iii, ell = galaxies.smail(), np.geomspace(100, 3000, 30)
plain, aligned = (
    cosmology.convergence_power(fiducial, ell, stage_iii.tables(), a_ia=amplitude) for amplitude in (0.0, 1.0)
)
figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.2))
_ = left.plot(stage_iii.redshift, stage_iii.share.T / galaxies.STEP)
_ = left.set(xlabel="redshift", ylabel="galaxies per unit redshift")
for pair, label in ((0, "bin 1"), (4, "bin 2"), (7, "bin 3"), (9, "bin 4"), (3, "bins 1 and 4")):
    _ = right.plot(
        ell, aligned[pair] / plain[pair], "--" if pair == 3 else "-", color=None if pair != 3 else "0.4", label=label
    )
_ = right.set(xscale="log", xlabel="ell", ylabel="power with alignments / without", ylim=(0, 1.02))
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
# of the mesh's Nyquist wavenumber. Seen at the distance that lenses most, that is an {term}`ell` of
# {glue:text}`data-trusted-ell`: waves longer than {glue:text}`data-trusted-arcmin` arcmin.

# %%
ratios = np.concatenate([[1.2, 1.4], np.full(40, 1.3)])  # wide enough that every bin holds a wave of the field
ell_edges = 360 / side * np.cumprod(ratios)
ell_edges = ell_edges[ell_edges < 180 * 60 / pixel]
spectra = np.asarray(statistics.power_spectrum(data["kappa"].values[:, :1], side=side, ell_edges=ell_edges))[:, 0]
boxes, where = np.unique(data["seed"].values, return_index=True)
by_box = np.stack([spectra[data["seed"].values == number].mean(axis=0) for number in boxes])
universes = [Cosmology(*one) for one in np.stack([data["omega_m"].values, data["sigma_8"].values], axis=1)[where]]
look = {"side": side, "pixels": pixels, "ell_edges": ell_edges, "a_ia": a_ia, "eta": eta}
nearest = (
    galaxies.Sources(bins.redshift, bins.share[:1]) if simulated else galaxies.at(data.attrs["source_redshift"][0])
)


def expected(universe: Cosmology) -> np.ndarray:
    """C_ell of the first bin, as these maps should show it."""
    slab = float(cosmology.distance(universe, bins.redshift.max())) / len(cone.distance) if simulated else None
    return theory.field_power(universe, nearest, slab=slab, **look)[0]


in_theory = {one: expected(one) for one in dict.fromkeys(universes)}
ratio = by_box / np.stack([in_theory[one] for one in universes])

# %% mystnb={"image": {"alt": "Power spectrum of the fiducial maps with theory above, ratio of all boxes to theory below, trusted ell marked"}, "figure": {"name": "fig-data-spectrum", "caption": "Above: power spectrum of the fiducial maps, mean and error over boxes, with theory. Below: ratio to theory for all boxes (grey), and its mean with the error over boxes. Dashed: the trusted ell. Shaded: 5 %."}}
ell, of_fiducial = np.sqrt(ell_edges[1:] * ell_edges[:-1]), np.isin(boxes, observed["seed"].values)
mean, error = ratio.mean(axis=0), ratio.std(axis=0, ddof=1) / len(ratio) ** 0.5
scale = ell * (ell + 1) / (2 * np.pi)
figure, (top, bottom) = plt.subplots(2, 1, figsize=(6.4, 5), sharex=True, height_ratios=[1.3, 1])
spread = by_box[of_fiducial].std(axis=0) / max(of_fiducial.sum() - 1, 1) ** 0.5
_ = top.errorbar(ell, scale * by_box[of_fiducial].mean(axis=0), scale * spread, fmt="o", label="maps")
_ = top.plot(ell, scale * in_theory[universes[int(np.argmax(of_fiducial))]], label="theory")
_ = top.set(xscale="log", yscale="log", ylabel=r"$\ell(\ell+1)C_\ell/2\pi$")
_ = top.legend()
_ = bottom.plot(ell, ratio.T, color="0.8", linewidth=0.6, zorder=0)
_ = bottom.errorbar(ell, mean, error, fmt="o")
_ = bottom.axhspan(0.95, 1.05, color=style.PALETTE[2], alpha=0.15, linewidth=0)
for axis in (top, bottom):
    _ = axis.axvline(trusted_ell, color="black", linestyle="--", linewidth=0.8)
_ = bottom.tick_params(which="minor", labelbottom=False)
_ = bottom.set(xlabel="ell", ylabel="maps / theory", ylim=(0, 2))
_ = bottom.set_xticks([200, 500, 1000, 2000], ["200", "500", "1000", "2000"])

# %% [markdown]
# ## How far may we trust them?
#
# Theory cannot tell which of our shortcuts matters. So one fiducial box is made again and again with one thing changed,
# the {term}`convergence ladder`. All boxes have the same waves to begin with, a finer one only has more of them: the
# ratios below are almost free of chance (but for the planes: others are cut from the box when they are thinner or more).
# A box of another size cannot hold the same waves. So the sixth rung compares the mean of several wider boxes with that
# of the fiducial boxes above, and its errors come from how much boxes differ; this run has
# {glue:text}`data-wider-boxes` wider boxes.

# %%
affordable = [
    name for name, change in convergence_ladder.RUNGS.items() if particles * change.get("particles", 1) <= finest
]
names = [name for name in list(convergence_ladder.RUNGS)[:rungs] if simulated and name in affordable]
steps_of = {}
if names:
    one_box = specifications(
        n_models=1, n_maps=n_maps, n_fiducial=1, side=side, pixels=pixels, box=box, particles=particles, steps=steps,
        sources=sources, source_redshift=source_redshift, method=method, a_ia=a_ia, eta=eta, design=design, seed=seed,
    )[-1]  # fmt: skip

    def spectrum(name: str, one: dict = one_box) -> np.ndarray:
        """Mean power spectrum of a box that is made again with one thing changed."""
        kappa = store.make(simulate_box, **convergence_ladder.rung(name, one))["kappa"].values[:, :1]
        return np.asarray(statistics.power_spectrum(kappa, side=side, ell_edges=ell_edges)).mean(axis=(0, 1))

    steps_of = dict(zip(["as in the book", *names], two_at_a_time(spectrum, ["as in the book", *names]), strict=True))
wide = []
if names and rungs > len(convergence_ladder.RUNGS) and n_fiducial > 1:
    others = [one_box | {"seed": int(number)} for number in boxes[of_fiducial]]
    wide = list(two_at_a_time(lambda one: spectrum(convergence_ladder.WIDER, one), others))

# %% mystnb={"image": {"alt": "Ratio of power spectra to that of the book's own setting, one line for each change, trusted ell marked"}, "figure": {"name": "fig-data-ladder", "caption": "Power spectrum of one fiducial box's maps with one thing changed, over that of the same box as in the book. With errors: means over several boxes, wider against as wide as in the book. Dashed: the trusted ell. Shaded: 5 %."}}
figure, axis = plt.subplots(figsize=(6.4, 3.6))
for name in names:
    _ = axis.plot(ell, steps_of[name] / steps_of["as in the book"], marker=".", label=name)
if wide:
    _ = axis.errorbar(
        ell,
        *convergence_ladder.ratio_of_means(np.array(wide), by_box[of_fiducial]),
        fmt="k.-",
        label=convergence_ladder.WIDER,
    )
_ = axis.axhspan(0.95, 1.05, color=style.PALETTE[2], alpha=0.15, linewidth=0)
_ = axis.axvline(trusted_ell, color="black", linestyle="--", linewidth=0.8)
_ = axis.set(xscale="log", xlabel="ell", ylabel="power / as in the book", ylim=(0.5, 1.6))
_ = axis.tick_params(which="minor", labelbottom=False)
_ = axis.set_xticks([200, 500, 1000, 2000], ["200", "500", "1000", "2000"])
_ = axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))

# %% mystnb={"image": {"alt": "One map as made, and the same map with only the trusted waves"}, "figure": {"name": "fig-data-trusted", "caption": "One fiducial map as made, and what remains of it below the trusted ell. Details that only the left panel has are real structures with inexact shapes."}}
one = observed["kappa"].values[0]
trusted = np.asarray(degradation.low_pass(one, trusted_ell, side=side))
_ = style.map_panels([one[0], trusted[0]], ["as made", f"ell < {trusted_ell:.0f}"], side=side, columns=2)

# %% [markdown]
# ## How many maps are there?
#
# {glue:text}`data-maps-a-box` maps come out of one box, and they share its structures. If they were independent, the
# mean spectra of two boxes of the same universe would differ by the scatter of maps over the square root of their
# number. They differ by more: by as much as if a box gave the number of maps below.

# %% mystnb={"image": {"alt": "Number of independent maps in a box against ell, below the number made from it"}, "figure": {"name": "fig-data-independent", "caption": "How many independent maps the maps of one box are worth, for the mean of their power spectrum at each ell. Dashed: how many were made."}}
design_maps = data["split"].values < 2
numbers = [data[name].values[design_maps] for name in ("model", "seed")]
worth = dataset.independent(spectra[design_maps], *numbers)
figure, axis = plt.subplots(figsize=(5.4, 3.0))
_ = axis.plot(ell, worth, marker="o")
_ = axis.axhline(design_maps.sum() / len(np.unique(numbers[1])), color="black", linestyle="--", linewidth=0.8)
_ = axis.set(xscale="log", xlabel="ell", ylabel="independent maps in a box", ylim=(0, None))
_ = axis.tick_params(which="minor", labelbottom=False)
_ = axis.set_xticks([200, 500, 1000, 2000], ["200", "500", "1000", "2000"])

# %% [markdown]
# ## What a survey sees
#
# Nobody observes kappa. Galaxies have shapes of their own, which average out only slowly: with
# {glue:text}`data-galaxies` of them in a pixel, {term}`shape noise` has a standard deviation of {glue:text}`data-noise`
# there, against {glue:text}`data-kappa` for kappa itself. Smoothing brings the large structures back. Noise is added
# first, smoothing comes after, as in paper A; every later page does the same.

# %% mystnb={"image": {"alt": "One map without noise, with noise, with noise and smoothing, and with round holes"}, "figure": {"name": "fig-data-noise", "caption": "One fiducial map without noise; with the shape noise of this page's survey; smoothed after that; and with the holes that bright stars leave, where smoothing takes the mean of what was seen."}}
settings = {"pixel": pixel, "n_gal": n_gal, "sigma_e": sigma_e, "key": random.key(seed, "noise in a picture")}
seen = survey.mask(mask, pixels=pixels, pixel=pixel, seed=seed)
ways = ({"smoothing": 0.0}, {"smoothing": smoothing}, {"smoothing": smoothing, "mask": seen})
looks = [np.asarray(survey.observe(one, **way, **settings))[0] for way in ways]
titles = ["kappa", "with noise", "with noise, smoothed", "and masked"]
_ = style.map_panels([one[0], *looks], titles, side=side, columns=2)

# %% tags=["remove-cell", "nbval-ignore-output"]
band = (ell_edges[:-1] > 200) & (ell_edges[1:] < 1.1 * trusted_ell)
worst = np.abs(mean[band] - 1).max() if band.any() else np.nan
bright, scatter = np.percentile(observed["kappa"].values, 99.9), observed["kappa"].values.std()
low, high = band.argmax(), len(ell) - 1

# %% tags=["remove-cell", "nbval-ignore-output"]
numbers_in_the_text = {
    "cost": str(store.cost()),
    "trusted-ell": f"{trusted_ell:.0f}",
    "trusted-arcmin": f"{360 * 60 / trusted_ell:.0f}",
    "galaxies": f"{n_gal * pixel**2:.0f}",
    "noise": f"{survey.shape_noise_sigma(n_gal, pixel, sigma_e):.4f}",
    "kappa": f"{scatter:.4f}",
    "three-sigma": f"{3.1 * scatter:.3f}",
    "bright": f"{bright:.3f}",
    "boxes": len(boxes),
    "maps": data.sizes["map"],
    "models": len(np.unique(train["model"])),
    "maps-a-box": f"{data.sizes['map'] / len(boxes):.0f}",
    "wider-boxes": len(wide) or "no",
    "independent": " and ".join(f"{worth[n]:.0f} at ell = {ell[n]:.0f}" for n in (low, high)),
    "particles": particles,
    "pixels": pixels,
    "method": {"multi-plane": "ray tracing", "born": "straight rays"}[method],
    "planes": len(cone.distance),
    "mean-ratio": f"{mean[band].mean():.2f} ± {error[band].mean():.2f}" if band.any() else "not measured",
    "worst-ratio": f"{100 * worst:.0f}",
    "high-ratio": f"{mean[-1]:.2f}",
}
for name, value in numbers_in_the_text.items():
    glue(f"data-{name}", str(value), display=False)

# %% [markdown]
# **What to notice**
#
# - From ell = 250 to about the trusted ell the maps agree with theory to {glue:text}`data-worst-ratio` % in the worst
#   bin; the mean ratio there is {glue:text}`data-mean-ratio`. At the highest ell of {numref}`fig-data-spectrum` only
#   {glue:text}`data-high-ratio` of the power is left. A network can use such details to tell our models apart, but not
#   to learn about the real sky.
# - Kappa is not Gaussian: one pixel in a thousand is above {glue:text}`data-bright`, where a Gaussian field would be
#   above three standard deviations, {glue:text}`data-three-sigma`. That is why this book looks beyond the power spectrum.
# - Below ell = 250 a field of this size holds few waves and a box holds none longer than itself. The grey lines spread
#   because boxes differ, not because the physics does.
# - Bending light changes the spectrum by less than a percent ({numref}`fig-data-ladder`), and yet moves every peak by an
#   arcminute or so: what a network sees in one map is not what a mean spectrum sees in all.
# - The maps of a box are worth fewer independent ones: {glue:text}`data-independent`.
# - {numref}`fig-data-models`: what changes along the row is the contrast, most of all in the peaks.
#
# |  | paper A | this run |
# |---|---|---|
# | models | 96 | {glue:text}`data-models` |
# | boxes | one a model, and more for the fiducial | {glue:text}`data-boxes`, two a model |
# | particles a side | 512 | {glue:text}`data-particles` |
# | gravity | tree and mesh | mesh, twice the particles a side, sharpened |
# | light | ray tracing | {glue:text}`data-method`, {glue:text}`data-planes` planes |
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
assert abs(observed["kappa"].values.mean()) < 0.2 * observed["kappa"].values.std()
assert not set(train["seed"].values) & set(dataset.select(data, "test")["seed"].values), "no box serves both splits"
if band.any() and len(boxes) >= 16 and particles >= 64 and simulated:
    assert worst < 0.15, "spectrum against theory"
    assert mean[-1] < 1.1, "no power from nowhere at small scales"
if "straight rays (Born)" in steps_of:
    straight = steps_of["straight rays (Born)"] / steps_of["as in the book"]
    assert np.abs(straight[ell < trusted_ell] - 1).max() < 0.05, "bending light hardly changes the spectrum"
if simulated and (particles, box, side, sources, source_redshift) == (64, 240.0, 3.5, "plane", 1.0):
    assert 0.008 < observed["kappa"].values.std() < 0.0135
    assert bright > 4 * observed["kappa"].values.std(), "kappa has a long tail"
