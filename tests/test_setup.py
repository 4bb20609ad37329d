"""What the set-up files promise each other."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]


def locked(name: str) -> dict[str, str]:
    """The version that each line of a lock gives Python 3.11: unconditional, or under a marker that 3.11 meets."""
    return {
        match["name"].lower(): match["version"]
        for line in (ROOT / name).read_text().splitlines()
        if (match := re.match(r"(?P<name>[\w.-]+)==(?P<version>[^ ;]+)(?P<marker>.*)", line))
        and "python_full_version >= '3.12'" not in match["marker"]
        and "python_full_version == '3.12" not in match["marker"]
    }


LOCKED = locked("requirements.lock")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def conda_pins() -> dict[str, str]:
    packages = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in packages if isinstance(entry, dict))
    return dict(line.split("==") for line in pip if "==" in line)


def name_of(requirement: str) -> str:
    return re.split(r"[<>=;\[ ]", requirement, maxsplit=1)[0]


@pytest.mark.parametrize("package", sorted(map(name_of, PROJECT["dependencies"])))
def test_environment_gives_what_the_lock_gives(package):
    assert conda_pins()[package] == LOCKED[package]


def test_environment_names_nothing_that_the_project_does_not_need():
    assert set(conda_pins()) == set(map(name_of, PROJECT["dependencies"]))


@pytest.mark.parametrize(("name", "least"), [("requirements.lock", 100), ("build.lock", 3)])
def test_locks_are_hashed_and_name_no_host(name, least):
    lock = (ROOT / name).read_text()
    pinned = len(re.findall(r"(?m)^[\w.-]+==", lock))
    assert pinned >= least
    assert len(re.findall(r"(?m)^[\w.-]+==[^\n]*\\\n    --hash=sha256:", lock)) == pinned
    assert "://" not in lock


def test_what_builds_packages_is_pinned_as_in_the_environment():
    building = locked("build.lock")
    assert building.pop("uv") and building == {name: LOCKED[name] for name in ("setuptools", "numpy")}


def test_every_dependency_has_its_reason():
    reasons = (ROOT / "CONTRIBUTING.md").read_text().split("## Why each dependency is here")[1]
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"]
    missing = [name for name in map(name_of, wanted) if not re.search(rf"\b{name}\b", reasons)]
    assert not missing


def test_every_page_of_the_contents_has_its_source():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    pages = [toc["root"]] + [page["file"] for part in toc["parts"] for page in part["chapters"]]
    missing = [page for page in pages if not any((ROOT / f"{page}{ending}").exists() for ending in (".md", ".py"))]
    assert not missing
