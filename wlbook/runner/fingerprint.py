"""Which source files a result depends on, found by reading imports and never by running them."""

import ast
import functools
import hashlib
import importlib.util
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

#: Modules whose edits cannot change a result.
IGNORED = frozenset({"wlbook.common.progress", "wlbook.common.checks", "wlbook.common.wording"})

_first_seen: dict[Path, str] = {}
_parsing = threading.Lock()  # CPython 3.11's ast.parse fails now and then in two threads at once


class SourceChangedError(RuntimeError):
    """A module was edited after this process imported it: what it computes is no longer what the file says."""


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
        folder, parent = path.parent / name, path
        path = folder / "__init__.py" if folder.is_dir() else path.parent / f"{name}.py"
        if parent.name != "__init__.py" or not path.is_file():
            return None
    return path


def imports(source: str, *, package: str = "", tops: frozenset[str] = frozenset({"wlbook"})) -> set[str]:
    """Every module of the packages `tops` that a source text imports, at any depth, its parent packages included.

    A package whose `__init__.pyi` says where its public names live (a lazy face) is not followed as a whole: a name
    taken from it counts as an import of the module that defines it. So do the attributes of a face that was imported
    by its own name; a face that is used in any other way counts as all of its modules. Relative imports start from
    `package`.
    """
    return {name for name in _imported(source, package, tops) if not _inert(name)}


def _imported(source: str, package: str, tops: frozenset[str]) -> set[str]:
    """The same with packages that do nothing."""
    named: set[str] = set()
    tree = _parsed(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                named |= _through_face(alias.name, tree, None)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                named |= _through_face(_home(base, alias.name), tree, alias.asname or alias.name)
    with_parents = {".".join(name.split(".")[: n + 1]) for name in named for n in range(name.count(".") + 1)}
    return {name for name in with_parents if name.split(".")[0] in tops and source_file(name)}


def _parsed(source: str) -> ast.Module:
    with _parsing:
        return ast.parse(source)


def _home(package: str, name: str) -> str:
    """The module that `from package import name` needs."""
    if source_file(f"{package}.{name}"):
        return f"{package}.{name}"
    return _face(package).get(name, package)


def _through_face(module: str, tree: ast.Module, local: str | None) -> set[str]:
    """The modules that a text means by a module it imports under a local name: itself, or those behind a face."""
    face = _face(module)
    if not face:
        return {module}
    uses = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_name(node.value, local)]
    total = sum(_is_name(node, local) for node in ast.walk(tree))
    if local is None or len(uses) < total:
        return set(face.values())
    return {_home(module, node.attr) for node in uses} - {module}


def _is_name(node: ast.AST, name: str | None) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _face(module: str) -> dict[str, str]:
    """Public name -> the module it lives in, from a package's `__init__.pyi`; empty for what has none."""
    path = source_file(module)
    stub = path.with_suffix(".pyi") if path is not None and path.name == "__init__.py" else None
    return _read_face(module, stub, _current(stub)) if stub is not None and stub.is_file() else {}


@functools.lru_cache(maxsize=64)
def _read_face(module: str, stub: Path, digest: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for node in _parsed(stub.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom):
            base = f"{module}.{node.module}" if node.module else module
            found |= {alias.name: _home(base, alias.name) for alias in node.names}
    return found


def _inert(module: str) -> bool:
    """Whether a module is a package that does nothing: a face, or a docstring."""
    path = source_file(module)
    if path is None or path.name != "__init__.py":
        return False
    return bool(_face(module)) or _is_docstring(path, _current(path))


@functools.lru_cache(maxsize=64)
def _is_docstring(path: Path, digest: str) -> bool:
    body = _parsed(path.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


@functools.lru_cache(maxsize=512)
def _imports_of(module: str, path: Path, digest: str, tops: frozenset[str]) -> frozenset[str]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return frozenset(_imported(path.read_text(encoding="utf-8"), package, tops))


@functools.lru_cache(maxsize=512)
def _sha256_at(path: Path, size: int, changed: int) -> str:
    return sha256(path)


def _current(path: Path) -> str:
    stat = path.stat()
    return _sha256_at(path, stat.st_size, stat.st_mtime_ns)


def fingerprint(modules: Iterable[str]) -> dict[str, str]:
    """Module name -> sha256 of its source, for `modules` and everything of ours that they import, directly or not.

    Followed are imports within `wlbook` and within the top-level packages of `modules` themselves. An import by a
    computed name is not seen. A module edited since this process imported it is a SourceChangedError.
    """
    waiting = [name for name in modules if name not in IGNORED]
    tops = frozenset({"wlbook", *(name.split(".")[0] for name in waiting)})
    found: dict[str, str] = {}
    while waiting:
        module = waiting.pop()
        path = source_file(module)
        if module in found or path is None or _inert(module):
            continue
        found[module] = digest = _current(path)
        if _first_seen.setdefault(path, digest) != digest and module in sys.modules:
            raise SourceChangedError(f"{path} was edited after this process imported it: start again (restart kernel)")
        waiting.extend(_imports_of(module, path, digest, tops) - IGNORED - found.keys())
    return dict(sorted(found.items()))


# What this process imports from now on is what the files say now.
for _path in Path(__file__).parents[1].rglob("*.py"):
    _first_seen[_path] = _current(_path)
