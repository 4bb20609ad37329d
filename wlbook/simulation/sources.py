"""Where the galaxies are whose shapes are measured: one plane or tomographic bins (`redshift_tables` reads files)."""

import dataclasses

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
