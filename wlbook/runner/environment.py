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


def tell_runner(event: dict[str, Any]) -> bool:
    """Note what a page used, for the runner: a line of JSON in the file $WLBOOK_USED; False if there is no runner."""
    path = os.environ.get("WLBOOK_USED")
    if path:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(event) + "\n")
    return bool(path)
