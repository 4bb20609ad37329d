"""What specifications of degradations are made of, without the table of names: a new name changes nothing here."""

import math
import re
from typing import NamedTuple

_LENGTH = re.compile(r"(?P<length>[^@]*)Mpc/h(?:@(?P<redshifts>.*))?")


class Amount(NamedTuple):
    """A number of a specification."""

    value: float | int  # angles have become multipoles
    unit: str = ""  # "" (a multipole, standard deviations, ...), "kappa", or "Mpc/h" for a comoving wavelength
    redshifts: tuple[float, ...] = ()  # at which that is seen: one, one a bin, or none, for each bin's lenses


class Step(NamedTuple):
    """One step of a specification: what to do, with which numbers, in which way ("" is the default)."""

    name: str
    amounts: tuple[Amount, ...] = ()
    option: str = ""


def read_steps(spec: str) -> tuple[Step, ...]:
    """The steps of a specification, its names not looked at; "none" has none. What is no number ends a step's numbers.

    `wlbook.common.degradation_names.read` has the grammar, and refuses what does not follow it.
    """
    parts = [part.replace(" ", "") for part in spec.split("+")]
    return () if parts == ["none"] else tuple(_step(part) for part in parts)


def _step(part: str) -> Step:
    name, *words = part.split(":")
    amounts: list[Amount] = []
    for place, word in enumerate(words):
        try:
            amounts.append(read_amount(word))
        except ValueError:
            return Step(name, tuple(amounts), ":".join(words[place:]))
    return Step(name, tuple(amounts))


def read_amount(word: str) -> Amount:
    """A number with its unit: "1000", "20arcmin", "10Mpc/h@0.2,0.3", "-0.02kappa"; any other text is a ValueError."""
    if word.endswith("kappa"):
        return Amount(float(word.removesuffix("kappa")), "kappa")
    if word.endswith("arcmin"):
        angle = float(word.removesuffix("arcmin"))
        return Amount(2 * math.pi / math.radians(angle / 60) if angle else math.inf)
    if match := _LENGTH.fullmatch(word):
        seen = match["redshifts"]
        return Amount(float(match["length"]), "Mpc/h", () if seen is None else tuple(map(float, seen.split(","))))
    return Amount(float(word))
