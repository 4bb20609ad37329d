"""The book's page of functions names all of them, its links lead to where they stand, and figures lead to them."""

import ast
import re

import dotted
import minibook
import pytest

from wlbook.runner import api, chapters

LISTING = api.listing(minibook.REPOSITORY)
LISTED = {f"{module}.{entry.name}" for module, tree in api.modules(minibook.REPOSITORY) for entry in api.public(tree)}


def test_every_public_function_has_its_line():
    for name, tree in api.modules(minibook.REPOSITORY):
        for node in api.public(tree):
            assert f'{name}.html#line-{node.lineno}"><code>{node.name}</code>' in LISTING
            assert api.sentence(node), f"{name}.{node.name} has no docstring"
    assert "<code>peak_counts</code></a><code>(kappa, *, edges" in LISTING and ">_functionals<" not in LISTING


def test_links_lead_to_the_lines_of_the_source():
    pages = api.sources(minibook.REPOSITORY)
    links = re.findall(r'href="\.\./(_static/source/[\w.]+\.html)#(line-\d+)"><code>(\w+)<', LISTING)
    assert len(links) > 250
    for page, line, name in links:
        text = pages[f"book/{page}"].decode()
        assert f'<a id="{line}"' in text
        after = re.sub(r"<[^>]+>", "", text.split(f'<a id="{line}"')[1].split("\n")[0])
        assert name in after or "@" in after or "class" in after, f"{page} {line} {name}: {after}"


# From a figure to its code

TEXT = (minibook.REPOSITORY / "book" / "api.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.split(api.MARK)[0].splitlines()
    if line.startswith("| {numref}")
]
PAGES = {name: chapters.read(name).path.read_text(encoding="utf-8") for name in chapters.names()}


def figure_of(cell: str) -> str:
    found = re.fullmatch(r"\{numref\}`(fig-[\w-]+)`", cell)
    assert found, f"{cell}: must be {{numref}}`fig-NAME`"
    return found[1]


def in_code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


FIGURES = [re.findall(r'"figure": \{"name": "([^"]+)"', page) for page in PAGES.values()]
BY_FIGURE = {figure_of(first): rest for first, *rest in ROWS}


def test_every_figure_of_the_pages_has_one_row_and_no_row_another():
    figures = [name for page in FIGURES for name in page]
    assert len(figures) > 40
    assert [figure_of(first) for first, *_ in ROWS] == figures, "in the order of the pages"
    assert all(len(row) == 3 for row in ROWS)


@pytest.mark.parametrize("figure", BY_FIGURE)
def test_a_figure_leads_to_functions_that_its_page_reaches(figure):
    computed = BY_FIGURE[figure][0]
    (page,) = (text for text in PAGES.values() if f'"figure": {{"name": "{figure}"' in text)
    names = in_code(computed)
    ours = [name for name in names if "." in name]
    assert 1 <= len(ours) <= 4
    for name in ours:
        assert {name, name.rpartition(".")[0]} & LISTED, f"{name}: neither a function of the list nor a method of one"
        assert dotted.leads_somewhere(name), name
    for name in set(names) - set(ours):
        assert f"\ndef {name}(" in page, f"{name}: the page defines no such function"
    reached = [name for name in ours if re.search(rf"\b{name.rpartition('.')[2]}\b", page)]
    assert reached or "the page" in computed, f"nothing of {ours} stands in the page"


def test_a_name_in_the_text_leads_to_its_line_and_a_method_to_its_class():
    names = ("figures.style.panels", "inference.emulator.Emulator.mean")
    text = api.filled("".join(f"`{name}`" for name in (*names, "style.panels")) + api.MARK, minibook.REPOSITORY)
    assert text.endswith(f"`style.panels`{LISTING}"), "without its package a name leads nowhere"
    links = re.findall(r'<a href="\.\./_static/source/([\w.]+)\.html#line-(\d+)"><code>([\w.]+)</code></a>', text)[:2]
    assert [name for *_, name in links] == list(names)
    for (module, line, _), begins in zip(links, ("def panels(", "class Emulator"), strict=True):
        source = (minibook.REPOSITORY / "wlbook" / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert source.splitlines()[int(line) - 1].startswith(begins)


@pytest.mark.parametrize("figure", BY_FIGURE)
def test_a_figure_leads_to_tests_that_are_there(figure):
    tests = in_code(BY_FIGURE[figure][1])
    assert 1 <= len(tests) <= 4
    for one in tests:
        file, _, test = one.partition("::")
        assert file.startswith("tests/") and test.startswith("test_"), one
        tree = ast.parse((minibook.REPOSITORY / file).read_text(encoding="utf-8"))
        assert test in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, one
