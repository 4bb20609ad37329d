"""What an edit costs: for each stored stage, the modules that its key covers. `make stages` writes it down."""

import sys
from pathlib import Path

import minibook

from wlbook.runner.fingerprint import fingerprint, source_file

#: Every stored stage: the functions that pages and `wlbook.pipeline` give to the store.
STAGES = (
    "simulation.boxes.simulate_box",
    "simulation.map_files.read_maps",
    "statistics.vectors.measure",
    "network.training.fit",
    "network.training.predictions",
    "degradation.amortised.fit",
    "degradation.amortised.tuned",
    "degradation.amortised.predictions",
    "degradation.summary_networks.fit",
)
FIRST, LAST = "<!-- stages -->\n", "<!-- end of stages -->\n"
FILE = minibook.REPOSITORY / "CONTRIBUTING.md"


def lines(modules: list[str]) -> int:
    return sum(len(path.read_text().splitlines()) for name in modules if (path := source_file(name)))


def covered(stage: str) -> list[str]:
    return list(fingerprint([f"wlbook.{stage.rpartition('.')[0]}"]))


def table() -> str:
    rows = ["| stored stage | modules in its key | lines |", "|---|---|---|"]
    every = {stage: covered(stage) for stage in STAGES}
    for stage, modules in every.items():
        parts: dict[str, list[str]] = {}
        for name in modules:
            package, _, module = name.removeprefix("wlbook.").partition(".")
            parts.setdefault(package, []).append(module)
        said = "; ".join(f"*{package}* {' '.join(names)}" for package, names in parts.items())
        rows.append(f"| `{stage}` | {len(modules)}: {said} | {lines(modules):,} |")
    rows.append(f"| together | | {sum(map(lines, every.values())):,} |")
    return "\n".join(rows) + "\n"


def written(text: str) -> str:
    """A text with today's table between its marks."""
    before, _, rest = text.partition(FIRST)
    return before + FIRST + table() + LAST + rest.partition(LAST)[2]


if __name__ == "__main__":
    Path(FILE).write_text(written(FILE.read_text()))
    sys.stdout.write(table())
