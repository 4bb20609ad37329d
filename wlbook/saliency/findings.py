"""What the lie detectors found, beside each method: no attribution without its failures."""

import dataclasses
import math
from collections.abc import Iterable
from typing import Literal


@dataclasses.dataclass(frozen=True)
class Finding:
    """One detector's number for one method."""

    method: str
    detector: str
    value: float  # what it measured; NaN where the test asks nothing of this method
    low: float = -math.inf  # the band in which the method passes
    high: float = math.inf

    @property
    def verdict(self) -> Literal["passes", "fails", "not asked"]:
        """Whether the value lies in the band."""
        if math.isnan(self.value):
            return "not asked"
        return "passes" if self.low <= self.value <= self.high else "fails"


def verdict_table(findings: Iterable[Finding]) -> str:
    """Methods by detectors as a MyST table: each number, bold and crossed where the method fails."""
    found = list(findings)
    methods, detectors = (list(dict.fromkeys(getattr(one, name) for one in found)) for name in ("method", "detector"))
    by_name = {(one.method, one.detector): one for one in found}
    rows = ["| method | " + " | ".join(detectors) + " | fails |", "|---" * (len(detectors) + 2) + "|"]
    for method in methods:
        mine = [by_name.get((method, detector)) for detector in detectors]
        failed = sum(one is not None and one.verdict == "fails" for one in mine)
        rows.append(f"| {method} | " + " | ".join(map(_cell, mine)) + f" | {failed} |")
    return "\n".join(rows)


def _cell(finding: Finding | None) -> str:
    if finding is None or finding.verdict == "not asked":
        return "–"
    number = f"{finding.value:.2f}" if 0.01 <= abs(finding.value) < 1000 else f"{finding.value:.2g}"
    return f"**{number} ✗**" if finding.verdict == "fails" else number


def failures(findings: Iterable[Finding]) -> dict[str, list[str]]:
    """The detectors that each method fails, by method; an empty list for one that fails none."""
    failed: dict[str, list[str]] = {}
    for one in findings:
        failed.setdefault(one.method, []).extend([one.detector] if one.verdict == "fails" else [])
    return failed
