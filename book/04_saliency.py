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
steps = 32  # points of integrated gradients, and samples of methods that draw; 1 <= steps <= 4096
n_draws = 400  # bootstrap draws; 2 <= n_draws <= 10000
seed = 4  # of noise, destroyed weights and draws; 0 <= seed < 4294967296

# %% tags=["hide-input"]
from wlbook import figures, pipeline
from wlbook.runner.store import Store

figures.use_style()
store = Store()
data = pipeline.maps(store)
side, pixel = data.attrs["side"], data.attrs["pixel"]

# %% [markdown]
# ## Two kinds of network
#
# The paper asks two questions, with noise and without, so there are two kinds of network: that of {doc}`03_network`,
# and one of the same shape trained on noiseless maps. `pipeline.networks` gives them: trained in that chapter, or now if
# it has not run. The dictionary `recipe` holds what `training.fit` was told there.

# %%
recipe = pipeline.recipe(data)
seeds = range(recipe["seed"], recipe["seed"] + n_seeds)


def train(**changes):
    """Networks trained as in chapter 3 but for some changes, one for each seed."""
    wanted = {one: {**changes, "seed": one} for one in seeds}
    return list(pipeline.networks(store, data, wanted).values())


noiseless = pipeline.noiseless(data)  # other survey, fewer steps
networks = {"noiseless": train(**noiseless), "noisy": train()}
surveys = {"noiseless": noiseless["survey"], "noisy": recipe["survey"]}

# %% [markdown]
# Each kind is shown maps as its own survey would see them. What a network looks at means little if it has learnt
# little, so their scores on test maps come first.

# %%
import numpy as np

from wlbook.common import random
from wlbook.network import calibration, training
from wlbook.simulation import cosmology, observe, select


def look(kappa, kind, purpose="noise", **options):
    """Maps as networks of one kind are shown them."""
    key = random.key(seed, purpose)
    seen = observe(kappa, surveys[kind], pixel=pixel, key=key, **options)
    return np.asarray(seen)


test = select(data, "test").isel(map=slice(None, None, 4))  # enough for a score
truth = cosmology.s_8(test["omega_m"].values, test["sigma_8"].values)
r2 = {}
for kind, (trained, *_) in networks.items():
    answer = training.predict(trained, look(test["kappa"].values, kind, "test"))
    r2[kind] = calibration.r_squared(truth, cosmology.s_8(*answer.T))

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
from wlbook import saliency
from wlbook.simulation import fiducial

kappa = select(data, "fiducial")["kappa"].values[:n_maps]
shown = {kind: look(kappa, kind) for kind in networks}
sigma = {kind: float(maps.std()) for kind, maps in shown.items()}
s_8 = saliency.towards("s_8", fiducial(data))
outputs = {r"$\Omega_m$": 0, r"$\sigma_8$": 1, r"$S_8$": s_8}


def gradient(network, maps, output):
    """The saliency of each map [map, bin, y, x]."""
    return saliency.over_maps(saliency.gradient, network, maps, output)


# %% [markdown]
# With this function every network tells the saliency of every map, for each output.

# %%
gradients = {}
for kind, alike in networks.items():
    for label, output in outputs.items():
        each = [gradient(one, shown[kind], output) for one in alike]
        gradients[kind, label] = np.stack(each)  # [network, map, bin, y, x]

# %% mystnb={"image": {"alt": "Three rows of three panels: a convergence map, its saliency with fine positive and negative spots, and the saliency under contours of the map."}, "figure": {"name": "fig-saliency-panels", "caption": "One fiducial map. Left: as the network is shown it. Middle: saliency, blue where a higher pixel lowers the answer. Right: the same, with the map's contours at -1.5 (grey) and 3 standard deviations (black)."}}
panels = [("noiseless", r"$S_8$"), ("noisy", r"$S_8$"), ("noisy", r"$\Omega_m$")]
first_map = [shown[kind][0, 0] / sigma[kind] for kind, _ in panels]
its_saliency = [gradients[panel][0, 0, 0] for panel in panels]
titles = [f"{kind}, {label}" for kind, label in panels]
_ = figures.saliency.saliency_panels(first_map, its_saliency, titles, side=side)

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
# Here is one map under each of them. SmoothGrad adds noise of 0.3 of the spread of noiseless maps, to both kinds of map;
# expected gradients start from the last `n_few` maps.

# %%
square = max(1, data.sizes["x"] // 16)  # what occlusion covers [pixels]
options = {"sigma": 0.3 * sigma["noiseless"], "steps": steps, "square": square}
methods = {}
for kind, maps in shown.items():
    methods[kind] = saliency.suite(others=maps[-n_few:], **options)

few, noisy = shown["noisy"][:n_few], networks["noisy"][0]
key = random.key(seed, "methods")
by_name = saliency.attributions(methods["noisy"], noisy, few, s_8, key=key)

# %% mystnb={"image": {"alt": "Twelve attribution maps of one noisy map. Gradient, SmoothGrad and occlusion differ in fineness; products with the input and relevance follow the map's peaks and troughs."}, "figure": {"name": "fig-saliency-gallery", "caption": "One noisy map, twelve attributions of its S8, each on its own signed scale (red positive, blue negative)."}}
one_map = [maps[0, 0] for maps in by_name.values()]
_ = figures.saliency.signed_panels(one_map, list(by_name), side=side)

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
# - *Layers* {cite:p}`adebayo2018`. Draw the weights of the last layer anew, then of half of them, then of all, a cascade:
#   a method that tells what the network has learnt must give another map. The number is the rank correlation of both
#   maps' absolute values.
# - *Labels.* Compare with a network that was trained on shuffled labels. It has nothing to learn; if its attribution
#   is the same, it was not about cosmology.
# - *Another seed.* Two networks that have learnt the same must agree more than that.
# - *Deletion, insertion.* Take away the most relevant pixels, or show those only: the answer must move more, or be
#   nearer, than with as many pixels at random.
#
# Labels and seeds take three more networks. Small ones are enough: those of {doc}`03_network` on pixels twice as wide.


# %%
def two_small(**changes):
    """Two small networks that differ in their seed alone."""
    first = recipe["seed"]
    small = {**pipeline.small(data), **changes}
    wanted = {one: {**small, "seed": one} for one in (first, first + 1)}
    return tuple(pipeline.networks(store, data, wanted).values())


learnt = two_small()
wrong_labels = saliency.shuffled_labels(data, key=random.key(seed, "labels"))
shuffled = pipeline.network(store, wrong_labels, **pipeline.small(data))

# %% [markdown]
# Now every method goes before all detectors.

# %%
from wlbook.network import summary

weights = summary.weights(noisy.model)
layers = sum(weight.ndim > 1 for weight in weights.values())  # a bias has one axis
depths = (1, layers // 2, layers)  # the last layer, half of them, all
findings, cascades = saliency.examine_all(
    methods["noisy"],
    noisy,
    few,
    s_8,
    depths=depths,
    learnt=learnt,
    shuffled=shuffled,
    small=look(kappa[:n_few], "noisy", factor=2),
    key=key,
)
failures = saliency.failures(findings)
detector_value = {(one.method, one.detector): one.value for one in findings}

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"markdown_format": "myst"}
from IPython.display import Markdown

Markdown(saliency.verdict_table(findings))

# %% mystnb={"image": {"alt": "Rank correlation with the trained network's attribution after the last, half and all of the layers are drawn anew, for twelve methods."}, "figure": {"name": "fig-saliency-cascade", "caption": "Rank correlation of each method's attribution with that of the trained network, after the weights of the last layer, of half of the layers or of all were drawn anew (mean over maps). The dashed line is the correlation of the map itself with input x gradient."}}
product = saliency.over_maps(saliency.input_x_gradient, noisy, few, s_8)
input_alone = saliency.rank_correlation(np.abs(product), np.abs(few)).mean()
_ = figures.saliency.cascade(cascades, depths, reference=input_alone)

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
small_networks = {
    "noiseless": two_small(survey=surveys["noiseless"]),
    "noisy": learnt,
}
small_shown = {kind: look(kappa, kind, factor=2) for kind in networks}
small_gradients = {}
for kind, pair in small_networks.items():
    for label, output in outputs.items():
        each = [gradient(one, small_shown[kind], output) for one in pair]
        small_gradients[kind, label] = each

# %% [markdown]
# The bootstrap draws maps with replacement, as many as there are, and asks how the mean share scatters from draw to
# draw.

# %%
import jax

bootstrap = random.key(seed, "bootstrap")
draws = jax.random.randint(bootstrap, (n_draws, len(kappa)), 0, len(kappa))
draws = np.asarray(draws)  # which maps each draw takes

# %% [markdown]
# Now for the shares themselves, with both errors. All of them are shares of the squared gradient.


# %%
def shares_of(kind, label, edges):
    """Shares of squared gradient by kappa, in units of sigma, with their errors."""
    edges = np.asarray(edges)
    small, one_and_other = small_shown[kind], small_gradients[kind, label]
    scatter = saliency.seed_scatter(*one_and_other, small, small.std() * edges)
    return saliency.measured_shares(
        gradients[kind, label],
        shown[kind],
        sigma[kind] * edges,
        draws=draws,
        scatter=scatter,
    )


edges = [-np.inf, -2, -1, 0, 1, 2, 3, np.inf]
shares = {pair: shares_of(*pair, edges) for pair in gradients}

# %% mystnb={"image": {"alt": "Two panels, noiseless and noisy: share of attribution as points over grey bars with the share of pixels, for ranges of kappa."}, "figure": {"name": "fig-saliency-shares", "caption": "Share of squared gradient (points; errors over maps and trainings) and share of pixels (bars) by kappa. Where a point stands above its bar, the network looks more often than by chance."}}
_ = figures.saliency.share_panels(edges, shares)

# %% [markdown]
# ## The paper's numbers
#
# Three numbers can be compared. What the two ends of the paper's ranges stand for is not said, so both parameters are
# given. The error on our number joins maps, trainings and half the difference of the two parameters.


# %%
parameters = [r"$\Omega_m$", r"$\sigma_8$"]


def share_between(kind, low, high):
    """The share between two kappas in units of sigma, for both parameters."""
    one, other = (shares_of(kind, label, [low, high]) for label in parameters)
    return saliency.joint_share(one, other)


def beyond_two_sigma(kind):
    """Share of attribution over share of pixels beyond 2 sigma, with its error."""
    within = share_between(kind, -2, 2)
    pixels = 1 - within.pixels
    return (1 - within.mean) / pixels, within.error / pixels


voids = share_between("noiseless", -np.inf, 0)
peaks = share_between("noisy", 3, np.inf)
extreme = {kind: beyond_two_sigma(kind) for kind in networks}

# %% [markdown]
# These numbers go to the {doc}`claims page <claims>`.

# %% tags=["hide-input", "nbval-ignore-output"]
from wlbook.runner import claims

weaker = min(extreme, key=extreme.get)
trainings = "one network; scatter between trainings from two small ones"
if n_seeds > 1:
    trainings = f"{n_seeds} networks"
note = f"Gradient; {weaker} maps, the smaller of two ratios; {trainings}."
claims.record("a2-extreme-pixels", *extreme[weaker], note)
note = f"Gradient; {trainings}."
claims.record("a3-noiseless-voids", voids.mean, voids.error, note)
claims.record("a4-noisy-peaks", peaks.mean, peaks.error, note)

# %% [markdown]
# | | paper A | here, gradient | $\Omega_m$, $\sigma_8$ | error over maps, trainings | share of pixels |
# |---|---|---|---|---|---|
# | noiseless, $\kappa < 0$ | 69-86 % | {glue:text}`saliency-voids` % | {glue:text}`saliency-voids-omega`, {glue:text}`saliency-voids-sigma` % | {glue:text}`saliency-voids-terms` % | {glue:text}`saliency-voids-pixels` % |
# | noisy, $\kappa > 3\sigma_\kappa$ | 36-68 % | {glue:text}`saliency-peaks` % | {glue:text}`saliency-peaks-omega`, {glue:text}`saliency-peaks-sigma` % | {glue:text}`saliency-peaks-terms` % | {glue:text}`saliency-peaks-pixels` % |
# | beyond $2\sigma_\kappa$: attribution over pixels, noiseless | above 1 | {glue:text}`saliency-extreme-noiseless` | | | |
# | the same, noisy | above 1 | {glue:text}`saliency-extreme-noisy` | | | |
#
# Our maps differ from the paper's in what matters most here. A pixel of ours is {glue:text}`saliency-pixel` times as
# large as theirs, which changes the noise per pixel and what pixels above $3\sigma_\kappa$ mean; our smoothing spreads
# them further. Our network is small and has no batch normalisation. The {doc}`claims page <claims>` gives the verdicts for this run.
#
# ## The same shares by every method
#
# A method that fails a detector is marked with the number of its failures. Crosses are a network with all layers drawn
# anew: where they lie with the dots, the share tells about the map and not about the network.

# %%
ranges = {"noiseless": np.array([-np.inf, 0]), "noisy": np.array([3, np.inf])}


def share_by(method, network, kind, output):
    """Share of a method's attribution in the paper's range of kappa."""
    maps = shown[kind][:n_few]
    each = method(network, maps, output, key=key)[None]  # of one network
    # Of fewer maps, each draw takes as many: its numbers are counted round.
    return saliency.measured_shares(each, maps, sigma[kind] * ranges[kind], draws=draws)


# %%
by_method = {}
for kind in ranges:
    network = networks[kind][0]
    anew = random.key(seed, "destroyed")
    destroyed = saliency.randomized(network, layers, key=anew)
    for method in methods[kind]:
        for label in parameters:
            one = share_by(method, network, kind, outputs[label])
            by_method[kind, method.name, label] = one
        one = share_by(method, destroyed, kind, 0)
        by_method[kind, method.name, "destroyed"] = one

# %% mystnb={"image": {"alt": "For twelve methods, the share of attribution at negative kappa without noise and above three sigma with noise, for both outputs and for a destroyed network."}, "figure": {"name": "fig-saliency-methods", "caption": "Share of the attribution by method: Omega_m (circles) and sigma_8 (squares) with bootstrap errors over maps, and Omega_m of a destroyed network (crosses). Grey line: share of pixels. Shaded: the paper's range. In brackets: lie detectors failed."}}
titles = {
    "noiseless": r"noiseless, $\kappa < 0$",
    "noisy": r"noisy, $\kappa > 3\sigma_\kappa$",
}
bands = {"noiseless": (69, 86), "noisy": (36, 68)}  # the paper's [%]
_ = figures.saliency.method_panels(by_method, failures, titles=titles, bands=bands)

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
# - *Half the particles.* One of the boxes with the same waves, simulated with half as many particles a side. What the
#   network says of voids must not hang on that.

# %%
from dataclasses import replace

survey = surveys["noisy"]
sigma_e = survey.sigma_e or 0.4  # noise even in a noiseless run
with_noise = replace(survey, sigma_e=sigma_e, noise="add")
noise = random.key(seed, "noise")
noise_alone = observe(0 * kappa, with_noise, pixel=pixel, key=noise)

gaussian = pipeline.gaussian(data)
null = pipeline.network(store, data, **pipeline.small(data), transform=gaussian)

# %% [markdown]
# Each case is a network and the maps it is shown.

# %%
without_noise = networks["noiseless"][0]
cases = {
    "noisy maps": (noisy, shown["noisy"]),
    "noise alone": (noisy, np.asarray(noise_alone)),
    "noisy maps, small network": (learnt[0], small_shown["noisy"]),
    "noisy maps, small null network": (null, small_shown["noisy"]),
    "noiseless maps": (without_noise, shown["noiseless"]),
}

# %%
coarser, names = pipeline.coarser_maps(store), []
if coarser is not None:  # only where the maps were simulated here
    half = coarser["kappa"].values[:n_maps]  # the first fiducial box, made again
    names = ["noiseless, same box", "noiseless, same box, half the particles"]
    for name, maps in zip(names, (kappa[: len(half)], half), strict=True):
        cases[name] = (without_noise, look(maps, "noiseless"))

# %% [markdown]
# In every case $\sigma_\kappa$ is that of its own maps.

# %%
slopes, found = {}, {}
for name, (network, maps) in cases.items():
    edges = maps.std() * np.array([-np.inf, -2, 0, 3, np.inf])
    slopes[name] = gradient(network, maps, s_8)
    found[name] = saliency.attribution_share(slopes[name], maps, edges)

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"markdown_format": "myst"}
words = ["below -2σ", "-2σ to 0", "0 to 3σ", "above 3σ"]
Markdown(saliency.share_table(found, words))

# %% [markdown]
# Both resolutions hold the same structures. How alike are the maps, how alike their saliencies, and how far apart is the
# share at negative $\kappa$?

# %%
alike, below_zero = {}, {}
if names:
    fine, coarse = names
    both = cases[fine][1], cases[coarse][1]  # the maps
    alike["maps"] = saliency.rank_correlation(*both).mean()
    alike["saliency"] = saliency.rank_correlation(slopes[fine], slopes[coarse]).mean()
    for name in names:
        share, _ = found[name]  # of each map in each range
        below_zero[name] = share[:, :2].sum(axis=1).mean()

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
from wlbook import statistics

rings = np.linspace(0, 30, 11)  # [arcmin]
first = 2 * 360 / side  # twice the multipole of the longest wave
ell_edges = np.array(statistics.bins_in_ell(first, data.sizes["x"], side, 8))
profiles, waves = {}, {}
for kind in networks:
    slope = gradients[kind, r"$S_8$"][0]
    attention = slope**2 / (slope**2).mean(axis=(1, 2, 3), keepdims=True)
    for what, sign in (("peaks", 1), ("voids", -1)):
        threshold = 2 * sign * sigma[kind]
        centres = saliency.extrema(shown[kind], kind=what, threshold=threshold)
        # Of each map: the sum in every ring, and of how many pixels.
        total, number = saliency.profile(attention, centres, edges=rings, pixel=pixel)
        profiles[kind, what] = saliency.mean_profile(total, number, draws)
    waves[kind] = saliency.spectra(slope, shown[kind], side=side, ell_edges=ell_edges)

# %% mystnb={"image": {"alt": "Left: squared gradient against distance from peaks and voids. Middle: power spectra of the gradient. Right: correlation of gradient and map against multipole."}, "figure": {"name": "fig-saliency-shape", "caption": "Gradient of S8. Left: its square around peaks and voids, over its mean over the map (bands: bootstrap over maps). Middle: its power spectrum, each map's gradient having variance one. Right: its correlation with the map at each scale (bars: errors over maps)."}}
radius = (rings[1:] + rings[:-1]) / 2
ell = np.sqrt(ell_edges[1:] * ell_edges[:-1])
_ = figures.saliency.shape(radius, profiles, ell, waves)

# %% [markdown]
# ## Peaks, voids, and the rest
#
# Neighbouring pixels of a smooth map say the same, so no method can be right about each of them alone. It can be about
# groups. What do all peaks together ($\kappa > 2\sigma_\kappa$), all voids ($\kappa < -\sigma_\kappa$:
# wider than above, every pixel and not minima only) and the rest add to the answer? Their {term}`Shapley values <Shapley value>` are exact, and sum to the answer's rise above that to
# an empty map. Covering one group at a time counts twice what two groups say together. Single connected regions can be
# asked too: the last column is the largest effect of one of them.


# %%
def effect_of(method, kind, groups, n_groups):
    """What groups of pixels add to S8: pixel by pixel, and summed [map, group]."""
    maps, network = shown[kind][:n_few], networks[kind][0]
    options = {"each": {"groups": groups}, "number": n_groups}  # groups of each map
    of_pixels = saliency.over_maps(method, network, maps, s_8, **options)
    return of_pixels, saliency.group_totals(of_pixels, groups, n_groups)


# %% [markdown]
# The pixels of the rest, of peaks and of voids are groups 0, 1 and 2; connected regions are counted the same way, with
# the rest as region 0, which is left out where the largest effect of one region is asked for. `completeness` checks that
# Shapley values sum to the rise of the answer.

# %%
effects, largest, complete = {}, {}, {}
for kind in networks:
    maps, network = shown[kind][:n_few], networks[kind][0]
    low, high = -sigma[kind], 2 * sigma[kind]
    region, group = saliency.regions(maps, low=low, high=high)
    values, totals = effect_of(saliency.shapley, kind, group, 3)
    effects[f"{kind}, Shapley"] = totals
    complete[kind] = saliency.completeness(values, network, maps, s_8)
    covered = f"{kind}, one covered"
    _, effects[covered] = effect_of(saliency.occlude_groups, kind, group, 3)
    n_regions = int(region.max()) + 1
    _, alone = effect_of(saliency.occlude_groups, kind, region, n_regions)
    largest[covered] = np.abs(alone[:, 1:]).max(axis=1)

# %% tags=["hide-input", "nbval-ignore-output"] mystnb={"markdown_format": "myst"}
groups = {1: "peaks", 2: "voids", 0: "the rest"}
Markdown(saliency.effect_table(effects, groups, largest))

# %% [markdown]
# ## A network of your own
#
# `saliency` takes any callable from `[bin, y, x]` to `[output]`. Gradients, perturbations and groups ask no more than
# that; relevance walks the layers of an `eqx.nn.Sequential`, and `saliency.register` gives a layer of yours a rule.

# %%
import equinox as eqx

first, last = jax.random.split(random.key(seed, "own"), 2)
yours = eqx.nn.Sequential(
    [
        eqx.nn.Conv2d(1, 4, 3, key=first),
        eqx.nn.Lambda(jax.nn.relu),
        eqx.nn.AdaptiveAvgPool2d(1),
        eqx.nn.Lambda(jax.numpy.ravel),
        eqx.nn.Linear(4, 2, key=last),
    ]
)
saliency.register(eqx.nn.AdaptiveAvgPool2d, "average")
yours = saliency.without_biases(yours)  # biases would take part of the relevance

# %%
maps = few[:1, :1] / sigma["noisy"]
relevance = saliency.over_maps(saliency.lrp, yours, maps, 0)
conserved = float(saliency.completeness(relevance, yours, maps, 0)[0])
over = "sum over the output without biases"
print(f"relevance of {relevance[0].shape}, {over} {conserved:.3f}")

# %% tags=["remove-cell", "nbval-ignore-output"]
from myst_nb import glue

unmoved = [name for name in cascades if detector_value[name, "top layer"] > 0.8]
honest = [name for name, failed in failures.items() if not failed]
crossed = by_method["noisy", "input x gradient", "destroyed"].share[0]
numbers = {
    "cost": store.cost(),
    "seeds": "one network of each kind",
    "pixel": f"{(pixel * 512 / 210) ** 2:.3g}",  # theirs: 512 in 3.5 degrees
    "unmoved": ", ".join(unmoved) or "none",
    "honest": ", ".join(honest) or "none",
    "input-alone": f"{input_alone:.2f}",
    "gradient-top": f"{detector_value['gradient', 'top layer']:.2f}",
    "gradient-all": f"{detector_value['gradient', 'all layers']:.2f}",
    "product-all": f"{detector_value['input x gradient', 'all layers']:.2f}",
    "noisy-destroyed": f"{100 * crossed:.0f} %",
}
if n_seeds > 1:
    numbers["seeds"] = f"{n_seeds} networks of each kind"
for kind in networks:
    value, error = extreme[kind]
    numbers[f"r2-{kind}"] = f"{r2[kind]:.2f}"
    numbers[f"extreme-{kind}"] = f"{value:.2f} ± {error:.2f}"
for name, one in (("voids", voids), ("peaks", peaks)):
    digits = 0 if one.pixels > 0.01 else 2
    numbers[name] = f"{100 * one.mean:.0f} ± {100 * one.error:.0f}"
    numbers[f"{name}-pixels"] = f"{100 * one.pixels:.{digits}f}"
    numbers[f"{name}-terms"] = ", ".join(f"{100 * term:.1f}" for term in one.terms)
    numbers[f"{name}-omega"] = f"{100 * one.each[0]:.0f}"
    numbers[f"{name}-sigma"] = f"{100 * one.each[1]:.0f}"
for name in ("input x gradient", "integrated gradients", "occlusion"):
    both = [100 * by_method["noisy", name, label].share[0] for label in parameters]
    short = "product" if name == "input x gradient" else name.split()[0]
    numbers[f"noisy-{short}"] = f"{both[0]:.0f} and {both[1]:.0f} %"
for name in ("maps", "saliency"):
    numbers[f"resolved-{name}"] = f"{alike[name]:.2f}" if names else "not measured"
numbers["resolved-voids"] = "not measured"
if names:
    fine, half = below_zero.values()
    numbers["resolved-voids"] = f"{100 * (half - fine):+.1f} %"
for name, text in numbers.items():
    glue(f"saliency-{name}", str(text), display=False)

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

# %% [markdown]
# What this page concluded, asserted in bands. Deep Taylor ignores signs, so it must miss
# the linear model's weights.

# %%
noise_level = survey.sigma_e**2 / survey.n_gal
simulated = "particles" in data.attrs  # here, and not read from files
# only where training is as long, noise as low and maps are as many as at demo
much = simulated and len(np.unique(truth)) >= 16 and len(truth) >= 256
if much and recipe["training"].steps >= 400 and 0 < noise_level <= 0.4**2 / 30:
    assert r2["noiseless"] > r2["noisy"] > 0.5, "noise costs, and leaves something"
for one in shares.values():
    assert abs(one.share.sum() - 1) < 1e-6, "every pixel lies in one range"
assert detector_value["gradient", "all layers"] < 0.5, "the gradient must notice"
assert detector_value["gradient", "linear model"] < 1e-4
assert detector_value["deep Taylor", "linear model"] > 0.02
if steps >= 32:  # points on the way
    assert detector_value["integrated gradients", "sum"] < 0.02, "must be complete"
for one in complete.values():
    assert np.allclose(one, 1, rtol=2e-2), "Shapley values must sum to the rise"
assert abs(conserved - 1) < 1e-3, "without biases relevance is conserved"
