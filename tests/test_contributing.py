"""What CONTRIBUTING promises: how to add a statistic, a degradation, a network, a chapter; what an edit costs."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import dotted
import minibook
import pytest
import stage_table

TEXT = (minibook.REPOSITORY / "CONTRIBUTING.md").read_text()


@pytest.fixture
def book(tmp_path) -> Path:
    """A copy of the package and the book."""
    for name in ("wlbook", "book", "profiles"):
        shutil.copytree(minibook.REPOSITORY / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_toc.yml", "_config.yml"):
        shutil.copy(minibook.REPOSITORY / name, tmp_path)
    return tmp_path


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{path.name}: {old!r} stands there {text.count(old)} times"
    path.write_text(text.replace(old, new))


def touched(book: Path) -> list[str]:
    """The files that differ from the repository's."""
    files = [path.relative_to(book) for path in book.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    ours = minibook.REPOSITORY
    return sorted(
        str(name)
        for name in files
        if not (ours / name).is_file() or (ours / name).read_bytes() != (book / name).read_bytes()
    )


def python(book: Path, code: str) -> str:
    environment = os.environ | {"PYTHONPATH": str(book), "WLBOOK_ROOT": str(book), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=book, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def promised(what: str, files: list[str]) -> None:
    """The steps in CONTRIBUTING name exactly these files, and no more than three."""
    steps = TEXT.split(f"**A {what}**")[1].split("\n\n")[0]
    assert len(files) <= 3
    for name in files:
        assert re.search(re.escape(name.replace("new", "NAME")), steps), f"{name} is not named for a {what}"


@pytest.mark.slow
def test_a_statistic_is_added_in_three_files(book):
    (book / "wlbook/statistics/new.py").write_text(
        '"""The range of a map."""\n\nimport jax.numpy as jnp\n\n'
        "from wlbook.statistics.execution import over_maps\n\n\n"
        "def _range(image):\n    return jnp.ptp(image)[None]\n\n\n"
        'def span(kappa, *, mask=None):\n    """Largest less smallest kappa."""\n'
        "    return over_maps(_range, kappa, mask=mask)\n"
    )
    vectors = book / "wlbook/statistics/vectors.py"
    replaced(vectors, '"scattering", "bispectrum")', '"scattering", "bispectrum", "span")')
    replaced(
        vectors, '        "moments": partial(', '        "span": partial(span, mask=mask),\n        "moments": partial('
    )
    imported = "from wlbook.statistics.minkowski import"
    replaced(vectors, imported, f"from wlbook.statistics.new import span\n{imported}")
    with (book / "wlbook/statistics/__init__.pyi").open("a") as face:
        face.write("from .new import span as span\n")
    told = python(
        book,
        "import numpy as np\nfrom wlbook import statistics\nfrom wlbook.simulation import Survey\n"
        "kappa = np.random.default_rng(1).normal(size=(2, 1, 16, 16)).astype('float32')\n"
        "look = Survey(sigma_e=0.0, smoothing=0.0)\n"
        "found = statistics.measure(kappa, look, statistics.Bins(), side=1.0, seed=1, names=['span'])['span']\n"
        "assert statistics.span(kappa).shape == (2, 1, 1)\n"
        "print(np.allclose(found[:, 0], np.ptp(kappa, axis=(1, 2, 3))))",
    )
    assert told == "True"
    promised("statistic", touched(book))


@pytest.mark.slow
def test_a_degradation_is_added_in_three_files(book):
    (book / "wlbook/degradation/new.py").write_text(
        '"""Kappa with the other sign."""\n\n\n'
        'def negate(kappa):\n    """Turn voids into halos."""\n    return -kappa\n'
    )
    replaced(
        book / "wlbook/common/degradation_names.py",
        '    "gaussianize": Name(),\n',
        '    "gaussianize": Name(),\n    "negate": Name(),\n',
    )
    grammar = book / "wlbook/degradation/grammar.py"
    replaced(
        grammar,
        "add_noise, mask_holes,\n",
        "add_noise, mask_holes, negate,\n",
    )
    imported = "from wlbook.degradation.randomisation import"
    replaced(grammar, imported, f"from wlbook.degradation.new import negate\n{imported}")
    told = python(
        book,
        "import jax, jax.numpy as jnp\nfrom wlbook.degradation import parse\n"
        "print(parse('negate', side=3.5)(jnp.ones((1, 4, 4)), key=jax.random.key(0)).mean())",
    )
    assert told == "-1.0"
    promised("degradation", touched(book))


@pytest.mark.slow
def test_a_network_is_added_in_two_files(book):
    networks = book / "wlbook/network/architectures.py"
    replaced(
        networks,
        "NETWORKS = {",
        "class Flat(Network):\n"
        '    """A dense layer on all pixels."""\n\n'
        "    pixels: int = eqx.field(static=True)\n    widest = 1\n\n"
        "    def __init__(self, *, bins=1, outputs=2, width=1, pixels=16, key):\n"
        "        self._settle(bins=bins, outputs=outputs, width=width)\n"
        "        self.pixels = pixels\n"
        "        self.layers = (nn.ChannelsLast(), nn.Flatten(), nn.Dense(bins * pixels**2, outputs, key=key))\n\n"
        "    def check_pixels(self, y, x):\n        pass\n\n\n"
        'NETWORKS = {"Flat": Flat, ',
    )
    with (book / "wlbook/network/__init__.pyi").open("a") as face:
        face.write("from .architectures import Flat as Flat\n")
    told = python(
        book,
        "import jax, jax.numpy as jnp\nfrom wlbook.network import Architecture, Flat\n"
        "made = Architecture('Flat').build(bins=1, outputs=2, pixels=16, key=jax.random.key(0))\n"
        "print(isinstance(made, Flat), made(jnp.ones((1, 16, 16))).shape)",
    )
    assert told == "True (2,)"
    promised("network", touched(book))


def test_a_chapter_is_added_in_two_files(book):
    (book / "book/new.py").write_text(
        minibook.HEADER + '\n# %% [markdown]\n# # A chapter\n\n# %% tags=["parameters"]\nn = 3  # of all; 1 <= n <= 9\n'
    )
    replaced(
        book / "_toc.yml",
        "      - file: book/06_constraints\n",
        "      - file: book/06_constraints\n      - file: book/new\n",
    )
    told = python(
        book,
        "from wlbook.runner import runs\nprint(runs.plan('demo', ['new.n=4']).parameters['new'])",
    )
    assert told == "{'n': 4}"
    promised("chapter", touched(book))


def test_every_function_that_is_named_is_there():
    names = re.findall(r"`([a-z_]\w*(?:\.\w+)+)(?:\([^`]*\))?`", TEXT)
    ours = {name for name in names if dotted.named(name) and name.rpartition(".")[2] not in ("py", "lock")}
    assert {"trainer.plan_for_device", "common.random.key", "network.training.fit"} <= ours
    assert [name for name in sorted(ours) if not dotted.leads_somewhere(name)] == []


def test_the_table_of_stages_is_todays():
    assert stage_table.written(TEXT) == TEXT, "make stages"


def test_a_new_name_of_a_degradation_trains_nothing_again():
    names = {"wlbook.common.degradation_names", "wlbook.degradation.grammar"}
    assert [stage for stage in stage_table.STAGES if names & set(stage_table.covered(stage))] == []


def test_a_third_less_stands_behind_the_stored_stages_than_before_the_packages():
    # 42,372 at commit 4324059: the same stages, and the rung of the ladder, which is a box now.
    total = sum(stage_table.lines(stage_table.covered(stage)) for stage in stage_table.STAGES)
    assert total <= 42_372 * 2 / 3
