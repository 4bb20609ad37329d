"""A reader's own statistics, degradations and networks, from a file that a page names: `-p extra=mine.py`.

The file marks what it adds with `statistic`, `degradation` or `network`; its name there is the name on the page.

    from wlbook.common.extras import statistic

    @statistic
    def third_moment(kappa):
        return (kappa**3).mean(axis=(-2, -1))

A result that uses a name depends on the text of its file, and no other result does.
"""

import ast
import hashlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

KINDS = ("statistic", "degradation", "network")
Made = TypeVar("Made", bound=Callable[..., Any])


class Extra(NamedTuple):
    """Something of a reader's own."""

    kind: str
    numbers: int  # that a degradation takes behind the maps
    made: Any  # a function, or the class of a network
    digest: str  # of its file


_known: dict[str, Extra] = {}


def statistic(function: Made) -> Made:
    """Mark `f(kappa)` of maps [map, bin, y, x] that gives numbers [map, ...]; it may ask for `side` and `mask` too."""
    return function


def degradation(function: Made) -> Made:
    """Mark `f(kappa, number, ..., *, side, key)` of maps [..., bin, y, x] that gives maps; what it needs not goes."""
    return function


def network(kind: Made) -> Made:
    """Mark a subclass of `wlbook.network.architectures.Network`."""
    return kind


def named_in(path: str | Path) -> dict[str, tuple[str, int]]:
    """What a file marks, found without running it: name -> kind, and how many numbers a degradation takes."""
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError, RecursionError, MemoryError) as error:
        why = " ".join(f"{type(error).__name__}: {error}".split())
        raise ValueError(f"extra = {path}: cannot be read as Python ({why})") from None
    found = {}
    for node in tree.body:
        for mark in getattr(node, "decorator_list", []):
            kind = mark.attr if isinstance(mark, ast.Attribute) else getattr(mark, "id", "")
            if kind in KINDS and isinstance(node, ast.FunctionDef | ast.ClassDef):
                numbers = len(node.args.args) - 1 if isinstance(node, ast.FunctionDef) else 0
                found[node.name] = (kind, numbers)
    if not found:
        raise ValueError(f"extra = {path}: marks nothing; must mark a function or class as one of {', '.join(KINDS)}")
    return found


def load(path: str) -> None:
    """Run the file and know what it marks from now on; "" is no file."""
    if not path:
        return
    digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    wanted, name = named_in(path), f"wlbook_extra_{digest[:16]}"
    if name in sys.modules:
        return
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise ValueError(f"extra = {path}: {type(error).__name__}: {error}".splitlines()[0]) from None
    for one, (kind, numbers) in wanted.items():
        if one in _known and _known[one].digest != digest:
            raise ValueError(f"extra = {path}: {one} is in another file too that this process has read")
        _known[one] = Extra(kind, numbers, getattr(module, one), digest)


def of(kind: str, taken: Iterable[str] = ()) -> dict[str, Any]:
    """What is known of a kind, by name; a name that is taken already is refused."""
    found = {name: extra.made for name, extra in _known.items() if extra.kind == kind}
    if both := found.keys() & set(taken):
        raise ValueError(f"extra: there is a {kind} {min(both)} already, must have another name")
    return found


def digests(text: str) -> dict[str, str]:
    """Which known names stand in a text, and the digests of their files."""
    if not _known:
        return {}
    return {name: _known[name].digest for name in re.split(r"\W+", text) if name in _known}


def numbers() -> dict[str, int]:
    """The degradations that are known, and how many numbers each takes."""
    return {name: extra.numbers for name, extra in _known.items() if extra.kind == "degradation"}


def asked(function: Callable[..., Any], offered: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments offered that a function asks for by name."""
    return {name: value for name, value in offered.items() if name in inspect.signature(function).parameters}
