"""A run: a profile with changes, every parameter of it checked, and the folder its output goes to."""

import dataclasses
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wlbook import chapters
from wlbook.fingerprint import repository


@dataclasses.dataclass(frozen=True)
class Run:
    """A profile with changes: what is in force, and where its output goes.

    Attributes:
        name: folder under `build/`.
        profile: a name, or the path of a .yml file.
        parameters: chapter -> parameter -> value, all of them checked.
        changes: the settings given on the command line.
        root: the repository.
    """

    name: str
    profile: str
    parameters: dict[str, dict[str, Any]]
    changes: tuple[str, ...] = ()
    root: Path = dataclasses.field(default_factory=repository)

    @property
    def folder(self) -> Path:
        """Where everything of this run lies."""
        return self.root / "build" / self.name

    def source(self, page: str) -> Path:
        """The text of a page that runs."""
        return chapters.read(page, self.root).path


def plan(profile: str, changes: Iterable[str], *, chapter: str | None = None, name: str | None = None) -> Run:
    """A run with every parameter checked, before any work.

    Args:
        profile: a name, or the path of a .yml file.
        changes: settings from the command line.
        chapter: the chapter that settings without one are for; its run has a folder of its own.
        name: folder under `build/`; by default made from the profile, the chapter and the changes.

    Raises:
        ValueError: one line naming the first thing that is unknown or not allowed.
    """
    changes = tuple(changes)
    if chapter is not None:
        chapters.read(chapter)
    values = chapters.resolve(profile, chapters.overrides(changes, chapter=chapter))
    if name is not None and not re.fullmatch(r"[\w+.,=-]+", name):
        raise ValueError(f"--name {name}: must be letters, digits, and + - _ . , =")
    return Run(name or run_name(profile, changes, chapter), profile, values, changes)


def run_name(profile: str, changes: Iterable[str], chapter: str | None = None) -> str:
    """The folder of a run: the profile alone, or with what makes the run differ from it."""
    parts = [Path(profile).stem, *([chapter] if chapter else [])]
    parts += [re.sub(r"[^\w.=-]+", "-", change).strip("-") for change in changes]
    name = "+".join(parts)
    return name if len(name) <= 100 else f"{name[:90]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
