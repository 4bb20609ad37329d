"""Teaching a network on noisy maps, and asking it: noise drawn afresh at each step, answers in physical units.

`fit` and `ensemble` start from the book's maps, `train` from any arrays; the loop itself is `wlbook.network.trainer`.
Whatever happens on the way, a resumed run ends in the same bits as one that was left alone.
"""

import functools
import inspect
import math
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, Key

from wlbook.common import compiling, random
from wlbook.common.checks import check_finite
from wlbook.common.progress import progress
from wlbook.network import architectures, batches, losses, trainer
from wlbook.network.batches import dihedral
from wlbook.network.estimators import Ensemble, Estimator, without_history
from wlbook.network.trainer import Settings
from wlbook.network.training_set import PARAMETERS, is_held_out
from wlbook.simulation import survey
from wlbook.simulation.dataset import select
from wlbook.simulation.survey import Mask, PerBin, observe_degraded


def train(
    model: eqx.Module,
    kappa: Float[Array | np.ndarray, "map bin y x"] | batches.Streamed,
    targets: Float[Array | np.ndarray, "map output"],
    *,
    steps: int,
    batch: int,
    learning_rate: float | None = None,
    observe: Callable[[Array, Array], Array] = lambda kappa, key: kappa,
    validation: tuple[Any, Any] | None = None,
    checkpoint: Path | None = None,
    save_seconds: float = 10.0,
    key: Key[Array, ""],
    **settings: Any,
) -> Estimator:
    """Fit a network's outputs to targets.

    Each step takes the next `batch` maps of a shuffled pass, observes them with a noise of its own, and turns and
    mirrors them: an eighth in each of the 8 dihedral copies. They are turned as observed, with their mask, because
    that is how `predict` turns them too.

    Args:
        model: a module from `[bin, y, x]` to `[output]`, such as those of `network`; of the order of 1 in and out.
        kappa: maps, of the order of 1.
        targets: what to predict for each map, standardised.
        steps: optimiser steps, >= 1.
        batch: maps in a step, 1 <= batch <= number of maps.
        learning_rate: peak learning rate, > 0; None is the recipe's own.
        observe: from a batch of maps and a key to what the network sees.
        validation: held-out maps and targets, looked at 20 times on the way and never learnt from.
        checkpoint: folder to keep the state in and to go on from.
        save_seconds: time between two checkpoints [s].
        key: of the order of the maps and of the noise.
        settings: the other fields of `Settings`: loss, optimiser, weight_decay, precision, patience.

    Returns:
        The network and its history, with scales of one.

    Raises:
        ValueError: an argument out of range; maps or targets that are not finite; targets that do not vary.
        FloatingPointError: the loss is not finite; the last checkpoint is kept.
    """
    ((trained, history),) = trainer.run(
        [model],
        kappa,
        targets,
        Settings(steps, batch, learning_rate, **settings),
        observe=observe,
        validation=validation,
        checkpoint=checkpoint,
        save_seconds=save_seconds,
        keys=[key],
    )
    outputs = targets.shape[1]
    return Estimator(trained, jnp.float32(1), jnp.zeros(outputs), jnp.ones(outputs), history)


def fit(
    data: xr.Dataset,
    *,
    architecture: str = "Compact",
    width: int | None = None,
    ramps: int | None = None,
    steps: int = 1500,
    batch: int = 32,
    learning_rate: float | None = None,
    n_gal: PerBin = 30.0,
    sigma_e: float = 0.4,
    smoothing: PerBin = 1.0,
    transform: Callable | None = None,
    coarsen: int = 1,
    mask: Mask | None = None,
    loss: str = "squared",
    optimiser: str = "cosine",
    weight_decay: float | None = None,
    precision: str = "float32",
    patience: int | None = None,
    held_out: Sequence[int] | None = None,
    seed: int = 0,
    checkpoint: Path | None = None,
) -> Estimator:
    """Train a network to read (omega_m, sigma_8) off the maps of split "train".

    Some models are held out: their maps show whether the network has learnt cosmology or the boxes it was trained on.
    The maps of split "test" are not looked at.

    Args:
        data: maps with their parameters, as `maps.make` returns them; they need not be loaded.
        architecture: a name in `architectures.NETWORKS`.
        width: channels of the network's first layer; None is the network's own.
        ramps: of `Compact`, which looks at single pixels first if it has any; None is the network's own.
        steps: optimiser steps.
        batch: maps in a step.
        learning_rate: peak learning rate; None is the recipe's own.
        n_gal: source density of each bin [arcmin^-2], > 0.
        sigma_e: total intrinsic ellipticity dispersion; 0 trains on noiseless maps.
        smoothing: standard deviation of the Gaussian of each bin, after the noise [arcmin], >= 0.
        transform: a degradation between noise and smoothing, called as `transform(kappa, key=key)`.
        coarsen: pixels averaged along each side before anything else: fewer pixels, cheaper steps.
        mask: True where observed, on the pixels of the data.
        loss: a name in `losses.LOSSES`; with "likelihood" the network also predicts how sure it is.
        optimiser: a name in `optimisers.OPTIMISERS`.
        weight_decay: None is the recipe's own.
        precision: "float32", or "bfloat16" for the convolutions.
        patience: looks at the held-out maps without a better loss after which to stop; None never stops.
        held_out: models to hold out; by default every eighth from 16 models on, else none.
        seed: of the initial weights, the order of the maps and the noise.
        checkpoint: folder to keep the state in and to go on from.

    Returns:
        The network with its scales: it predicts omega_m and sigma_8 themselves.

    Raises:
        ValueError: an argument out of range, maps that are not finite, no maps of split "train".
        FloatingPointError: the loss is not finite.
    """
    arguments = {name: value for name, value in locals().items() if name not in ("data", "seed")}
    return _fit(data, [seed], **arguments)[0]


def ensemble(data: xr.Dataset, *, members: int, seed: int = 0, checkpoint: Path | None = None, **settings) -> Ensemble:
    """Train networks that differ in their seed only, together: `seed`, `seed + 1`, and so on.

    Args:
        data: as in `fit`.
        members: how many, >= 1.
        seed: of the first member.
        checkpoint: folder to keep the state in and to go on from.
        settings: other arguments of `fit`.

    Raises:
        ValueError: as `fit`; no members.
        TypeError: a setting that `fit` does not know.
    """
    if members < 1:
        raise ValueError(f"members = {members}: must be >= 1")
    defaults = {name: one.default for name, one in inspect.signature(fit).parameters.items()}
    defaults = {name: value for name, value in defaults.items() if name not in ("data", "seed")}
    if unknown := set(settings) - set(defaults):
        raise TypeError(f"{', '.join(sorted(unknown))}: not among the arguments of fit")
    arguments = defaults | settings | {"checkpoint": checkpoint}
    return Ensemble(tuple(_fit(data, range(seed, seed + members), **arguments)))


def _fit(
    data: xr.Dataset,
    seeds: Sequence[int],
    *,
    architecture,
    width,
    ramps,
    n_gal,
    sigma_e,
    smoothing,
    transform,
    coarsen,
    mask,
    held_out,
    checkpoint,
    **settings,
) -> list[Estimator]:
    """One network for each seed."""
    data = select(data, "train")
    if data.sizes["map"] == 0:
        raise ValueError('data holds no map of split "train"')
    set_aside = is_held_out(data["model"].to_numpy(), held_out)
    learnt, aside = (data.isel(map=np.flatnonzero(which)) for which in (~set_aside, set_aside))
    targets, unseen = (np.stack([part[name].to_numpy() for name in PARAMETERS], axis=1) for part in (learnt, aside))
    trainer.check_targets(targets)
    mean, scale = targets.mean(axis=0), targets.std(axis=0)
    kappa, kappa_aside = (batches.source(part["kappa"], factor=coarsen) for part in (learnt, aside))
    if mask is not None:
        mask = np.asarray(survey.coarsen(np.asarray(mask, np.float32), coarsen)) == 1
    look = functools.partial(
        observe_degraded,
        pixel=float(data.attrs["pixel"]) * coarsen,
        n_gal=n_gal,
        sigma_e=sigma_e,
        smoothing=smoothing,
        transform=transform,
        mask=mask,
    )
    sample = kappa[np.arange(0, len(kappa), -(-len(kappa) // 256))]
    check_finite("kappa", kappa if isinstance(kappa, np.ndarray) else sample)
    shown = compiling.called(compiling.by_value(look), jnp.asarray(sample), random.key(seeds[0], "scale"))
    spread = float(np.std(np.asarray(shown)))
    if not (math.isfinite(spread) and spread > 0):
        raise ValueError(f"what the network is shown has standard deviation {spread}: must be finite and > 0")
    outputs = losses.outputs_for(settings["loss"], len(PARAMETERS))
    shape = {"bins": shown.shape[1], "outputs": outputs, "width": width, "ramps": ramps}
    found = trainer.run(
        [
            architectures.make(architecture, **shape, pixels=shown.shape[-1], key=random.key(seed, "weights"))
            for seed in seeds
        ],
        kappa,
        (targets - mean) / scale,
        Settings(**settings),
        observe=lambda maps, key: look(maps, key) / spread,
        validation=(kappa_aside, (unseen - mean) / scale) if len(unseen) else None,
        checkpoint=checkpoint,
        save_seconds=10.0,
        keys=[random.key(seed, "training") for seed in seeds],
    )
    scales = jnp.float32(spread), jnp.asarray(mean, jnp.float32), jnp.asarray(scale, jnp.float32)
    return [Estimator(model, *scales, history, coarsen) for model, history in found]


def predict(
    model: Callable[[Array], Array],
    maps: Float[Array | np.ndarray, "map bin y x"],
    *,
    copies: int = 1,
    batch: int = 256,
) -> Float[np.ndarray, "map output"]:
    """A network's outputs for observed maps.

    Args:
        model: any callable module from `[bin, y, x]` to `[output]`, such as `Estimator`.
        maps: what the network is to see, noise and all.
        copies: dihedral copies averaged over, 1 to 8.
        batch: maps at a time; results do not depend on it.
    """
    return _batched(model, None, maps, None, copies, batch)


def predictions(
    trained: Estimator | Ensemble,
    kappa: Float[Array | np.ndarray, "map bin y x"],
    *,
    side: float,
    n_gal: PerBin,
    sigma_e: float,
    smoothing: PerBin,
    seed: int,
    transform: Callable | None = None,
    mask: Mask | None = None,
    copies: int = 8,
    batch: int = 256,
) -> Float[np.ndarray, "map output"]:
    """A network's outputs for noiseless maps, each observed with a noise of its own.

    Map i gets the noise of `random.key(seed, "noise", i)`, as in `statistics.measure`: with one seed the network and
    the statistics see the same noise.

    Args:
        trained: from `fit` or `ensemble`.
        kappa: noiseless maps.
        side: side of a map [deg].
        n_gal: source density of each bin [arcmin^-2], > 0.
        sigma_e: total intrinsic ellipticity dispersion; 0 is noiseless.
        smoothing: standard deviation of the Gaussian of each bin [arcmin], >= 0.
        seed: of the noise.
        transform: the degradation the network was trained with.
        mask: True where observed, on the pixels of `kappa`.
        copies: dihedral copies averaged over, 1 to 8.
        batch: maps at a time; results do not depend on it.

    Returns:
        omega_m and sigma_8 for each map.

    Raises:
        ValueError: an argument out of range.
    """
    look = functools.partial(
        observe_degraded,
        pixel=60 * side / kappa.shape[-1],
        n_gal=n_gal,
        sigma_e=sigma_e,
        smoothing=smoothing,
        transform=transform,
        factor=trained.coarsen,
        mask=mask,
    )
    return _batched(trained, compiling.by_value(look), kappa, random.key(seed, "noise"), copies, batch)


def _batched(model: Any, look: Any, kappa, stream: Any, copies: int, batch: int) -> np.ndarray:
    """A network's answer to every map, one compiled batch at a time."""
    if len(kappa) == 0:
        raise ValueError("kappa holds no map: must hold >= 1")
    if batch < 1:
        raise ValueError(f"batch = {batch}: must be >= 1")
    if not 1 <= copies <= 8:
        raise ValueError(f"copies = {copies}: must be 1 <= copies <= 8")
    check_finite("kappa", kappa)
    model = without_history(model)
    names = np.array([zlib.crc32(str(i).encode()) for i in range(len(kappa))], np.uint32)
    size, done = min(batch, len(kappa)), []
    for start in progress(range(0, len(kappa), size), "predicting", unit="batch"):
        rows = np.arange(start, start + size) % len(kappa)  # the last batch is filled up: one shape, one compilation
        maps = jnp.asarray(kappa[rows], jnp.float32)
        seen = maps if look is None else _seen(look, stream, maps, names[rows])
        done.append(np.asarray(_answers(model, copies, seen)))
    return np.concatenate(done)[: len(kappa)]


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
