"""The references that nbval compares with are those of today's chapters, and small."""

import json

import minibook
import nbformat
import pytest

from wlbook.runner import chapters, pages, runs

FOLDER = minibook.REPOSITORY / "tests" / "pages"


@pytest.mark.parametrize("name", chapters.names())
def test_reference_holds_the_cells_of_its_chapter(name):
    values = runs.resolve("demo", {})[name]
    chapter = pages.notebook(chapters.read(name).path.read_text(), values)
    reference = nbformat.read(FOLDER / f"{name}.ipynb", 4)
    expected = [(cell.source, cell.metadata.get("tags", [])) for cell in chapter.cells if cell.cell_type == "code"]
    assert [(cell.source, cell.metadata.get("tags", [])) for cell in reference.cells] == expected, "make references"


def test_there_is_no_other_reference():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(chapters.names())


def test_references_hold_text_only_and_little_of_it():
    for path in FOLDER.glob("*.ipynb"):
        assert path.stat().st_size < 50_000, path.name
        for cell in json.loads(path.read_text())["cells"]:
            for output in cell["outputs"]:
                assert not [kind for kind in output.get("data", {}) if kind.startswith("image/")], path.name
