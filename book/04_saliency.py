# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Saliency: what the network looks at
#
# **The question.** Which pixels of a {term}`map` move the network's answer: peaks, voids, or all alike?
#
# **The paper.** {cite:t}`zorrilla2020` take the square of the {term}`saliency` as {term}`attribution`. They find that
# the most relevant pixels are those with extreme {term}`kappa`; that on noiseless maps 69-86 % of the attribution
# lies in pixels with $\kappa < 0$; and that on noisy maps 36-68 % lies in pixels above 3 $\sigma_\kappa$.
#
# **The cost.** {glue:text}`saliency-cost`.

# %% tags=["parameters"]
n_seeds = 1  # networks of each kind, for errors over trainings; 1 <= n_seeds <= 16
n_maps = 128  # fiducial maps for the gradient; 2 <= n_maps <= 4096
n_few = 12  # of them, for the other methods and for the lie detectors; 2 <= n_few <= 4096
steps = 32  # points of integrated gradients, and samples of methods that draw; 1 <= steps
n_draws = 400  # bootstrap draws; 2 <= n_draws
seed = 4  # of noise, destroyed weights and draws; 0 <= seed

# %% tags=["hide-input"]
import dataclasses
import functools

import equinox as eqx
import jax
import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Markdown
from myst_nb import glue

from wlbook import pipeline
from wlbook import saliency as wl_saliency
from wlbook.common import random
from wlbook.common.threads import two_at_a_time
from wlbook.figures import saliency, style
from wlbook.network import calibration, summary, training
from wlbook.runner import chapters, claims
from wlbook.runner.store import Store
from wlbook.simulation import cosmology
from wlbook.simulation.dataset import select
from wlbook.simulation.survey import observe_degraded

style.use_style()
store = Store()
data = pipeline.maps(store)
side, pixel = data.attrs["side"], data.attrs["pixel"]
network_page = chapters.parameters("03_network")
survey = {name: network_page[name] for name in ("n_gal", "sigma_e", "smoothing")}
outputs = {r"$\Omega_m$": 0, r"$\sigma_8$": 1, r"$S_8$": wl_saliency.towards("s_8")}

# %% [markdown]
# ## Two kinds of network
#
# The paper asks two questions, with noise and without, so there are two kinds of network: that of {doc}`03_network`,
# and one of the same shape trained on noiseless maps. What a network looks at means little if it has learnt little, so
# their scores come first.

# %%
surveys = {"noiseless": {**survey, "sigma_e": 0.0}, "noisy": survey}
bare = functools.partial(dataclasses.replace, history={})  # what was trained, without how
seeds = [network_page["seed"] + number for number in range(n_seeds)]
settings = {"noiseless": {"sigma_e": 0.0, "steps": network_page["noiseless_steps"]}, "noisy": {}}
networks = {
    name: [bare(pipeline.network(store, data, seed=one, **changes)) for one in seeds]
    for name, changes in settings.items()
}
test = select(data, "test").isel(map=slice(None, None, 4))
truth = cosmology.s_8(test["omega_m"].values, test["sigma_8"].values)
r2 = {}
for name, (trained, *_) in networks.items():
    shown_test = observe_degraded(test["kappa"].values, random.key(seed, "test"), pixel=pixel, **surveys[name])
    r2[name] = calibration.r_squared(truth, cosmology.s_8(*training.predict(trained, shown_test).T))

# %% tags=["remove-cell", "nbval-ignore-output"]
for name, value in r2.items():
    glue(f"saliency-r2-{name}", f"{value:.2f}", display=False)
glue(
    "saliency-seeds", "one network of each kind" if n_seeds == 1 else f"{n_seeds} networks of each kind", display=False
)

# %% [markdown]
# On test seeds they explain {glue:text}`saliency-r2-noiseless` (noiseless) and {glue:text}`saliency-r2-noisy` (noisy)
# of the variance of {term}`S8`. There are {glue:text}`saliency-seeds`.
#
# ## A map and its saliency
#
# The saliency of a pixel is $\partial\,\mathrm{output} / \partial \kappa$: how the answer moves when this pixel rises
# a little. An output may be any direction in $(\Omega_m, \sigma_8)$; that of $S_8$ is one. All maps below are
# {term}`fiducial` ones, from boxes no network has seen, and $\sigma_\kappa$ is the standard deviation of the maps as
# the network is shown them, with noise where there is noise, after smoothing.

# %%
kappa = select(data, "fiducial")["kappa"].values[:n_maps]
shown, sigma = {}, {}
for name, look in surveys.items():
    shown[name] = np.asarray(observe_degraded(kappa, random.key(seed, "noise"), pixel=pixel, **look))
    sigma[name] = float(shown[name].std())
gradients = {
    (name, label): np.stack(
        [wl_saliency.over_maps(wl_saliency.gradient, one, shown[name], output) for one in networks[name]]
    )
    for name in networks
    for label, output in outputs.items()
}

# %% mystnb={"image": {"alt": "Three rows of three panels: a convergence map, its saliency with fine positive and negative spots, and the saliency under contours of the map."}, "figure": {"name": "fig-saliency-panels", "caption": "One fiducial map. Left: as the network is shown it. Middle: saliency, blue where a higher pixel lowers the answer. Right: the same, with the map's contours at -1.5 (grey) and 3 standard deviations (black)."}}
panels = [("noiseless", r"$S_8$"), ("noisy", r"$S_8$"), ("noisy", r"$\Omega_m$")]
_ = saliency.saliency_panels(
    [shown[name][0, 0] / sigma[name] for name, _ in panels],
    [gradients[panel][0, 0, 0] for panel in panels],
    [f"{name}, {label}" for name, label in panels],
    side=side,
)

# %% [markdown]
# ## Twelve methods
#
# The gradient is one answer to "what does the network look at?". The module `wlbook.saliency` has others.
#
# - *Averaged gradients*: SmoothGrad and VarGrad are mean and variance over maps with noise added
#   {cite:p}`smilkov2017`; integrated gradients go along a straight line from $\kappa = 0$ to the map
#   {cite:p}`sundararajan2017`, expected gradients from other maps to it {cite:p}`erion2021`.
# - *Other backward steps*: guided back-propagation and deconvnet let only positive signals through a ReLU
#   {cite:p}`springenberg2015,zeiler2014`.
# - *Relevance*: an output's value is handed down, layer by layer, by what each input contributes: LRP with the rules
#   epsilon or alpha-beta {cite:p}`bach2015`, and deep Taylor, which follows positive contributions only
#   {cite:p}`montavon2017`.
# - *Perturbation*: occlusion covers a square and looks how far the answer falls.
#
# Here is one map under each of them.

# %%
few, key, square = shown["noisy"][:n_few], random.key(seed, "methods"), max(1, data.sizes["x"] // 16)
noisy = networks["noisy"][0]
methods = {
    name: wl_saliency.suite(sigma=0.3 * sigma["noiseless"], others=shown[name][-n_few:], steps=steps, square=square)
    for name in networks
}
s_8 = outputs[r"$S_8$"]
of_one = two_at_a_time(lambda method: method(noisy, few, s_8, key=key)[0, 0], methods["noisy"])
one_each = dict(zip([method.name for method in methods["noisy"]], of_one, strict=True))

# %% mystnb={"image": {"alt": "Twelve attribution maps of one noisy map. Gradient, SmoothGrad and occlusion differ in fineness; products with the input and relevance follow the map's peaks and troughs."}, "figure": {"name": "fig-saliency-gallery", "caption": "One noisy map, twelve attributions of its S8, each on its own signed scale (red positive, blue negative)."}}
_ = saliency.signed_panels(list(one_each.values()), list(one_each), side=side)

# %% [markdown]
# ## Does the method tell the truth?
#
# Pictures like these convince too easily. So each method goes before the same lie detectors first, and carries what it
# fails beside its result.
#
# - *Linear model.* $f = \sum w\kappa$ has a known answer: the weights, or weights times pixels. The number is the
#   relative distance to the nearer of the two.
# - *Sum.* Methods that promise that their pixels add up (to the rise above $\kappa = 0$, or to the explained output)
#   are held to it. The number is what is missing, as a share. Biases take part of LRP's relevance; that is no fault of
#   arithmetic, but it is missing.
# - *Layers* {cite:p}`adebayo2018`. Draw the weights of the last layer anew, then of all: a method that tells what the
#   network has learnt must give another map. The number is the rank correlation of both maps' absolute values.
# - *Labels.* Compare with a network that was trained on shuffled labels. It has nothing to learn; if its attribution
#   is the same, it was not about cosmology.
# - *Another seed.* Two networks that have learnt the same must agree more than that.
# - *Deletion, insertion.* Take away the most relevant pixels, or show those only: the answer must move more, or be
#   nearer, than with as many pixels at random.

# %%
small_settings = {"coarsen": 2, "steps": network_page["small_steps"]}
small = functools.partial(pipeline.network, store, **small_settings)
learnt = tuple(bare(small(data, seed=network_page["seed"] + number)) for number in (0, 1))
shuffled = bare(small(wl_saliency.shuffled_labels(data, key=random.key(seed, "labels"))))
coarse = np.asarray(observe_degraded(kappa[:n_few], random.key(seed, "noise"), pixel=pixel, factor=2, **survey))
layers = sum(weight.ndim > 1 for weight in summary.weights(noisy.model).values())
depths = (1, layers // 2, layers)
examine = functools.partial(wl_saliency.examine, depths=depths, learnt=learnt, shuffled=shuffled, small=coarse, key=key)
examined = list(two_at_a_time(lambda method: examine(method, noisy, few, s_8), methods["noisy"]))
findings = [finding for found, _ in examined for finding in found]
falls = {method.name: fall for method, (_, fall) in zip(methods["noisy"], examined, strict=True)}
failures = {
    method.name: [one.detector for one in findings if one.method == method.name and one.verdict == "fails"]
    for method in methods["noisy"]
}

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"markdown_format": "myst"}
Markdown(wl_saliency.verdict_table(findings))

# %% mystnb={"image": {"alt": "Rank correlation with the trained network's attribution after the last, half and all of the layers are drawn anew, for twelve methods."}, "figure": {"name": "fig-saliency-cascade", "caption": "Rank correlation of each method's attribution with that of the trained network, after the weights of the last layer, of half of the layers or of all were drawn anew (mean over maps). The dashed line is what the map alone gives, as an attribution, beside input x gradient."}}
input_alone = wl_saliency.rank_correlation(
    np.abs(wl_saliency.over_maps(wl_saliency.input_x_gradient, noisy, few, s_8)), np.abs(few)
).mean()
_ = saliency.cascade(falls, depths, reference=input_alone)

# %% tags=["remove-cell", "nbval-ignore-output"]
number = {(one.method, one.detector): one.value for one in findings}
for method, short in (("gradient", "gradient"), ("input x gradient", "product"), ("deep Taylor", "taylor")):
    for detector in ("top layer", "all layers", "labels"):
        glue(f"saliency-{short}-{detector.split()[0]}", f"{number[method, detector]:.2f}", display=False)
unmoved = [name for name in falls if number[name, "top layer"] > 0.8]
glue("saliency-unmoved", ", ".join(unmoved) or "none", display=False)
glue("saliency-honest", ", ".join(name for name, bad in failures.items() if not bad) or "none", display=False)
glue("saliency-input-alone", f"{input_alone:.2f}", display=False)

# %% [markdown]
# A new last layer weighs the same features otherwise, so some likeness is due. It leaves these methods nearly
# unchanged (correlation above 0.8, which counts as failure): {glue:text}`saliency-unmoved`. For the gradient it is {glue:text}`saliency-gradient-top`, and {glue:text}`saliency-gradient-all` once all layers are gone;
# for input x gradient {glue:text}`saliency-product-all`, because a product with the input looks like the input,
# whatever multiplies it: the input's absolute value alone has a correlation of {glue:text}`saliency-input-alone` with
# it. Methods that let only positive signals pass are known to hang on the first layers {cite:p}`sixt2020`.
#
# No failure at all have: {glue:text}`saliency-honest`. The shares below are read for the gradient, which the paper
# used too; those of the others are shown and carry their failures with them.
#
# ## Where the attribution lies
#
# The share of squared saliency in a range of $\kappa$ says nothing by itself. If 70 % of the pixels lie there, a
# network that looks everywhere alike would put 70 % of its attribution there. So the share of pixels stands beside
# it. Errors join the bootstrap over maps and the scatter between trainings: of the networks of this page if there are
# several, else of two small ones that differ in their seed.

# %%
edges = np.array([-np.inf, -2, -1, 0, 1, 2, 3, np.inf])
draws = np.asarray(jax.random.randint(random.key(seed, "bootstrap"), (n_draws, n_maps), 0, len(kappa)))


def measured(maps, name, edges, scatter=None):
    """Shares of pixels and of attribution [k], its errors over maps and over trainings; maps are [seed, map, ...]."""
    on = shown[name][: maps.shape[1]]
    found = [wl_saliency.attribution_share(one, on, sigma[name] * np.asarray(edges)) for one in maps]
    over_maps = draws if maps.shape[1] == n_maps else draws[:, : maps.shape[1]] % maps.shape[1]
    share, error, over_seeds = wl_saliency.shares_with_errors(np.stack([share for share, _ in found]), over_maps)
    over_seeds = over_seeds if scatter is None or len(maps) > 1 else scatter
    return {"pixels": found[0][1].mean(0), "share": share, "maps": error, "seeds": over_seeds}


# %%
small_sky = {
    name: np.asarray(observe_degraded(kappa, random.key(seed, "noise"), pixel=pixel, factor=2, **look))
    for name, look in surveys.items()
}
pairs = {"noisy": learnt, "noiseless": tuple(bare(small(data, sigma_e=0.0, seed=one)) for one in (1, 2))}


def seed_scatter(name, output, edges):
    """Standard deviation between two small networks of the shares [k]."""
    sky, wide = small_sky[name], small_sky[name].std() * np.asarray(edges)
    maps = [wl_saliency.over_maps(wl_saliency.gradient, one, sky, output) for one in pairs[name]]
    one, two = (wl_saliency.attribution_share(each, sky, wide)[0].mean(0) for each in maps)
    return np.abs(one - two) / np.sqrt(2)


shares = {
    (name, label): measured(maps, name, edges, seed_scatter(name, outputs[label], edges))
    for (name, label), maps in gradients.items()
}

# %% mystnb={"image": {"alt": "Two panels, noiseless and noisy: share of attribution as points over grey bars with the share of pixels, for ranges of kappa."}, "figure": {"name": "fig-saliency-shares", "caption": "Share of squared gradient (points; errors over maps and trainings) and share of pixels (bars) by kappa. Where a point stands above its bar, the network looks more often than by chance."}}
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), sharey=True)
for axis, name in zip(axes, networks, strict=True):
    mine = {label: shares[name, label] for label in outputs}
    points = {label: (one["share"], np.hypot(one["maps"], one["seeds"])) for label, one in mine.items()}
    saliency.attribution_bars(axis, edges, mine[r"$S_8$"]["pixels"], points)
    axis.set_title(name)
axes[0].set_ylabel("share")
_ = axes[1].legend(fontsize="small")

# %% [markdown]
# ## The paper's numbers
#
# Three numbers can be compared. What the two ends of the paper's ranges stand for is not said, so both parameters are
# given. The error on our number joins maps, trainings and half the difference of the two parameters.


# %% tags=["nbval-ignore-output"]
def answer(name, low, high):
    """Both outputs' share between two kappas in units of sigma, the mean of both with its error, and the pixels'."""
    found = [
        measured(gradients[name, label], name, [low, high], seed_scatter(name, output, [low, high]))
        for label, output in list(outputs.items())[:2]
    ]
    each = [float(one["share"][0]) for one in found]
    terms = [max(float(one[term][0]) for one in found) for term in ("maps", "seeds")]
    error = float(np.linalg.norm([*terms, (each[0] - each[1]) / 2]))
    return {"each": each, "mean": np.mean(each), "error": error, "terms": terms, "pixels": float(found[0]["pixels"][0])}


voids, peaks = answer("noiseless", -np.inf, 0), answer("noisy", 3, np.inf)
middle = {name: answer(name, -2, 2) for name in networks}
extreme = {
    name: ((1 - one["mean"]) / (1 - one["pixels"]), one["error"] / (1 - one["pixels"])) for name, one in middle.items()
}
weaker = min(extreme, key=lambda name: extreme[name][0])
trainings = f"{n_seeds} networks" if n_seeds > 1 else "one network; scatter between trainings from two small ones"
claims.record(
    "a2-extreme-pixels", *extreme[weaker], f"Gradient; {weaker} maps, the smaller of two ratios; {trainings}."
)
claims.record("a3-noiseless-voids", voids["mean"], voids["error"], f"Gradient; {trainings}.")
claims.record("a4-noisy-peaks", peaks["mean"], peaks["error"], f"Gradient; {trainings}.")

# %% tags=["remove-cell", "nbval-ignore-output"]
for name, (value, error) in extreme.items():
    glue(f"saliency-extreme-{name}", f"{value:.2f} ± {error:.2f}", display=False)
for word, one in (("voids", voids), ("peaks", peaks)):
    glue(f"saliency-{word}", f"{100 * one['mean']:.0f} ± {100 * one['error']:.0f}", display=False)
    glue(f"saliency-{word}-pixels", f"{100 * one['pixels']:.{0 if one['pixels'] > 0.01 else 2}f}", display=False)
    glue(f"saliency-{word}-terms", ", ".join(f"{100 * term:.1f}" for term in one["terms"]), display=False)
    for short, value in zip(("omega", "sigma"), one["each"], strict=True):
        glue(f"saliency-{word}-{short}", f"{100 * value:.0f}", display=False)

# %% [markdown]
# | | paper A | here, gradient | $\Omega_m$, $\sigma_8$ | error over maps, trainings | share of pixels |
# |---|---|---|---|---|---|
# | noiseless, $\kappa < 0$ | 69-86 % | {glue:text}`saliency-voids` % | {glue:text}`saliency-voids-omega`, {glue:text}`saliency-voids-sigma` % | {glue:text}`saliency-voids-terms` % | {glue:text}`saliency-voids-pixels` % |
# | noisy, $\kappa > 3\sigma_\kappa$ | 36-68 % | {glue:text}`saliency-peaks` % | {glue:text}`saliency-peaks-omega`, {glue:text}`saliency-peaks-sigma` % | {glue:text}`saliency-peaks-terms` % | {glue:text}`saliency-peaks-pixels` % |
# | beyond $2\sigma_\kappa$: attribution over pixels, noiseless | above 1 | {glue:text}`saliency-extreme-noiseless` | | | |
# | the same, noisy | above 1 | {glue:text}`saliency-extreme-noisy` | | | |
#
# Our maps differ from the paper's in what matters most here. A pixel of ours holds 64 of theirs, so our noise per
# pixel is much lower, and pixels above $3\sigma_\kappa$ mean something else; our smoothing spreads them further. Our
# network is small and has no batch normalisation. The {doc}`claims page <claims>` gives the verdicts for this run.
#
# ## The same shares by every method
#
# A method that fails a detector is marked with the number of its failures. Crosses are a network with all layers drawn
# anew: where they lie with the dots, the share tells about the map and not about the network.

# %%
ranges = {"noiseless": (-np.inf, 0), "noisy": (3, np.inf)}
both_parameters = list(outputs)[:2]
by_method = {}
for name, ends in ranges.items():
    destroyed = wl_saliency.randomized(networks[name][0], layers, key=random.key(seed, "destroyed"))
    for method in methods[name]:
        for label in both_parameters:
            output = outputs[label]
            maps = method(networks[name][0], shown[name][:n_few], output, key=key)
            by_method[name, method.name, label] = measured(maps[None], name, ends)
        maps = method(destroyed, shown[name][:n_few], 0, key=key)
        by_method[name, method.name, "destroyed"] = measured(maps[None], name, ends)

# %% mystnb={"image": {"alt": "For twelve methods, the share of attribution at negative kappa without noise and above three sigma with noise, for both outputs and for a destroyed network."}, "figure": {"name": "fig-saliency-methods", "caption": "Share of the attribution by method: Omega_m (circles) and sigma_8 (squares) with bootstrap errors over maps, and Omega_m of a destroyed network (crosses). Grey line: share of pixels. Shaded: the paper's range. In brackets: lie detectors failed."}}
figure, axes = plt.subplots(1, 2, figsize=(7.6, 4.2), sharey=True)
titles = {"noiseless": r"noiseless, $\kappa < 0$", "noisy": r"noisy, $\kappa > 3\sigma_\kappa$"}
for axis, (name, band) in zip(axes, {"noiseless": (69, 86), "noisy": (36, 68)}.items(), strict=True):
    learnt_shares = {
        method: [
            (float(one["share"][0]), float(one["maps"][0]))
            for one in (by_method[name, method, label] for label in both_parameters)
        ]
        for method in falls
    }
    without = {method: float(by_method[name, method, "destroyed"]["share"][0]) for method in falls}
    area = float(by_method[name, "gradient", "destroyed"]["pixels"][0])
    saliency.method_shares(axis, learnt_shares, without, band=band, pixels=area)
    axis.set_title(titles[name])
axes[0].set_yticks(range(len(falls)), [f"{method} [{len(failures[method])}]" for method in falls])
axes[0].invert_yaxis()

# %% tags=["remove-cell", "nbval-ignore-output"]
for method, short in (
    ("input x gradient", "product"),
    ("integrated gradients", "integrated"),
    ("occlusion", "occlusion"),
):
    values = [100 * float(by_method["noisy", method, label]["share"][0]) for label in both_parameters]
    glue(f"saliency-noisy-{short}", f"{values[0]:.0f} and {values[1]:.0f} %", display=False)
crossed = 100 * float(by_method["noisy", "input x gradient", "destroyed"]["share"][0])
glue("saliency-noisy-destroyed", f"{crossed:.0f} %", display=False)

# %% [markdown]
# Above $3\sigma_\kappa$ input x gradient puts {glue:text}`saliency-noisy-product` (for $\Omega_m$ and $\sigma_8$),
# integrated gradients {glue:text}`saliency-noisy-integrated`, occlusion {glue:text}`saliency-noisy-occlusion`. A
# network that has learnt nothing gets {glue:text}`saliency-noisy-destroyed` from input x gradient. Which number one
# quotes is thus a choice of method before it is a fact about the network: a product with $\kappa$ counts high pixels
# for being high.
#
# ## Three nulls
#
# - *Noise alone.* Maps without any mass, only shape noise. Whatever the network looks at here is a noise peak.
# - *A Gaussian world.* The {term}`null <null network>` of {doc}`03_network` has learnt from Gaussian fields: it knows
#   the power spectrum and nothing else. Where the real network's shares are the same, the shares are no evidence for
#   peaks or voids.
# - *Half the particles.* The same boxes with the same waves, simulated with half as many particles a side. What the
#   network says of voids must not hang on that.

# %%
label, output, ends = r"$S_8$", s_8, [-np.inf, -2, 0, 3, np.inf]
noise_only = observe_degraded(
    0 * kappa, random.key(seed, "noise"), pixel=pixel, **{**survey, "sigma_e": survey["sigma_e"] or 0.4}
)
null = bare(pipeline.null_network(store, data, **small_settings))
cases = {
    "noisy maps": (noisy, shown["noisy"]),
    "noise alone": (noisy, np.asarray(noise_only)),
    "noisy maps, small network": (learnt[0], small_sky["noisy"]),
    "noisy maps, small null network": (null, small_sky["noisy"]),
    "noiseless maps": (networks["noiseless"][0], shown["noiseless"]),
}
coarser = pipeline.coarser_maps(store)
if coarser is not None:
    half = coarser["kappa"].values[:n_maps]
    both = {"same boxes": kappa[: len(half)], "same boxes, half the particles": half}
    for name, maps in both.items():
        seen = observe_degraded(maps, random.key(seed, "noise"), pixel=pixel, **surveys["noiseless"])
        cases[f"noiseless, {name}"] = (networks["noiseless"][0], np.asarray(seen))
answers, found = {}, {}
for name, (model, maps) in cases.items():
    answers[name] = wl_saliency.over_maps(wl_saliency.gradient, model, maps, output)
    found[name] = wl_saliency.attribution_share(answers[name], maps, maps.std() * np.array(ends))

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"markdown_format": "myst"}
rows = ["| | below -2σ | -2σ to 0 | 0 to 3σ | above 3σ |", "|---|---|---|---|---|"]
for name, (share, area) in found.items():
    error = share.std(0, ddof=1) / np.sqrt(len(share))
    cells = [
        f"{100 * s:.1f} ± {100 * e:.1f} ({100 * a:.1f})"
        for s, e, a in zip(share.mean(0), error, area.mean(0), strict=True)
    ]
    rows.append(f"| {name} | " + " | ".join(cells) + " |")
Markdown("\n".join(rows))

# %% tags=["remove-cell", "nbval-ignore-output"]
resolved = {}
if coarser is not None:
    one, two = (cases[f"noiseless, {name}"][1] for name in both)
    resolved["maps"] = wl_saliency.rank_correlation(one, two).mean()
    one, two = (answers[f"noiseless, {name}"] for name in both)
    resolved["saliency"] = wl_saliency.rank_correlation(one, two).mean()
    below = [found[f"noiseless, {name}"][0][:, :2].sum(1).mean() for name in both]
    resolved["voids"] = below[1] - below[0]
for name in ("maps", "saliency"):
    glue(f"saliency-resolved-{name}", f"{resolved[name]:.2f}" if resolved else "not measured", display=False)
glue("saliency-resolved-voids", f"{100 * resolved['voids']:+.1f} %" if resolved else "not measured", display=False)

# %% [markdown]
# Share of squared gradient of $S_8$ in percent, with its error over maps, and in brackets the share of pixels. Between
# both resolutions the maps have a rank correlation of {glue:text}`saliency-resolved-maps`, their saliencies one of
# {glue:text}`saliency-resolved-saliency`, and the share at $\kappa < 0$ differs by
# {glue:text}`saliency-resolved-voids`: a share in voids that the particles decide would show here.
#
# ## The shape of the attribution
#
# Around a peak, is it the summit or the flank that counts? The mean squared gradient in rings around peaks
# ($\kappa > 2\sigma_\kappa$) and voids ($\kappa < -2\sigma_\kappa$) of the maps as shown, and the spectrum of the
# gradient itself.

# %%
rings = np.linspace(0, 30, 11)
ell_edges = np.geomspace(2 * 360 / side, 60 * 180 / pixel, 9)
profiles, waves = {}, {}
for name in networks:
    maps = gradients[name, label][0]
    attention = maps**2 / (maps**2).mean(axis=(1, 2, 3), keepdims=True)
    for kind, sign in (("peaks", 1), ("voids", -1)):
        centres = wl_saliency.extrema(shown[name], kind=kind, threshold=2 * sign * sigma[name])
        total, counted = wl_saliency.profile(attention, centres, edges=rings, pixel=pixel)
        mean = total[draws].sum(1) / counted[draws].sum(1).clip(1)
        profiles[name, kind] = total.sum(0) / counted.sum(0).clip(1), mean.std(0)
    waves[name] = wl_saliency.spectra(maps, shown[name], side=side, ell_edges=ell_edges)

# %% mystnb={"image": {"alt": "Left: squared gradient against distance from peaks and voids. Middle: power spectra of the gradient. Right: correlation of gradient and map against multipole."}, "figure": {"name": "fig-saliency-shape", "caption": "Gradient of S8. Left: its square around peaks and voids, over its mean over the map (bands: bootstrap over maps). Middle: its power spectrum, each map's gradient having variance one. Right: its correlation with the map at each scale (bars: errors over maps)."}}
radius, ell = (rings[1:] + rings[:-1]) / 2, np.sqrt(ell_edges[1:] * ell_edges[:-1])
_ = saliency.shape(radius, profiles, ell, waves)

# %% [markdown]
# ## Peaks, voids, and the rest
#
# Neighbouring pixels of a smooth map say the same, so no method can be right about each of them alone. It can be about
# groups. What do all peaks together ($\kappa > 2\sigma_\kappa$), all voids ($\kappa < -\sigma_\kappa$) and the rest
# add to the answer? Their {term}`Shapley values <Shapley value>` are exact, and sum to the answer's rise above that to
# an empty map. Covering one group at a time counts twice what two groups say together. Single connected regions can be
# asked too: the last column is the largest effect of one of them.

# %%
grouped = {}
for name in networks:
    maps, model = shown[name][:n_few], networks[name][0]
    region, kind = wl_saliency.regions(maps, low=-sigma[name], high=2 * sigma[name])
    for number_of, ask in (("shapley", wl_saliency.shapley), ("covered", wl_saliency.occlude_groups)):
        each = wl_saliency.over_maps(ask, model, maps, output, each={"groups": kind}, number=3)
        grouped[name, number_of] = wl_saliency.group_totals(each, kind, 3)
    most = int(region.max()) + 1
    alone = wl_saliency.over_maps(wl_saliency.occlude_groups, model, maps, output, each={"groups": region}, number=most)
    grouped[name, "single"] = np.abs(wl_saliency.group_totals(alone, region, most)[:, 1:]).max(axis=1)
    grouped[name, "complete"] = wl_saliency.completeness(
        wl_saliency.over_maps(wl_saliency.shapley, model, maps, output, each={"groups": kind}, number=3),
        model,
        maps,
        output,
    )

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"markdown_format": "myst"}
rows = ["| $S_8$ above an empty map | peaks | voids | the rest | sum | largest region |", "|---|---|---|---|---|---|"]
for name in networks:
    for number_of, words in (("shapley", "Shapley"), ("covered", "one covered")):
        values = grouped[name, number_of][:, [1, 2, 0]]
        error = values.std(0, ddof=1) / np.sqrt(n_few)
        cells = [f"{v:+.3f} ± {e:.3f}" for v, e in zip(values.mean(0), error, strict=True)]
        last = f"{grouped[name, 'single'].mean():.3f}" if number_of == "covered" else "–"
        rows.append(f"| {name}, {words} | " + " | ".join(cells) + f" | {values.sum(1).mean():+.3f} | {last} |")
Markdown("\n".join(rows))

# %% [markdown]
# ## A network of your own
#
# `saliency` takes any callable from `[bin, y, x]` to `[output]`. Gradients, perturbations and groups ask no more than
# that; relevance walks the layers of an `eqx.nn.Sequential`, and `saliency.register` gives a layer of yours a rule.

# %%
keys = jax.random.split(random.key(seed, "own"), 2)
yours = eqx.nn.Sequential(
    [
        eqx.nn.Conv2d(1, 4, 3, key=keys[0]),
        eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.AdaptiveAvgPool2d(1),
        eqx.nn.Lambda(jax.numpy.ravel),
        eqx.nn.Linear(4, 2, key=keys[1]),
    ]
)
wl_saliency.register(eqx.nn.AdaptiveAvgPool2d, "average")
yours = wl_saliency.without_biases(yours)  # biases would take part of the relevance
one_map = few[0] / sigma["noisy"]
relevance = wl_saliency.over_maps(wl_saliency.lrp, yours, one_map[None], 0)
conserved = float(wl_saliency.completeness(relevance, yours, one_map[None], 0)[0])
print(f"relevance of {relevance[0].shape}, sum over the output without biases {conserved:.3f}")

# %% tags=["remove-cell", "nbval-ignore-output"]
glue("saliency-cost", str(store.cost()), display=False)

# %% [markdown]
# ## What to notice
#
# - Read each share beside its share of pixels. Half the pixels of any map lie below zero or a little more, because
#   voids are wide and peaks narrow.
# - A destroyed network gives shares as well. Where dots and crosses agree, the method has told you about the map.
# - Noise changes where the network looks, because a pixel's $\kappa$ then says less about the mass behind it.
# - A method can pass one detector and fail the next. Completeness is bookkeeping: input x gradient and LRP keep their
#   books in order and still draw the input.
#
# ## Exercises
#
# ```{exercise} Less noise
# :label: saliency-survey
# Run the page after `-p 03_network.n_gal=100`. Do the shares of the noisy network move towards those of the noiseless
# one?
# ```
# ```{solution} saliency-survey
# :class: dropdown
# Look at the share at negative $\kappa$: with less noise a low pixel is a void rather than an unlucky draw, and it
# becomes worth looking at. If your numbers move by less than their errors, say that.
# ```
#
# ```{exercise} Another empty map
# :label: saliency-baseline
# Integrated gradients start at $\kappa = 0$. Give them a Gaussian field as `baseline`, and look at the sum and at the
# picture. What does "nothing" mean on a map of the universe?
# ```
# ```{solution} saliency-baseline
# :class: dropdown
# The sum is then the answer's rise above that to the Gaussian field, and the map shows what distinguishes the two.
# An empty map is no map the network has ever seen: its answer there is an extrapolation, and so is all that is
# explained against it. Expected gradients average over real maps for that reason.
# ```
#
# ```{exercise} A network of your own
# :label: saliency-own
# Make a linear model and check that its gradient is its weights, and that LRP gives weights times pixels.
# ```
# ````{solution} saliency-own
# :class: dropdown
# ```python
# layer = eqx.nn.Linear(64, 2, use_bias=False, key=jax.random.key(0))
# model = eqx.nn.Sequential([eqx.nn.Lambda(jax.numpy.ravel), layer])
# kappa = np.random.default_rng(1).normal(size=(1, 8, 8)).astype(np.float32)
# weights = np.asarray(layer.weight[0]).reshape(1, 8, 8)
# assert np.allclose(saliency.gradient(model, kappa, 0), weights)
# assert np.allclose(saliency.lrp(model, kappa, 0), weights * kappa, atol=1e-3)
# ```
# ````

# %%
if network_page["steps"] >= 400 and 0 < survey["sigma_e"] ** 2 / survey["n_gal"] <= 0.4**2 / 30:
    assert r2["noiseless"] > r2["noisy"] > 0.5, "noise must cost something, and leave something"
for one in shares.values():
    assert abs(one["share"].sum() - 1) < 1e-6, "every pixel lies in one range"
assert number["gradient", "all layers"] < 0.5, "the gradient must notice that the network is gone"
assert number["gradient", "linear model"] < 1e-4 and number["deep Taylor", "linear model"] > 0.02
assert number["integrated gradients", "sum"] < 0.02, "integrated gradients must be complete"
for name in networks:
    assert np.allclose(grouped[name, "complete"], 1, rtol=2e-2), "Shapley values must sum to the rise"
assert abs(conserved - 1) < 1e-3, "without biases relevance is conserved"
