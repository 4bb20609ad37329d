"""Light: one box of matter, seen through many lines of sight, becomes maps of kappa and shear.

One box serves many maps: every map takes, plane by plane, a slab along a random axis, shifted and flipped at random
("recycling", as in Zorrilla Matilla et al. 2020). Light is followed either along straight rays (Born), or bent at every
plane with the distortion of its bundle accumulated (multi-plane ray tracing, Hilbert et al. 2009, arXiv:0809.5035).
"""

import functools
import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int, Key

from wlbook.common import checks
from wlbook.simulation import raytracing
from wlbook.simulation.cosmology import ALIGNED_AT, HUBBLE_DISTANCE, Cosmology, growth
from wlbook.simulation.lens_planes import LensPlanes
from wlbook.simulation.sources import Sources

Waves = Float[Array, "*shape half"]
CRITICAL = 5e-14 * 2.775e11  # C1 times the critical density, h cancelled (Brown et al. 2002, astro-ph/0009499)
# What becomes of light, from the elements (yy, yx, xy, xx) of the distortion.
_COMBINE = {
    "kappa": (-0.5, 0.0, 0.0, -0.5),
    "shear_1": (0.5, 0.0, 0.0, -0.5),
    "shear_2": (0.0, -0.5, -0.5, 0.0),
    "rotation": (0.0, 0.5, -0.5, 0.0),
}


class Recycling(NamedTuple):
    """How each map looks through each plane."""

    slab: Int[Array | np.ndarray, "*plane map"]
    shift: Float[Array | np.ndarray, "*plane map 2"]  # in units of the box
    flip: Float[Array | np.ndarray, "*plane map 2"]


def recycle(planes: int, slabs: int, n_maps: int, key: Key[Array, ""]) -> Recycling:
    """Random slab, shift and flips; those of one map do not depend on how many there are."""

    def of_one_map(index):
        slab, shift, flip = jax.random.split(jax.random.fold_in(key, index), 3)
        return Recycling(
            jax.random.randint(slab, (planes,), 0, slabs),
            jax.random.uniform(shift, (planes, 2)),
            jax.random.rademacher(flip, (planes, 2), dtype=jnp.float32),
        )

    return jax.vmap(of_one_map, out_axes=1)(jnp.arange(n_maps))


def efficiency(
    cosmo: Cosmology, chi: Float64[np.ndarray, " plane"], scale_factor: Float64[np.ndarray, " plane"], sources: Sources
) -> Float64[np.ndarray, "plane bin"]:
    """Kappa of a surface density contrast of 1 Mpc/h [h/Mpc].

    3/2 omega_m H0^2/c^2 chi / a <1 - chi / chi_s> for planes at comoving distance chi [Mpc/h] that light crossed at
    scale factor a, with the mean over the galaxies of a bin; those nearer than chi are not lensed.
    """
    nearer = np.clip(1 - chi[:, None] / sources.distances(cosmo), 0, None) @ sources.share.T
    return strength(cosmo, scale_factor)[:, None] / 2 * chi[:, None] * nearer


def strength(cosmo: Cosmology, scale_factor: Float64[np.ndarray, " plane"]) -> Float64[np.ndarray, " plane"]:
    """Laplacian of the lensing potential of a plane, for a surface density contrast of 1 Mpc/h [h^2/Mpc^2]."""
    return 3 * cosmo.omega_m / HUBBLE_DISTANCE**2 / scale_factor


def nla_factor(
    z: float | Float64[np.ndarray, "*z"], cosmo: Cosmology, a_ia: float, eta: float
) -> Float64[np.ndarray, "*z"]:
    """Intrinsic kappa of galaxies at redshift z, in units of the density contrast around them.

    F(z) = -A_IA C1 rho_crit omega_m / D(z) ((1 + z) / (1 + 0.7))^eta: the non-linear alignment model (Bridle & King
    2007, arXiv:0705.0166; Hildebrandt et al. 2017, arXiv:1606.05338). Positive amplitudes weaken the signal of lensing.
    """
    z = np.asarray(z, np.float64)
    d = growth(cosmo, 1 / (1 + z))[0]
    return np.asarray(-a_ia * CRITICAL * cosmo.omega_m / d * ((1 + z) / (1 + ALIGNED_AT)) ** eta)


def alignment(planes: LensPlanes, sources: Sources, a_ia: float, eta: float) -> Float64[np.ndarray, "plane bin"]:
    """Intrinsic kappa of a surface density contrast of 1 Mpc/h [h/Mpc]: `nla_factor` over the galaxies in each slab."""
    share = sources.share * nla_factor(sources.redshift, planes.cosmo, a_ia, eta)
    # Each sample of n(z) stands for a stretch of path; it may be cut by the border between two slabs.
    chi = sources.distances(planes.cosmo)
    if len(chi) > 1:
        middles = (chi[1:] + chi[:-1]) / 2
        low, high = np.r_[max(0.0, 2 * chi[0] - middles[0]), middles], np.r_[middles, 2 * chi[-1] - middles[-1]]
    else:
        low, high = chi - planes.thickness / 2, chi + planes.thickness / 2
    start = planes.distance[:, None] - planes.thickness / 2
    inside = np.clip(np.minimum(high, start + planes.thickness) - np.maximum(low, start), 0, None) / (high - low)
    return inside @ share.T / planes.thickness


def fits_in_box(side: float, far: float, box: float) -> None:
    """Refuse a field of `side` [deg] that is wider than the box [Mpc/h] at the distance of the source [Mpc/h]."""
    width = float(np.deg2rad(side)) * far
    if width > box:
        wide = f"a field of side = {side} deg is {width:.0f} Mpc/h wide at the source"
        raise ValueError(f"box = {box}: {wide}; box must be >= {np.ceil(width):.0f} [Mpc/h]")


def convergence(
    planes: LensPlanes,
    sources: Sources,
    *,
    side: float,
    pixels: int,
    n_maps: int,
    method: str = "multi-plane",
    a_ia: float = 0.0,
    eta: float = 0.0,
    key: Key[Array, ""],
) -> Float[Array, "map bin y x"]:
    """Kappa on a grid of rays, one through the centre of each pixel (no pixel window), alignments included.

    Each map of a side [deg] has its own random slabs, shifts and flips, drawn with `key`. The method is "multi-plane":
    `trace`; or "born": the sum of `efficiency` times surface density along straight rays. Alignments are
    `nla_factor`'s.
    """
    checks.one_of("method", method, ("multi-plane", "born"))
    if method == "multi-plane":
        settings = {"side": side, "pixels": pixels, "n_maps": n_maps, "a_ia": a_ia, "eta": eta}
        return trace(planes, sources, **settings, wanted=("kappa",), key=key)["kappa"]
    angles = _angles(planes, sources, side, pixels)
    weights = efficiency(planes.cosmo, planes.distance, planes.scale_factor, sources)
    weights += alignment(planes, sources, a_ia, eta)
    paths = recycle(len(planes.distance), planes.surface.shape[1], n_maps, key)
    kappa = jnp.zeros((n_maps, weights.shape[1], pixels, pixels), jnp.float32)
    for i, weight in enumerate(weights.astype(np.float32)):
        scale = np.float32(planes.distance[i] / planes.box)
        kappa = _add_plane(kappa, planes.surface[i], weight, scale * angles, *(one[i] for one in paths))
    return kappa


def _angles(planes: LensPlanes, sources: Sources, side: float, pixels: int) -> Float[np.ndarray, " pixel"]:
    """Angle of the rays from the middle of the field along one axis [rad]."""
    fits_in_box(side, float(sources.distances(planes.cosmo).max()), planes.box)
    return ((np.arange(pixels) - (pixels - 1) / 2) * (np.deg2rad(side) / pixels)).astype(np.float32)


def trace(
    planes: LensPlanes,
    sources: Sources,
    *,
    side: float,
    pixels: int,
    n_maps: int,
    a_ia: float = 0.0,
    eta: float = 0.0,
    wanted: Sequence[str] = tuple(_COMBINE),
    key: Key[Array, ""],
) -> dict[str, Float[Array, "map bin y x"]]:
    """Follow bundles of light from us to the galaxies, bent and sheared at every plane.

    A bundle that we see at angle theta is at x(chi), and its cross-section is the matrix dx/dtheta; both are straight
    lines between planes, where dx/dchi drops by the gradient of the plane's potential, taken where the bundle is. The
    distortion matrix of a galaxy at chi_s is (dx/dtheta)(chi_s) / chi_s; between planes that is a constant plus a
    constant over chi_s, so the mean over any distribution of galaxies takes two numbers a plane, and is exact.

    A plane's potential is found by Fourier transform, and read from a finer grid than the plane's own, with the window
    of that reading divided out. A plane's mean focuses, and does not deflect.

    Args:
        wanted: names of what is returned; the rest as in `convergence`. The distortion matrix of (x, y) is
            1 - [[kappa + shear_1, shear_2 + rotation], ...], the shear that of Bartelmann & Schneider 2001; straight
            rays have no rotation.
    """
    chi, far = planes.distance, sources.distances(planes.cosmo)
    angles = _angles(planes, sources, side, pixels)
    bending = strength(planes.cosmo, planes.scale_factor)
    aligned = alignment(planes, sources, a_ia, eta) / bending[:, None]
    next_chi = np.append(chi[1:], max(chi[-1], far.max()) + 1)
    behind = (far > chi[:, None]) & (far <= next_chi[:, None])  # [plane, z]: galaxies between a plane and the next
    passing = [behind.astype(float) @ sources.share.T, (behind / far) @ sources.share.T]  # times 1, and 1 / chi_s
    crossed = int(np.sum(chi < far.max()))
    path = [np.asarray(one)[:crossed] for one in recycle(len(chi), planes.surface.shape[1], n_maps, key)]
    weights = np.stack([*passing, aligned], axis=1)[:crossed].astype(np.float32)
    box, combine = np.float32(planes.box), tuple(_COMBINE[name] for name in wanted)
    fields = raytracing.fields(planes.surface[:crossed], bending[:crossed].astype(np.float32), box)
    most = raytracing.at_once()
    size, rows = max(1, most // pixels**2), min(pixels, max(1, most // pixels))

    def some(piece: tuple[int, int]) -> list[Float[Array, "map bin y x"]]:
        start, row = piece
        turns = Recycling(*(one[:, start : start + size] for one in path))
        grid = (angles[row : row + rows], angles)
        seen = raytracing.follow(fields, grid, chi[:crossed].astype(np.float32), box, weights, turns, combine, True)
        return jax.block_until_ready(seen)

    # Pieces are some maps of some rows, three at a time: many short steps of one leave a core idle.
    pieces = itertools.product(range(0, n_maps, size), range(0, pixels, rows))
    with ThreadPoolExecutor(3) as threads:
        found = zip(*threads.map(some, pieces), strict=True)
    across = -(-pixels // rows)
    return {
        name: jnp.concatenate([jnp.concatenate(parts[n : n + across], axis=2) for n in range(0, len(parts), across)])
        for name, parts in zip(wanted, found, strict=True)
    }


@functools.partial(jax.jit, donate_argnums=0)
def _add_plane(kappa, surface, weight, rays, slab, shift, flip):
    """Add one plane to every map. `rays` are positions across the plane and `shift` its origin, in units of the box."""
    mesh = surface.shape[-1]
    at_cells = _fourier_series(*_waves(jnp.arange(mesh) / mesh, mesh))
    series = at_cells.T @ surface @ at_cells / mesh**2
    # cos(a + b) from cos and sin of a and b: few cosines, however many maps.
    cos_ray, sin_ray = (one[:, None] for one in _waves(rays, mesh))
    cos_shift, sin_shift = _waves(shift[:, None], mesh)
    sin_ray = sin_ray * flip[:, None, :, None]
    cosines = cos_shift * cos_ray - sin_shift * sin_ray
    sines = sin_shift * cos_ray + cos_shift * sin_ray
    at_rays = _fourier_series(cosines, sines)
    seen = jnp.einsum("myk,mkl->myl", at_rays[:, :, 0], series[slab])
    seen = jnp.einsum("myl,mxl->myx", seen, at_rays[:, :, 1])
    return kappa + weight[:, None, None] * seen[:, None]


def _waves(x: Float[Array, "*shape"], mesh: int) -> tuple[Waves, Waves]:
    """Cosine and sine of every wave that a periodic mesh of even size holds, at x in units of the period."""
    phase = 2 * jnp.pi * x[..., None] * jnp.arange(mesh // 2 + 1)
    return jnp.cos(phase), jnp.sin(phase)


def _fourier_series(cosines: Waves, sines: Waves) -> Float[Array, "*shape mesh"]:
    """The orthonormal functions 1, sqrt(2) cos, ..., cos at Nyquist, sqrt(2) sin, ... of `_waves`."""
    nyquist = cosines.shape[-1] - 1
    norm = jnp.where(jnp.arange(nyquist + 1) % nyquist == 0, 1.0, jnp.sqrt(2.0))
    return jnp.concatenate([cosines * norm, jnp.sqrt(2.0) * sines[..., 1:nyquist]], axis=-1)
