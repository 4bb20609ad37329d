# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Statistics: what can be counted in a map
#
# **The question.** What does each {term}`summary statistic` see in a map of {term}`kappa`, how does it answer to
# cosmology, and what does it miss?
#
# **The papers.** Paper A {cite}`zorrilla2020` asks its network to beat three statistics used together: 20 bins of the
# {term}`power spectrum`, about 20 heights of {term}`peaks <peak>`, and the {term}`Minkowski functionals` of
# {cite:t}`kratochvil2012`. Paper B {cite}`aymerich2026` compares with power spectra alone. Other papers count minima,
# take {term}`starlets <starlet>` or {term}`scattering <scattering transform>` coefficients, or measure the
# {term}`bispectrum`. Here are all of them on the same maps.
#
# **The cost.** {glue:text}`statistics-cost`.

# %% tags=["parameters"]
n_gal = 30.0  # source density [arcmin^-2]; 0.01 <= n_gal <= 1000
sigma_e = 0.4  # intrinsic ellipticity dispersion, both components; 0 <= sigma_e <= 1
smoothing = 3.3  # standard deviation of the Gaussian smoothing [arcmin]; 0 <= smoothing <= 30
mask = "none"  # pixels left out [radius in arcmin]; a file, or one of "none", "holes:SHARE:RADIUS"
boundary = "periodic"  # edges of the maps wrap, or what needs pixels beyond them is dropped; one of "periodic", "drop"
ell_bins = 8  # bins of the power spectrum; 2 <= ell_bins <= 40
peak_bins = 9  # heights of peaks, of minima, and of the histogram; 2 <= peak_bins <= 40
minkowski_bins = 5  # thresholds of each Minkowski functional; 2 <= minkowski_bins <= 40
starlet_bins = 6  # heights in each scale of the starlets; 3 <= starlet_bins <= 40
bispectrum_bins = 4  # lengths of a side of the bispectrum's triangles; 1 <= bispectrum_bins <= 10
scales = 3  # scales of starlets and scattering, each twice the one before; 2 <= scales <= 5
extra = ""  # statistics of your own; a file, or ""
seed = 2  # of the noise; 0 <= seed < 4294967296

# %% tags=["hide-input"]
import numpy as np

from wlbook import figures
from wlbook.common import extras
from wlbook.runner.store import Store

figures.use_style()
extras.load(extra)
store = Store()

# %% [markdown]
# ## A map as a survey sees it
#
# The maps are those of {doc}`Data <01_data>`: the {term}`fiducial` ones set the scale, and those of the test boxes say
# what cosmology does.

# %%
from wlbook import pipeline, simulation

data = pipeline.maps(store)
fiducial = simulation.select(data, "fiducial")["kappa"].values
test = simulation.select(data, "test")
truth = simulation.fiducial(data)  # omega_m and sigma_8 of the observed sky
side, pixel = float(data.attrs["side"]), float(data.attrs["pixel"])

# %% [markdown]
# {term}`Shape noise <shape noise>` is added to every pixel, then the map is smoothed. Both are parameters of this page:
# change them and every figure below follows. So is a {term}`mask`: real surveys have holes around bright stars.

# %% mystnb={"image": {"alt": "Three maps of the same field: kappa, kappa with noise, and both smoothed"}, "figure": {"name": "fig-statistics-map", "caption": "One fiducial map: as simulated, with the noise of galaxy shapes, and smoothed after that. All statistics are measured on maps like the third. What a mask leaves out is drawn as 0."}}
from dataclasses import replace

from wlbook.common import random

survey = simulation.Survey.of(data, n_gal, sigma_e, smoothing)
unsmoothed = replace(survey, smoothing=0.0)
holes = simulation.mask(mask, pixels=fiducial.shape[-1], pixel=pixel, seed=seed)
seen = simulation.seen_in_all(data, holes)  # files may have masks of their own
look = {"pixel": pixel, "mask": seen, "key": random.key(seed, "picture")}

noiseless = fiducial[0]
noisy = simulation.observe(noiseless, unsmoothed, **look)
smooth = np.asarray(simulation.observe(noiseless, survey, **look))
titles = ["kappa", "with shape noise", "with noise, smoothed"]
_ = figures.map_panels([noiseless[0], noisy[0], smooth[0]], titles, side=side)

# %% [markdown]
# ## Bins
#
# The bins below suit the spread of the observed maps. They are few on purpose: the {term}`covariance` of a vector of $d$
# numbers needs many more than $d$ maps, and this run has {glue:text}`statistics-maps-a-model` a {term}`model`. Paper A
# has 512.

# %%
from wlbook import statistics

numbers = {
    "power spectrum": ell_bins,
    "peaks": peak_bins,
    "Minkowski": minkowski_bins,
    "minima": peak_bins,
    "histogram": peak_bins,
    "starlet peaks": starlet_bins,
    "starlet l1": starlet_bins,
    "bispectrum": bispectrum_bins,
}
field = {"side": side, "seed": seed, "mask": seen}
options = {"scales": scales, "boundary": boundary}
bins = statistics.binning(fiducial, survey, numbers, **field, **options)

# %% [markdown]
# ## What each statistic looks at
#
# ### Waves, peaks, areas
#
# - The **power spectrum** splits the map into waves and keeps their mean square at each {term}`ell`. The left panel
#   shows the part of the map that one bin sees. Where the waves lie is forgotten.
# - **Peak counts** keep pixels higher than their eight neighbours, and how high they are; **minima** are the peaks of
#   the map turned upside down, and stand in voids. Everything else is forgotten.
# - **Minkowski functionals** cut the map at a threshold and measure the part above it: its area ($V_0$), the length of
#   its boundary ($V_1$), and its islands less its holes ($V_2$).

# %% mystnb={"image": {"alt": "The same map three times: waves of one spectrum bin, circles on its peaks and squares on its minima, and the areas above three thresholds"}, "figure": {"name": "fig-statistics-seen", "caption": "The smoothed map of {numref}`fig-statistics-map` as each statistic sees it: the waves of one bin of the spectrum; the peaks (white circles) and minima (black squares) beyond one standard deviation, larger for higher ones; the parts above 0, 1 and 2 standard deviations."}}
from wlbook.degradation.filters import band_pass

low, high = bins.ell_edges[ell_bins // 3 : ell_bins // 3 + 2]
waves = band_pass(smooth[:1], low, high, side=side)[0]
titles = [f"{low:.0f} < ell < {high:.0f}", "peaks and minima", "parts above thresholds"]
drawn = {"sigma": bins.sigma, "side": side}
_ = figures.statistics.heights(smooth[0], waves, titles=titles, **drawn)

# %% [markdown]
# ### One scale at a time
#
# **Starlets** {cite}`starck2007` are round wavelets: scale $j$ is what a smoothing over $2^j$ pixels leaves of the map
# and the next one, over $2^{j+1}$, takes away. Nothing is lost, for all scales add up to the map. Two things are counted
# in each scale: its **peaks**, and its **$\ell_1$-norm** {cite}`ajani2021`, the sum of $|w|$ over the coefficients
# $w$ in a range of heights. Peaks of a scale are clumps of one size; the $\ell_1$-norm counts every pixel, in clumps and
# voids alike.

# %% mystnb={"image": {"alt": "Starlet scales of the same map, from small to large structures, and the smooth rest"}, "figure": {"name": "fig-statistics-starlets", "caption": "The scales of the smoothed map, small to large, and the rest: each in units of its standard deviation over the fiducial maps. On the smallest scale it is mostly noise that is left."}}
details = np.asarray(statistics.starlet(smooth, **options, mask=seen))[0]
_ = figures.statistics.scales(details, bins.units, side=side, pixel=pixel)

# %% [markdown]
# ### Heights, and small things on large ones
#
# - The **histogram** counts pixels by height: the {term}`one-point distribution`. Nine **moments** {cite}`petri2013` say
#   the same in other words: its width, its lean to one side and its tails, for kappa and for the slopes of the map.
# - The **scattering transform** {cite}`cheng2020` first asks how strong the waves of a scale are from place to place, the
#   modulus of a wavelet transform. Its mean is a coefficient of *first order*. That strength is a map again: how strong
#   are *its* waves on a larger scale? Those are of *second order*, and say how small structures cluster.
# - The **bispectrum** multiplies three waves whose wave vectors close a triangle. *Equilateral* ones are as long as each
#   other; *squeezed* ones are two short waves and one long one, and ask whether small structure is stronger where the
#   map is high. All of them vanish in a Gaussian field.

# %% mystnb={"image": {"alt": "Histogram of pixel heights beside a Gaussian, a map of the strength of small waves, and contours of that strength on the large waves"}, "figure": {"name": "fig-statistics-beyond", "caption": "Left: share of pixels at each height, and a Gaussian of the same width (dashed). Middle: strength of the waves in the upper half of the spectrum's bins from place to place, whose pattern is what second-order scattering measures. Right: the same strength as contours (its upper 25 % and 8 %) on the longest waves. Squeezed triangles ask how often contours sit on red."}}
edges = bins.ell_edges
large = band_pass(smooth[:1], edges[0], edges[ell_bins // 3 + 1], side=side)[0]
small = band_pass(smooth[:1], edges[ell_bins // 2], edges[-1], side=side)[0]
_ = figures.statistics.beyond(smooth[0], large, small, **drawn)

# %% [markdown]
# ## How they move with cosmology
#
# Measured on the maps of every model, each statistic gets a smooth fit over the {term}`design` (an {term}`emulator`),
# and the fit says how it answers to a small step in each parameter. The answer is in units of the scatter from map to
# map: to notice a change of 0.3 in one bin takes about ten maps. `store.make` measures once and
# keeps the result.

# %%
from functools import partial

from wlbook import inference

names = [*statistics.NAMES, *extras.of("statistic")]
measure = partial(store.make, statistics.measure, names=names, **field)
vectors = measure(kappa=test["kappa"].values, survey=survey, bins=bins)

parameters, of_model = inference.by_model(test)
by_model = {name: values[of_model] for name, values in vectors.items()}

# %% mystnb={"image": {"alt": "Change of each bin of ten statistics for a step in Omega_m and one in sigma_8"}, "figure": {"name": "fig-statistics-response", "caption": "Change of the mean of each bin when one parameter grows by a tenth of its fiducial value, in standard deviations of one map. Bins run from low to high ell or height; V0, V1 and V2, the scales of the starlets, the orders of scattering, and equilateral and squeezed triangles come one after the other."}}
from wlbook.inference import responses

moved = responses.responses(parameters, by_model, truth)
_ = figures.statistics.small_panels(moved, ylabel="change [scatter of one map]")

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
few = {"kappa": fiducial, "bins": bins, "names": ["power spectrum", "peaks"]}
spectra, counts = {}, {}
noises = {
    "10": (10.0, 0.4),
    "30": (30.0, 0.4),
    "100": (100.0, 0.4),
    "no noise": (30.0, 0.0),
}
for label, (density, dispersion) in noises.items():
    without_smoothing = simulation.Survey.of(data, density, dispersion, 0.0)
    found = measure(survey=without_smoothing, **few)["power spectrum"]
    spectra[label] = found[:, :ell_bins].mean(axis=0)
lengths = (0.6 * smoothing, smoothing, 1.7 * smoothing)
for length in lengths:
    found = measure(survey=replace(survey, smoothing=length), **few)["peaks"]
    counts[f"{length:.1f}"] = found[:, :peak_bins].mean(axis=0)

ell = np.sqrt(np.multiply(bins.ell_edges[1:], bins.ell_edges[:-1]))
heights = np.array(bins.edges["peaks"][:-1]) / bins.sigma
_ = figures.statistics.noise_and_smoothing(ell, spectra, heights, counts)

# %% [markdown]
# What does that cost? The smallest change of $\sigma_8$ that one map shows, $\Omega_m$ known, is
# $(h\, d^T C^{-1} d)^{-1/2}$ with $d$ the slope of the mean, $C$ the covariance and $h$ the {term}`Hartlap factor`. It
# is a first look; {doc}`Constraints <06_constraints>` does it properly, for both parameters. Each setting gets bins of
# its own.


# %%
def worth(survey):
    """Error of sigma_8 from one map by each statistic, as this survey sees it."""
    bins = statistics.binning(fiducial, survey, numbers, **field, **options)
    vectors = measure(kappa=test["kappa"].values, survey=survey, bins=bins)
    error = partial(responses.fisher_error, parameters, fiducial=truth)
    return {name: error({name: values[of_model]}) for name, values in vectors.items()}


# %% mystnb={"image": {"alt": "Smallest change of sigma_8 seen in one map by each statistic, for four noise levels and three smoothing lengths"}, "figure": {"name": "fig-statistics-worth", "caption": "Smallest change of sigma_8 that one map shows by each statistic, for a third of this page's galaxies, as many, three times as many and no noise (left), and for three smoothing lengths (right). Lower is better. Bins that are empty in all maps of some model are left out."}}
now = worth(survey)
by_density = {
    n_gal / 3: worth(replace(survey, n_gal=n_gal / 3)),
    n_gal: now,
    3 * n_gal: worth(replace(survey, n_gal=3 * n_gal)),
    np.inf: worth(replace(survey, sigma_e=0.0)),
}
by_length = {length: worth(replace(survey, smoothing=length)) for length in lengths}
rows = {"galaxies [arcmin$^{-2}$]": by_density, "smoothing [arcmin]": by_length}
smallest = r"smallest change of $\sigma_8$"
_ = figures.statistics.against_settings(rows, ylabel=smallest)

# %% [markdown]
# ## How they scatter together
#
# Bins that rise and fall together repeat each other. The matrix is the mean over all test models, after each model's
# own mean is taken away.

# %% mystnb={"image": {"alt": "Correlation matrix of all bins, in blocks of the ten statistics"}, "figure": {"name": "fig-statistics-correlation", "caption": "Correlation of all bins with each other, within and between the statistics. The first three blocks are the ones that papers and later chapters use together."}}
correlation = responses.correlation(by_model)
_ = figures.statistics.correlation_matrix(correlation, by_model)

# %% [markdown]
# ## What each one misses
#
# Two ways to destroy a map answer this without any theory.
# {term}`Phase randomisation <phase randomisation>` keeps the spectrum exactly and moves everything;
# {term}`pixel shuffling` keeps every pixel's value exactly and loses all neighbours. A statistic that does not notice
# is blind to what was destroyed.

# %% mystnb={"image": {"alt": "Change of every bin after phase randomisation and after pixel shuffling, in units of the scatter of one map"}, "figure": {"name": "fig-statistics-lost", "caption": "Change of the mean of each bin when the phases of the noisy maps are randomised, or their pixels shuffled, in standard deviations of one map; linear between -1 and 1, logarithmic beyond. Unsmoothed maps, so that shuffling keeps the histogram that V0 counts too."}}
from wlbook import degradation

coarse = statistics.binning(fiducial, unsmoothed, numbers, **field, **options)
shown = {"kappa": fiducial, "survey": unsmoothed, "bins": coarse}
plain = measure(**shown)
phases = measure(**shown, transform=degradation.randomize_phases)
shuffled = measure(**shown, transform=degradation.shuffle_pixels)
lost = {
    "phases randomised": responses.changes(plain, phases),
    "pixels shuffled": responses.changes(plain, shuffled),
}
change_in_scatter = "change [scatter of one map]"
_ = figures.statistics.bins_side_by_side(lost, ylabel=change_in_scatter)

# %% [markdown]
# The largest change of any bin, in standard deviations of one map:
#
# | statistic | phases randomised | pixels shuffled | what it forgets |
# |---|---|---|---|
# | power spectrum | {glue:text}`statistics-phases-power-spectrum` | {glue:text}`statistics-shuffled-power-spectrum` | where the waves lie |
# | peaks | {glue:text}`statistics-phases-peaks` | {glue:text}`statistics-shuffled-peaks` | size and shape of a peak, how peaks cluster, voids |
# | Minkowski functionals | {glue:text}`statistics-phases-Minkowski` | {glue:text}`statistics-shuffled-Minkowski` | which scale a shape has |
# | minima | {glue:text}`statistics-phases-minima` | {glue:text}`statistics-shuffled-minima` | as peaks, but clusters in place of voids |
# | histogram | {glue:text}`statistics-phases-histogram` | {glue:text}`statistics-shuffled-histogram` | all neighbours |
# | moments | {glue:text}`statistics-phases-moments` | {glue:text}`statistics-shuffled-moments` | all but the closest neighbours |
# | starlet peaks | {glue:text}`statistics-phases-starlet-peaks` | {glue:text}`statistics-shuffled-starlet-peaks` | how one scale sits on another |
# | starlet $\ell_1$-norm | {glue:text}`statistics-phases-starlet-l1` | {glue:text}`statistics-shuffled-starlet-l1` | the same |
# | scattering | {glue:text}`statistics-phases-scattering` | {glue:text}`statistics-shuffled-scattering` | the sign of kappa: peaks and voids look alike |
# | bispectrum | {glue:text}`statistics-phases-bispectrum` | {glue:text}`statistics-shuffled-bispectrum` | the spectrum, and what takes four waves to tell |
#
# ## What each one is worth, and costs

# %% tags=["remove-cell", "nbval-ignore-output"]
from myst_nb import glue

gone, moved = lost["phases randomised"], lost["pixels shuffled"]
three = {name: by_model[name] for name in statistics.DEFAULT}
now["all three"] = responses.fisher_error(parameters, three, truth)
block = np.ascontiguousarray(test["kappa"].values[:256])
ready = statistics.ready(bins, side=side, mask=seen)
empty_sky = {"kappa": 0 * fiducial[:32], "survey": survey, "bins": bins}
empty = statistics.measure(**empty_sky, **field, names=["peaks"])["peaks"]
all_bins = sum(values.shape[-1] for values in three.values())
numbers_in_the_text = {
    "cost": str(store.cost()),
    "maps-a-model": str(by_model["peaks"].shape[1]),
    "worth-three": f"{now['all three']:.3f}",
    "bins-three": str(all_bins),
    "peaks-noise": f"{empty.sum(axis=1).mean():.0f}",
    "peaks-observed": f"{vectors['peaks'].sum(axis=1).mean():.0f}",
}
for name in names:
    seconds = responses.seconds_a_map(ready[name], block)
    numbers_in_the_text |= {
        f"{what}-{name.replace(' ', '-')}": text
        for what, text in {
            "time": f"{1e6 * seconds:.0f}",
            "bins": str(vectors[name].shape[1]),
            "worth": f"{now[name]:.3f}",
            "phases": f"{np.abs(gone[name]).max():.1f}",
            "shuffled": f"{np.abs(moved[name]).max():.1f}",
        }.items()
    }
for name, text in numbers_in_the_text.items():
    glue(f"statistics-{name}", text.replace("nan", "not measured"), display=False)

# %% [markdown]
# | statistic | numbers | smallest change of $\sigma_8$ in one map | time for one map here [µs] |
# |---|---|---|---|
# | power spectrum | {glue:text}`statistics-bins-power-spectrum` | {glue:text}`statistics-worth-power-spectrum` | {glue:text}`statistics-time-power-spectrum` |
# | peaks | {glue:text}`statistics-bins-peaks` | {glue:text}`statistics-worth-peaks` | {glue:text}`statistics-time-peaks` |
# | Minkowski functionals | {glue:text}`statistics-bins-Minkowski` | {glue:text}`statistics-worth-Minkowski` | {glue:text}`statistics-time-Minkowski` |
# | minima | {glue:text}`statistics-bins-minima` | {glue:text}`statistics-worth-minima` | {glue:text}`statistics-time-minima` |
# | histogram | {glue:text}`statistics-bins-histogram` | {glue:text}`statistics-worth-histogram` | {glue:text}`statistics-time-histogram` |
# | moments | {glue:text}`statistics-bins-moments` | {glue:text}`statistics-worth-moments` | {glue:text}`statistics-time-moments` |
# | starlet peaks | {glue:text}`statistics-bins-starlet-peaks` | {glue:text}`statistics-worth-starlet-peaks` | {glue:text}`statistics-time-starlet-peaks` |
# | starlet $\ell_1$-norm | {glue:text}`statistics-bins-starlet-l1` | {glue:text}`statistics-worth-starlet-l1` | {glue:text}`statistics-time-starlet-l1` |
# | scattering | {glue:text}`statistics-bins-scattering` | {glue:text}`statistics-worth-scattering` | {glue:text}`statistics-time-scattering` |
# | bispectrum | {glue:text}`statistics-bins-bispectrum` | {glue:text}`statistics-worth-bispectrum` | {glue:text}`statistics-time-bispectrum` |
# | spectrum, peaks and Minkowski functionals | {glue:text}`statistics-bins-three` | {glue:text}`statistics-worth-three` | |
#
# **What to notice**
#
# - The spectrum does not move at all when the phases are randomised ({numref}`fig-statistics-lost`): it cannot tell a
#   lensing map from a Gaussian field. Peaks do notice, by up to {glue:text}`statistics-phases-peaks` standard deviations
#   of a single map.
# - $V_0$ and the histogram do not move when pixels are shuffled: they are the {term}`one-point distribution`, $V_0$
#   added up from above. All others need neighbours.
# - The bispectrum is about nothing but non-Gaussian structure: random phases leave none of it. One small map holds few
#   triangles, so it is of more use beside the spectrum and on large areas than alone.
# - First-order scattering measures what the spectrum does, with a modulus in place of a square: rare peaks count less.
# - The block of $V_0$ is nearly one number: our maps keep their mean, and a map with more matter than average has more
#   area above every threshold.
# - Neighbouring thresholds are strongly correlated ({numref}`fig-statistics-correlation`), and so are statistics of
#   different names: twice the bins is far from twice the information.
# - Most peaks of an observed map are noise. It has {glue:text}`statistics-peaks-observed` of them in our bins; an empty
#   sky with the same noise has {glue:text}`statistics-peaks-noise`. Only the highest point at clusters.
#
# **Conventions.** Spectra, peaks, moments and Minkowski functionals follow LensTools {cite}`petri2016` to the last
# counted pixel; the test suite compares them on the same maps. Edges of maps wrap here, although our maps are not
# periodic: `boundary="drop"` leaves the edges out. Wrapping treats all models alike, so comparisons between them stand.
# Under a mask the spectrum comes from the mean product of pairs of observed pixels at each distance, which no mask
# biases; the others use the pixels whose neighbours are observed.

# %% [markdown]
# ```{exercise}
# :label: statistics-noise-exercise
# Run this page with a third of the galaxies: `wlbook run 02_statistics -p n_gal=10`. Which statistic loses least?
# ```
#
# ```{solution} statistics-noise-exercise
# :class: dropdown
# Look at the table above before and after; {numref}`fig-statistics-worth` shows it as a line. Noise is a Gaussian field:
# it adds peaks of low height and hides small scales. The high peaks and the large scales keep what they know, so the
# statistics come closer together, and the gain from using several shrinks. A noisier map is closer to a Gaussian field,
# of which the spectrum knows everything.
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
# number of maps: with nearly as many bins as maps some combination of bins scatters very little *by chance*, and looks
# like a precise measurement; the Hartlap factor takes back the mean of that luck, not its scatter. With more bins than
# maps there is no inverse at all, and the page stops with one line saying so.
# ```
#
# ```{exercise}
# :label: statistics-mask-exercise
# Mask a fifth of the sky: `wlbook run 02_statistics -p mask=holes:0.2:10`. Which statistics lose more than a fifth of
# their precision would explain, and why?
# ```
#
# ```{solution} statistics-mask-exercise
# :class: dropdown
# If only area counted, errors would grow by $1/\sqrt{0.8}$, 12 %. A hole costs the pixels around it too: a peak needs
# its eight neighbours, a Minkowski functional a cross of five by five, and a starlet of scale $j$ nearly all of some
# $2^{j+2}$ pixels, so that the largest scales lose most. Fewer large holes cost less than many small ones of the same
# area: try `holes:0.2:30`.
# ```

# %% tags=["remove-cell"]
varying = np.ptp(correlation, axis=0) > 0
assert np.allclose(np.diagonal(correlation)[varying], 1, atol=1e-5)
assert now["all three"] > 0 and all(np.isfinite(value) for value in now.values())
simulated = "particles" in data.attrs  # here, and not read from files
noise, usual_noise = sigma_e**2 / n_gal, 0.4**2 / 30
if seen is None and boundary == "periodic" and len(fiducial) > 1:
    strongest = {name: np.abs(values).max() for name, values in gone.items()}
    assert strongest["power spectrum"] < 0.05, "phases do not enter the spectrum"
    assert np.abs(moved["histogram"]).max() < 0.05, "shuffling keeps every pixel"
    area = moved["Minkowski"][:minkowski_bins]
    assert np.abs(area).max() < 0.05, "V0 is the histogram"
    if simulated and noise <= usual_noise:
        assert np.abs(moved["power spectrum"]).max() > 0.5, "shuffled maps are white"
    many = simulated and len(parameters) >= 16 and len(fiducial) >= 64
    if many and (n_gal, sigma_e, smoothing) == (30.0, 0.4, 3.3):
        assert strongest["peaks"] > 0.3, "peaks see more than the spectrum"
        assert 0.01 < now["all three"] < now["power spectrum"] < 0.3
