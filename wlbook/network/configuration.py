"""How a network is trained, in one object that is checked when it is made."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
import optax

from wlbook.common import checks
from wlbook.network import losses, optimisers

PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}


@dataclass(frozen=True)
class Training:
    """How to train.

    Attributes:
        steps: optimiser steps, >= 1.
        batch: maps in a step, >= 1.
        learning_rate: peak learning rate, > 0; None is the recipe's own.
        loss: a name in `losses.LOSSES`; with "likelihood" the network also predicts how sure it is.
        optimiser: a name in `optimisers.OPTIMISERS`.
        weight_decay: >= 0; None is the recipe's own.
        precision: "float32", or "bfloat16" for the convolutions; weights, their updates and losses stay float32.
        patience: looks at the held-out maps (20 in a training) without a better loss after which to stop and go back
            to the best weights; None never stops and keeps the last ones.
        coarsen: pixels averaged along each side before anything else: fewer pixels, cheaper steps; >= 1.
        held_out: models not to learn from; None is every eighth from 16 models on, else none.
    """

    steps: int = 1500
    batch: int = 32
    learning_rate: float | None = None
    loss: str = "squared"
    optimiser: str = "cosine"
    weight_decay: float | None = None
    precision: str = "float32"
    patience: int | None = None
    coarsen: int = 1
    held_out: Sequence[int] | None = None

    def __post_init__(self) -> None:
        for name, least in {"steps": 1, "batch": 1, "coarsen": 1, "patience": 1, "weight_decay": 0}.items():
            if (value := getattr(self, name)) is not None:
                checks.at_least(name, value, least)
        if self.learning_rate is not None:
            checks.positive("learning_rate", self.learning_rate)
        checks.one_of("precision", self.precision, PRECISIONS)
        losses.outputs_for(self.loss, 1)
        optimisers.recipe(self.optimiser)
        if self.held_out is not None:  # hashable
            object.__setattr__(self, "held_out", tuple(int(model) for model in self.held_out))

    def optimizer(self) -> optax.GradientTransformation:
        """The recipe with these numbers."""
        recipe = optimisers.recipe(self.optimiser)
        rate = recipe.learning_rate if self.learning_rate is None else self.learning_rate
        decay = recipe.weight_decay if self.weight_decay is None else self.weight_decay
        return recipe.make(self.steps, rate, decay)
