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
noiseless_steps = 700  # training steps of the network for noiseless maps; 1 <= noiseless_steps
n_maps = 128  # fiducial maps to look at; 2 <= n_maps <= 4096
n_draws = 400  # bootstrap draws; 2 <= n_draws
seed = 4  # of noise, destroyed weights and draws; 0 <= seed

# %% tags=["hide-input"]
import jax
import matplotlib.pyplot as plt
import numpy as np
from myst_nb import glue

from wlbook import chapters, claims, cosmology, plots, products, random, saliency, training
from wlbook.maps import select
from wlbook.store import Store

plots.use_style()
store = Store()
data = products.maps(store)
side, pixel = data.attrs["side"], data.attrs["pixel"]
survey = {name: chapters.parameters("03_network")[name] for name in ("n_gal", "sigma_e", "smoothing")}
outputs = {r"$\Omega_m$": 0, r"$\sigma_8$": 1}

# %% [markdown]
# ## Two networks
#
# The paper asks two questions, with noise and without, so there are two networks: that of {doc}`03_network`, and one
# of the same kind trained on noiseless maps. What a network looks at means little if it has learnt little, so their
# scores come first.

# %%
surveys = {"noiseless": {**survey, "sigma_e": 0.0}, "noisy": survey}
networks = {
    "noiseless": products.network(store, data, sigma_e=0.0, steps=noiseless_steps),
    "noisy": products.network(store, data),
}
test = select(data, "test").isel(map=slice(None, None, 4))
truth = cosmology.s_8(test["omega_m"].values, test["sigma_8"].values)
r2 = {}
for name, trained in networks.items():
    inputs = {"trained": trained, "kappa": test["kappa"].values, "side": side, "copies": 1, "seed": seed}
    predicted = store.make(training.predictions, **inputs, **surveys[name])
    r2[name] = training.r_squared(truth, cosmology.s_8(*predicted.T))

# %% tags=["remove-cell", "nbval-ignore-output"]
for name, value in r2.items():
    glue(f"saliency-r2-{name}", f"{value:.2f}", display=False)

# %% [markdown]
# On test seeds they explain {glue:text}`saliency-r2-noiseless` (noiseless) and {glue:text}`saliency-r2-noisy` (noisy)
# of the variance of {term}`S8`.
#
# ## A map and its saliency
#
# The saliency of a pixel is $\partial\,\mathrm{output} / \partial \kappa$: how the answer moves when this pixel rises
# a little. All maps below are {term}`fiducial` ones, from boxes no network has seen, and $\sigma_\kappa$ is the
# standard deviation of the maps as the network is shown them, with noise where there is noise, after smoothing.

# %%
kappa = select(data, "fiducial")["kappa"].values[:n_maps]
shown, sigma = {}, {}
for name, look in surveys.items():
    shown[name] = np.asarray(training.observe(kappa, random.key(seed, "noise"), pixel=pixel, **look))
    sigma[name] = shown[name].std()
gradients = {
    (name, label): saliency.over_maps(saliency.gradient, networks[name], shown[name], output)
    for name in networks
    for label, output in outputs.items()
}

# %% mystnb={"image": {"alt": "Three rows of three panels: a convergence map, its saliency with fine positive and negative spots, and the saliency under contours of the map."}, "figure": {"name": "fig-saliency-panels", "caption": "One fiducial map. Left: as the network is shown it. Middle: saliency, blue where a higher pixel lowers the answer. Right: the same, with the map's contours at -1.5 (grey) and 3 standard deviations (black)."}}
panels = [("noiseless", r"$\Omega_m$"), ("noisy", r"$\Omega_m$"), ("noisy", r"$\sigma_8$")]
_ = plots.saliency_panels(
    [shown[name][0, 0] / sigma[name] for name, _ in panels],
    [gradients[panel][0, 0] for panel in panels],
    [f"{name}, {label}" for name, label in panels],
    side=side,
)

# %% [markdown]
# ## Does the method tell the truth?
#
# Before any share is quoted, the lie detector {cite:p}`adebayo2018`. Draw the network's weights anew, from the last
# layer down, and see how much the attribution map stays the same. A method that tells what the network has learnt
# must give another map for a network that has learnt nothing. A method that does not notice is drawing the input.

# %%
methods = {
    "gradient": saliency.gradient,
    "input x gradient": saliency.input_x_gradient,
    "guided back-propagation": saliency.guided_backprop,
    "deconvnet": saliency.deconvnet,
}
depths = [0, 1, 2, 4, 6, 8]
few, key = shown["noisy"][:: max(1, n_maps // 32)], random.key(seed, "destroyed")
same = {
    name: saliency.cascade(method, networks["noisy"], few, 0, depths=depths, key=key)
    for name, method in methods.items()
}

# %% mystnb={"image": {"alt": "Rank correlation falling from one as more layers are destroyed, for four methods."}, "figure": {"name": "fig-saliency-cascade", "caption": "Rank correlation of the attribution with that of the trained network, after the weights of the last layers were drawn anew (mean and scatter over maps). The dashed line is the attribution of input x gradient if the gradient were the same everywhere: what the input alone would give."}}
figure, axis = plt.subplots(figsize=(6.4, 3.6))
for (name, values), marker in zip(same.items(), "os^D", strict=True):
    axis.errorbar(depths, values.mean(1), values.std(1), fmt=f"{marker}-", capsize=2, markersize=5, label=name)
before = saliency.over_maps(saliency.input_x_gradient, networks["noisy"], few, 0)
input_alone = saliency.rank_correlation(np.abs(before), np.abs(few)).mean()
axis.axhline(input_alone, color="0.4", linestyle="--", linewidth=1)
axis.set(xlabel="layers destroyed, from the last", ylabel="rank correlation")
axis.set_ylim(top=1.4)
_ = axis.legend(fontsize="small", ncols=2, loc="upper right")

# %% tags=["remove-cell", "nbval-ignore-output"]
left = {name: values[-1].mean() for name, values in same.items()}
for name, value in left.items():
    glue("saliency-left-" + name.split()[0], f"{value:.2f}", display=False)
glue("saliency-input-alone", f"{input_alone:.2f}", display=False)
for name, values in same.items():
    glue("saliency-six-" + name.split()[0], f"{values[depths.index(6)].mean():.2f}", display=False)

# %% [markdown]
# With six of the eight layers destroyed the gradient keeps a correlation of {glue:text}`saliency-six-gradient`,
# deconvnet {glue:text}`saliency-six-deconvnet`, guided back-propagation {glue:text}`saliency-six-guided` and input x
# gradient {glue:text}`saliency-six-input`. Input x gradient stays because a product with the input looks like the
# input: the input's absolute value alone has a correlation of {glue:text}`saliency-input-alone` with it. Guided
# back-propagation is known to hang on the first layers rather than on what follows them {cite:p}`sixt2020`; here it
# ends at {glue:text}`saliency-left-guided` once those are gone too. The gradient ends at
# {glue:text}`saliency-left-gradient`.
#
# So the gradient is the method whose shares are read below. Those of the others are shown, and carry this figure with
# them.
#
# ## Where the attribution lies
#
# The share of squared saliency in a range of $\kappa$ says nothing by itself. If 70 % of the pixels lie there, a
# network that looks everywhere alike would put 70 % of its attribution there. So the share of pixels stands beside
# it.

# %%
edges = [-np.inf, -2, -1, 0, 1, 2, 3, np.inf]
pick = random.key(seed, "bootstrap")
draws = np.asarray(jax.random.randint(pick, (n_draws, len(kappa)), 0, len(kappa)))
shares, pixels = {}, {}
for (name, label), maps in gradients.items():
    share, area = saliency.attribution_share(maps, shown[name], sigma[name] * np.array(edges))
    shares[name, label] = share.mean(0), share[draws].mean(1).std(0)
    pixels[name] = area.mean(0)

# %% mystnb={"image": {"alt": "Two panels, noiseless and noisy: share of attribution as points over grey bars with the share of pixels, for ranges of kappa."}, "figure": {"name": "fig-saliency-shares", "caption": "Share of squared gradient (points, with bootstrap errors over maps) and share of pixels (bars) by kappa. Where a point stands above its bar, the network looks more often than by chance."}}
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.6), sharey=True)
for axis, name in zip(axes, networks, strict=True):
    plots.attribution_bars(axis, edges, pixels[name], {label: shares[name, label] for label in outputs})
    axis.set_title(name)
axes[0].set_ylabel("share")
_ = axes[1].legend(fontsize="small")

# %% [markdown]
# ## The paper's numbers
#
# Three numbers can be compared. What the two ends of the paper's ranges stand for is not said, so both outputs are
# given. The error on our number joins the bootstrap over maps with half the difference of the two outputs. The
# scatter between trainings is not in it: that takes several networks.


# %%
def share_of(maps, name, low, high):
    """Mean share of attribution and of pixels between two kappas in units of sigma, with the bootstrap error."""
    share, area = saliency.attribution_share(maps, shown[name], sigma[name] * np.array([low, high]))
    return share.mean(), share[draws].mean(axis=(1, 2)).std(), area.mean()


questions = {"a3": ("noiseless", -np.inf, 0), "a4": ("noisy", 3, np.inf)}
for name in networks:
    questions[f"a2-{name}"] = (name, -2, 2)
answers = {
    (question, label): share_of(gradients[name, label], name, low, high)
    for question, (name, low, high) in questions.items()
    for label in outputs
}


# %% tags=["nbval-ignore-output"]
def both(question, value):
    """Mean of the two outputs, with the error."""
    numbers = [value(*answers[question, label]) for label in outputs]
    bootstrap = max(error for _, error in numbers)
    one, two = (number for number, _ in numbers)
    return (one + two) / 2, float(np.hypot(bootstrap, (one - two) / 2))


def excess(share, error, area):
    """Share of attribution beyond 2 sigma, over the share of pixels there."""
    return (1 - share) / (1 - area), error / (1 - area)


extreme = {name: both(f"a2-{name}", excess) for name in networks}
voids = both("a3", lambda share, error, area: (share, error))
peaks = both("a4", lambda share, error, area: (share, error))
weaker = min(extreme, key=lambda name: extreme[name][0])
claims.record("a2-extreme-pixels", *extreme[weaker], f"Gradient; {weaker} maps, the smaller of our two ratios.")
claims.record("a3-noiseless-voids", *voids, "Gradient; one network, so no scatter between trainings.")
claims.record("a4-noisy-peaks", *peaks, "Gradient; one network, so no scatter between trainings.")


# %% tags=["remove-cell", "nbval-ignore-output"]
def text(value, error, factor=100):
    """A number with its error."""
    return f"{factor * value:.{1 if factor == 1 else 0}f} ± {factor * error:.{1 if factor == 1 else 0}f}"


for name, value in extreme.items():
    glue(f"saliency-extreme-{name}", text(*value, factor=1), display=False)
glue("saliency-voids", text(*voids), display=False)
glue("saliency-peaks", text(*peaks), display=False)
for question, word in (("a3", "voids"), ("a4", "peaks")):
    area = answers[question, r"$\Omega_m$"][2]
    glue(f"saliency-{word}-pixels", f"{100 * area:.{0 if area > 0.01 else 2}f}", display=False)
    for label, short in zip(outputs, ("omega", "sigma"), strict=True):
        glue(f"saliency-{word}-{short}", f"{100 * answers[question, label][0]:.0f}", display=False)

# %% [markdown]
# | | paper A | here, gradient | $\Omega_m$, $\sigma_8$ | share of pixels |
# |---|---|---|---|---|
# | noiseless, $\kappa < 0$ | 69-86 % | {glue:text}`saliency-voids` % | {glue:text}`saliency-voids-omega`, {glue:text}`saliency-voids-sigma` % | {glue:text}`saliency-voids-pixels` % |
# | noisy, $\kappa > 3\sigma_\kappa$ | 36-68 % | {glue:text}`saliency-peaks` % | {glue:text}`saliency-peaks-omega`, {glue:text}`saliency-peaks-sigma` % | {glue:text}`saliency-peaks-pixels` % |
# | beyond $2\sigma_\kappa$: attribution over pixels, noiseless | above 1 | {glue:text}`saliency-extreme-noiseless` | | |
# | the same, noisy | above 1 | {glue:text}`saliency-extreme-noisy` | | |
#
# Our maps differ from the paper's in what matters most here. A pixel of ours holds 64 of theirs, so our noise per
# pixel is much lower, and pixels above $3\sigma_\kappa$ mean something else; our smoothing spreads them further. Our
# network is small and has no batch normalisation. The {doc}`claims page <claims>` gives the verdicts for this run.
#
# ## Other methods
#
# The same two shares for each method. Input x gradient multiplies by $\kappa$, so its squares pile up where
# $|\kappa|$ is large *whatever the network has learnt*: the crosses show it for a network with all layers destroyed.

# %%
table = {}
for name, method in methods.items():
    for question, (noise, low, high) in list(questions.items())[:2]:
        for state, model in (
            ("trained", networks[noise]),
            ("destroyed", saliency.randomized(networks[noise], 8, key=key)),
        ):
            maps = saliency.over_maps(method, model, shown[noise], 0)
            table[name, question, state] = share_of(maps, noise, low, high)

# %% mystnb={"image": {"alt": "For four methods, the share of attribution at negative kappa without noise and above three sigma with noise, for trained and destroyed networks."}, "figure": {"name": "fig-saliency-methods", "caption": "Share of the attribution of the first output, Omega_m, by method: trained network (dots, bootstrap errors) and destroyed network (crosses). Grey line: share of pixels. Shaded: the paper's range."}}
figure, axes = plt.subplots(1, 2, figsize=(7.6, 3.0), sharey=True)
titles = {"a3": r"noiseless, $\kappa < 0$", "a4": r"noisy, $\kappa > 3\sigma_\kappa$"}
for axis, (question, band) in zip(axes, {"a3": (69, 86), "a4": (36, 68)}.items(), strict=True):
    axis.axvspan(*band, color=plots.PALETTE[4], alpha=0.2, linewidth=0)
    axis.axvline(100 * table["gradient", question, "trained"][2], color="0.6")
    for row, name in enumerate(methods):
        value, error, _ = table[name, question, "trained"]
        axis.errorbar(100 * value, row, xerr=100 * error, fmt="o", color=plots.PALETTE[0])
        axis.plot(100 * table[name, question, "destroyed"][0], row, "x", color=plots.PALETTE[1])
    axis.set(xlabel="share of attribution [%]", title=titles[question], xlim=(0, 100))
_ = axes[0].set_yticks(range(len(methods)), methods)

# %% tags=["remove-cell", "nbval-ignore-output"]
glue("saliency-cost", str(store.cost()), display=False)

# %% [markdown]
# ## What to notice
#
# - Read each share beside its share of pixels. Half the pixels of any map lie below zero or a little more, because
#   voids are wide and peaks narrow.
# - A destroyed network gives shares as well. Where dots and crosses agree, the method has told you about the map.
# - Noise changes where the network looks, because a pixel's $\kappa$ then says less about the mass behind it.
#
# ## Exercises
#
# ```{exercise} The network that knows only noise
# :label: saliency-noise
# Replace the maps in `shown["noisy"]` by pure shape noise. What is the share above $3\sigma_\kappa$ now, and what
# does that say about a network looking at noise peaks?
# ```
# ```{solution} saliency-noise
# :class: dropdown
# Use `training.observe(0 * kappa, ...)`. Whatever share beyond that of the pixels remains comes from noise peaks that
# the network takes for real ones. Compare it with the map's own share before you speak of halos.
# ```
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
# ```{exercise} A network of your own
# :label: saliency-own
# `saliency` takes any Equinox model that maps `[bin, y, x]` to `[output]`. Make a linear one and check that its
# gradient is its weights.
# ```
# ````{solution} saliency-own
# :class: dropdown
# ```python
# layer = eqx.nn.Linear(64, 2, use_bias=False, key=jax.random.key(0)) answer = saliency.gradient(lambda kappa:
# layer(kappa.ravel()), np.ones((1, 8, 8), np.float32), 0) assert np.allclose(answer.ravel(), layer.weight[0])
# ```
# ````

# %%
assert r2["noiseless"] > r2["noisy"] > 0.5 or survey["sigma_e"] == 0, "noise must cost something, and leave something"
for (name, _), (share, _) in shares.items():
    assert abs(share.sum() - 1) < 1e-6, "every pixel lies in one range"
    assert abs(pixels[name].sum() - 1) < 1e-6
assert all(abs(values[0] - 1).max() < 1e-6 for values in same.values()), "nothing destroyed, nothing changed"
assert left["gradient"] < 0.5, "the gradient must notice that the network is gone"
