"""Chapter 5's trainings, each on maps that lack something, kept in the store: their price, and their answers.

Like `wlbook.pipeline` it knows both the science and the store.
"""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Num

from wlbook.common import random
from wlbook.common.progress import note
from wlbook.common.threads import two_at_a_time
from wlbook.degradation import amortised, summary_networks
from wlbook.degradation.amortised import Amortised
from wlbook.inference.figure_of_merit import Named
from wlbook.network import trainer, training, training_set
from wlbook.network.architectures import Architecture
from wlbook.network.trainer import Training
from wlbook.runner.cache_keys import key_of
from wlbook.runner.store import Store
from wlbook.simulation.survey import Survey


class Work(NamedTuple):
    """A training that is wanted: its function, its inputs, and how many steps it takes."""

    function: Callable[..., Any]
    inputs: dict[str, Any]
    steps: int


def seconds(store: Store, work: Work) -> float | None:
    """What a training cost when it was made [s]; None if the store does not hold it."""
    described = store.describe(work.function, **work.inputs)
    found = store.manifest(described["stage"], key_of(described))
    return None if found is None else float(found["seconds"])


def training_cost(store: Store, wanted: Sequence[Work], step: Callable[[], float]) -> str:
    """How long the trainings that the store does not hold will take, in one line.

    `step` measures the seconds of a step; it is called only if there is something to train. Two are trained at a time:
    they share the machine's cores, so that is worth a third.
    """
    missing = [work for work in wanted if seconds(store, work) is None]
    if not missing:
        return f"All {len(wanted)} trainings are in the store."
    each, steps = step(), sum(work.steps for work in missing)
    return (
        f"{len(missing)} of {len(wanted)} trainings to do: {steps} steps of {1e3 * each:.0f} ms, "
        f"about {each * steps / 1.3 + 3 * len(missing):.0f} s."
    )


@dataclasses.dataclass(frozen=True)
class Experiment:
    """How networks are trained on maps from which information is taken, and asked."""

    survey: Survey  # noise before the degradation, and smoothing after all else
    training: Training  # of every network that learns one degradation
    architecture: Architecture  # of these networks, "Compact"; the amortised network takes its width and ramps
    noise_after: float = 0.0  # standard deviation of white noise behind the degradation, in a pixel of the coarse maps
    redshifts: tuple[float, ...] = ()  # of each bin's lenses, for comoving scales that name none
    seed: int = 0  # of weights and noise


class Degraded(NamedTuple):
    """A network that learnt from degraded maps, what it is to be shown, and what it cost."""

    network: Any  # an `Estimator`; the amortised and the tuned ones are `Amortised`
    survey: Survey  # that it sees maps with
    transform: Callable[..., Any] | None  # the degradation that an `Estimator` learnt
    seconds: float  # that its training took when it was made


def degraded(
    store: Store,
    data: xr.Dataset,
    experiment: Experiment,
    transforms: Mapping[str, Callable[..., Any]],
    *,
    amortised_steps: int,
    n_seeds: int = 1,
    twins: str = "checks",
) -> dict[Named, Degraded]:
    """Train all that chapter 5 compares, two at a time, the longest training first; say beforehand how long it takes.

    One amortised network for all degradations (`amortised.fit`), networks retrained under each (`training.fit`), and
    the twins that check them (`summary_networks.fit`).

    Args:
        transforms: degradations by name; "none" is the reference.
        n_seeds: networks retrained for each degradation; the reference gets one more.
        twins: spectra twins of what must agree exactly ("checks"), or of every degradation ("all").

    Returns:
        The networks: ("amortised", "all", 0), ("retrained", name, number), ("spectra twin", name, 0) and
        ("histogram twin", "none", 0).
    """
    steps, survey, seed = experiment.training.steps, experiment.survey, experiment.seed
    shared = {"data": data, "survey": survey, "training": experiment.training, "seed": seed}
    longer = dataclasses.replace(experiment.training, steps=amortised_steps)
    one = {**shared, "training": longer, "noise_after": experiment.noise_after, **experiment.architecture.settings}
    wanted: dict[Named, Work] = {("amortised", "all", 0): Work(amortised.fit, one, amortised_steps)}
    for spec, transform in transforms.items():
        for number in range(n_seeds + (spec == "none")):
            inputs = {"architecture": experiment.architecture, "transform": transform, "seed": seed + number}
            wanted["retrained", spec, number] = Work(training.fit, {**shared, **inputs}, steps)
    # A twin's steps cost next to nothing.
    shared["training"] = dataclasses.replace(experiment.training, steps=3 * steps, learning_rate=3e-3)
    for spec in transforms if twins == "all" else [spec for spec in ("none", "randomize_phases") if spec in transforms]:
        inputs = {"kind": "spectra", "transform": transforms[spec]}
        wanted["spectra twin", spec, 0] = Work(summary_networks.fit, {**shared, **inputs}, 0)
    # Smoothing a shuffled map mixes its pixels; it can be undone, not counted.
    inputs = {"kind": "histogram", "transform": transforms["none"]}
    shared["survey"] = dataclasses.replace(survey, smoothing=0.0)
    wanted["histogram twin", "none", 0] = Work(summary_networks.fit, {**shared, **inputs}, 0)

    step = functools.partial(_step_seconds, data, experiment, transforms["none"])
    line = training_cost(store, list(wanted.values()), step)
    note(line)
    print(line)
    made = two_at_a_time(lambda work: _made(store, work), wanted.values())
    return dict(zip(wanted, made, strict=True))


def _step_seconds(data: xr.Dataset, experiment: Experiment, transform: Callable[..., Any]) -> float:
    """Seconds of a training step here."""
    taught = training_set.prepare(data, experiment.survey, experiment.training)
    _, bins, _, pixels = taught.kappa.shape
    fresh = experiment.architecture.build(bins=bins, outputs=2, pixels=pixels, key=random.key(experiment.seed, "price"))
    look = functools.partial(taught.look, transform=transform)
    return trainer.step_seconds(fresh, look, taught.kappa, batch=experiment.training.batch)


def _made(store: Store, work: Work) -> Degraded:
    """What the store holds of a training, done first if need be."""
    network = store.make(work.function, **work.inputs)
    if work.function is summary_networks.fit:
        network = network.trained
    return Degraded(network, work.inputs["survey"], work.inputs.get("transform"), seconds(store, work) or 0.0)


def tuned(
    store: Store, data: xr.Dataset, experiment: Experiment, network: Amortised, specs: Sequence[str], further: Training
) -> dict[Named, Degraded]:
    """The amortised network, trained `further` under single degradations that it knows: ("tuned", name, 0)."""
    common = {"amortised": network, "data": data, "survey": experiment.survey, "training": further}
    common |= {name: getattr(experiment, name) for name in ("noise_after", "redshifts", "seed")}
    works = {spec: Work(amortised.tuned, {**common, "spec": spec}, further.steps) for spec in specs}
    return {("tuned", spec, 0): _made(store, work) for spec, work in works.items()}


def answers(
    store: Store,
    networks: Mapping[Named, Degraded],
    kappa: Num[np.ndarray, "map bin y x"],
    experiment: Experiment,
    *,
    side: float,
    ladder: Sequence[str] = (),
) -> dict[Named, np.ndarray]:
    """What networks say about maps that are degraded as those they learnt from: omega_m and sigma_8 [map, 2].

    Networks are from `degraded` or `tuned`, `kappa` noiseless, `side` in degrees. The amortised network is asked about
    the `ladder` of degradations, ("amortised", name, 0) each in the result, a tuned one about its own.
    """
    shown = {"kappa": kappa, "side": side, "seed": experiment.seed}
    told = {**shown, "noise_after": experiment.noise_after, "redshifts": experiment.redshifts}

    def answer(which: Named) -> dict[Named, np.ndarray]:
        way, spec, number = which
        one = networks[which]
        if isinstance(one.network, Amortised):
            specs = list(ladder) if way == "amortised" else [spec]
            if not specs:
                return {}
            asked = {"amortised": one.network, "survey": one.survey, "specs": specs}
            found = store.make(amortised.predictions, **asked, **told)
            return {(way, spec, number): values for spec, values in zip(specs, found, strict=True)}
        asked = {"trained": one.network, "survey": one.survey, "transform": one.transform, "copies": 1}
        return {which: store.make(training.predictions, **asked, **shown)}

    found: dict[Named, np.ndarray] = {}
    for part in two_at_a_time(answer, networks):
        found |= part
    return found
