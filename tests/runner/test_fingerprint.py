import importlib
import sys

import pytest

from wlbook.runner.fingerprint import SourceChangedError, fingerprint, imports, source_file


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `book_of_tests` whose module `a` imports `b` inside a function, and not `c`."""
    folder = tmp_path / "book_of_tests"
    folder.mkdir()
    for name, text in {
        "__init__": "",
        "a": "def f():\n    from book_of_tests.b import g\n    return g()\n",
        "b": "from . import d\n\ndef g():\n    return d.one\n",
        "c": "from book_of_tests import a\n",
        "d": "from wlbook.common.progress import progress\none = 1\n",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("book_of_tests")]:
        del sys.modules[name]


def test_imports_are_followed_into_functions_and_relative_ones(package):
    assert set(fingerprint({"book_of_tests.a"})) == {"book_of_tests.a", "book_of_tests.b", "book_of_tests.d"}


def test_edit_of_what_is_imported_changes_the_fingerprint_and_no_other_edit_does(package):
    before = fingerprint({"book_of_tests.a"})
    (package / "c.py").write_text("x = 2\n")
    assert fingerprint({"book_of_tests.a"}) == before
    (package / "d.py").write_text("from wlbook.common.progress import progress\none = 10\n")
    after = fingerprint({"book_of_tests.a"})
    assert {name for name in before if before[name] != after[name]} == {"book_of_tests.d"}


def test_a_package_counts_if_it_does_something_and_its_docstring_does_not(package):
    (package / "__init__.py").write_text('"""Words."""\n')
    assert "book_of_tests" not in fingerprint({"book_of_tests.a"})
    (package / "__init__.py").write_text("one = 1\n")
    assert "book_of_tests" in fingerprint({"book_of_tests.a"})


def test_a_lazy_face_counts_as_the_modules_that_are_used_of_it(package):
    (package / "__init__.pyi").write_text("from . import d as d\nfrom .a import f as f\nfrom .b import g as g\n")
    tops = frozenset({"book_of_tests"})
    for source, found in (
        ("from book_of_tests import g", {"b"}),
        ("from book_of_tests import d", {"d"}),
        ("import book_of_tests as x", {"a", "b", "d"}),
        ("def f():\n    from book_of_tests import f as h", {"a"}),
    ):
        assert imports(source, tops=tops) == {f"book_of_tests.{name}" for name in found}


def test_edit_after_import_is_refused_until_the_process_starts_again(package):
    importlib.import_module("book_of_tests.d")
    fingerprint({"book_of_tests.d"})
    (package / "d.py").write_text("one = 100\n")
    with pytest.raises(SourceChangedError, match=r"d\.py was edited after this process imported it"):
        fingerprint({"book_of_tests.a"})


def test_progress_bars_never_change_a_result():
    assert "wlbook.common.progress" not in fingerprint({"wlbook.runner.store"})


def test_plots_are_not_part_of_the_science():
    assert "wlbook.figures.style" not in fingerprint({"wlbook.network.training"})
    assert {"wlbook.simulation.nbody", "wlbook.simulation.cosmology"} <= set(fingerprint({"wlbook.simulation.boxes"}))


_FACE_OF_SIMULATION = {
    f"wlbook.simulation.{name}"
    for name in ("boxes", "cosmology", "dataset", "map_export", "map_files", "masks", "sources", "survey")
}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import wlbook.simulation.maps as m", {"wlbook.simulation.maps"}),
        ("from wlbook.simulation import boxes, maps", {"wlbook.simulation.boxes", "wlbook.simulation.maps"}),
        ("from wlbook.simulation.maps import make", {"wlbook.simulation.maps"}),
        ("import numpy", set()),
        ("if x:\n    def f():\n        import wlbook.pipeline", {"wlbook.pipeline"}),
        ("from wlbook.network import Compact", {"wlbook.network.architectures"}),
        ("from wlbook import network\nnetwork.Compact(key=network.key)", {"wlbook.network.architectures"}),
        ("from wlbook import network as n\nn.training.fit", {"wlbook.network.training"}),
        ("from wlbook import simulation\nprint(simulation)\nsimulation.smooth", {*_FACE_OF_SIMULATION}),
    ],
)
def test_imports_of_a_text(source, found):
    assert imports(source) == found


@pytest.mark.parametrize(
    "module", ["wlbook.simulation.maps.simulate", "wlbook.no_such", "no_such_package", "__main__", "sys"]
)
def test_what_has_no_source_has_no_file(module):
    assert source_file(module) is None
