"""Which source files a result depends on, found by reading imports and never by running them."""

import ast
import functools
import hashlib
import importlib.util
import json
import os
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

#: Modules whose edits cannot change a result.
IGNORED = frozenset({"wlbook.progress"})

_first_seen: dict[Path, str] = {}
_parsing = threading.Lock()  # CPython 3.11's ast.parse fails now and then in two threads at once


class SourceChangedError(RuntimeError):
    """A module was edited after this process imported it: what it computes is no longer what the file says."""


def repository() -> Path:
    """The folder that holds `book/` and `wlbook/`: $WLBOOK_ROOT, else where this package lies."""
    return Path(os.environ.get("WLBOOK_ROOT") or Path(__file__).parent.parent).resolve()


def tell_runner(event: dict[str, Any]) -> bool:
    """Note what a page used, for the runner: a line of JSON in the file $WLBOOK_USED; False if there is no runner."""
    path = os.environ.get("WLBOOK_USED")
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
    return bool(path)


def sha256(path: Path) -> str:
    """Hexadecimal sha256 of a file's raw bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def source_file(module: str) -> Path | None:
    """The source file of a module, found without importing the module itself; None for what has none."""
    top, *rest = module.split(".")
    try:
        spec = importlib.util.find_spec(top)
    except ValueError:
        return None
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return None
    path = Path(spec.origin)
    for name in rest:
        if path.name != "__init__.py":
            return None
        folder = path.parent / name
        path = folder / "__init__.py" if folder.is_dir() else path.parent / f"{name}.py"
        if not path.is_file():
            return None
    return path


def imports(source: str, *, package: str = "", tops: frozenset[str] = frozenset({"wlbook"})) -> set[str]:
    """Every module of the packages `tops` that a source text imports, at any depth, its parent packages included.

    Args:
        source: Python text.
        package: the package that relative imports start from.
        tops: top-level packages to report.
    """
    named: set[str] = set()
    with _parsing:
        tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            named.add(base)
            named.update(f"{base}.{alias.name}" for alias in node.names)
    with_parents = {".".join(name.split(".")[: n + 1]) for name in named for n in range(name.count(".") + 1)}
    return {name for name in with_parents if name.split(".")[0] in tops and source_file(name)}


@functools.lru_cache(maxsize=512)
def _imports_of(module: str, path: Path, digest: str, tops: frozenset[str]) -> frozenset[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return frozenset(imports(path.read_text(encoding="utf-8"), package=package, tops=tops))


@functools.lru_cache(maxsize=512)
def _sha256_at(path: Path, size: int, changed: int) -> str:
    return sha256(path)


def _current(path: Path) -> str:
    stat = path.stat()
    return _sha256_at(path, stat.st_size, stat.st_mtime_ns)


def fingerprint(modules: Iterable[str]) -> dict[str, str]:
    """Module name -> sha256 of its source, for `modules` and everything of ours that they import, directly or not.

    Followed are imports within `wlbook` and within the top-level packages of `modules` themselves. An import by a
    computed name is not seen.

    Raises:
        SourceChangedError: naming a module that this process imported and that was edited since.
    """
    waiting = [name for name in modules if name not in IGNORED]
    tops = frozenset({"wlbook", *(name.split(".")[0] for name in waiting)})
    found: dict[str, str] = {}
    while waiting:
        module = waiting.pop()
        path = source_file(module)
        if module in found or path is None:
            continue
        found[module] = digest = _current(path)
        if _first_seen.setdefault(path, digest) != digest and module in sys.modules:
            raise SourceChangedError(f"{path} was edited after this process imported it: start again (restart kernel)")
        waiting.extend(_imports_of(module, path, digest, tops) - IGNORED - found.keys())
    return dict(sorted(found.items()))


# What this process imports from now on is what the files say now.
for _path in Path(__file__).parent.rglob("*.py"):
    _first_seen[_path] = _current(_path)
