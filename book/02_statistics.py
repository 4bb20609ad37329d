# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Statistics: what can be counted in a map
#
# **The question.** What do a {term}`power spectrum`, {term}`peak <peak>` counts and {term}`Minkowski functionals` see
# in a map of {term}`kappa`, and what does each of them miss?
#
# **The papers.** Paper A {cite}`zorrilla2020` asks its network to beat these three used together: 20 bins of the
# spectrum, about 20 heights of peaks, and the Minkowski functionals of {cite:t}`kratochvil2012`. Paper B
# {cite}`aymerich2026` compares with power spectra alone. Neither shows what is left in a map when they are known.
#
# **The cost.** {glue:text}`statistics-cost`.

# %% tags=["parameters"]
n_gal = 30.0  # source density [arcmin^-2]; 0 < n_gal <= 1000
sigma_e = 0.4  # intrinsic ellipticity dispersion, both components; 0 <= sigma_e <= 1
smoothing = 3.3  # standard deviation of the Gaussian smoothing [arcmin]; 0 <= smoothing <= 30
ell_bins = 8  # bins of the power spectrum; 2 <= ell_bins <= 40
peak_bins = 9  # heights of peaks; 2 <= peak_bins <= 40
minkowski_bins = 5  # thresholds of each Minkowski functional; 2 <= minkowski_bins <= 40
seed = 2  # of the noise; 0 <= seed

# %% tags=["hide-input"]
import functools
import time

import matplotlib.pyplot as plt
import numpy as np
from myst_nb import glue
from scipy import ndimage

from wlbook import degradation, inference, maps, plots, products, random, statistics, survey
from wlbook.store import Store

plots.use_style()
store = Store()
data = products.maps(store)
fiducial, test = maps.select(data, "fiducial"), maps.select(data, "test")
side, pixel = float(data.attrs["side"]), float(data.attrs["pixel"])

# %% [markdown]
# ## A map as a survey sees it
#
# {term}`Shape noise <shape noise>` is added to every pixel, then the map is smoothed. Both are parameters of this page:
# change them and every figure below follows.

# %% mystnb={"image": {"alt": "Three maps of the same field: kappa, kappa with noise, and both smoothed"}, "figure": {"name": "fig-statistics-map", "caption": "One fiducial map: as simulated, with the noise of galaxy shapes, and smoothed after that. All statistics are measured on maps like the third."}}
observe = functools.partial(survey.observe, pixel=pixel, n_gal=n_gal, sigma_e=sigma_e, key=random.key(seed, "picture"))
noiseless = fiducial["kappa"].values[0]
noisy, smooth = (np.asarray(observe(noiseless, smoothing=s)) for s in (0.0, smoothing))
titles = ["kappa", "with shape noise", "with noise, smoothed"]
_ = plots.map_panels([noiseless[0], noisy[0], smooth[0]], titles, side=side)

# %% [markdown]
# ## What each statistic looks at
#
# - The **power spectrum** splits the map into waves and keeps their mean square at each {term}`ell`. The left panel
#   shows the part of the map that one bin sees. Where the waves lie is forgotten.
# - **Peak counts** keep pixels higher than their eight neighbours, and how high they are. Everything else is forgotten.
# - **Minkowski functionals** cut the map at a threshold and measure the part above it: its area ($V_0$), the length of
#   its boundary ($V_1$), and its islands less its holes ($V_2$).
#
# The bins below suit the spread of the smoothed maps. They are few on purpose: the {term}`covariance` of a vector of
# $d$ numbers needs many more than $d$ maps, and this run has
# {glue:text}`statistics-maps-a-model` a {term}`model`. Paper A has 512.

# %%
settings = {"side": side, "n_gal": n_gal, "sigma_e": sigma_e, "smoothing": smoothing, "seed": seed}
numbers = {"ell_bins": ell_bins, "peak_bins": peak_bins, "minkowski_bins": minkowski_bins}
bins = statistics.binning(fiducial["kappa"].values, **settings, **numbers)
sigma = bins.pop("sigma")

# %% mystnb={"image": {"alt": "The same map three times: waves of one spectrum bin, circles on its peaks, and the areas above three thresholds"}, "figure": {"name": "fig-statistics-seen", "caption": "The smoothed map of {numref}`fig-statistics-map` as each statistic sees it: the waves of one bin of the spectrum; the peaks above one standard deviation, larger circles for higher ones; the parts above 0, 1 and 2 standard deviations."}}
low, high = bins["ell_edges"][ell_bins // 3 : ell_bins // 3 + 2]
waves = degradation.high_pass(degradation.low_pass(smooth, high, side=side), low, side=side)[0]
peaks = (smooth[0] == ndimage.maximum_filter(smooth[0], 3, mode="wrap")) & (smooth[0] > sigma)
y, x = (np.argwhere(peaks).T + 0.5) * pixel / 60
figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.0), sharey=True)
picture = {"extent": (0, side, 0, side), "origin": "lower"}
_ = axes[0].imshow(waves, cmap=plots.SIGNED_MAP, **picture)
_ = axes[1].imshow(smooth[0], cmap=plots.KAPPA_MAP, **picture)
_ = axes[1].scatter(x, y, s=25 * smooth[0][peaks] / sigma, facecolors="none", edgecolors="white")
shades = plt.get_cmap("cividis")([0.0, 0.35, 0.7, 1.0])
_ = axes[2].contourf(smooth[0], levels=sigma * np.array([-9, 0, 1, 2, 99]), colors=shades, extent=(0, side, 0, side))
for axis, title in zip(axes, [f"{low:.0f} < ell < {high:.0f}", "peaks", "parts above thresholds"], strict=True):
    _ = axis.set(title=title, xlabel="x [deg]", aspect="equal")
_ = axes[0].set_ylabel("y [deg]")

# %% [markdown]
# ## How they move with cosmology
#
# Measured on the maps of every model, each statistic gets a smooth fit over the {term}`design` (an {term}`emulator`),
# and the fit says how it answers to a small step in each parameter. The answer is in units of the scatter from map to
# map: to notice a change of 0.3 in one bin takes about ten maps.

# %%
vectors = store.make(statistics.measure, kappa=test["kappa"].values, **settings, **bins)
model, first, which = np.unique(test["model"].values, return_index=True, return_inverse=True)
parameters = np.stack([test[name].values[first] for name in ("omega_m", "sigma_8")], axis=1)
by_model = {name: np.stack([v[which == m] for m in range(len(model))]) for name, v in vectors.items()}
emulators = {name: inference.Emulator(parameters, v, method="quadratic") for name, v in by_model.items()}

# %% mystnb={"image": {"alt": "Change of each bin of the three statistics for a step in Omega_m and one in sigma_8"}, "figure": {"name": "fig-statistics-response", "caption": "Change of the mean of each bin when one parameter grows by a tenth of its fiducial value, in standard deviations of one map. Ticks count the bins: from low to high ell, from low to high peaks, and along the thresholds for V0, V1 and V2."}}
centre, steps = np.array([0.26, 0.80]), {"Omega_m": [0.026, 0.0], "sigma_8": [0.0, 0.08]}
figure, axes = plt.subplots(1, 3, figsize=(7.6, 3.0), sharey=True)
for axis, (name, emulator) in zip(axes, emulators.items(), strict=True):
    scatter = np.sqrt(np.diagonal(emulator.covariance(centre[None])[0]))
    for marker, (label, step) in zip("os", steps.items(), strict=True):
        ahead, behind = emulator.mean(np.array([centre + step, centre - step]))
        _ = axis.plot((ahead - behind) / 2 / scatter, marker=marker, markersize=4, label=label)
    _ = axis.axhline(0, color="0.7", linewidth=0.8)
    _ = axis.set(title=name, xlabel="bin")
_ = axes[0].set_ylabel("change [scatter of one map]")
_ = axes[0].legend()

# %% [markdown]
# The two curves of the spectrum have nearly the same shape: more matter and stronger clumping both raise it. That is
# why one statistic alone leaves a long, thin region in the plane of the two parameters (see
# {doc}`Constraints <06_constraints>`), and why a second one that answers differently helps more than its own error
# suggests.
#
# ## Noise and smoothing
#
# Noise adds its own flat spectrum and its own peaks. Smoothing takes both away, and small structures with them.

# %% mystnb={"image": {"alt": "Power spectra for four source densities, and peak counts for three smoothing lengths"}, "figure": {"name": "fig-statistics-noise", "caption": "Mean over the fiducial maps. Left: power spectrum for four noise levels, unsmoothed. Right: peak counts for three smoothing lengths, at this page's noise; heights in units of the standard deviation at this page's smoothing; the last bin holds all higher peaks."}}
measure = functools.partial(store.make, statistics.measure, kappa=fiducial["kappa"].values)
figure, (left, right) = plt.subplots(1, 2, figsize=(7.6, 3.4))
ell = np.sqrt(np.multiply(bins["ell_edges"][1:], bins["ell_edges"][:-1]))
for density, dispersion, label in [(10.0, 0.4, "10"), (30.0, 0.4, "30"), (100.0, 0.4, "100"), (30.0, 0.0, "no noise")]:
    change = {"n_gal": density, "sigma_e": dispersion, "smoothing": 0.0}
    spectrum = measure(**settings | change, **bins)["power spectrum"][:, :ell_bins].mean(axis=0)
    _ = left.loglog(ell, ell * (ell + 1) * spectrum / (2 * np.pi), marker=".", label=label)
_ = left.tick_params(which="minor", labelbottom=False, labelleft=False)
_ = left.set(xlabel="ell", ylabel=r"$\ell(\ell+1)C_\ell/2\pi$")
_ = left.legend(title="galaxies [arcmin$^{-2}$]", fontsize="small")
heights = np.array(bins["edges"]["peaks"][:-1]) / sigma
for length in (0.6 * smoothing, smoothing, 1.7 * smoothing):
    counts = measure(**settings | {"smoothing": length}, **bins)["peaks"][:, :peak_bins].mean(axis=0)
    _ = right.plot(heights, counts, marker=".", label=f"{length:.1f}")
_ = right.set(xlabel="lower edge of the bin [sigma]", ylabel="peaks a map", ylim=(0, None))
_ = right.legend(title="smoothing [arcmin]", fontsize="small")

# %% [markdown]
# ## How they scatter together
#
# Bins that rise and fall together repeat each other. The matrix is the mean over all test models, after each model's
# own mean is taken away.

# %% mystnb={"image": {"alt": "Correlation matrix of all bins, in blocks of the three statistics"}, "figure": {"name": "fig-statistics-correlation", "caption": "Correlation of all bins with each other, within and between the three statistics. Lines separate the statistics, and V0, V1 and V2."}}
together = np.concatenate(list(by_model.values()), axis=-1)
centred = (together - together.mean(axis=1, keepdims=True)) / together.std(axis=1, keepdims=True)
correlation = np.einsum("kmi,kmj->ij", centred, centred) / centred.shape[0] / centred.shape[1]
figure, axis = plt.subplots(figsize=(5.2, 4.4))
shown = axis.imshow(correlation, cmap="RdBu_r", vmin=-1, vmax=1, origin="upper")
_ = figure.colorbar(shown, label="correlation", shrink=0.75)
lengths = [vectors["power spectrum"].shape[1], vectors["peaks"].shape[1]]
lengths += [vectors["Minkowski"].shape[1] // 3] * 3
for edge in np.cumsum(lengths)[:-1] - 0.5:
    _ = axis.axhline(edge, color="black", linewidth=0.8)
    _ = axis.axvline(edge, color="black", linewidth=0.8)
names = ["spectrum", "peaks", "$V_0$", "$V_1$", "$V_2$"]
_ = axis.set_xticks(np.cumsum(lengths) - np.array(lengths) / 2 - 0.5, names)
_ = axis.set_yticks(np.cumsum(lengths) - np.array(lengths) / 2 - 0.5, names)

# %% [markdown]
# ## What each one misses
#
# Two ways to destroy a map answer this without any theory.
# {term}`Phase randomisation <phase randomisation>` keeps the spectrum exactly and moves everything;
# {term}`pixel shuffling` keeps every pixel's value exactly and loses all neighbours. A statistic that does not notice
# is blind to what was destroyed.

# %% mystnb={"image": {"alt": "Change of every bin after phase randomisation and after pixel shuffling, in units of the scatter of one map"}, "figure": {"name": "fig-statistics-lost", "caption": "Change of the mean of each bin when the phases of the noisy maps are randomised, or their pixels shuffled, in standard deviations of one map. Unsmoothed maps, so that shuffling keeps the histogram that V0 counts. Lines as in {numref}`fig-statistics-correlation`."}}
plain, phases, shuffled = (
    measure(**settings | {"smoothing": 0.0}, **bins, transform=transform)
    for transform in (None, degradation.randomize_phases, degradation.shuffle_pixels)
)
stack = {
    name: np.concatenate(list(found.values()), axis=1)
    for name, found in {"plain": plain, "phases randomised": phases, "pixels shuffled": shuffled}.items()
}
scatter = np.maximum(stack["plain"].std(axis=0), 1e-12)
changes = {name: (values.mean(axis=0) - stack["plain"].mean(axis=0)) / scatter for name, values in stack.items()}
figure, axis = plt.subplots(figsize=(7.6, 3.2))
for marker, name in zip("os", ("phases randomised", "pixels shuffled"), strict=True):
    _ = axis.plot(changes[name], marker, markersize=4, label=name)
for edge in np.cumsum(lengths)[:-1] - 0.5:
    _ = axis.axvline(edge, color="0.7", linewidth=0.8)
_ = axis.set_xticks(np.cumsum(lengths) - np.array(lengths) / 2 - 0.5, names)
_ = axis.axhline(0, color="0.7", linewidth=0.8)
_ = axis.set_ylabel("change [scatter of one map]")
_ = axis.legend(fontsize="small")

# %% [markdown]
# ## What each one is worth, and costs
#
# The smallest change of $\sigma_8$ that one map shows, everything else known, is
# $(d^T C^{-1} d)^{-1/2}$ with $d$ the slope of the mean and $C$ the covariance. It is a first look;
# {doc}`Constraints <06_constraints>` does it properly, for both parameters.


# %% tags=["remove-cell", "nbval-ignore-output"]
def smallest_change(vectors) -> float:
    """Error of sigma_8 from one map when omega_m is known."""
    emulator = inference.Emulator(parameters, vectors, method="quadratic")
    ahead, behind = emulator.mean(np.array([centre + steps["sigma_8"], centre - steps["sigma_8"]]))
    slope, covariance = (ahead - behind) / 0.16, emulator.covariance(centre[None])[0]
    return float((slope @ np.linalg.solve(covariance, slope)) ** -0.5)


def microseconds(statistic) -> float:
    """Time for one map on this machine, after compilation."""
    block = np.ascontiguousarray(test["kappa"].values[:256])
    _ = np.asarray(statistic(block))
    start = time.perf_counter()
    _ = np.asarray(statistic(block))
    return (time.perf_counter() - start) / len(block) * 1e6


worth = {name: smallest_change({name: v}) for name, v in by_model.items()} | {"all three": smallest_change(by_model)}
functions = {
    "power spectrum": functools.partial(statistics.power_spectrum, side=side, ell_edges=bins["ell_edges"]),
    "peaks": functools.partial(statistics.peak_counts, edges=bins["edges"]["peaks"]),
    "Minkowski": functools.partial(statistics.minkowski_functionals, edges=bins["edges"]["Minkowski"]),
}
keys = {"power spectrum": "spectrum", "peaks": "peaks", "Minkowski": "minkowski", "all three": "all"}
for name, value in worth.items():
    glue(f"statistics-worth-{keys[name]}", f"{value:.3f}", display=False)
for name, function in functions.items():
    glue(f"statistics-time-{keys[name]}", f"{microseconds(function):.0f}", display=False)
    glue(f"statistics-bins-{keys[name]}", str(vectors[name].shape[1]), display=False)
glue("statistics-bins-all", str(together.shape[-1]), display=False)
glue("statistics-maps-a-model", str(together.shape[1]), display=False)
noise_only = statistics.measure(0 * fiducial["kappa"].values[:32], **settings, **bins)["peaks"]
glue("statistics-peaks-noise", f"{noise_only.sum(axis=1).mean():.0f}", display=False)
glue("statistics-peaks-observed", f"{vectors['peaks'].sum(axis=1).mean():.0f}", display=False)
phase_peaks = np.abs(changes["phases randomised"][lengths[0] : lengths[0] + lengths[1]]).max()
glue("statistics-phase-peaks", f"{phase_peaks:.1f}", display=False)
glue("statistics-cost", str(store.cost()), display=False)

# %% [markdown]
# | statistic | numbers in the vector | smallest change of $\sigma_8$ in one map | time for one map here [µs] |
# |---|---|---|---|
# | power spectrum | {glue:text}`statistics-bins-spectrum` | {glue:text}`statistics-worth-spectrum` | {glue:text}`statistics-time-spectrum` |
# | peaks | {glue:text}`statistics-bins-peaks` | {glue:text}`statistics-worth-peaks` | {glue:text}`statistics-time-peaks` |
# | Minkowski functionals | {glue:text}`statistics-bins-minkowski` | {glue:text}`statistics-worth-minkowski` | {glue:text}`statistics-time-minkowski` |
# | all three | {glue:text}`statistics-bins-all` | {glue:text}`statistics-worth-all` | |
#
# **What to notice**
#
# - The spectrum does not move at all when the phases are randomised ({numref}`fig-statistics-lost`): it cannot tell a
#   lensing map from a Gaussian field. Peaks do notice, by up to {glue:text}`statistics-phase-peaks` standard deviations
#   of a single map.
# - $V_0$ does not move when pixels are shuffled: it is the {term}`one-point distribution` in other words. $V_1$ and
#   $V_2$ need neighbours.
# - The block of $V_0$ is nearly one number: our maps keep their mean, and a map with more matter than average has more
#   area above every threshold.
# - Neighbouring thresholds are strongly correlated ({numref}`fig-statistics-correlation`), so twice the bins is far
#   from twice the information.
# - Most peaks of an observed map are noise. It has {glue:text}`statistics-peaks-observed` of them in our bins; an empty
#   sky with the same noise has {glue:text}`statistics-peaks-noise`. Only the highest point at clusters.
#
# **Conventions.** Spectra, peaks and Minkowski functionals follow LensTools {cite}`petri2016` to the last counted
# pixel; the test suite compares them on the same maps. Edges of maps wrap here, although our maps are not periodic:
# `boundary="drop"` leaves the edges out. Wrapping treats all models alike, so comparisons between them stand.

# %% [markdown]
# ```{exercise}
# :label: statistics-noise-exercise
# Run this page with a third of the galaxies: `wlbook run 02_statistics -p n_gal=10`. Which statistic loses least?
# ```
#
# ```{solution} statistics-noise-exercise
# :class: dropdown
# Look at the table above before and after. Noise is a Gaussian field: it adds peaks of low height and hides small
# scales. The high peaks and the large scales keep what they know, so the statistics come closer together, and the gain
# from using all three shrinks. A noisier map is closer to a Gaussian field, of which the spectrum knows everything.
# ```
#
# ```{exercise}
# :label: statistics-bins-exercise
# Double the bins of every statistic. Why does the error of $\sigma_8$ hardly improve, and why would it be wrong to go
# on doubling?
# ```
#
# ```{solution} statistics-bins-exercise
# :class: dropdown
# Neighbouring bins are correlated, so the new ones repeat the old. And the covariance is estimated from a limited
# number of maps: with nearly as many bins as maps some combination of bins scatters very little *by chance*, and looks like a
# precise measurement. With more bins than maps there is no inverse at all, and the page stops with one line saying so.
# ```

# %% tags=["remove-cell"]
spectrum, peak = slice(0, lengths[0]), slice(lengths[0], lengths[0] + lengths[1])
area = slice(lengths[0] + lengths[1], sum(lengths[:3]))
assert np.abs(changes["phases randomised"][spectrum]).max() < 0.05, "phases do not enter the spectrum"
assert np.abs(changes["pixels shuffled"][area]).max() < 0.05, "V0 is the histogram"
assert np.abs(changes["pixels shuffled"][spectrum]).max() > 0.5, "shuffled maps are white"
assert np.allclose(np.diagonal(correlation), 1, atol=1e-5)
assert 0 < worth["all three"] <= 1.02 * min(worth.values())
if (n_gal, sigma_e, smoothing) == (30.0, 0.4, 3.3):
    assert phase_peaks > 0.3, "peaks see more than the spectrum"
    assert 0.01 < worth["all three"] < worth["power spectrum"] < 0.3
