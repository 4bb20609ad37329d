"""The book's page of functions names all of them, and its links lead to where they stand."""

import re

import minibook

from wlbook.runner import api

LISTING = api.listing(minibook.REPOSITORY)


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
