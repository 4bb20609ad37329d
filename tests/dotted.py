"""What a dotted name in a text stands for in the package."""

import functools
import importlib

import minibook

MODULES = [
    path.relative_to(minibook.REPOSITORY).with_suffix("").parts
    for path in sorted((minibook.REPOSITORY / "wlbook").rglob("*.py"))
]
MODULES = [".".join(parts[:-1] if parts[-1] == "__init__" else parts) for parts in MODULES]


def named(name: str) -> list[str]:
    """The modules and packages of wlbook that a dotted name may start with: those of its first part's name."""
    first = name.partition(".")[0]
    return [module for module in MODULES if module.rpartition(".")[2] == first]


def leads_somewhere(name: str) -> bool:
    """Whether a dotted name that starts with a module or a package leads to something there."""
    rest = name.split(".")[1:]
    return any(_follow(module, rest) for module in named(name))


def _follow(module: str, rest: list[str]) -> bool:
    while rest and f"{module}.{rest[0]}" in MODULES:
        module, rest = f"{module}.{rest[0]}", rest[1:]
    try:
        functools.reduce(getattr, rest, importlib.import_module(module))
    except AttributeError:
        return False
    return True
