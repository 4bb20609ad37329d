"""The packages stand on floors, and a module imports only from below its own."""

import ast
from pathlib import Path

import minibook
import pytest

from wlbook.runner.fingerprint import imports, source_file

FLOORS = (
    {"common"},
    {"simulation", "runner"},
    {"statistics", "network", "inference"},
    {"saliency", "degradation", "figures"},
    {"pipeline", "experiments"},
    {"cli"},
    {"__main__"},
)
FLOOR = {package: number for number, packages in enumerate(FLOORS, start=1) for package in packages}
ROOT = minibook.REPOSITORY / "wlbook"
MODULES = {
    ".".join(path.relative_to(ROOT.parent).with_suffix("").parts): path
    for path in sorted(ROOT.rglob("*.py"))
    if path.name != "__init__.py"
}


def package_of(module: str) -> str:
    return module.split(".")[1]


def imported(path: Path) -> set[str]:
    return imports(path.read_text(), package=".".join(path.relative_to(ROOT.parent).parts[:-1]))


def test_every_package_has_its_floor():
    assert {package_of(module) for module in MODULES} == set(FLOOR)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_below(module):
    mine = package_of(module)
    upward = {
        other
        for other in imported(MODULES[module])
        if package_of(other) != mine and FLOOR[package_of(other)] >= FLOOR[mine]
    }
    assert not upward


def test_no_two_modules_import_each_other_in_a_circle():
    waiting = {module: imported(path) - {module} for module, path in MODULES.items()}
    while ready := {module for module, needs in waiting.items() if not needs & waiting.keys()}:
        waiting = {module: needs for module, needs in waiting.items() if module not in ready}
    assert not waiting


@pytest.mark.parametrize("face", sorted(ROOT.rglob("__init__.pyi")), ids=lambda path: path.parent.name)
def test_a_face_offers_what_is_there_and_hides_no_module(face):
    package = ".".join(face.relative_to(ROOT.parent).parts[:-1])
    for node in ast.parse(face.read_text()).body:
        assert isinstance(node, ast.ImportFrom) and node.level == 1
        for name in node.names:
            assert name.asname == name.name, f"{name.name}: must read `import {name.name} as {name.name}`"
            offered = getattr(__import__(package, fromlist=[name.name]), name.name)
            if node.module is None:
                assert offered.__name__ == f"{package}.{name.name}"
                continue
            home = __import__(f"{package}.{node.module}", fromlist=[name.name])
            assert offered is getattr(home, name.name)
            # Importing a module puts it in its package, over a function of the same name.
            assert source_file(f"{package}.{name.name}") is None, f"{package} has a module called {name.name}"
