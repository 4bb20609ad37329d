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
# {term}`Minkowski functionals` together. This page trains the network that chapters 4 and 6 look into; whether it
# beats the statistics is asked in {doc}`06_constraints`.
#
# **The cost.** {glue:text}`network-cost`.

# %% tags=["parameters"]
architecture = "Compact"  # which network; one of "Compact", "Ribli18", "DeepLSS", or a network of `extra`
width = 16  # channels of the first layer; 1 <= width <= 256
loss = "squared"  # what training makes small; one of "squared", "absolute", "likelihood"
optimiser = "cosine"  # how the weights move; one of "cosine", "ribli18", "deeplss"
precision = "float32"  # of the convolutions in training; one of "float32", "bfloat16"
steps = 1500  # training steps; 1 <= steps <= 1000000
batch = 32  # maps in a step; 1 <= batch <= 65536
learning_rate = 0.006  # peak learning rate; 0 < learning_rate < 1
n_seeds = 1  # networks of full size, for errors over seeds; 1 <= n_seeds <= 16
noiseless_steps = 700  # training steps of as many networks on noiseless maps; 1 <= noiseless_steps <= 1000000
small_steps = 250  # training steps of the small networks that settings are compared with; 1 <= small_steps <= 1000000
n_gal = 30.0  # source galaxies for each arcmin² and bin [arcmin^-2]; 0.01 <= n_gal <= 1000
sigma_e = 0.4  # intrinsic ellipticity dispersion, 0 for noiseless maps; 0 <= sigma_e <= 2
smoothing = 1.0  # Gaussian smoothing after the noise [arcmin]; 0 <= smoothing <= 60
extra = ""  # networks of your own; a file, or ""
seed = 1  # of the weights, the order of the maps and the noise; 0 <= seed < 4294967296

# %% tags=["hide-input"]
from wlbook import figures, pipeline
from wlbook.common import extras
from wlbook.runner.store import Store

figures.use_style()
extras.load(extra)
store = Store()
data = pipeline.maps(store)
side, pixel, pixels = data.attrs["side"], data.attrs["pixel"], data.sizes["x"]

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
from wlbook import network
from wlbook.common import random
from wlbook.network import losses

chosen = network.Architecture(architecture, {"width": width})
shape = {"bins": data.sizes["bin"], "pixels": pixels}
outputs = losses.outputs_for(loss, 2)  # Omega_m and sigma_8, and what the loss needs
untrained = chosen.build(**shape, outputs=outputs, key=random.key(seed, "weights"))
rows = network.table(untrained, pixels)
_ = figures.network.layers(rows, pixel)

# %% [markdown]
# It has {glue:text}`network-weights` weights; paper A's has {glue:text}`network-fewer` times as many. There is no batch
# normalisation: a map's answer depends on that map alone, which keeps {doc}`saliency <04_saliency>` simple. Before
# the global average, one pixel has seen a square of {glue:text}`network-field`, and the map is
# {glue:text}`network-side` wide.
#
# The papers' own networks are here too, as `architecture`. `Ribli18` is paper A's: 18 convolutions that shrink the map,
# each followed by batch normalisation, whose means and variances are a state beside the weights and are frozen after
# training. Its convolutions use our small maps up before the end, so it leaves out its last blocks and says how many
# convolutions that costs. `DeepLSS` is paper B's, made for tomographic bins. The three are called alike.

# %%
import jax

lines = []
for name in network.NETWORKS:
    shape = {"bins": 1, "outputs": 2, "pixels": pixels}
    one = network.Architecture(name).build(**shape, key=jax.random.key(0))
    layers = network.table(one, pixels)
    convolutions = sum(layer.kind == "Convolution" for layer in layers)
    left_out = getattr(one, "left_out", 0)
    note = f", {left_out} more left out" if left_out else ""
    weights = f"{network.count_weights(one):>10,} weights"
    lines.append(f"{name:<8} {weights}, {convolutions:>2} convolutions{note}")
print("\n".join(lines))

# %% [markdown]
# ## Training
#
# Each step takes {term}`maps <map>` at random from the training {term}`boxes <box>`, adds {term}`shape noise` drawn
# afresh, smooths, turns and mirrors, and asks for $\Omega_m$ and $\sigma_8$. So the network never sees the
# same noisy map twice. The loss is the mean squared error of both, in units of their spread over the {term}`design`:
# always answering the mean would give 1. Every eighth of 16 or more models is held out: the network does not learn from it, and its
# loss shows whether what was learnt holds for a model never seen. The test {term}`split` has no part in this.
#
# All that is one call, `training.fit(data, architecture, survey, training, seed=seed)`: what to learn from, the
# network, what the survey does to the maps, and how to learn. Here `store.make` makes that call and keeps the network,
# so that it is trained once and then read back.

# %%
from wlbook.network import Training, training
from wlbook.simulation import Survey

survey = Survey.of(data, n_gal, sigma_e, smoothing)
settings = Training(
    steps=steps,
    batch=batch,
    learning_rate=learning_rate,
    loss=loss,
    optimiser=optimiser,
    precision=precision,
)
recipe = {"data": data, "architecture": chosen, "survey": survey, "training": settings}
trained = store.make(training.fit, **recipe, seed=seed)

# %% [markdown]
# One network may be lucky. So the same call is made for `n_seeds` seeds, and once more for as many networks on maps
# without noise, which are asked further down. `pipeline.together` makes one call for each seed, two at a time.

# %%
from dataclasses import replace

seeds = {one: {"seed": one} for one in range(seed, seed + n_seeds)}
networks = pipeline.together(store, training.fit, seeds, **recipe)

noiseless = replace(survey, sigma_e=0.0)
shorter = replace(settings, steps=noiseless_steps)
recipe_without_noise = recipe | {"survey": noiseless, "training": shorter}
without_noise = pipeline.together(store, training.fit, seeds, **recipe_without_noise)

# %% mystnb={"image": {"alt": "Training loss falling from one, with the loss on held-out models as dots."}, "figure": {"name": "fig-network-loss", "caption": "Loss at each step (thin), its running mean (thick) and the loss on held-out models (dots, one noise drawing kept throughout). The dots scatter about a level of their own, because a few models are not the whole design."}}
histories = [one.history for one in networks.values()]
_ = figures.network.losses(histories, window=max(1, steps // 30))

# %% [markdown]
# A training that is killed goes on where it was: what a step does depends on its number and the {term}`seed` alone, so
# the resumed network is the same to the last bit.
#
# ## What the first layer learnt
#
# The first layer's kernels are {glue:text}`network-kernel` pixels wide and can be looked at as they are.
# {cite:t}`ribli2018` saw kernels like a discrete Laplacian: a centre against its surroundings, blind to a constant.
# Beside each kernel stands its sum divided by the sum of its absolute values: 0 for a Laplacian, ±1 for a smoothing.

# %% mystnb={"image": {"alt": "Small coloured squares, the kernels of the first layer in the order of their size."}, "figure": {"name": "fig-network-kernels", "caption": "First-layer kernels after training, the strongest first, each on its own signed scale. Above each: sum over absolute sum."}}
import numpy as np

from wlbook.network import summary


def first_layer(model):
    """Kernels of the first layer on the first bin [y, x, kernel], strongest first."""
    kernels = summary.weights(model)["layers[1].weight"][:, :, 0]
    strength = np.sqrt((kernels**2).sum(axis=(0, 1)))
    return kernels[..., np.argsort(-strength)]


def balance(kernels):
    """Sum of each kernel over its absolute sum: 0 for a Laplacian, 1 for a mean."""
    return kernels.sum(axis=(0, 1)) / np.abs(kernels).sum(axis=(0, 1))


kernels = first_layer(trained.model)
_ = figures.network.kernels(kernels, [f"{value:+.2f}" for value in balance(kernels)])

# %% [markdown]
# The mean size of that ratio is {glue:text}`network-balance`; before training it was
# {glue:text}`network-balance-before`. Our pixels are {glue:text}`network-pixel` wide, {glue:text}`network-pixel-ratio` times those of the paper,
# noise fills them, and the maps come smoothed: what one layer did there, several may share here. So do not expect the
# paper's kernels, and do not read much into single ones.
#
# ## Predicted against true
#
# Now the test: maps of the same design from boxes the network has never seen, with noise of their own. Each
# prediction is a mean over the map's 8 turned and mirrored copies, as in the paper.

# %%
from wlbook.simulation import select

test = select(data, "test")
kappa, models = test["kappa"].values, test["model"].values
truth = np.stack([test["omega_m"].values, test["sigma_8"].values], axis=1)


def ask(trained, survey, kappa, **options):
    """Omega_m and sigma_8 that a network reads off maps, each with noise of its own."""
    asked = {"trained": trained, "survey": survey, "kappa": kappa, **options}
    return store.make(training.predictions, **asked, side=side, seed=seed)


answers = [ask(one, survey, kappa) for one in networks.values()]
noiseless_answers = [ask(one, noiseless, kappa) for one in without_noise.values()]

# %% mystnb={"image": {"alt": "Three panels: predicted against true Omega_m, sigma_8 and S8 with the diagonal; S8 follows it closely, the other two loosely."}, "figure": {"name": "fig-network-predictions", "caption": "Predictions on test seeds: every map (light), mean and scatter of each model (dots; hollow where the model was held out of training)."}}
from wlbook.network import training_set
from wlbook.simulation import cosmology

predicted = answers[0]
s_8, s_8_predicted = cosmology.s_8(*truth.T), cosmology.s_8(*predicted.T)
train = select(data, "train")
held_out = training_set.is_held_out(train["model"].values)
learnt, n_learnt = np.unique(train["model"].values[~held_out], return_counts=True)
unseen = ~np.isin(models, learnt)
_ = figures.network.predicted_against_true(
    np.column_stack([truth, s_8]),
    np.column_stack([predicted, s_8_predicted]),
    [r"$\Omega_m$", r"$\sigma_8$", r"$S_8$"],
    groups=models,
    hollow=np.unique(models[unseen]),
)

# %% [markdown]
# How good is that? $R^2$ is the share of the variance that the answers explain: 1 is perfect, 0 no better than always
# answering the mean.

# %%
from wlbook.network import calibration

r2 = [calibration.scores(truth, one, unseen) for one in answers]
r2_noiseless = [calibration.scores(truth, one, unseen) for one in noiseless_answers]
rmse = np.sqrt(np.mean((predicted - truth) ** 2, axis=0))

# %% [markdown]
# One noisy map explains a share $R^2$ = {glue:text}`network-r2-s8` of the variance of {term}`S8` over the design
# ({glue:text}`network-seeds`; with `n_seeds` above 1 each number here has its scatter over seeds), and
# {glue:text}`network-r2-unseen` on the models held out of training. For $\Omega_m$ it is
# {glue:text}`network-r2-omega_m`, for $\sigma_8$ {glue:text}`network-r2-sigma_8`. Lensing measures the product of how much
# matter there is and how clumped it is, so a high $\Omega_m$ with a low $\sigma_8$ looks like its opposite. That is
# why $S_8$ is read better than either alone.
#
# Networks that learnt from noiseless maps, and are asked on noiseless maps, reach {glue:text}`network-r2-noiseless-s8`
# for $S_8$ ({glue:text}`network-r2-noiseless-unseen` on the models held out), {glue:text}`network-r2-noiseless-omega_m`
# for $\Omega_m$ and {glue:text}`network-r2-noiseless-sigma_8` for $\sigma_8$, after
# {glue:text}`network-noiseless-steps` steps.
#
# ## Calibration: a prediction is a statistic
#
# Look at the means of the models. On the left they are held against the truth, model by model.

# %% mystnb={"image": {"alt": "Two panels: on the left the bias of S8 falls with true S8, on the right it scatters around zero after calibration."}, "figure": {"name": "fig-network-calibration", "caption": "Mean answer minus truth for each model, against the true S8; bars are the error of the mean, as if the maps of a box were independent. Left: as the network answers. Right: after its straight-line response, measured on the filled models, is inverted. Hollow: models held out of training."}}
by_model = calibration.by_model(s_8[:, None], s_8_predicted[:, None], models)
table = by_model.isel(parameter=0)
hollow = ~np.isin(table["model"].values, learnt)
line = ~hollow if (~hollow).sum() > 1 else slice(None)  # through all if it must be
slope, offset = np.polyfit(table["truth"][line], table["mean"][line], 1)
calibrated = (table["mean"] - offset) / slope
means = [table["mean"], calibrated]
errors = [table["error"], table["error"] / abs(slope)]
_ = figures.network.bias(table["truth"], means, errors, hollow=hollow, name="$S_8$")

# %% [markdown]
# A straight line through the means has slope {glue:text}`network-slope`, and the typical bias of a model is
# {glue:text}`network-bias`, beside a scatter from map to map of {glue:text}`network-scatter`. This *regression to the
# mean* is no fault. Whoever wants the smallest squared error on noisy data must answer closer to the middle. It only
# means that a prediction is no estimate of the truth. The remedy is to measure how the answer depends on cosmology, and
# to invert that: on the right the bias is {glue:text}`network-bias-left`, and {glue:text}`network-bias-between` for the
# models between those it learnt from. What is left is more than the scatter explains: the maps of a model share one
# {term}`box`, and its accidents are not the network's. {doc}`06_constraints` does the same in two dimensions, with the scatter: the
# answer is one more statistic of the map, and its likelihood is learnt from simulations.
#
# ### Another noise than it was trained with
#
# A survey is not as deep everywhere. What does this network say to maps with more or fewer galaxies than it knows?

# %% mystnb={"image": {"alt": "Slope and scatter of predicted S8 against the number of galaxies; the slope changes away from the training depth."}, "figure": {"name": "fig-network-noise", "caption": "The same network asked at other depths. Slope of the mean answer against the true S8 (blue) and scatter of a map about its model's mean (orange), every fourth test map (all, if they are fewer than 512). The dashed line is the depth of training."}}
fourth = slice(None, None, 4 if len(kappa) >= 512 else 1)
few, few_s_8, few_models = kappa[fourth], s_8[fourth], models[fourth]


def response(depth):
    """Slope and scatter of the network's S8 at another source density [arcmin^-2]."""
    answer = ask(trained, replace(survey, n_gal=depth), few, copies=1)
    told = cosmology.s_8(*answer.T)
    at_depth = calibration.by_model(few_s_8[:, None], told[:, None], few_models)
    return calibration.slope(at_depth)[0], at_depth["scatter"].values.mean()


depths = n_gal * np.array([0.25, 0.5, 1, 2, 4])
slopes, scatters = np.transpose([response(float(depth)) for depth in depths])
_ = figures.network.responses(depths, slopes, scatters, trained=n_gal)

# %% [markdown]
# With {glue:text}`network-shallow` galaxies for each arcmin² the slope is {glue:text}`network-slope-shallow`, at the
# depth of training {glue:text}`network-slope-trained`: the response itself has changed. So a calibration holds for one
# survey only, and a network is to be trained on the noise it will be used with.
#
# ## Recipes, seeds and a null
#
# What if the loss, the optimiser or the seed had been another? And is there more in the maps than their spectra? Small
# networks answer quickly: pixels averaged in squares of 2 x 2, {glue:text}`network-small-steps` steps. Two differ in
# their seed alone. Two follow the recipes of the papers (`absolute` with `ribli18`, `likelihood` with `deeplss`, see
# the modules `losses` and `optimisers`) at their published rates. The {term}`null <null network>` learns from maps
# whose {term}`phases` are drawn anew at each step: Gaussian fields with the spectra of the maps. And one has never seen
# the models with the highest $S_8$, {glue:text}`network-n-blind` of them.

# %%
s_8_learnt = cosmology.s_8(train["omega_m"].values, train["sigma_8"].values)
s_8_of = dict(zip(train["model"].values.tolist(), s_8_learnt, strict=True))
n_blind = max(1, min(4, len(s_8_of) - 3))  # others remain to learn from
highest = sorted(s_8_of, key=s_8_of.get)[-n_blind:]

quick = replace(settings, steps=small_steps, coarsen=2)
own_rate = replace(quick, learning_rate=None)  # of each recipe
paper_a = replace(own_rate, loss="absolute", optimiser="ribli18")
paper_b = replace(own_rate, loss="likelihood", optimiser="deeplss")
gaussian = pipeline.gaussian(data)
small = {
    "reference": {"training": quick},
    "another seed": {"training": quick, "seed": seed + 1},
    "paper A's recipe": {"training": paper_a},
    "paper B's recipe": {"training": paper_b},
    "null": {"training": quick, "transform": gaussian},
    "blind above": {"training": replace(quick, held_out=highest)},
}

# %% [markdown]
# The null is also asked about such fields: it answers about what it has learnt from.

# %%
common = recipe | {"seed": seed}
small_networks = pipeline.together(store, training.fit, small, **common)
small_answers = {}
for name, one in small_networks.items():
    degraded = {"transform": gaussian} if name == "null" else {}
    answer = ask(one, survey, few, copies=2, **degraded)
    small_answers[name] = cosmology.s_8(*answer.T)

# %% mystnb={"image": {"alt": "Left: R squared of six small networks as dots. Right: predicted against true S8 for the reference network and for the one that never saw the highest models; the latter bends down there."}, "figure": {"name": "fig-network-small", "caption": "Left: R² of S8 on test seeds for each small network. Right: the mean answer for each model, of the reference (filled) and of the network that has not seen the models right of the dashed line (hollow)."}}
scores, means = {}, {}
for name, answer in small_answers.items():
    scores[name] = calibration.r_squared(few_s_8, answer)
    by_model = calibration.by_model(few_s_8[:, None], answer[:, None], few_models)
    means[name] = by_model["mean"][:, 0]
edge = s_8_of[highest[0]]
pair = {name: means[name] for name in ("reference", "blind above")}
_ = figures.network.scores_and_edge(scores, by_model["truth"][:, 0], pair, edge=edge)

# %%
reference, another = small_answers["reference"], small_answers["another seed"]
spread = np.std(reference - another) / np.sqrt(2)  # of one network
error = np.std(reference - few_s_8)  # of one map's answer
above = few_s_8 >= edge
beyond = {}
for name in pair:
    off = small_answers[name][above] - few_s_8[above]
    beyond[name] = off.mean() if above.any() else np.nan

# %% [markdown]
# - *Seeds.* $R^2$ is {glue:text}`network-small-reference` and {glue:text}`network-small-seed`. The two answers to one map
#   differ by {glue:text}`network-spread` (standard deviation of one network), beside an error of
#   {glue:text}`network-error`: most of the error is in the map, not in the network, and an
#   {term}`ensemble` can take away the smaller part only.
# - *Recipes.* Paper A's gives {glue:text}`network-small-recipe-a`, paper B's {glue:text}`network-small-recipe-b`. Both
#   were made for far more steps, at rates that have hardly moved a network after so few. A cycle of the learning
#   rate pays when steps are dear; that is all this says.
# - *The null* reaches {glue:text}`network-small-null`. On Gaussian fields the power spectrum holds everything, so what
#   the reference has above that, if anything, it did not learn from the spectrum.
# - *Beyond the design.* On the models it has never seen the blind network is off by
#   {glue:text}`network-beyond-blind`, the reference by {glue:text}`network-beyond-reference`. A network does not
#   extrapolate: near the edge of its design it answers from inside.
#
# ## How far the network sees
#
# A pixel behind a layer has seen a square of the input, its {term}`receptive field`. It grows with each layer. On the
# right axis the same length is given at the distance where the nearest sources are lensed most.

# %% mystnb={"image": {"alt": "Receptive field growing from layer to layer up to the size of the map, with the half-width of the measured sensitivity well below."}, "figure": {"name": "fig-network-field", "caption": "Receptive field behind each convolution: the square a pixel can see (blue), and the smallest centred square that holds 90 % of its squared sensitivity, measured on the trained network (orange). The grey line is the map's side."}}
from wlbook.network import Convolution, Residual
from wlbook.simulation import fiducial, observe

shown = observe(kappa[::48], survey, pixel=pixel, key=jax.random.key(seed))
trunk = [row for row in rows if row.depth == 0]
fields, measured = [], []
for number, layer in enumerate(trained.model.layers):
    if isinstance(layer, Convolution | Residual):
        first_layers = trained.layers[: number + 2]  # the first one scales the map
        fields.append(trunk[number].receptive_field * pixel)
        measured.append(network.effective_field(first_layers, shown) * pixel)
redshift = 0.4 * min(data.attrs["source_redshift"])  # of most lensing, roughly
distance = cosmology.distance(cosmology.Cosmology(*fiducial(data)), redshift)
scale = np.radians(1 / 60) * float(distance)  # of an arcminute [Mpc/h]
lengths = {"side": side, "scale": scale, "redshift": redshift}
_ = figures.network.receptive_fields(fields, measured, **lengths)

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
# - The network is limited by noise, not by size: without noise it has the table's last $R^2$ after fewer steps.
#
# | | paper A | here |
# |---|---|---|
# | map | 512² pixels, 3.5° | {glue:text}`network-map` |
# | weights | 8,319,650 | {glue:text}`network-weights` |
# | training | 30 passes over 96 x 512 maps | {glue:text}`network-seen` |
# | $R^2$ of $S_8$ on unseen seeds | not given | {glue:text}`network-r2-s8` |
# | the same on unseen models | not given | {glue:text}`network-r2-unseen` |
# | noiseless: unseen seeds, unseen models | not given | {glue:text}`network-r2-noiseless-s8`, {glue:text}`network-r2-noiseless-unseen` |
# | RMSE of $\Omega_m$, $\sigma_8$ | 0.0115, 0.0228, from peak heights, noiseless ({cite:t}`ribli2018`) | {glue:text}`network-rmse` |
#
# The paper's lineage works on noiseless maps with pixels of 0.4 arcmin for its RMSE, on a design of its own:
# the numbers show what noise and resolution cost, not which network is better.

# %% tags=["remove-cell", "nbval-ignore-output"]
from myst_nb import glue

count = network.count_weights(untrained)
bias = {"before": table["mean"] - table["truth"], "left": calibrated - table["truth"]}
between = bias["left"][hollow]
size = {name: float(np.sqrt(np.mean(values**2))) for name, values in bias.items()}
passes, maps_a_model = steps * batch / n_learnt.sum(), n_learnt.mean()
numbers = {
    "weights": f"{count:,}",
    "fewer": f"{8_319_650 / count:.0f}",
    "field": f"{network.receptive_field(untrained) * pixel / 60:.1f}°",
    "side": f"{side:.1f}°",
    "kernel": f"{len(kernels)} x {len(kernels)}",
    "balance": f"{np.abs(balance(kernels)).mean():.2f}",
    "balance-before": f"{np.abs(balance(first_layer(untrained))).mean():.2f}",
    "pixel": f"{pixel:.1f}'",
    "pixel-ratio": f"{pixel * 512 / 210:.2g}",  # theirs: 512 in 3.5 degrees
    "n-blind": "four" if n_blind == 4 else n_blind,
    "seeds": "one network" if n_seeds == 1 else f"{n_seeds} networks",
    "rmse": f"{rmse[0]:.3f}, {rmse[1]:.3f}",
    "noiseless-steps": noiseless_steps,
    "slope": f"{slope:.2f}",
    "bias": f"{size['before']:.3f}",
    "bias-left": f"{size['left']:.3f}",
    "bias-between": f"{np.sqrt(np.mean(between**2)):.3f}" if hollow.any() else "none",
    "scatter": f"{float(table['scatter'].mean()):.3f}",
    "shallow": f"{depths[0]:g}",
    "slope-shallow": f"{slopes[0]:.2f}",
    "slope-trained": f"{slopes[2]:.2f}",
    "beyond-blind": f"{beyond['blind above']:+.3f}",
    "beyond-reference": f"{beyond['reference']:+.3f}",
    "spread": f"{spread:.3f}",
    "error": f"{error:.3f}",
    "small-steps": small_steps,
    "effective": f"{measured[-1]:.0f}'",
    "effective-length": f"{measured[-1] * scale:.0f} Mpc/h",
    "map": f"{pixels}² pixels, {side:.1f}°",
    "seen": f"{passes:.0f} passes over {len(learnt)} x {maps_a_model:.0f} maps",
    "cost": store.cost(),
}
for name in r2[0]:
    numbers[f"r2-{name}"] = calibration.over_seeds([one[name] for one in r2])
    without = [one[name] for one in r2_noiseless]
    numbers[f"r2-noiseless-{name}"] = calibration.over_seeds(without)
short = ("reference", "seed", "recipe-a", "recipe-b", "null", "blind")
for name, value in zip(short, scores.values(), strict=True):
    numbers[f"small-{name}"] = f"{value:.2f}"
for name, value in numbers.items():
    text = str(value).replace("nan", "not measured")
    glue(f"network-{name}", text, display=False)

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
# The weights grow almost with the square of the width, the cost by less: noise and smoothing cost the same at any. $S_8$
# is explained as well by the small network as by the large. $\Omega_m$ and $\sigma_8$ each gain about a tenth from 4 to
# 24 channels: what tells them apart is subtler than the total amplitude.
# ```
#
# ```{exercise} Which loss?
# :label: network-loss
# Run it with `-p loss=absolute`, then with `-p loss=likelihood`. What does the slope of the calibration do, and why
# could you have known?
# ```
# ```{solution} network-loss
# :class: dropdown
# Very little. The squared error asks for the mean of the posterior, the absolute error for its median, and the
# Gaussian likelihood for its mean again, and a variance. Where the posterior is nearly symmetric all three ask the
# same question, so all three regress to the mean alike.
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
explained = np.mean([one["s8"] for one in r2])
noise, usual_noise = sigma_e**2 / n_gal, 0.4**2 / 30
simulated = "particles" in data.attrs  # here, and not read from files
much = simulated and len(learnt) >= 14 and n_learnt.sum() >= 512
if much and architecture == "Compact" and steps >= 400 and noise <= usual_noise:
    assert explained >= 0.5, "half of the variance of S8 on unseen seeds, at least"
    assert 0.4 < slope < 1.1
if much and noise >= usual_noise:
    assert explained < 0.99, "too good for noise: are the splits still separate?"
if much and small_steps >= 250:
    off, reference_off = beyond["blind above"], beyond["reference"]
    assert off < reference_off, "a network must not extrapolate well"
if architecture == "Compact" and width <= 16:
    assert network.count_weights(trained.model) < 500_000
