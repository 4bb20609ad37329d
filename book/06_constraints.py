# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Constraints: is the network worth it?
#
# **The question.** How well does each statistic, their combination, and the network measure $\Omega_m$ and $\sigma_8$
# from the same maps?
#
# **The paper.** Paper A {cite}`zorrilla2020`: the network tightens the {term}`credible area` by 20 % against power
# spectrum, peaks and Minkowski functionals used *together*, also with realistic shape noise.
#
# **The cost.** {glue:text}`constraints-cost`.

# %% tags=["parameters"]
n_gal = 30.0  # source density [arcmin^-2]; 0.01 <= n_gal <= 1000
sigma_e = 0.4  # intrinsic ellipticity dispersion, both components; 0 < sigma_e <= 1
smoothing = 3.3  # of the maps that statistics are measured on [arcmin]; 0 <= smoothing <= 30
area = 100.0  # of the survey [deg^2]; 1 <= area <= 41000
combine = ["power spectrum", "peaks", "Minkowski"]  # alone and together; not empty, no two alike, each a statistic
trained = "by chapter 3"  # the network that is asked; one of "by chapter 3", "for this survey"
covariance = "varying"  # with cosmology and with its determinant, or that of the fiducial; one of "varying", "fixed"
likelihood = "hartlap"  # what is done about a guessed covariance; one of "plug-in", "hartlap", "student", "matched"
method = "gaussian process"  # of the emulator; one of "linear", "quadratic", "gaussian process"
emulator_error = "add"  # to the covariance, or leave it out; one of "add", "ignore"
noiseless = "statistics and network"  # also without noise; one of "nothing", "statistics", "statistics and network"
ell_bins = 8  # bins of the power spectrum; 2 <= ell_bins <= 40
peak_bins = 9  # heights of peaks; 2 <= peak_bins <= 40
minkowski_bins = 5  # thresholds of each Minkowski functional; 2 <= minkowski_bins <= 40
calibration = 0.02  # how well the size of shears is known, one standard deviation; 0 < calibration <= 0.5
repeats = 6  # bootstrap draws; 2 <= repeats <= 1000
null_maps = 64  # Gaussian maps of each model; 48 <= null_maps <= 4096
extra = ""  # statistics of your own; a file, or ""
seed = 6  # of the noise and the draws; 0 <= seed < 4294967296

# %% tags=["hide-input"]
from myst_nb import glue

from wlbook import inference, pipeline, statistics
from wlbook.common import extras
from wlbook.figures.style import use_style
from wlbook.runner.store import Store

use_style()
store = Store()
extras.load(extra)
known = [*statistics.NAMES, *extras.of("statistic")]
if len({*combine} & {*known}) != len(combine) or not combine:
    allowed = f"must be one or more of {known}, each once"
    raise ValueError(f"combine = {combine}: {allowed}")
data = pipeline.maps(store)

# %% [markdown]
# ## One vector for each map
#
# Every map of split "test" (boxes that no network was trained on) gets its noise once. The statistics are measured on
# it after smoothing, and the network looks at the same noisy map. So the {term}`covariance` between the network's
# answer and a bin of the spectrum is the true one, and "network + all" does not count anything twice.
#
# To the likelihood the network's two outputs are one more statistic, a vector of length two. What they mean on average
# is measured on the test maps, so a biased network costs precision and never truth. For that reason you may change
# `n_gal` without training anything: chapter 3's network is then asked about maps it was not made for, its answers'
# likelihood is learnt from simulations of *your* survey, and the result is valid. It is not the best that a network
# could do; `trained="for this survey"` trains one that is.

# %%
from wlbook.simulation import Survey, dataset

fiducial, test = (dataset.select(data, split) for split in ("fiducial", "test"))
truth = dataset.fiducial(data)  # of the observed sky
# The parameters of each model, and which of the test maps are its own [model, map].
parameters, of_model = inference.by_model(test)
side = float(data.attrs["side"])
survey = Survey.of(data, n_gal, sigma_e, smoothing)
n_bins = {
    "power spectrum": ell_bins,
    "peaks": peak_bins,
    "minima": peak_bins,
    "histogram": peak_bins,
    "Minkowski": minkowski_bins,
    "starlet peaks": 6,  # of each scale, as the next
    "starlet l1": 6,
    "bispectrum": 4,  # triangles of each shape
}
n_bins = {name: number for name, number in n_bins.items() if name in combine}
sky = fiducial["kappa"].values
bins = statistics.binning(sky, survey, n_bins, side=side, seed=seed)

# %% [markdown]
# The networks come from chapter 3, and see the same noise through that chapter's smoothing. Two small ones that differ
# in their {term}`seed` alone lend their scatter.

# %%
chapter_3 = pipeline.recipe(data)["survey"]
seen = Survey.of(data, n_gal, sigma_e, chapter_3.smoothing)
taught = seen if trained == "for this survey" else chapter_3
networks = pipeline.of_chapter_3(store, data, "network", survey=taught)
lent = pipeline.of_chapter_3(store, data, "small", survey=taught)

# %% [markdown]
# Now every map is measured and shown to the networks. Of the power spectrum the logarithm is used, whose scatter is nearly
# the same for all bins and models. Bins that hardly vary among the maps of some model, such as the counts of very rare
# peaks, are left out: `alive` keeps the others.

# %%
from wlbook.inference import constraints

asked = {name: (one, seen) for name, one in {**networks, **lent}.items()}
look = {"side": side, "names": combine, "networks": asked}
maps = test["kappa"].values
measured = pipeline.measured(store, maps, survey, bins, seed=seed, **look)
observed = pipeline.measured(store, sky, survey, bins, seed=seed + 1, **look)
uncut = {name: vectors[of_model] for name, vectors in measured.items()}
by_model, observed = constraints.alive(uncut, observed)

# %% [markdown]
# The rows of everything below: each statistic alone, all of them, the network, and the network with all of them. Each
# gets an {term}`emulator` and from it a {term}`posterior`, for a survey of {glue:text}`constraints-fields` such maps.

# %%
together = "all three" if len(combine) == 3 else "together"
rows = {name: [name] for name in combine} | {together: combine}
rows |= {"network": ["network"], "network + all": [*combine, "network"]}
n_fields = area / side**2
likely = {
    "covariance": covariance,
    "likelihood": likelihood,
    "emulator_error": emulator_error,
}
fitted = likely | {"n_fields": n_fields, "method": method, "fiducial": truth}
found = constraints.find(parameters, by_model, observed, rows, **fitted)

# %% [markdown]
# ## Between the models
#
# The {term}`emulator` gives mean and covariance of each vector between the models of the {term}`design`. Is it good
# enough? Leave one model out, predict it, and compare. What matters is the error beside the scatter that is left in a
# survey of this page's area: where points lie above one, a larger survey would only measure the emulator better.
#
# The papers draw straight lines between models. A quadratic polynomial averages noise away but cannot follow every
# bend. A {term}`Gaussian process` is as bent as the models ask for, and comes with an error of its own, which is added
# to the covariance here. The figure shows the one in use; this table compares the root mean square over all bins.
#
# This test exaggerates. A model left out leaves a hole, at the rim an extrapolation, and its own mean is known from
# {glue:text}`constraints-maps-a-model` maps only, cut from one {term}`box`.

# %% tags=["nbval-ignore-output"]
import numpy as np

print("leave-one-out error / scatter of the survey")
for name in [*combine, "network"]:
    rms = []
    for way in ("quadratic", "gaussian process"):
        emulator = inference.Emulator(parameters, by_model[name], method=way)
        rms.append(float(np.sqrt(n_fields * (emulator.leave_one_out() ** 2).mean())))
    print(f"{name:<16} quadratic {rms[0]:.2f}, Gaussian process {rms[1]:.2f}")

# %% mystnb={"image": {"alt": "Leave-one-out error of the emulator for every bin of every statistic"}, "figure": {"name": "fig-constraints-emulator", "caption": "Error of the emulated mean of each bin when a model is left out: root mean square over the models, in units of the standard deviation of the mean of a survey of this page's area."}}
from wlbook import figures

emulators = {name: found[name].emulator for name in [*combine, "network"]}
_ = figures.constraints.emulator_figure(emulators, n_fields)

# %% [markdown]
# ## Contours
#
# The likelihood is Gaussian in the vector: $-2\ln L = (N_{\rm f}\, r^T C^{-1} r)\,h + \ln\det C$, with $r$ the
# difference between the emulated mean and the observed mean, $N_{\rm f}$ the number of fields in the survey, and $h$ the
# {term}`Hartlap factor` {cite}`hartlap2007`. `likelihood="student"` integrates over what the covariance might be
# {cite}`sellentin2016`; `"matched"` also counts how the best fit scatters {cite}`percival2022`. The observed vector is
# the mean over the {term}`fiducial` maps. All points inside the design are equally likely beforehand. To draw all rows in
# one plane, their posteriors are computed on one grid over the whole design.

# %%
low, high = parameters.min(axis=0), parameters.max(axis=0)
omega_m, sigma_8 = np.linspace(low, high, 72).T
surveyed = likely | {"n_fields": n_fields}
on_design = {}
for row, one in found.items():
    grid = {"omega_m": omega_m, "sigma_8": sigma_8}
    vector = one.emulator, one.data
    on_design[row] = inference.posterior_grid(*vector, **grid, **surveyed)

# %% mystnb={"image": {"alt": "Contours of the 68 and 95 percent regions in the plane of Omega_m and sigma_8 for each statistic, the network, and combinations"}, "figure": {"name": "fig-constraints-contours", "caption": "68 % (solid) and 95 % (dashed) regions for a survey of this page's area with noise. Left: the statistics and their combination. Right: that combination, the network, and both. The cross is the truth."}}
panels = [*combine, together], [together, "network", "network + all"]
_ = figures.constraints.regions(on_design, panels, truth=truth)

# %% [markdown]
# ## Areas
#
# Errors come from {glue:text}`constraints-repeats` bootstrap draws: the maps of each model and the observed ones are
# drawn again with replacement, and how far each model's mean lies from the smooth curve is handed to another model, for
# that is mostly the structure of its {term}`box`. The draw is the same for every row, so that a ratio has a smaller
# error than the areas it is made of. That another network would have come out of another {term}`seed` is added below.

# %% tags=["nbval-ignore-output"]
drawing = {"repeats": repeats, "seed": seed, **fitted}
draws = inference.resample(parameters, by_model, observed, rows=rows, **drawing)
constraints.table(found, draws, reference=together)

# %% tags=["nbval-ignore-output"]
vectors = parameters, by_model, observed
ratios, scatter = {}, {}
for row, beside in {"network": [], "network + all": combine}.items():
    each = constraints.seed_areas(*vectors, list(networks), beside, **fitted)
    small = constraints.seed_areas(*vectors, list(lent), beside, **fitted)
    of_seeds = {"seeds": each, "others": [small]}  # small ones lend their scatter
    ratios[row] = constraints.ratio(found, draws, row, together, **of_seeds)
    scatter[row] = [small, each]  # lent to the noiseless ratio below
    value, of_maps, whole = ratios[row]
    print(f"{row} / {together}: {value:.2f} ± {of_maps:.2f} (maps and boxes)", end=", ")
    print(f"± {whole:.2f} (and seeds)")

# %% [markdown]
# An area with ">" is a lower limit: its region runs into the rim of the design, beyond which nothing is simulated. The
# scatter of seeds is that of {glue:text}`constraints-seeds` together with that of two small networks of chapter 3,
# which differ in their seed alone, widened by Student's factor for how few they are.
#
# ## Do regions hold the truth?
#
# An area is worth something only if 68 % regions hold the truth 68 % of the time. The {term}`fiducial` maps test that:
# neither the emulator nor any network has seen their boxes. A mock survey takes one map from each box, since maps of
# one box are not independent: {glue:text}`constraints-surveys` surveys out of {glue:text}`constraints-observed` maps
# ({glue:text}`constraints-boxes`).
# Single maps are there too. Open diamonds are surveys drawn from the emulator itself: the likelihood is right for
# them by construction, so where they miss 68 % it is the flat prior, cut off at the edge of the design, that
# moves a region at this one truth.

# %% mystnb={"image": {"alt": "Share of 68 percent regions that hold the truth for each row, for mock surveys, single maps and ideal data, with the nominal share as a line"}, "figure": {"name": "fig-constraints-coverage", "caption": "Coverage of the 68 % regions. Bars are three binomial standard errors."}}
boxes = fiducial["seed"].values
shares = constraints.covered(found, observed, rows, boxes, seed=seed, **likely)
_ = figures.constraints.coverage_figure(shares)

# %% [markdown]
# Do they lie within three binomial standard errors of 68 %? For mock surveys:
# {glue:text}`constraints-coverage-surveys`. For single maps: {glue:text}`constraints-coverage-maps`. A vector of one
# map is not Gaussian (counts of high peaks are small numbers), and a long vector adds up many small departures: the
# mean over several fields, which is what a survey observes, is closer to the Gaussian that the likelihood assumes.
#
# ## A field whose answer is known
#
# A Gaussian random field has independent modes, and its power in each is all there is. So the posterior from all modes
# is exact, and nobody may beat it, a network least of all. Below are Gaussian maps with the spectra of our models: each
# statistic is measured on them, chapter 3's network is asked about them, and so is its {term}`null network`.

# %%
of_each_map = np.repeat(parameters, of_model.shape[1], axis=0)
fields = {"side": side, "fiducial": truth}
gaussian = inference.GaussianFields(maps[of_model.ravel()], of_each_map, **fields)
first = 1000 * seed  # each model takes the next seed
drawn, drawn_sky = gaussian.universes(parameters, null_maps, seed=first)
null_network = pipeline.of_chapter_3(store, data, "null network", survey=taught)
asked = {"network": networks["network"], **null_network}
look |= {"networks": {name: (one, seen) for name, one in asked.items()}}
look |= {"copies": 2}  # of the 8 turned ones, to save time
its_bins = statistics.binning(drawn_sky, survey, n_bins, side=side, seed=seed)
look |= {"survey": survey, "bins": its_bins}
of_drawn = pipeline.measured(store, drawn, seed=seed + 2, **look)
null_sky = pipeline.measured(store, drawn_sky, seed=seed + 3, **look)

# %% [markdown]
# From here on it goes as above: an emulator, a posterior and its area for each row, now against the exact answer.

# %%
from wlbook.simulation import shape_noise_sigma

shape = len(parameters), null_maps, -1
null_vectors = {name: values.reshape(shape) for name, values in of_drawn.items()}
noise = shape_noise_sigma(n_gal, float(data.attrs["pixel"]), sigma_e)
null_drawing = drawing | {"rows": rows | {"null network": ["null network"]}}
# Few draws are enough: no row's error falls below the scatter pooled over all rows.
null_drawing |= {"repeats": min(repeats, 3), "noise": noise}
drawn_vectors = parameters, null_vectors, null_sky
null = constraints.null_test(gaussian, *drawn_vectors, **null_drawing)

# %% mystnb={"image": {"alt": "Areas of all rows on Gaussian fields over the exact area of all modes, all above or at one within errors"}, "figure": {"name": "fig-constraints-null", "caption": "68 % areas on Gaussian fields over the exact one, from the likelihood of all modes at the true spectrum. Bars: two bootstrap standard errors. Nothing may lie left of one by more than its error."}}
_ = figures.constraints.null_figure(null)

# %% [markdown]
# The exact area is {glue:text}`constraints-null-area`; the Fisher matrix of all modes alone would say
# {glue:text}`constraints-null-fisher` (an ellipse, for a region that bends). By more than three errors,
# {glue:text}`constraints-null`. In its units the power spectrum reaches
# {glue:text}`constraints-null-power-spectrum`, for it stops short of the pixels' smallest waves and bins the others;
# the network {glue:text}`constraints-null-network`; the small null network {glue:text}`constraints-null-null-network`.
#
# ## Second and third opinions
#
# The same posterior by other means. [numpyro](https://num.pyro.ai) draws from it (NUTS) and
# [getdist](https://getdist.readthedocs.io) makes regions from the draws. A normalising flow
# ([flowjax](https://danielward27.github.io/flowjax/)) learns from the maps alone how the vector, compressed to two
# numbers {cite}`heavens2000`, scatters at any cosmology: there is no Gaussian and no covariance in it.
#
# And there is a third parameter that no survey escapes: shears are measured up to a factor, known to
# {glue:text}`constraints-calibration`. How the vector answers to it is measured on the observed maps, times 1.02 and
# times 0.98, say, with the same noise added to both; the same bins are left out as above.

# %%
look = {"side": side, "names": combine, "networks": {}, "seed": seed + 1}
of_statistics = {name: uncut[name] for name in combine}
shifted = []
for sign in (1, -1):
    sheared = (1 + sign * calibration) * sky
    moved = pipeline.measured(store, sheared, survey, bins, **look)
    _, moved = constraints.alive(of_statistics, moved)
    shifted.append(inference.joined(moved, combine))
slope, _ = inference.paired_slope(*shifted, calibration, seeds=(boxes, boxes))

# %%
free = {"slopes": {"calibration": slope}, "widths": {"calibration": calibration}}
opinions = constraints.opinions(
    found[together],
    by_model,
    observed,
    combine,
    covariance=covariance,
    seed=seed,
    **free,
)

# %% mystnb={"image": {"alt": "68 and 95 percent contours of the grid, the samples by getdist and the flow; and the samples with the calibration free"}, "figure": {"name": "fig-constraints-opinions", "caption": "The combination's 68 % and 95 % regions: on the grid, from NUTS draws through getdist, by the flow, and with the calibration of shears free."}}
import matplotlib.pyplot as plt

_, axis = plt.subplots(figsize=(5.6, 4.2))
figures.constraints.opinions(axis, opinions, truth=truth)

# %% [markdown]
# Over the grid's area: NUTS and getdist {glue:text}`constraints-nuts`, the flow {glue:text}`constraints-flow`, and
# {glue:text}`constraints-free` once the calibration is free (chains agree to R-hat = {glue:text}`constraints-r-hat`).
# NUTS knows nothing of the emulator's error, and the flow nothing of the maps between the models but what it
# interpolates: they agree as far as those matter.
#
# ## Without noise
#
# Noise hides small scales, and with them most of what a spectrum does not know. The network of a noiseless survey has
# to be trained on noiseless maps, as those of {doc}`03_network` are.

# %%
import dataclasses

clear = {}  # networks of a noiseless survey
if noiseless == "statistics and network":
    clear = pipeline.of_chapter_3(store, data, "noiseless")
if noiseless != "nothing":
    still = dataclasses.replace(survey, sigma_e=0.0)
    still_seen = dataclasses.replace(seen, sigma_e=0.0)
    asked = {name: (one, still_seen) for name, one in clear.items()}
    look = {"side": side, "names": combine, "networks": asked}
    finer = statistics.binning(sky, still, n_bins, side=side, seed=seed)
    clean = pipeline.measured(store, maps, still, finer, seed=seed, **look)
    clean_sky = pipeline.measured(store, sky, still, finer, seed=seed + 1, **look)

# %% tags=["nbval-ignore-output"]
clean_table = "not in this run"
if noiseless != "nothing":
    clean_uncut = {name: vectors[of_model] for name, vectors in clean.items()}
    clean, clean_sky = constraints.alive(clean_uncut, clean_sky)
    its_rows = {row: rows[row] for row in rows if clear or "network" not in row}
    clean_vectors = parameters, clean, clean_sky
    clean_found = constraints.find(*clean_vectors, its_rows, **fitted)
    clean_draws = inference.resample(*clean_vectors, rows=its_rows, **drawing)
    clean_table = constraints.table(clean_found, clean_draws, reference=together)
clean_table

# %% [markdown]
# ## Does the choice of covariance matter?
#
# A covariance that varies with cosmology adds information through its determinant, and adds the noise of its estimate.
# In this field the choice has changed the errors of peak counts by up to a factor of four, so we always state it.

# %% mystnb={"image": {"alt": "68 percent areas of every row for five choices of covariance and likelihood"}, "figure": {"name": "fig-constraints-covariance", "caption": "68 % areas by the choice of covariance, likelihood and emulator error, noisy maps. The first differs from this page's choice in nothing unless you changed it."}}
choices = {
    "varying, Hartlap": {},
    "fixed at the fiducial": {"covariance": "fixed"},
    "Student t": {"likelihood": "student"},
    "matched t": {"likelihood": "matched"},
    "without the emulator's error": {"emulator_error": "ignore"},
}
usual = {"covariance": "varying", "likelihood": "hartlap", "emulator_error": "add"}
by_choice = {}
for name, change in choices.items():
    chosen = {"n_fields": n_fields, "points": 32} | usual | change
    by_choice[name] = {}
    for row, one in found.items():
        posterior = inference.posterior(one.emulator, one.data, **chosen)
        by_choice[name][row] = inference.credible_area(posterior, truncated="allow")
figures.constraints.choices_figure(by_choice)

# %% [markdown]
# {glue:text}`constraints-ranking`
#
# ## Enough maps, enough models?
#
# What happens to the areas when some of the simulations are taken away?

# %% mystnb={"image": {"alt": "68 percent areas against the number of maps a model and against the number of models"}, "figure": {"name": "fig-constraints-convergence", "caption": "68 % areas from fewer maps of each model (left) and from fewer models of the design (right). Lines that are not flat at their right end say that more simulations would change the area."}}
two = {row: rows[row] for row in (together, "network")}
fewer = constraints.smaller(parameters, by_model, observed, two, **fitted)
_ = figures.constraints.convergence_figure(fewer)

# %% tags=["remove-cell", "nbval-ignore-output"]
from wlbook.runner import claims

failing = {kind: constraints.uncovered(shares, kind) for kind in ("surveys", "maps")}
main = ("network", together)
value, of_maps, whole = ratios["network"]
bad = " and ".join(row for row in main if row in failing["surveys"])
maps_a_model = by_model["network"].shape[1]
detail = f"{area:g} deg², {covariance} covariance, {method} emulator, "
detail += f"{maps_a_model} maps a model; error without seeds {of_maps:.2f}"
detail += f"; coverage fails for {bad}" * bool(bad)
usable = np.isfinite(whole) and not any(found[row].limited for row in main)
claims.record("a1-network-gain", value, whole if usable else float("inf"), detail)
clean_text = "not in this run"
if clear:
    each = constraints.seed_areas(parameters, clean, clean_sky, list(clear), **fitted)
    others = [] if len(clear) > 1 else scatter["network"]
    one = constraints.ratio(clean_found, clean_draws, "network", together, each, others)
    usable = np.isfinite(one[2]) and not any(clean_found[row].limited for row in main)
    steps = pipeline.chapters.parameters("03_network")["noiseless_steps"]
    detail = f"{area:g} deg², {len(clear)} x {steps} steps"
    detail += "; noisy networks lend their seed scatter" * bool(others)
    error = one[2] if usable else float("inf")
    claims.record("a1-noiseless-gain", one[0], error, detail)
    clean_text = f"{one[0]:.2f} ± {one[2]:.2f}"

# %% tags=["remove-cell", "nbval-ignore-output"]
areas = {row: one.area for row, one in found.items()}
opinion_areas = {}
for name, one in opinions.items():
    opinion_areas[name] = inference.credible_area(one, truncated="allow")
r_hat = max(one.attrs.get("r_hat", 1.0) for one in opinions.values())
best = min(combine, key=areas.__getitem__)
beaten = f"beaten by {', '.join(null.beaten_by)}: do not believe it"
several = f"{len(networks)} networks"
numbers = {
    "surveys": len(shares[together]["surveys"]),
    "observed": len(boxes),
    "boxes": f"{len(np.unique(boxes))} boxes",
    "null": beaten if null.beaten_by else "nothing beats it",
    "null-area": f"{1e3 * null.area:.2f}e-3",
    "null-fisher": f"{1e3 * null.ellipse:.2f}e-3",
    "calibration": f"{100 * calibration:g} %",
    "r-hat": f"{r_hat:.3f}",
    "clean-ratio": clean_text,
    "ranking": constraints.ranking(by_choice),
    "ratio": f"{value:.2f} ± {whole:.2f}",
    "joint": "{0:.2f} ± {2:.2f}".format(*ratios["network + all"]),
    "fields": f"{n_fields:.1f}",
    "maps-a-model": maps_a_model,
    "models": len(parameters),
    "repeats": repeats,
    "seeds": "one network" if len(networks) == 1 else several,
    "covariance": covariance,
    "pixel": f"{data.attrs['pixel']:.2f}",
    "best": best,
    "together": f"{areas[together] / areas[best]:.2f}",
    "cost": store.cost(),
}
if not data.attrs.get("boxes_known", 1):
    numbers["boxes"] = "nothing tells which share a box, so each counts as one"
for kind, rows_of in failing.items():
    text = "; ".join(f"{row} does not ({why})" for row, why in rows_of.items())
    if len(shares[together][kind]) < 10:
        text = "too few to tell"
    numbers[f"coverage-{kind}"] = text or "every row does"
for row in ("power spectrum", "network", "null network"):
    text = "not in this run"
    if row in null.over:
        text = f"{null.over[row]:.2f} ± {null.error[row]:.2f}"
    numbers[f"null-{row.replace(' ', '-')}"] = text
named = {"nuts": "NUTS, getdist", "flow": "flow", "free": "calibration free"}
for short, name in named.items():
    numbers[short] = f"{opinion_areas[name] / opinion_areas['grid']:.2f}"
for name, text in numbers.items():
    glue(f"constraints-{name}", str(text), display=False)

# %% [markdown]
# ## What to notice
#
# - Every region is long and thin along the line of constant {term}`S8`: lensing measures how much matter there is times
#   how clumped it is, and only slowly which of the two. The area is mostly the length of that region.
# - Of the statistics used alone, {glue:text}`constraints-best` does best here, and using all of them together leaves
#   {glue:text}`constraints-together` of its area. They repeat each other
#   ({numref}`fig-statistics-correlation`), so the gain is smaller than the number of bins suggests.
# - The network has two numbers where the statistics have dozens. That makes its covariance easy to estimate: its row
#   suffers least from a small number of maps.
#
# | | paper A | ours |
# |---|---|---|
# | network / all three, 68 % area, noisy | 0.80 | {glue:text}`constraints-ratio` |
# | the same without noise | 0.80 | {glue:text}`constraints-clean-ratio` |
# | network and all three / all three | unknown | {glue:text}`constraints-joint` |
# | maps a model | 512 | {glue:text}`constraints-maps-a-model` |
# | models | 96 | {glue:text}`constraints-models` |
# | covariance | not read | {glue:text}`constraints-covariance` |
#
# **Why they differ.** Paper A's pixels are 0.41 arcmin wide, ours {glue:text}`constraints-pixel`: much of what a network
# can add to the statistics lives on scales that a larger pixel averages away. Its network has 8 million weights and saw
# hundreds of maps of every model; ours is smaller and, at `demo`, trained for a minute or two. And our statistics are
# binned coarsely, because few maps carry few bins. Then there is the emulator: a network's mean answer bends with
# cosmology more than a quadratic can follow, and a poor fit there costs the network, not the statistics. The verdict
# on the {doc}`Claims page <claims>` takes the error bar above (maps, boxes and seeds) and nothing else.

# %% [markdown]
# ```{exercise}
# :label: constraints-noise-exercise
# Run this page for a survey with a third of the galaxies: `wlbook run 06_constraints -p n_gal=10`, and then with
# `-p trained="for this survey"` as well. What does the network gain from being taught its survey?
# ```
#
# ```{solution} constraints-noise-exercise
# :class: dropdown
# Compare the ratio in the table. More noise makes the maps more Gaussian, and of a Gaussian field the power spectrum
# knows everything: all ratios are drawn towards one. A network that was taught another depth is calibrated all the
# same, but weighs small structures as if they were real, and so is the noisier statistic.
# ```
#
# ```{exercise}
# :label: constraints-area-exercise
# Make the survey larger: `-p area=1000`. The areas shrink. Should you believe them?
# ```
#
# ```{solution} constraints-area-exercise
# :class: dropdown
# Look at {numref}`fig-constraints-emulator`: its points grow with the square root of the area, and above one the
# emulator is the larger error. The likelihood does not know that, so the regions keep shrinking while they wander off
# the truth. A larger survey needs more simulated maps first: try the `laptop` profile.
# ```
#
# ```{exercise}
# :label: constraints-linear-exercise
# Use the papers' interpolation with fewer bins: `-p method=linear -p ell_bins=6 -p peak_bins=5 -p minkowski_bins=3`, and
# the same bins with `method=quadratic`. Why do most areas get *smaller* with the worse emulator?
# ```
#
# ```{solution} constraints-linear-exercise
# :class: dropdown
# Linear interpolation joins the models' means with flat triangles, noise included. Noise in the means makes the vector
# seem to change faster from model to model than it does, and a vector that changes fast measures well. With 512 maps a
# model the papers had little of this; with few maps it is information that is not there.
# ```

# %% [markdown]
# What this page concluded, asserted in wide bands.

# %% tags=["remove-output"]
assert all(value > 0 for value in areas.values())
assert r_hat < 1.05, "chains that disagree"
usual_page = 30.0, 100.0, [*statistics.DEFAULT], "gaussian process"
simulated = "particles" in data.attrs  # here, and not read from files
if simulated and len(parameters) >= 16 and (n_gal, area, combine, method) == usual_page:
    assert all(value < 1 for value in areas.values())
    assert areas[together] < 1.3 * areas[best], "together no worse than alone"
    assert areas["network + all"] < 1.3 * min(areas["network"], areas[together])
    for one in found.values():
        fit = one.posterior.attrs
        assert fit["chi2"] < 3 * fit["bins"] + 10, "bad fit"
    assert not null.beaten_by, "on Gaussian fields nothing beats the exact posterior"
    assert 0.2 < ratios["network"][0] < 6
    assert 0.6 < opinion_areas["NUTS, getdist"] / opinion_areas["grid"] < 1.4
    assert 0.4 < opinion_areas["flow"] / opinion_areas["grid"] < 2.5
