"""Networks on disk: the state of a training, whole or not at all; and what came out of one, described."""

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
    """The state kept in `folder`, or the initial one where there is none.

    Args:
        folder: where `save` wrote.
        initial: a state of the same structure; its entry "of" tells trainings apart.

    Raises:
        ValueError: what lies there is no state, or that of another training.
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


def write(folder: Path, described: dict[str, Any], leaves: PyTree) -> None:
    """Write what describes an object (JSON; arrays as lists) and its arrays (Equinox leaves) into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "described.json").write_text(json.dumps(described, default=lambda array: np.asarray(array).tolist()))
    eqx.tree_serialise_leaves(folder / "leaves.eqx", leaves)


def read(folder: Path, blank: Callable[[dict[str, Any]], PyTree]) -> tuple[dict[str, Any], PyTree]:
    """What `write` wrote; `blank` makes arrays of the same structure from the description, values not looked at."""
    described = json.loads((folder / "described.json").read_text())
    return described, eqx.tree_deserialise_leaves(
        folder / "leaves.eqx", eqx.filter_eval_shape(lambda: blank(described))
    )


def history_of(described: dict[str, Any]) -> dict[str, np.ndarray]:
    """The history of a training in a description."""
    return {name: np.asarray(values) for name, values in described["history"].items()}
