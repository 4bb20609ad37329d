"""A book of three short pages with sciences of a few lines, for the tests of what runs books."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
_SHARED = ["__init__", "degradation_names", "degradation_steps", "extras", "mask_names", "page_inputs", "prices"]
_SHARED += ["progress", "statistic_names", "wording"]
COMMON = [f"common/{name}.py" for name in _SHARED]
AROUND = ["__init__.py", "__main__.py", "cli.py", *COMMON, "runner"]

HEADER = """# ---
# jupyter:
#   jupytext: {text_representation: {extension: .py, format_name: percent}}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
"""

FILES = {
    "wlbook/simulation/__init__.py": "",
    "wlbook/pipeline.py": """
from collections import namedtuple

from wlbook.runner.cache_keys import key_of
from wlbook.simulation.boxes import simulate_box, specifications

Simulation = namedtuple("Simulation", "inputs size")


def simulations(parameters):
    return [Simulation(box, 4096) for box in specifications(**parameters)]


def simulation_key(store, simulation):
    return key_of(store.describe(simulate_box, **simulation.inputs))


def fill(store, wanted):
    for one in wanted:
        store.make(simulate_box, **one.inputs)
""",
    "wlbook/simulation/boxes.py": """
import os
import time
from pathlib import Path


def note(what):
    with Path(os.environ["STAGES_LOG"]).open("a") as stream:
        stream.write(what + "\\n")


def specifications(*, n_models, seed):
    return [{"model": model, "seed": seed + model} for model in range(n_models)]


def simulate_box(*, model, seed):
    note(f"box {model}")
    time.sleep(float(os.environ.get("BOX_SECONDS", "0")))
    return [seed, seed]

""",
    "wlbook/simulation/maps.py": """
from wlbook.simulation.boxes import simulate_box, specifications


def make(*, n_models, seed, call):
    return [call(simulate_box, **box) for box in specifications(n_models=n_models, seed=seed)]
""",
    "wlbook/network.py": """
from wlbook.simulation import boxes as simulated


def train(*, boxes, steps):
    simulated.note("train")
    return sum(box[0] for box in boxes) / len(boxes) + steps
""",
    "wlbook/plots.py": """
from IPython.display import Image

PNG = (
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
    "0000000d49444154789c63606060f80f0001040100a8f5a9d50000000049454e44ae426082"
)


def draw():
    return Image(bytes.fromhex(PNG), format="png")
""",
    "book/intro.md": "# Intro\n\nSee {doc}`Data <01_data>` and {cite:t}`zorrilla2020`. A {term}`kappa` {term}`map`.\n",
    "book/glossary.md": "# Glossary\n\n"
    "```{glossary}\nkappa\n  Convergence.\n\nmap\n  An image.\n\nprofile\n  A size.\n```\n",
    "book/references.md": "# References\n\n```{bibliography}\n```\n",
    "book/claims.yml": """
- id: a1-gain
  paper: A
  source: zorrilla2020
  sentence: The network gains.
  quantity: a ratio
  band: {low: 0.5, high: 1.5}
  from: a test
  page: 02_network
- id: a2-other
  paper: A
  source: aymerich2026
  sentence: Something else.
  quantity: another ratio
  band: {low: 0.5}
  from: a test
  page: 02_network
""",
    "book/01_data.py": HEADER
    + """
# %% [markdown]
# # Data: boxes
#
# {glue:text}`data-cost`

# %% tags=["parameters"]
n_models = 3  # boxes; 1 <= n_models <= 512
seed = 1  # of everything; 0 <= seed

# %% tags=["hide-input"]
from myst_nb import glue

from wlbook.runner.store import Store
from wlbook.simulation import maps

store = Store()

# %%
boxes = maps.make(n_models=n_models, seed=seed, call=store.make)
print(len(boxes), "boxes")

# %% tags=["remove-cell", "nbval-ignore-output"]
glue("data-cost", str(store.cost()), display=False)
""",
    "book/02_network.py": HEADER
    + """
# %% [markdown]
# # Network: one number
#
# {numref}`fig-net` shows a {term}`kappa` map. {cite}`zorrilla2020`

# %% tags=["parameters"]
steps = 10  # training steps; 1 <= steps <= 1000
n_gal = 30.0  # source density [arcmin^-2]; 0 < n_gal <= 200
smoothing = 1.0  # of the maps [arcmin]; 0 <= smoothing
kind = "low"  # of filter; one of "low", "high"
ell_edges = [100, 200, 400]  # bins [dimensionless]; 0 < each <= 40000
note = ""  # for yourself; any text

# %% tags=["hide-input"]
from wlbook import network, plots
from wlbook.runner import chapters, claims
from wlbook.runner.store import Store
from wlbook.simulation import maps

store = Store()

# %%
boxes = maps.make(**chapters.parameters("01_data"), call=store.make)
result = store.make(network.train, boxes=boxes, steps=steps)
print("result", result, "n_gal", n_gal)

# %% mystnb={"image": {"alt": "a line"}, "figure": {"name": "fig-net", "caption": "A line"}}
plots.draw()

# %%
claims.record("a1-gain", 1.0, 0.1, "So it was.")
claims.record("a2-other", 1.0, float("inf"), "Nobody knows.")
""",
    "profiles/demo.yml": "{}\n",
    "profiles/large.yml": "shared: {seed: 2}\n01_data: {n_models: 4}\n",
    "_toc.yml": """
format: jb-book
root: book/intro
parts:
  - caption: One
    numbered: true
    chapters:
      - file: book/01_data
      - file: book/02_network
  - caption: Two
    chapters:
      - file: book/claims
      - file: book/glossary
      - file: book/references
""",
}


def write(root: Path) -> Path:
    """Write the book's sources below `root`."""
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in AROUND:
        source, target = REPOSITORY / "wlbook" / name, root / "wlbook" / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            target.parent.mkdir(exist_ok=True)
            shutil.copy(source, target)
    shutil.copytree(REPOSITORY / "book" / "_static", root / "book" / "_static")
    for name in ("_config.yml", "book/claims.py", "book/references.bib", "requirements.lock"):
        shutil.copy(REPOSITORY / name, root / name)
    return root


def environment(root: Path, **more: str) -> dict[str, str]:
    """What a process needs to run this book rather than the real one."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("WLBOOK_")}
    return {**inherited, "PYTHONPATH": str(root), "STAGES_LOG": str(root / "log"), **more}


def start(root: Path, *arguments: str, **more: str) -> subprocess.Popen:
    """The command `wlbook` of this book, as a process."""
    return subprocess.Popen(
        [sys.executable, "-m", "wlbook", *arguments],
        cwd=root,
        env=environment(root, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wlbook(root: Path, *arguments: str, status: int = 0, **more: str) -> str:
    """What `wlbook` printed, once it ended with the status it should."""
    process = start(root, *arguments, **more)
    output, errors = process.communicate(timeout=1200)
    assert process.returncode == status, f"{arguments}: {process.returncode}\n{output}\n{errors}"
    return output + errors


def execute(root: Path, *changes: str, names: str = "chapters.names(run.root)", **more: str) -> subprocess.Popen:
    """Run the stale pages of this book without drawing them, as a process."""
    code = f"""
from wlbook.runner import build, chapters, runs
run = runs.plan("demo", {list(changes)})
build.execute(run, {names}, print)
"""
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=root,
        env=environment(root, **more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def executed(root: Path, *changes: str, names: str = "chapters.names(run.root)") -> list[str]:
    """The names of the pages that ran because they were stale, and the notes that came with them."""
    process = execute(root, *changes, names=names)
    output, errors = process.communicate(timeout=1200)
    assert process.returncode == 0, output + errors
    return [page or note for page, note in re.findall(r"(\w+) +executed|^  (.+)", output, re.MULTILINE)]


def page(root: Path, name: str, run: str = "demo") -> str:
    """The executed notebook that a run has of a page, as text."""
    key = json.loads((root / "build" / run / "run.json").read_text())["pages"][name]
    return (root / "build" / "store" / f"page.{name}" / key / "payload" / "page.ipynb").read_text()


def log(root: Path) -> list[str]:
    """What the sciences noted when they ran."""
    path = root / "log"
    return path.read_text().splitlines() if path.is_file() else []
