"""What pages compute themselves and then draw, against answers known by hand."""

import ast
from types import SimpleNamespace
from typing import Any

import numpy as np

from wlbook.network import summary
from wlbook.runner import chapters


def of_page(page: str, *names: str) -> SimpleNamespace:
    """Functions that a page defines, without the rest of it running; what they use of numpy and `summary` is there."""
    found: dict[str, Any] = {"np": np, "summary": summary}
    tree = ast.parse(chapters.read(page).path.read_text(encoding="utf-8"))
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name in names]
    assert [node.name for node in defined] == list(names)
    exec(compile(ast.Module(defined, type_ignores=[]), page, "exec"), found)
    return SimpleNamespace(**{name: found[name] for name in names})


def test_kernels_come_strongest_first_and_a_laplacian_is_balanced(monkeypatch):
    page = of_page("03_network", "first_layer", "balance")
    laplacian = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]])
    mean, tilted = np.ones((3, 3)), np.array([[0, 0, 0], [0, -3, 1], [0, 0, 0]])
    kernels = np.stack([mean, tilted, 2 * laplacian, -mean / 9], axis=-1)  # norms 3, 3.2, 8.9 and 1/3
    weight = np.stack([kernels, 100 * kernels], axis=2)  # [y, x, bin, kernel]: of the second bin nothing is shown
    monkeypatch.setattr(summary, "weights", lambda model: {"layers[1].weight": weight})
    shown = page.first_layer(None)
    np.testing.assert_array_equal(shown, np.stack([2 * laplacian, tilted, mean, -mean / 9], axis=-1))
    np.testing.assert_allclose(page.balance(shown), [0, -0.5, 1, -1], atol=1e-12)
