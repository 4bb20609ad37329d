# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---

# %% [markdown]
# # Network: reading cosmology off a map
#
# **The question.** Can a convolutional network tell the cosmology of a noisy {term}`map` it has never seen, and what
# does it need for that?
#
# **The paper.** {cite:t}`zorrilla2020` train a network of 18 convolutions and 8.3 million weights on maps of 512²
# pixels, and find that it constrains $(\Omega_m, \sigma_8)$ 20 % better than the power spectrum, the peaks and the
# {term}`Minkowski functionals` together. This page trains the network that chapters 4 to 6 look into; whether it
# beats the statistics is asked in {doc}`06_constraints`.
#
# **The cost.** {glue:text}`network-cost`.

# %% tags=["parameters"]
width = 16  # channels of the first layer; 1 <= width <= 32
steps = 1500  # training steps; 1 <= steps
batch = 32  # maps in a step; 1 <= batch
learning_rate = 0.006  # peak learning rate; 0 < learning_rate < 1
n_gal = 30.0  # source galaxies for each arcmin² and bin [arcmin^-2]; 0 < n_gal <= 1000
sigma_e = 0.4  # intrinsic ellipticity dispersion, 0 for noiseless maps; 0 <= sigma_e <= 2
smoothing = 1.0  # Gaussian smoothing after the noise [arcmin]; 0 <= smoothing <= 60
seed = 1  # of the weights, the order of the maps and the noise; 0 <= seed

# %% tags=["hide-input"]
import jax
import matplotlib.pyplot as plt
import numpy as np
from myst_nb import glue

from wlbook import cosmology, network, plots, products, training
from wlbook.maps import select
from wlbook.store import Store

plots.use_style()
store = Store()
data = products.maps(store)
side, pixel = data.attrs["side"], data.attrs["pixel"]

# %% [markdown]
# ## Why a network at all
#
# A {term}`power spectrum` squares the map's Fourier modes and so forgets where things are. Peaks and Minkowski
# functionals look at places, but in a way somebody thought of beforehand. A network is a function of the pixels with
# free numbers in it: you show it maps whose cosmology you know, and change the numbers until its answers are close.
# It chooses its own statistic. The price is that you no longer know which one, and that is what the next two chapters
# are about.
#
# Three things about a map are built into a convolutional network and need not be learnt. The sky looks alike
# everywhere, so one small kernel is moved over the whole map. What is near belongs together, so kernels are small.
# And large structures are made of small ones, so layers follow each other on ever coarser pixels. A mean over the map
# at the end turns what was found into one short vector, whatever the size of the map.
#
# ## The architecture
#
# This picture is drawn from the network itself, from the same table that gives the numbers below.

# %% mystnb={"image": {"alt": "Blocks in a row, one a layer, shrinking from 64 pixels a side to a single vector of two numbers."}, "figure": {"name": "fig-network-layers", "caption": "The network, layer by layer. A block's height shows the image's side, the text below gives pixels and channels and how much of the sky one pixel there has seen. A ReLU follows each convolution and each residual block."}}
untrained = network.Compact(bins=data.sizes["bin"], width=width, key=jax.random.key(seed))
rows = network.table(untrained, data.sizes["x"])
_ = plots.layers(rows, pixel)

# %% tags=["remove-cell", "nbval-ignore-output"]
glue("network-weights", f"{network.count_weights(untrained):,}", display=False)
glue("network-field", f"{network.receptive_field(untrained) * pixel / 60:.1f}°", display=False)
glue("network-side", f"{side:.1f}°", display=False)

# %% [markdown]
# It has {glue:text}`network-weights` weights, some seventy times fewer than paper A's. There is no batch
# normalisation: a map's answer depends on that map alone, which keeps {doc}`saliency <04_saliency>` simple. Before
# the global average, one pixel has seen a square of {glue:text}`network-field`, and the map is
# {glue:text}`network-side` wide.
#
# ## Training
#
# Each step takes {term}`maps <map>` at random from the training {term}`boxes <box>`, turns and mirrors them, adds
# {term}`shape noise` drawn afresh, smooths, and asks for $\Omega_m$ and $\sigma_8$. So the network never sees the
# same noisy map twice. The loss is the mean squared error of both, in units of their spread over the {term}`design`:
# always answering the mean would give 1. Every eighth model is held out: the network does not learn from it, and its
# loss shows whether what was learnt holds for a model never seen. The test {term}`split` has no part in this.

# %%
trained = store.make(
    training.fit,
    data=data,
    width=width,
    steps=steps,
    batch=batch,
    learning_rate=learning_rate,
    n_gal=n_gal,
    sigma_e=sigma_e,
    smoothing=smoothing,
    seed=seed,
)

# %% mystnb={"image": {"alt": "Training loss falling from one, with the loss on held-out models as dots."}, "figure": {"name": "fig-network-loss", "caption": "Loss at each step (thin), its running mean (thick) and the loss on held-out models (dots, one noise drawing kept throughout). The dots scatter about a level of their own, because a few models are not the whole design."}}
history = trained.history
figure, axis = plt.subplots(figsize=(6.4, 3.2))
axis.plot(history["step"], history["loss"], color=plots.PALETTE[5], linewidth=0.5, alpha=0.6)
window = max(1, steps // 30)
running = np.convolve(history["loss"], np.ones(window) / window, "valid")
axis.plot(history["step"][window - 1 :], running, color=plots.PALETTE[0], label="training")
if "held_out_loss" in history:
    axis.plot(history["held_out_step"], history["held_out_loss"], "o", color=plots.PALETTE[1], label="held-out models")
axis.set(xlabel="step", ylabel="loss [variance of the targets]", ylim=(0, 1.3))
_ = axis.legend()

# %% [markdown]
# ## What the first layer learnt
#
# The first layer's kernels are {glue:text}`network-kernel` pixels wide and can be looked at as they are.
# {cite:t}`ribli2018` saw kernels like a discrete Laplacian: a centre against its surroundings, blind to a constant.
# Beside each kernel stands its sum divided by the sum of its absolute values: 0 for a Laplacian, ±1 for a smoothing.

# %% mystnb={"image": {"alt": "Small coloured squares, the kernels of the first layer in the order of their size."}, "figure": {"name": "fig-network-kernels", "caption": "First-layer kernels after training, the strongest first, each on its own signed scale. Above each: sum over absolute sum."}}
weights = network.weights(trained.model)["layers[1].weight"][:, :, 0]
strength = np.sqrt((weights**2).sum(axis=(0, 1)))
weights = weights[..., np.argsort(-strength)]
balance = weights.sum(axis=(0, 1)) / np.abs(weights).sum(axis=(0, 1))
_ = plots.kernels(weights, [f"{value:+.2f}" for value in balance])

# %% tags=["remove-cell", "nbval-ignore-output"]
before = network.weights(untrained)["layers[1].weight"][:, :, 0]
random_balance = before.sum(axis=(0, 1)) / np.abs(before).sum(axis=(0, 1))
glue("network-kernel", f"{len(weights)} x {len(weights)}", display=False)
glue("network-balance", f"{np.abs(balance).mean():.2f}", display=False)
glue("network-balance-before", f"{np.abs(random_balance).mean():.2f}", display=False)

# %% [markdown]
# The mean size of that ratio is {glue:text}`network-balance`; before training it was
# {glue:text}`network-balance-before`. Our pixels are {glue:text}`network-pixel` wide, eight times those of the paper,
# and noise fills them: what the first layer can do best here is to average noise away, so do not expect the paper's
# kernels.
#
# ## Predicted against true
#
# Now the test: maps of the same design from boxes the network has never seen, with noise of their own. Each
# prediction is a mean over the map's 8 turned and mirrored copies, as in the paper.

# %%
test = select(data, "test")
predicted = store.make(
    training.predictions,
    trained=trained,
    kappa=test["kappa"].values,
    side=side,
    n_gal=n_gal,
    sigma_e=sigma_e,
    smoothing=smoothing,
    seed=seed,
)
truth = np.stack([test["omega_m"].values, test["sigma_8"].values], axis=1)
s_8, s_8_predicted = (cosmology.s_8(*values.T) for values in (truth, predicted))

# %% mystnb={"image": {"alt": "Three panels: predicted against true Omega_m, sigma_8 and S8 with the diagonal; S8 follows it closely, sigma_8 hardly."}, "figure": {"name": "fig-network-predictions", "caption": "Predictions on test seeds: every map (light), mean and scatter of each model (dots; hollow where the model was held out of training)."}}
models = test["model"].values
hollow = np.unique(models[training.is_held_out(models)])
_ = plots.predicted_against_true(
    np.column_stack([truth, s_8]),
    np.column_stack([predicted, s_8_predicted]),
    [r"$\Omega_m$", r"$\sigma_8$", r"$S_8$"],
    groups=models,
    hollow=hollow,
)

# %% tags=["remove-cell", "nbval-ignore-output"]
r2 = {
    "s8": training.r_squared(s_8, s_8_predicted),
    "omega": training.r_squared(truth[:, 0], predicted[:, 0]),
    "sigma": training.r_squared(truth[:, 1], predicted[:, 1]),
}
means = np.array([(s_8[models == m][0], s_8_predicted[models == m].mean()) for m in np.unique(models)])
slope = np.polyfit(*means.T, 1)[0]
rmse = np.sqrt(np.mean((predicted - truth) ** 2, axis=0))
for name, value in {**r2, "slope": slope}.items():
    glue(f"network-r2-{name}".replace("r2-slope", "slope"), f"{value:.2f}", display=False)
glue("network-rmse", f"{rmse[0]:.3f}, {rmse[1]:.3f}", display=False)
glue("network-pixel", f"{pixel:.1f}'", display=False)

# %% [markdown]
# One noisy map explains a share $R^2$ = {glue:text}`network-r2-s8` of the variance of {term}`S8` over the design,
# {glue:text}`network-r2-omega` of $\Omega_m$ and {glue:text}`network-r2-sigma` of $\sigma_8$. Lensing measures the
# product of how much matter there is and how clumped it is, so a high $\Omega_m$ with a low $\sigma_8$ looks like its
# opposite. That is why $S_8$ is read well and $\sigma_8$ alone is not.
#
# The means do not lie on the diagonal: a straight line through those of $S_8$ has slope {glue:text}`network-slope`.
# This *regression to the mean* is no fault. Whoever wants the smallest squared error on noisy data must answer closer
# to the middle. It only means that a prediction is no estimate of the truth. {doc}`06_constraints` treats it as one
# more statistic of the map, and learns from simulations how it depends on cosmology.
#
# ## How far the network sees
#
# A pixel behind a layer has seen a square of the input, its {term}`receptive field`. It grows with each layer. On the
# right axis the same length is given at the distance where these sources are lensed most.

# %% mystnb={"image": {"alt": "Receptive field growing from layer to layer up to the size of the map, with the half-width of the measured sensitivity well below."}, "figure": {"name": "fig-network-field", "caption": "Receptive field behind each convolution: the square a pixel can see (blue), and the smallest centred square that holds 90 % of its squared sensitivity, measured on the trained network (orange). The grey line is the map's side."}}
behind = [
    i for i, layer in enumerate(trained.model.layers) if isinstance(layer, network.Convolution | network.Residual)
]
fields = [row.receptive_field * pixel for row in rows if row.depth == 0 and row.kind in ("Convolution", "Residual")]
look = {"pixel": pixel, "n_gal": n_gal, "sigma_e": sigma_e, "smoothing": smoothing}
shown = training.observe(test["kappa"].values[::48], jax.random.key(seed), **look)
measured = [network.effective_field(trained.layers[: i + 2], shown) * pixel for i in behind]
figure, axis = plt.subplots(figsize=(6.4, 3.4))
axis.plot(fields, "o-", label="can see")
axis.plot(measured, "s-", label="90 % of the sensitivity")
axis.axhline(60 * side, color="0.7")
axis.set(xlabel="convolution or residual block", ylabel="side [arcmin]", xticks=range(len(fields)))
scale = np.radians(1 / 60) * float(cosmology.distance(cosmology.Cosmology(0.26, 0.8), 0.4))
axis.secondary_yaxis("right", functions=(lambda x: x * scale, lambda x: x / scale)).set_ylabel(
    "side at z = 0.4 [Mpc/h]"
)
_ = axis.legend()

# %% tags=["remove-cell", "nbval-ignore-output"]
glue("network-effective", f"{measured[-1]:.0f}'", display=False)
glue("network-effective-length", f"{measured[-1] * scale:.0f} Mpc/h", display=False)
glue("network-cost", str(store.cost()), display=False)

# %% [markdown]
# At the last layer the network could use the whole map at once. Nine tenths of its squared sensitivity comes from a
# square of {glue:text}`network-effective`, or {glue:text}`network-effective-length` where the lenses are: a peak
# together with its surroundings, averaged over the map in the end.
#
# ## What to notice
#
# - $R^2$ is computed on *seeds* never seen. Maps cut from a training box share its structures, and a score on them
#   would flatter the network.
# - Model means lie off the diagonal by more than the scatter of so many maps allows. All maps of a model come from one box,
#   and that box has its own large structures: more boxes would help, more maps from the same box would not.
# - The loss of the held-out models has a level of its own, but it must not rise while the training loss falls. That
#   would be learning boxes by heart.
# - The network is limited by noise, not by size: set `sigma_e=0` and see.
#
# | | paper A | here |
# |---|---|---|
# | map | 512² pixels, 3.5° | {glue:text}`network-map` |
# | weights | 8,319,650 | {glue:text}`network-weights` |
# | training | 30 passes over 96 x 512 maps | {glue:text}`network-seen` |
# | $R^2$ of $S_8$ on unseen seeds | not given | {glue:text}`network-r2-s8` |
# | RMSE of $\Omega_m$, $\sigma_8$ | 0.0115, 0.0228, from peak heights, noiseless ({cite:t}`ribli2018`) | {glue:text}`network-rmse` |
#
# The paper's lineage works on noiseless maps with pixels eight times smaller for its RMSE, on a design of its own:
# the numbers show what noise and resolution cost, not which network is better.

# %% tags=["remove-cell", "nbval-ignore-output"]
learnt = np.unique(models[~training.is_held_out(models)])
passes = steps * batch / (len(learnt) * (models == models[0]).sum())
glue("network-map", f"{data.sizes['x']}² pixels, {side:.1f}°", display=False)
glue("network-seen", f"{passes:.0f} passes over {len(learnt)} x {(models == models[0]).sum()} maps", display=False)

# %% [markdown]
# ## Exercises
#
# ```{exercise} How much is noise?
# :label: network-noise
# Run this page with `-p n_gal=100` and with `-p sigma_e=0`. Which of the three $R^2$ gains most, and why?
# ```
# ```{solution} network-noise
# :class: dropdown
# $\sigma_8$. What separates $\sigma_8$ from $\Omega_m$ is the shape of the structures, high peaks and empty voids,
# and that is what noise hides first. The total amplitude, which gives $S_8$, survives averaging.
# ```
#
# ```{exercise} How wide?
# :label: network-width
# Run it with `-p width=4` and `-p width=24`. Compare the $R^2$ with the number of weights and with the cost.
# ```
# ```{solution} network-width
# :class: dropdown
# The weights, and the cost of a step, grow almost with the square of the width. $R^2$ changes by a few hundredths: on
# these noisy, coarse maps a small network finds nearly all there is. More steps help more than more weights.
# ```
#
# ```{exercise} A prediction is a statistic
# :label: network-regression
# Divide each predicted $S_8$ minus the mean by the slope. The means then lie on the diagonal. Does a map now tell you
# more about $S_8$?
# ```
# ```{solution} network-regression
# :class: dropdown
# No. The scatter grows by the same factor, and the posterior you would derive from it is the same. An invertible
# change of a statistic changes no information.
# ```

# %%
assert r2["s8"] >= 0.5, "the network must explain at least half of the variance of S8 on unseen seeds"
assert r2["s8"] < 0.99 or sigma_e == 0, "too good for noisy maps: are the splits still separate?"
assert 0.4 < slope < 1.1
assert network.count_weights(trained.model) < 500_000
