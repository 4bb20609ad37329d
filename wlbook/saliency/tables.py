"""Tables of attributions as MyST text: numbers with their errors over maps."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from scipy.stats import sem


def share_table(
    found: Mapping[str, tuple[Float[np.ndarray, "map k"], Float[np.ndarray, "map k"]]], ranges: Sequence[str]
) -> str:
    """Shares by kappa in percent, one row for each case: share, its error over maps, and the share of pixels.

    `found` is what `attribution_share` returns, by case; `ranges` are the words for the k ranges of kappa.
    """
    rows = ["| | " + " | ".join(ranges) + " |", "|---" * (len(ranges) + 1) + "|"]
    for name, (share, pixels) in found.items():
        columns = np.transpose([share.mean(axis=0), sem(share), pixels.mean(axis=0)])
        cells = [f"{100 * mean:.1f} ± {100 * error:.1f} ({100 * area:.1f})" for mean, error, area in columns]
        rows.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(rows)


def effect_table(
    effects: Mapping[str, Float[np.ndarray, "map group"]],
    groups: Mapping[int, str],
    largest: Mapping[str, Float[np.ndarray, " map"]],
) -> str:
    """What groups of pixels add to S8, one row for each network and way of asking, with errors over maps.

    `groups` are the words for the groups, by their number; `largest` is the largest effect of a single region of each
    map, for some of the rows.
    """
    head = ["$S_8$ above an empty map", *groups.values(), "sum", "largest region"]
    rows = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, values in effects.items():
        mean, error = values.mean(axis=0), sem(values)
        cells = [f"{mean[group]:+.3f} ± {error[group]:.3f}" for group in groups]
        last = f"{largest[name].mean():.3f}" if name in largest else "–"
        rows.append(f"| {name} | " + " | ".join(cells) + f" | {values.sum(axis=1).mean():+.3f} | {last} |")
    return "\n".join(rows)
