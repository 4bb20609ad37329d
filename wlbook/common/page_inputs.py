"""What parameters of pages must be together, beyond the rule of each: checked without JAX, before any work.

The rules here are those of the functions that pages call (`boxes.universes`, `lens_planes.light_cone`, ...), which
check for themselves too; a test holds both side by side.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from wlbook.common import degradation_names, extras, mask_names
from wlbook.common.wording import shown

MAPS = "01_data"  # the page whose maps all pages read
_NEEDS = {page: ("03_network",) for page in ("04_saliency", "06_constraints")}  # whose networks these ask
_HUBBLE_DISTANCE = 2997.92458  # c / (100 km/s/Mpc) [Mpc/h]
_LOWEST, _FIDUCIAL = 0.14, 0.26  # omega_m where the designs end, and of `cosmology.FIDUCIAL`
_CENTRES = {"paper-a": 0.26, "paper-b": 0.2915}  # omega_m of `cosmology.CENTRES`
_CONCENTRATION = 1.4  # of `cosmology.design`
#: Of `wlbook.network.architectures`: the most channels of the first layer, and the fewest pixels a side of maps.
_NETWORKS = {"Compact": (32, 16), "Ribli18": (64, 5), "DeepLSS": (256, 16)}
_FARTHEST = 1.495  # redshift of the last galaxies of `sources.smail`

Values = Mapping[str, Any]


def check(book: Mapping[str, Values], page: str | None = None) -> None:
    """Refuse values that do not go together, of a page and its maps, or of the whole book, in one line.

    Raises:
        ValueError: naming CHAPTER.NAME, its value, and what is allowed beside the others.
    """
    maps = book.get(MAPS, {})
    for name in book if page is None else dict.fromkeys((MAPS, *_NEEDS.get(page, ()), page)):
        for parameter, rule in _RULES.items():
            if parameter in book.get(name, {}):
                try:
                    rule(book[name], maps)
                except ValueError as error:
                    raise ValueError(f"{name}.{error}") from None


def _refuse(name: str, value: Any, rule: str) -> None:
    raise ValueError(f"{name} = {shown(value)}: must be {rule}")


def distance(omega_m: float, redshift: float) -> float:
    """Comoving distance in a flat universe of matter and a cosmological constant [Mpc/h], by Simpson's rule."""
    pieces = 400
    step = redshift / pieces
    slowness = [(omega_m * (1 + n * step) ** 3 + 1 - omega_m) ** -0.5 for n in range(pieces + 1)]
    total = slowness[0] + slowness[-1] + 4 * sum(slowness[1::2]) + 2 * sum(slowness[2:-1:2])
    return _HUBBLE_DISTANCE * step / 3 * total


def _box(values: Values, _: Values) -> None:
    """The field fits into the box in every universe, and planes are thin enough; n(z) of a file is not known here."""
    redshift = {"plane": values.get("source_redshift"), "stage-iii": _FARTHEST}.get(values.get("sources", ""))
    if redshift is None or not {"side", "steps", "n_models", "design"} <= values.keys():
        return
    box, side, steps = values["box"], values["side"], values["steps"]
    width = math.radians(side) * distance(_LOWEST, redshift)
    if width > box:
        rule = f">= {math.ceil(width)} [Mpc/h]: so wide is a field of side = {side:g} deg at the source"
        _refuse("box", box, rule)
    # The planes are laid out in the fiducial universe, and the design's emptiest one is the deepest.
    late, centre = steps - steps // 3, _CENTRES[values["design"]]
    planes = late * math.ceil(distance(_FIDUCIAL, redshift) / late / (box / 2.2))
    stretched = (1 - 2 * 2.0 ** -values["n_models"].bit_length()) ** _CONCENTRATION  # of Halton's sequence
    thickness = distance(centre - stretched * (centre - _LOWEST), redshift) / planes
    if thickness > box / 2:
        _refuse("steps", steps, f"others: planes are {thickness:.0f} Mpc/h thick, allowed is box / 2 = {box / 2:g}")


def _alignments(values: Values, _: Values) -> None:
    """Galaxies in a plane have no depth to be aligned in; those of other people's maps are at one redshift a bin."""
    if values["a_ia"] and (values.get("sources") == "plane" or values.get("source") != "simulate"):
        _refuse("a_ia", values["a_ia"], '0 for galaxies in planes; sources = "stage-iii" has others')


def _mask(values: Values, maps: Values) -> None:
    try:
        holes = mask_names.read(values["mask"])
        if holes is not None:
            holes.check(60 * maps["side"] if maps.get("source") == "simulate" else 0.0)  # [arcmin], if it is known
    except ValueError as error:
        raise ValueError(f"mask = {shown(values['mask'])}: {error}") from None


def _network(values: Values, maps: Values) -> None:
    """Chapter 3's networks are as wide as they come, and its small ones see half as many pixels a side."""
    widest, fewest = _NETWORKS.get(values["architecture"], (None, 1))
    if widest is not None and values["width"] > widest:
        _refuse("width", values["width"], f"<= {widest} for architecture = {values['architecture']}")
    pixels = maps.get("pixels") if maps.get("source") == "simulate" else None
    if pixels is not None and (pixels % 2 or pixels // 2 < fewest):
        rule = f"even and >= {2 * fewest}: small networks see maps of half as many a side"
        raise ValueError(f"architecture = {values['architecture']}: {MAPS}.pixels = {pixels} must be {rule}")


def _coarsen(values: Values, maps: Values) -> None:
    """Chapter 5 averages pixels, and its networks, which are `Compact`, need some."""
    if maps.get("source") != "simulate":
        return
    pixels, factor = maps["pixels"], values["coarsen"]
    if pixels % factor or pixels // factor < _NETWORKS["Compact"][1]:
        rule = f"a divisor of {MAPS}.pixels = {pixels} that leaves {_NETWORKS['Compact'][1]} or more"
        _refuse("coarsen", factor, rule)


def _degradations(values: Values, maps: Values) -> None:
    """Bins that are there, and pixels that can be averaged."""
    bins = {"plane": 1, "stage-iii": 4}.get(maps.get("sources", ""))
    own = extras.named_in(values["extra"]) if values.get("extra") else {}
    numbers = {name: number for name, (kind, number) in own.items() if kind == "degradation"}
    if maps.get("source") != "simulate":
        return
    for spec in values["degradations"]:
        left, pixels = bins, maps["pixels"] // values.get("coarsen", 1)
        for step in degradation_names.read(spec, numbers):
            amounts = [amount.value for amount in step.amounts]
            told = f"degradations: {shown(spec)} must"
            if step.name == "single_bin" and left is not None and amounts[0] >= left:
                raise ValueError(f"{told} name one of {left} bins, counted from 0")
            if step.name == "coarsen" and pixels % amounts[0]:
                raise ValueError(f"{told} divide the {pixels} pixels of the maps' side")
            if step.name == "mask_holes":
                mask_names.Holes(*amounts).check(60 * maps["side"])
            pixels //= int(amounts[0]) if step.name == "coarsen" else 1
            left = 1 if step.name in ("single_bin", "sum_bins") else left


_RULES: dict[str, Callable[[Values, Values], None]] = {
    "box": _box,
    "a_ia": _alignments,
    "mask": _mask,
    "architecture": _network,
    "coarsen": _coarsen,
    "degradations": _degradations,
}
