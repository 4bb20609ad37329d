"""The whole book, built once as small as its pages go: every page executed and drawn, without a warning."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import foreign
import minibook
import numpy as np
import pytest
import stage_table
import yaml

from wlbook.runner import chapters
from wlbook.simulation import cosmology


@pytest.fixture(scope="module")
def book(tmp_path_factory) -> Path:
    """A copy of the book without the closing cells: what they assert holds at the demo profile, not at this one."""
    root = tmp_path_factory.mktemp("book")
    for name in ("wlbook", "book", "profiles"):
        shutil.copytree(minibook.REPOSITORY / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_config.yml", "_toc.yml", "requirements.lock"):
        shutil.copy(minibook.REPOSITORY / name, root)
    shutil.copy(minibook.REPOSITORY / "tests" / "profiles" / "tiny.yml", root / "profiles")
    for name in chapters.names():
        path = root / "book" / f"{name}.py"
        body, separator, closing = path.read_text().rpartition("\n# %%")
        assert separator and "assert" in closing, f"{name} must end with a cell that asserts what it concluded"
        path.write_text(body + "\n")
    compiled = minibook.REPOSITORY / "build" / "compiled"  # compilation is most of the time at this size
    compiled.mkdir(parents=True, exist_ok=True)
    (root / "build").mkdir()
    (root / "build" / "compiled").symlink_to(compiled)
    return root


@pytest.mark.slow
def test_whole_book_builds_without_a_warning_and_then_rests(book):
    printed = minibook.wlbook(book, "build", "--profile", "tiny")
    assert re.findall(r"(\w+) +executed", printed) == chapters.names(), printed
    html = book / "build" / "tiny" / "html"
    assert [page for page in chapters.pages(book) if not (html / f"{page}.html").is_file()] == []
    assert "wrote to stderr" not in printed, printed
    costs = json.loads((book / "build" / "tiny" / "costs.json").read_text())
    assert list(costs["pages"]) == chapters.names()
    stored = {path.parts[-3] for path in (book / "build" / "store").glob("*/*/manifest.json")}
    assert {name for name in stored if not name.startswith("page.")} <= set(stage_table.STAGES)
    assert "executed" not in minibook.wlbook(book, "build", "--profile", "tiny")


@pytest.mark.slow
def test_only_an_edit_of_the_science_trains_again(book):
    if not (book / "build" / "tiny" / "run.json").is_file():
        pytest.skip("needs the book built by the test before")
    asked = ("why", "03_network", "--profile", "tiny")
    for module, again in (("figures/style", False), ("network/architectures", True)):
        path = book / "wlbook" / f"{module}.py"
        text = path.read_text()
        path.write_text(text + "\n# an edit\n")
        said = minibook.wlbook(book, *asked)
        path.write_text(text)
        assert f"wlbook/{module}.py was edited" in said
        assert (f"network.training.fit: wlbook/{module}.py was edited" in said) == again
        assert ("nothing stored is made again" in said) != again and "reused: simulation.boxes.simulate_box" in said
    assert "nothing changed" in minibook.wlbook(book, *asked)


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="LensTools does not build")
def test_maps_written_by_lenstools_go_through_the_first_three_chapters(book, tmp_path):
    import astropy.units
    import lenstools_reference as lenstools

    draw = np.random.default_rng(1)
    for omega_m, sigma_8 in [(0.26, 0.80), *cosmology.design(7)]:
        folder = tmp_path / "maps" / f"Om{omega_m:.3f}_si{sigma_8:.3f}"
        folder.mkdir(parents=True)
        for number in range(1, 97):
            kappa = draw.normal(scale=0.01 * cosmology.s_8(omega_m, sigma_8), size=(64, 64))
            image = lenstools.ConvergenceMap(kappa, 3.5 * astropy.units.deg)
            image.save(str(folder / f"WLconv_z1.00_{number:04d}r.fits"))
    asked = ("--profile", "tiny", "-p", f"01_data.source={tmp_path / 'maps'}")
    for chapter in ("01_data", "02_statistics", "03_network"):
        printed = minibook.wlbook(book, "run", chapter, *asked)
        assert re.search(rf"{chapter} +executed", printed) and "simulating" not in printed, printed


def run(book: Path, profile: str, names: list[str]) -> str:
    """Run chapters under a profile without drawing them, and what was printed."""
    code = f"""
from wlbook.runner import build, runs
build.execute(runs.plan({profile!r}, []), {names}, print)
"""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=book, env=minibook.environment(book), capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


@pytest.mark.slow
def test_every_chapter_runs_on_other_peoples_maps(book, tmp_path):
    """Wide maps of three bins with noise, a mask with NaN behind it, an unreadable file, unequal numbers, own truth."""
    folder = foreign.fits_folder(
        tmp_path / "maps", n_maps=128, bins=3, side=7.0, noise=0.005, masked=True, bad=True, unequal=True
    )
    values = yaml.safe_load((minibook.REPOSITORY / "tests" / "profiles" / "tiny.yml").read_text())
    values["01_data"] = {"source": str(folder), "n_maps": 128, "pixels": 32}
    values["01_data"] |= {"bad_files": "skip", "noise": "in the maps"}
    values["06_constraints"] |= {"combine": ["peaks"], "peak_bins": 4}
    (book / "profiles" / "foreign.yml").write_text(yaml.safe_dump(values))
    printed = run(book, "foreign", [name for name in chapters.names() if chapters.read(name).parameters])
    assert len(re.findall(r"(\w+) +executed", printed)) == 6 and "simulating" not in printed, printed
    assert "skipped" in printed and "train0_2.fits" in printed
