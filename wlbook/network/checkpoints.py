"""Networks on disk: the state of a training, whole or not at all; and what came out of one, described."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import PyTree


def save(folder: Path, state: PyTree) -> None:
    """Write the state aside and rename it: a kill leaves the old one or the new one."""
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"state.{os.getpid()}.part"
    with aside.open("wb") as file:
        eqx.tree_serialise_leaves(file, state)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(folder / "state.eqx")


def resume(folder: Path, initial: dict[str, Any]) -> dict[str, Any]:
    """The state kept in `folder`, or the initial one where there is none; their entry "of" tells trainings apart.

    What is no state, or that of another training, is refused.
    """
    path = folder / "state.eqx"
    for torn in folder.glob("state.*.part"):  # of a process that was killed while it wrote
        torn.unlink(missing_ok=True)
    if not path.exists():
        return initial
    try:
        kept = eqx.tree_deserialise_leaves(path, initial)
    except Exception as error:  # Equinox raises bare RuntimeErrors, NumPy ValueErrors and EOFErrors
        raise ValueError(f"checkpoint = {path}: is not a state of this training; delete it to start again") from error
    if kept["of"] != initial["of"]:
        raise ValueError(f"checkpoint = {path}: was made with other arguments; delete it to start again")
    return kept


def finite(tree: PyTree) -> bool:
    """Whether every number in every array of `tree` is finite."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    return all(bool(np.isfinite(np.asarray(leaf)).all()) for leaf in leaves)


def write(folder: Path, trained: Any, **described: Any) -> None:
    """Write a trained network: what describes it and its history as JSON, its other arrays as Equinox leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    described |= {"history": trained.history, "coarsen": trained.coarsen}
    (folder / "described.json").write_text(json.dumps(described, default=lambda array: np.asarray(array).tolist()))
    eqx.tree_serialise_leaves(folder / "leaves.eqx", dataclasses.replace(trained, history={}))


def read(folder: Path, blank: Callable[[dict[str, Any]], Any]) -> Any:
    """What `write` wrote; `blank` makes a network of that structure from the description, values not looked at."""
    described = json.loads((folder / "described.json").read_text())
    trained = eqx.tree_deserialise_leaves(folder / "leaves.eqx", eqx.filter_eval_shape(lambda: blank(described)))
    history = {name: np.asarray(values) for name, values in described["history"].items()}
    return dataclasses.replace(trained, history=history, coarsen=described["coarsen"])
