"""How the code of a page reads: narrow, in short cells, in the open, and each import where it is first used."""

import ast

import jupytext
import pytest

from wlbook.runner import chapters

HIDDEN = {"hide-input", "hide-cell", "remove-cell", "remove-input"}
WIDEST, LONGEST, MOST_HIDDEN = 88, 20, 1 / 3

CHAPTERS = [name for name in chapters.names() if chapters.read(name).parameters]  # the page of claims is one table

pytestmark = pytest.mark.parametrize("name", CHAPTERS)


def cells(name: str) -> list:
    """The code cells of a chapter but for its parameters, a form that keeps a line for each value."""
    notebook = jupytext.read(chapters.read(name).path)
    return [cell for cell in notebook.cells if cell.cell_type == "code" and "parameters" not in tags(cell)]


def tags(cell) -> set[str]:
    return set(cell.metadata.get("tags", []))


def lines(cell) -> list[str]:
    """Lines that are neither blank nor a comment."""
    return [line for line in cell.source.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def test_code_fits_into_the_column(name):
    assert [line for cell in cells(name) for line in cell.source.splitlines() if len(line) > WIDEST] == []


def test_a_cell_in_view_is_read_at_a_glance(name):
    assert [cell.source for cell in cells(name) if not tags(cell) & HIDDEN and len(lines(cell)) > LONGEST] == []


def test_most_code_is_in_view(name):
    parameters = len(chapters.read(name).parameters)  # a line each, in view
    total = parameters + sum(len(lines(cell)) for cell in cells(name))
    hidden = sum(len(lines(cell)) for cell in cells(name) if tags(cell) & HIDDEN)
    assert hidden <= MOST_HIDDEN * total, f"{hidden} of {total} lines of code are hidden"


def test_working_on_two_things_at_once_is_left_to_the_pipeline(name):
    for cell in cells(name):
        modules = {node.module or "" for node in ast.walk(ast.parse(cell.source)) if isinstance(node, ast.ImportFrom)}
        assert not {module for module in modules if "threads" in module or module == "concurrent.futures"}
        assert "two_at_a_time" not in cell.source


def test_an_import_stands_once_where_it_is_first_used(name):
    known: set[str] = set()
    used: set[str] = set()
    for cell in cells(name):
        tree = ast.parse(cell.source)
        imported = [
            alias for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) for alias in node.names
        ]
        fresh = {alias.asname or alias.name.split(".")[0] for alias in imported}
        assert not fresh & known, f"imported again: {sorted(fresh & known)}"
        assert not fresh & used, f"used before it is imported: {sorted(fresh & used)}"
        here = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if not tags(cell) & HIDDEN:
            assert not fresh - here, f"imported in a cell that does not use it: {sorted(fresh - here)}"
        known |= fresh
        used |= here
    assert not known - used, f"imported and never used: {sorted(known - used)}"
