import importlib
import sys

import pytest

from wlbook.fingerprint import SourceChangedError, fingerprint, imports, source_file


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
        "d": "from wlbook.progress import progress\none = 1\n",
    }.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield folder
    for name in [name for name in sys.modules if name.startswith("book_of_tests")]:
        del sys.modules[name]


def test_imports_are_followed_into_functions_and_relative_ones(package):
    assert set(fingerprint({"book_of_tests.a"})) == {
        "book_of_tests",
        "book_of_tests.a",
        "book_of_tests.b",
        "book_of_tests.d",
        "wlbook",
    }


def test_edit_of_what_is_imported_changes_the_fingerprint_and_no_other_edit_does(package):
    before = fingerprint({"book_of_tests.a"})
    (package / "c.py").write_text("x = 2\n")
    assert fingerprint({"book_of_tests.a"}) == before
    (package / "d.py").write_text("from wlbook.progress import progress\none = 10\n")
    after = fingerprint({"book_of_tests.a"})
    assert {name for name in before if before[name] != after[name]} == {"book_of_tests.d"}


def test_edit_after_import_is_refused_until_the_process_starts_again(package):
    importlib.import_module("book_of_tests.d")
    fingerprint({"book_of_tests.d"})
    (package / "d.py").write_text("one = 100\n")
    with pytest.raises(SourceChangedError, match=r"d\.py was edited after this process imported it"):
        fingerprint({"book_of_tests.a"})


def test_progress_bars_never_change_a_result():
    assert "wlbook.progress" not in fingerprint({"wlbook.store"})


def test_plots_are_not_part_of_the_science():
    assert "wlbook.plots" not in fingerprint({"wlbook.training"})
    assert {"wlbook.nbody", "wlbook.cosmology"} <= set(fingerprint({"wlbook.maps"}))


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import wlbook.maps as m", {"wlbook", "wlbook.maps"}),
        ("from wlbook import maps, plots", {"wlbook", "wlbook.maps", "wlbook.plots"}),
        ("from wlbook.maps import make", {"wlbook", "wlbook.maps"}),
        ("import numpy", set()),
        ("if x:\n    def f():\n        import wlbook.maps", {"wlbook", "wlbook.maps"}),
    ],
)
def test_imports_of_a_text(source, found):
    assert imports(source) == found


@pytest.mark.parametrize("module", ["wlbook.maps.make", "wlbook.no_such", "no_such_package", "__main__", "sys"])
def test_what_has_no_source_has_no_file(module):
    assert source_file(module) is None
