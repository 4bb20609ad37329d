"""The package's functions, called with settings in a row: a test changes one of them and leaves the others alone."""

import dataclasses
from typing import Any

import jax.numpy as jnp

from wlbook.degradation import amortised, summary_networks
from wlbook.network import trainer, training
from wlbook.network.architectures import Architecture
from wlbook.network.configuration import Training
from wlbook.network.estimators import Estimator
from wlbook.simulation import survey
from wlbook.simulation.survey import Survey


def parted(kind: type, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """A configuration of the options that are its own, and the other options."""
    names = {field.name for field in dataclasses.fields(kind)}
    mine = {name: value for name, value in options.items() if name in names}
    return kind(**mine), {name: value for name, value in options.items() if name not in names}


def observe(kappa, key, **options):
    look, rest = parted(Survey, options)
    return survey.observe(kappa, look, **rest, key=key)


def fit(data, *, architecture="Compact", width=None, ramps=None, **options):
    look, rest = parted(Survey, options)
    how, rest = parted(Training, rest)
    return training.fit(data, Architecture(architecture, {"width": width, "ramps": ramps}), look, how, **rest)


def predictions(trained, kappa, **options):
    look, rest = parted(Survey, options)
    return training.predictions(trained, kappa, look, **rest)


def fit_amortised(data, **options):
    look, rest = parted(Survey, options)
    how, rest = parted(Training, rest)
    return amortised.fit(data, look, how, **rest)


def tuned(network, data, **options):
    look, rest = parted(Survey, options)
    how, rest = parted(Training, rest)
    return amortised.tuned(network, data, look, how, **rest)


def ask_amortised(network, kappa, **options):
    look, rest = parted(Survey, options)
    return amortised.predictions(network, kappa, look, **rest)


def fit_twin(data, **options):
    look, rest = parted(Survey, options)
    how, rest = parted(Training, rest)
    return summary_networks.fit(data, look, how, **rest)


def train(model, kappa, targets, *, observe=lambda kappa, key: kappa, checkpoint=None, key, **options):
    """The loop on arrays, its outputs not scaled."""
    found, history = trainer.run(
        model, kappa, targets, Training(**options), observe=observe, checkpoint=checkpoint, key=key
    )
    number = targets.shape[1]
    return Estimator(found, jnp.float32(1), jnp.zeros(number), jnp.ones(number), history)
