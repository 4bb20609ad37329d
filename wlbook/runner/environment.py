"""What a page's process is told by its environment, and what it tells back."""

import json
import os
from pathlib import Path
from typing import Any


def run() -> dict[str, Any] | None:
    """What the runner said about the run this process is part of ($WLBOOK_RUN); None for a chapter opened by hand."""
    path = os.environ.get("WLBOOK_RUN")
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else None


def repository() -> Path:
    """The folder that holds `book/` and `wlbook/`: $WLBOOK_ROOT, else where this package lies."""
    return Path(os.environ.get("WLBOOK_ROOT") or Path(__file__).parents[2]).resolve()


def records_folder() -> Path:
    """Where the records of the run at hand lie: $WLBOOK_RECORDS, else `build/records` of the repository."""
    return Path(os.environ.get("WLBOOK_RECORDS") or repository() / "build" / "records")


def write_json(path: Path, value: Any) -> None:
    """Write a file so that a reader finds the old text or the new one, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(json.dumps(value, indent=1), encoding="utf-8")
    aside.replace(path)


def tell_runner(event: dict[str, Any]) -> bool:
    """Note what a page used, for the runner: a line of JSON in the file $WLBOOK_USED; False if there is no runner."""
    path = os.environ.get("WLBOOK_USED")
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
    return bool(path)
