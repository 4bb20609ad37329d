"""What the papers say beside what we found: records written by the pages, verdicts on the Claims page."""

import dataclasses
import json
import math
from typing import Literal, get_args

import yaml

from wlbook.common.wording import unknown
from wlbook.runner.environment import records_folder, repository, tell_runner, write_json

Verdict = Literal["reproduced", "not reproduced", "inconclusive"]

_FAR = 2.0  # standard errors outside the band that make a difference real


@dataclasses.dataclass(frozen=True)
class Claim:
    """A claim of a paper, and the band our number must lie in for it to hold."""

    id: str  # its name in `book/claims.yml`
    paper: str  # "A" or "B"
    source: str  # key in `book/references.bib`
    sentence: str  # what the paper says
    quantity: str  # our number that tests it
    low: float  # the band's ends; an open end is infinite
    high: float
    basis: str  # where the band comes from
    page: str  # the page that records the number

    @property
    def band(self) -> str:
        """The band in signs."""
        if math.isinf(self.low):
            return f"≤ {self.high:g}"
        return f"≥ {self.low:g}" if math.isinf(self.high) else f"{self.low:g} to {self.high:g}"


@dataclasses.dataclass(frozen=True)
class Record:
    """What one run found about a claim."""

    id: str
    value: float
    error: float
    detail: str


def load() -> dict[str, Claim]:
    """The claims of `book/claims.yml`, by id."""
    tell_runner({"needs": "book/claims.yml"})
    return _load()


def _load() -> dict[str, Claim]:
    path, found = repository() / "book" / "claims.yml", {}
    for entry in yaml.safe_load(path.read_text(encoding="utf-8")) or []:
        name = str(entry.get("id"))
        try:
            band = entry["band"]
            claim = Claim(
                **{field: str(entry[field]) for field in ("id", "paper", "source", "sentence", "quantity", "page")},
                basis=str(entry["from"]),
                low=float(band.get("low", -math.inf)),
                high=float(band.get("high", math.inf)),
            )
        except KeyError as error:
            raise ValueError(f"{path.name}: {name} lacks {error.args[0]}") from None
        if name in found or not claim.low < claim.high:
            raise ValueError(f"{path.name}: {name}: must be there once, with band low < high")
        found[name] = claim
    return found


def record(id: str, value: float, error: float, detail: str = "") -> None:
    """Keep this run's number for a claim of `book/claims.yml`, with one sentence on how it came about.

    Its standard error is >= 0; infinite for a number that cannot be judged.
    """
    if id not in (known := _load()):
        raise ValueError(unknown("claim", id, known))
    if math.isnan(value) or math.isnan(error) or error < 0:
        raise ValueError(f"{id}: {value} +- {error}: must be numbers, the error >= 0")
    entry = Record(id, float(value), float(error), detail)
    write_json(records_folder() / f"{id}.json", dataclasses.asdict(entry))


def records() -> dict[str, Record]:
    """The records of the run at hand, by claim."""
    tell_runner({"needs": "records"})
    paths = sorted(records_folder().glob("[!.]*.json"))
    return {path.stem: Record(**json.loads(path.read_text(encoding="utf-8"))) for path in paths}


def verdict(claim: Claim, value: float, error: float) -> Verdict:
    """Whether our number bears a claim out.

    - reproduced: the value lies in the band, and so do both ends of value ± error;
    - not reproduced: the value lies more than two errors outside the band;
    - inconclusive: anything else, so that a larger error never turns into a stronger statement.
    """
    if claim.low <= value - error and value + error <= claim.high:
        return "reproduced"
    outside = max(claim.low - value, value - claim.high)
    return "not reproduced" if outside > _FAR * error and outside > 0 else "inconclusive"


def table(known: dict[str, Claim], found: dict[str, Record]) -> str:
    """The claims beside our numbers and the verdicts, as a MyST table with links to the pages."""
    rows = ["| What the paper says | Ours | Verdict |", "|---|---|---|"]
    for claim in known.values():
        entry = found.get(claim.id)
        if entry is None:
            ours, judged = "not measured", "no page tests it yet"
        else:
            judged = f"**{verdict(claim, entry.value, entry.error)}**, {{doc}}`page <{claim.page}>`"
            error = "without a usable error" if math.isinf(entry.error) else f"± {entry.error:.2f}"
            ours = f"{entry.value:.2f} {error} (holds for {claim.band})"
        says = f"{claim.sentence} {{cite:p}}`{claim.source}`"
        rows.append(f"| {says} | {ours} | {judged} |")
    return "\n".join(rows)


def details(known: dict[str, Claim], found: dict[str, Record]) -> str:
    """What each number is, where its band comes from and how it came about, as a MyST definition list."""
    said = {id: f" This run: {entry.detail}" for id, entry in found.items() if entry.detail}
    return "\n\n".join(
        f"`{id}`\n: {claim.quantity}. The band is {claim.band}: {claim.basis}.{said.get(id, '')}"
        for id, claim in known.items()
    )


def tally(known: dict[str, Claim], found: dict[str, Record]) -> dict[str, int]:
    """How many claims got each verdict, those without a record included."""
    counts = dict.fromkeys([*get_args(Verdict), "not measured"], 0)
    for id, claim in known.items():
        counts[verdict(claim, found[id].value, found[id].error) if id in found else "not measured"] += 1
    return counts
