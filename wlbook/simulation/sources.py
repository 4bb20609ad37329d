"""Where the galaxies are whose shapes are measured: one plane, tomographic bins, or a table from a file."""

import dataclasses
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from scipy.special import erf

from wlbook.common import checks
from wlbook.simulation.cosmology import Cosmology, distance

STEP = 0.01  # in redshift, of the bins' tables
DEEPEST = 1.5  # where the Stage-III-like bins end: a hundredth of the galaxies would lie beyond


@dataclasses.dataclass(frozen=True, eq=False)
class Sources:
    """The galaxies of each tomographic bin."""

    redshift: Float64[np.ndarray, " z"]  # ascending, > 0
    share: Float64[np.ndarray, "bin z"]  # of each bin's galaxies at each redshift; sums to 1 over redshift

    def __eq__(self, other: object) -> bool:
        """Whether another has the same tables."""
        return isinstance(other, Sources) and all(map(np.array_equal, vars(self).values(), vars(other).values()))

    def mean(self) -> Float64[np.ndarray, " bin"]:
        """Mean redshift of each bin."""
        return self.share @ self.redshift

    def distances(self, cosmo: Cosmology) -> Float64[np.ndarray, " z"]:
        """Comoving distance of the redshifts [Mpc/h]."""
        return distance(cosmo, self.redshift)

    def tables(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Each bin as the pair (redshifts, density), as `cosmology.convergence_power` takes it."""
        stretch = np.gradient(self.redshift) if len(self.redshift) > 1 else 1.0
        return [(self.redshift, share / stretch) for share in self.share]


def at(source_redshift: float | list[float]) -> Sources:
    """All galaxies of a bin at one redshift; a list has one entry a bin."""
    chosen = [source_redshift] if isinstance(source_redshift, (int, float)) else list(source_redshift)
    checks.require(chosen, "source_redshift", chosen, "one redshift or more")
    for one in chosen:
        checks.within("source_redshift", one, 0, 8)
    redshift, bins = np.unique(np.asarray(chosen, np.float64), return_inverse=True)
    return Sources(redshift, np.eye(len(redshift))[bins])


def smail(bins: int = 4, *, z0: float = 0.42, alpha: float = 2.0, beta: float = 1.5, scatter: float = 0.05) -> Sources:
    """Tomographic bins of equal numbers cut from n(z) ~ z^alpha exp(-(z / z0)^beta) by photometric redshifts.

    The overall shape is that of Smail et al. 1994; the default mean redshift, 0.63, and the scatter are like those of
    the Stage-III surveys. A photometric redshift scatters by `scatter` (1 + z) around the true one (Ma, Hu & Huterer
    2006, astro-ph/0506614, equation 6). All arguments are > 0.
    """
    checks.at_least("bins", bins, 1)
    for name, value in (("z0", z0), ("alpha", alpha), ("beta", beta), ("scatter", scatter)):
        checks.positive(name, value)
    z = np.arange(STEP / 2, DEEPEST, STEP)
    overall = z**alpha * np.exp(-((z / z0) ** beta))
    total = np.cumsum(overall) / overall.sum()
    edges = np.interp(np.arange(1, bins) / bins, total, z + STEP / 2)
    below = [np.zeros_like(z), *((1 + erf((edge - z) / (np.sqrt(2) * scatter * (1 + z)))) / 2 for edge in edges)]
    inside = np.diff(np.stack([*below, np.ones_like(z)]), axis=0) * overall
    return Sources(z, inside / inside.sum(axis=1, keepdims=True))


def read(path: str | Path) -> Sources:
    """Bins from a text file: a column of ascending redshifts, and one of densities for each bin.

    Lines that start with # are comments. Densities need no norm.
    """
    found = Path(path).is_file()
    checks.require(found, "sources", path, '"plane", "stage-iii" or a file, and there is no such file')
    try:
        table = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise ValueError(f"sources = {path}: cannot be read as a table of numbers ({error})".splitlines()[0]) from None
    if len(table) < 2 or table.shape[1] < 2:
        raise ValueError(f"sources = {path}: has {table.shape} rows and columns, must have >= 2 of each: z, n of bin 1")
    redshift, density = table[:, 0], table[:, 1:].T
    if not np.isfinite(table).all() or density.min() < 0 or not density.sum(axis=1).all():
        raise ValueError(f"sources = {path}: densities must be finite, >= 0 and not all 0 in any bin")
    if np.diff(redshift).min() <= 0 or redshift[0] < 0 or redshift[-1] >= 8:
        raise ValueError(f"sources = {path}: redshifts must ascend from >= 0 to < 8")
    # A node stands for the stretch half-way to its neighbours.
    stretch = np.gradient(redshift)
    stretch[[0, -1]] /= 2
    share = density * stretch
    kept = (redshift > 0) & share.any(axis=0)
    return Sources(redshift[kept], share[:, kept] / share[:, kept].sum(axis=1, keepdims=True))


def named(sources: str, source_redshift: float | list[float]) -> Sources:
    """The sources a page names: "plane", all at `source_redshift`; "stage-iii", four bins of `smail`; else a file."""
    if sources == "plane":
        return at(source_redshift)
    return smail() if sources == "stage-iii" else read(sources)
