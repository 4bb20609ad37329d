"""Teaching a network on noisy maps, and asking it: noise drawn afresh at each step, answers in physical units.

The loop itself is `wlbook.network.trainer`. Whatever happens on the way, a resumed run ends in the same bits as one
that was left alone.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float

from wlbook.common import arrays, batching, checks, compiling, random
from wlbook.common.progress import progress
from wlbook.network import losses, trainer
from wlbook.network.architectures import Architecture
from wlbook.network.batches import dihedral
from wlbook.network.configuration import Training
from wlbook.network.estimators import Estimator, without_history
from wlbook.network.training_set import look_at, prepare, spread
from wlbook.simulation.survey import Mask, Survey


def fit(
    data: xr.Dataset,
    architecture: Architecture,
    survey: Survey,
    training: Training,
    *,
    transform: Callable[..., Array] | None = None,
    mask: Mask | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Estimator:
    """Train a network to read (omega_m, sigma_8) off the maps of split "train".

    Some models are held out: their maps show whether the network has learnt cosmology or the boxes it was trained on.
    The maps of split "test" are not looked at.

    Args:
        data: maps with their parameters; they need not be loaded.
        survey: noise and smoothing of what the network sees, drawn afresh at every step.
        transform, mask: a degradation and what is observed, as in `survey.observe`.
        seed: of the initial weights, the order of the maps and the noise.
        checkpoint: folder to keep the state in and to go on from.

    Returns:
        The network with its scales: it predicts omega_m and sigma_8 themselves.
    """
    taught = prepare(data, survey, training, mask)
    shown = taught.shown(transform, seed)
    scale = spread(shown)
    shape = {"bins": shown.shape[1], "pixels": shown.shape[-1]}
    outputs = losses.outputs_for(training.loss, taught.targets.shape[1])
    model, history = trainer.run(
        architecture.build(**shape, outputs=outputs, key=random.key(seed, "weights")),
        taught.kappa,
        taught.targets,
        training,
        observe=lambda maps, key: taught.look(maps, key, transform=transform) / scale,
        validation=taught.held_out,
        checkpoint=checkpoint,
        key=random.key(seed, "training"),
    )
    return Estimator(model, jnp.float32(scale), *taught.scales, history, training.coarsen)


def predict(
    model: Callable[[Array], Array],
    maps: Float[Array | np.ndarray, "map bin y x"],
    *,
    copies: int = 1,
    batch: int = 256,
) -> Float[np.ndarray, "map output"]:
    """A network's outputs for observed maps.

    Any callable module will do. Maps are what it is to see, noise and all, `batch` of them at a time, which changes no
    result; answers are averaged over 1 to 8 dihedral copies.
    """
    return _batched(model, None, maps, None, copies, batch)


def predictions(
    trained: Estimator,
    kappa: Float[Array | np.ndarray, "map bin y x"],
    survey: Survey,
    *,
    side: float,
    seed: int,
    transform: Callable[..., Array] | None = None,
    mask: Mask | None = None,
    copies: int = 8,
    batch: int = 256,
) -> Float[np.ndarray, "map output"]:
    """A network's outputs for noiseless maps, each observed with a noise of its own.

    Map i gets the noise of `random.key(seed, "noise", i)`, as in `statistics.measure`: with one seed the network and
    the statistics see the same maps. The network is from `fit`, `side` that of a map [deg]; `transform` is the
    degradation that it was trained with, and it and the mask are as in `survey.observe`, copies and batch as in
    `predict`.
    """
    options = {"survey": survey, "pixel": 60 * side / kappa.shape[-1], "transform": transform, "mask": mask}
    look = compiling.by_value(functools.partial(look_at, **options, factor=trained.coarsen))
    return _batched(trained, look, kappa, random.key(seed, "noise"), copies, batch)


def _batched(model: Any, look: Any, kappa, stream: Any, copies: int, batch: int) -> np.ndarray:
    """A network's answer to every map, one compiled batch at a time."""
    kappa = arrays.real("kappa", kappa)
    if len(kappa) == 0:
        raise ValueError("kappa holds no map: must hold >= 1")
    checks.at_least("batch", batch, 1)
    checks.require(1 <= copies <= 8, "copies", copies, "1 <= copies <= 8")
    checks.check_finite("kappa", kappa)
    model, names, done = without_history(model), random.of_maps(len(kappa)), []
    for rows, fresh in progress(batching.equal(len(kappa), batch), "predicting", unit="batch"):
        maps = jnp.asarray(kappa[rows], jnp.float32)
        seen = maps if look is None else _seen(look, stream, maps, names[rows])
        done.append(np.asarray(_answers(model, copies, seen))[:fresh])
    return np.concatenate(done)


@compiling.filter_compiled
def _seen(look: Any, stream: Any, kappa: Array, names: Array) -> Array:
    """Each map observed with a noise of its own; apart from `_answers`, which all that is looked at shares."""
    return jax.vmap(lambda kappa, name: look(kappa, jax.random.fold_in(stream, name)))(kappa, names)


@compiling.filter_compiled
def _answers(model: Any, copies: int, seen: Array) -> Array:
    """The mean answer over dihedral copies of each map."""

    def one(seen: Array) -> Array:
        return sum(model(dihedral(seen, copy)) for copy in range(copies)) / copies  # pyright: ignore[reportReturnType]

    return jax.vmap(one)(seen)
