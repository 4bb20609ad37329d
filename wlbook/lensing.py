"""Light: one box of matter, seen through many lines of sight, becomes maps of kappa and shear.

One box serves many maps: every map takes, plane by plane, a slab along a random axis, shifted and flipped at random
("recycling", as in Zorrilla Matilla et al. 2020). Light is followed either along straight rays (Born), or bent at every
plane with the distortion of its bundle accumulated (multi-plane ray tracing, Hilbert et al. 2009, arXiv:0809.5035).
"""

import functools
import operator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int, Key

from wlbook.cosmology import ALIGNED_AT, HUBBLE_DISTANCE, Cosmology, growth
from wlbook.planes import LensPlanes, LightCone, lens_planes, light_cone
from wlbook.sources import Sources

__all__ = [
    "LensPlanes", "LightCone", "Rays", "Recycling", "alignment", "convergence", "efficiency", "fits_in_box",
    "lens_planes", "light_cone", "nla_factor", "recycle", "strength", "trace",
]  # fmt: skip

CRITICAL = 5e-14 * 2.775e11  # C1 times the critical density, h cancelled (Brown et al. 2002, astro-ph/0009499)
RAYS = 2**17  # rays followed at once: bounds the memory of their deflections
FINER = 2  # cells of the grid that bent rays read from, to one of the planes' own


class Rays(NamedTuple):
    """What became of bundles of light: the distortion matrix is 1 - [[kappa + shear_1, shear_2 + rotation], ...].

    Attributes:
        kappa: convergence.
        shear_1, shear_2: of the reduced pair (x, y), as in Bartelmann & Schneider 2001.
        rotation: zero for straight rays.
    """

    kappa: Float[Array, "map bin y x"]
    shear_1: Float[Array, "map bin y x"]
    shear_2: Float[Array, "map bin y x"]
    rotation: Float[Array, "map bin y x"]


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
    cosmo: Cosmology,
    chi: Float64[np.ndarray, " plane"],
    scale_factor: Float64[np.ndarray, " plane"],
    sources: Sources,
) -> Float64[np.ndarray, "plane bin"]:
    """Kappa of a surface density contrast of 1 Mpc/h [h/Mpc].

    3/2 omega_m H0^2/c^2 chi / a <1 - chi / chi_s>, with the mean over the galaxies of a bin; those nearer than chi are
    not lensed.

    Args:
        cosmo: the universe.
        chi, scale_factor: comoving distance of the planes [Mpc/h], and when light crossed them.
        sources: of each bin.
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
    2007, arXiv:0705.0166; Hildebrandt et al. 2017, arXiv:1606.05338).

    Args:
        z: redshift, >= 0.
        cosmo: the universe.
        a_ia: amplitude; positive ones weaken the signal of lensing.
        eta: slope with redshift.
    """
    z = np.asarray(z, np.float64)
    d = growth(cosmo, 1 / (1 + z))[0]
    return np.asarray(-a_ia * CRITICAL * cosmo.omega_m / d * ((1 + z) / (1 + ALIGNED_AT)) ** eta)


def alignment(planes: LensPlanes, sources: Sources, a_ia: float, eta: float) -> Float64[np.ndarray, "plane bin"]:
    """Intrinsic kappa of a surface density contrast of 1 Mpc/h [h/Mpc]: `nla_factor` over the galaxies in each slab.

    Args:
        planes: from `lens_planes`.
        sources: of each bin.
        a_ia, eta: as in `nla_factor`.
    """
    share = sources.share * nla_factor(sources.redshift, planes.cosmo, a_ia, eta)
    # Each sample of n(z) stands for a stretch of path; it may be cut by the border between two slabs.
    chi = sources.distances(planes.cosmo)
    if len(chi) > 1:
        middles = (chi[1:] + chi[:-1]) / 2
        low = np.concatenate([[max(0.0, 2 * chi[0] - middles[0])], middles])
        high = np.concatenate([middles, [2 * chi[-1] - middles[-1]]])
    else:
        low, high = chi - planes.thickness / 2, chi + planes.thickness / 2
    start = planes.distance[:, None] - planes.thickness / 2
    inside = np.clip(np.minimum(high, start + planes.thickness) - np.maximum(low, start), 0, None) / (high - low)
    return inside @ share.T / planes.thickness


def fits_in_box(side: float, far: float, box: float) -> None:
    """Refuse a field that is wider than the box at the distance of the source.

    Args:
        side: of the map [deg].
        far: comoving distance of the source [Mpc/h].
        box: side of the box [Mpc/h].

    Raises:
        ValueError: naming the box that would do.
    """
    width = float(np.deg2rad(side)) * far
    if width > box:
        raise ValueError(
            f"box = {box}: a field of side = {side} deg is {width:.0f} Mpc/h wide at the source; "
            f"box must be >= {np.ceil(width):.0f} [Mpc/h]"
        )


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

    Args:
        planes: from `lens_planes`.
        sources: of each bin.
        side: of the map [deg].
        pixels: per side.
        n_maps: number of maps; each sees its own random slabs, shifts and flips.
        method: "multi-plane": `trace`; "born": the sum of `efficiency` times surface density along straight rays.
        a_ia, eta: of intrinsic alignments, as in `nla_factor`.
        key: JAX key of the recycling.

    Raises:
        ValueError: for an unknown method, or a field that outgrows the box.
    """
    if method == "multi-plane":
        settings = {"side": side, "pixels": pixels, "n_maps": n_maps, "a_ia": a_ia, "eta": eta}
        return _trace(planes, sources, combine=_COMBINE[:1], **settings, key=key)[0]
    if method != "born":
        raise ValueError(f'method = {method!r}: must be one of "multi-plane", "born"')
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
    key: Key[Array, ""],
) -> Rays:
    """Follow bundles of light from us to the galaxies, bent and sheared at every plane.

    A bundle that we see at angle theta is at x(chi), and its cross-section is the matrix dx/dtheta; both are straight
    lines between planes, where dx/dchi drops by the gradient of the plane's potential, taken where the bundle is. The
    distortion matrix of a galaxy at chi_s is (dx/dtheta)(chi_s) / chi_s; between planes that is a constant plus a
    constant over chi_s, so the mean over any distribution of galaxies takes two numbers a plane, and is exact.

    A plane's potential is found by Fourier transform, and read from a grid FINER than the plane's own, with the window
    of that reading divided out. A plane's mean focuses, and does not deflect.

    Args:
        planes, sources, side, pixels, n_maps, a_ia, eta, key: as in `convergence`.

    Raises:
        ValueError: for a field that outgrows the box.
    """
    settings = {"side": side, "pixels": pixels, "n_maps": n_maps, "a_ia": a_ia, "eta": eta}
    return Rays(*_trace(planes, sources, combine=_COMBINE, **settings, key=key))


# Kappa, shear_1, shear_2 and rotation from the distortion's elements (yy, yx, xy, xx).
_COMBINE = ((-0.5, 0.0, 0.0, -0.5), (0.5, 0.0, 0.0, -0.5), (0.0, -0.5, -0.5, 0.0), (0.0, 0.5, -0.5, 0.0))


def _trace(planes, sources, *, side, pixels, n_maps, a_ia, eta, combine, key) -> list[Float[Array, "map bin y x"]]:
    """`trace`, but only the combinations asked for."""
    chi, far = planes.distance, sources.distances(planes.cosmo)
    angles = _angles(planes, sources, side, pixels)
    bending = strength(planes.cosmo, planes.scale_factor)
    aligned = alignment(planes, sources, a_ia, eta) / bending[:, None]
    next_chi = np.append(chi[1:], max(chi[-1], far.max()) + 1)
    behind = (far > chi[:, None]) & (far <= next_chi[:, None])  # [plane, z]: galaxies between a plane and the next
    constant = behind.astype(float) @ sources.share.T
    inverse = (behind / far) @ sources.share.T
    path = [np.asarray(one) for one in recycle(len(chi), planes.surface.shape[1], n_maps, key)]
    crossed = range(int(np.sum(chi < far.max())))
    box = np.float32(planes.box)
    fields = [_potential(planes.surface[i], np.float32(bending[i]), box) for i in crossed]
    weights = np.stack([constant, inverse, aligned])[:, : len(crossed)].astype(np.float32)
    size = max(1, RAYS // pixels**2)

    def some(start: int) -> list[Float[Array, "map bin y x"]]:
        turns = [Recycling(*(one[i, start : start + size] for one in path)) for i in crossed]
        place, slope = (_straight(len(turns[0].slab), pixels) for _ in range(2))
        meets = _meet(place, angles, chi[0] / box, turns[0])
        hessians = []
        for i, ahead in zip(crossed, [*turns[1:], turns[-1]], strict=True):
            # A program of its own: within a larger one XLA would read anew for each field.
            pulls = _read(fields[i], turns[i].slab, *meets)
            numbers = np.array([chi[i], chi[min(i + 1, crossed[-1])], box], np.float32)
            place, slope, meets, hessian = _bend(place, slope, pulls, angles, numbers, turns[i], ahead)
            hessians.append(hessian)
        return _distort(hessians, chi[: len(crossed)].astype(np.float32), weights, combine)

    # Two groups at a time: many short steps of one leave a core idle.
    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(some, range(0, n_maps, size)))
    return [jnp.concatenate(parts) for parts in zip(*found, strict=True)]


def _straight(n_maps: int, pixels: int) -> tuple[Float[Array, "map y x"], Float[Array, "map y x"]]:
    """Vectors (y, x) of bundles that do not deviate."""
    return tuple(jnp.zeros((n_maps, pixels, pixels), jnp.float32) for _ in range(2))  # pyright: ignore


@jax.jit
def _meet(place, angles, scale, turn: Recycling) -> tuple[Float[Array, "map y x"], Float[Array, "map y x"]]:
    """Where bundles meet a plane: its coordinates y and x. They, and the deviation `place`, in units of the box."""
    straight = (scale * angles[:, None], scale * angles)
    y, x = (
        turn.shift[:, axis, None, None] + turn.flip[:, axis, None, None] * (place[axis] + straight[axis])
        for axis in (0, 1)
    )
    return y, x


@jax.jit
def _potential(surface: Float[Array, "slab n n"], bending, box) -> Float[Array, "slab fine fine 5"]:
    """Gradient (y, x) and second derivatives (yy, yx, xx) of a plane's potential, on a grid FINER than its own.

    Differences of fourth order on that grid: at a third of the plane's Nyquist frequency they err by a thousandth.
    """
    slabs, n, _ = surface.shape
    fine, half = FINER * n, n // 2
    ky = 2 * np.pi * np.fft.fftfreq(n, 1 / n)[:, None]
    kx = 2 * np.pi * np.fft.rfftfreq(n, 1 / n)
    window = (np.sinc(np.fft.fftfreq(n) / FINER)[:, None] * np.sinc(np.fft.rfftfreq(n) / FINER)) ** 2
    squared = ky**2 + kx**2
    inverse = np.divide(-1, squared * window, where=squared > 0, out=np.zeros_like(squared)).astype(np.float32)
    modes = jnp.fft.rfft2(surface) * inverse * (bending * box**2 * FINER**2)
    wider = jnp.zeros((slabs, fine, fine // 2 + 1), modes.dtype)
    wider = wider.at[:, :half, : half + 1].set(modes[:, :half]).at[:, -half:, : half + 1].set(modes[:, half:])
    # The barrier keeps XLA from padding anew for every neighbour.
    framed = jnp.pad(jnp.fft.irfft2(wider, s=(fine, fine)), ((0, 0), (2, 2), (2, 2)), mode="wrap")
    framed = jax.lax.optimization_barrier(framed)

    def at(dy=0, dx=0):
        return framed[:, 2 + dy : 2 + dy + fine, 2 + dx : 2 + dx + fine]

    slope, curvature = {1: 8 / 12, -1: -8 / 12, 2: -1 / 12, -2: 1 / 12}, {1: 16 / 12, 2: -1 / 12}
    step = box / fine
    pull_y, pull_x = (sum(w * at(*move(d)) for d, w in slope.items()) / step for move in _AXES)
    yy, xx = (
        (sum(w * (at(*move(d)) + at(*move(-d))) for d, w in curvature.items()) - 30 / 12 * at()) / step**2
        for move in _AXES
    )
    yx = sum(v * w * at(dy, dx) for dy, v in slope.items() for dx, w in slope.items()) / step**2
    mean = bending * surface.mean(axis=(1, 2), keepdims=True) / 2
    return jnp.stack([pull_y, pull_x, yy + mean, yx, xx + mean], axis=-1)


_AXES = (lambda step: (step, 0), lambda step: (0, step))


@jax.jit
def _read(
    fields: Float[Array, "slab n n c"],
    slab: Int[Array, " map"],
    y: Float[Array, "map y x"],
    x: Float[Array, "map y x"],
) -> Float[Array, "map y x c"]:
    """All fields at periodic points in units of the box, linearly between four cells; one gather for all fields."""
    n, count = fields.shape[1], fields.shape[-1]
    rows = fields.reshape(-1, count)
    plane = jnp.broadcast_to(slab[:, None, None], y.shape).ravel()
    floor_y, floor_x = jnp.floor(y.ravel() * n), jnp.floor(x.ravel() * n)
    share_y, share_x = y.ravel() * n - floor_y, x.ravel() * n - floor_x
    low_y, low_x = floor_y.astype(jnp.int32) % n, floor_x.astype(jnp.int32) % n
    high_y, high_x = (jnp.where(one + 1 == n, 0, one + 1) for one in (low_y, low_x))
    total = jnp.zeros((1, count), fields.dtype)
    for row, weight_y in ((low_y, 1 - share_y), (high_y, share_y)):
        for column, weight_x in ((low_x, 1 - share_x), (high_x, share_x)):
            cell = (plane * n + row) * n + column
            total = total + rows.at[cell].get(mode="promise_in_bounds") * (weight_y * weight_x)[:, None]
    return total.reshape(*y.shape, count)


@jax.jit
def _bend(place, slope, pulls, angles, numbers, turn: Recycling, ahead: Recycling):
    """Bend bundles at a plane and take them to the next; what they met is returned in the axes of the map.

    Returns their deviation and its slope as vectors (y, x); where they meet the next plane; second derivatives of this
    plane's potential (yy, yx, xx).
    """
    chi, next_chi, box = numbers
    flip = [turn.flip[:, axis, None, None] for axis in (0, 1)]
    slope = tuple(slope[axis] - flip[axis] * pulls[..., axis] for axis in (0, 1))
    place = tuple(one + (next_chi - chi) * rate for one, rate in zip(place, slope, strict=True))
    meets = _meet([one / box for one in place], angles, next_chi / box, ahead)
    return place, slope, meets, (pulls[..., 2], flip[0] * flip[1] * pulls[..., 3], pulls[..., 4])


@functools.partial(jax.jit, static_argnames="combine")
def _distort(hessians, chi, weights, combine):
    """Mean distortion of the galaxies of each bin, from the second derivatives that bundles met at each plane.

    The cross-section dx/dtheta of a bundle is followed as its deviation from that of straight light, with elements
    (yy, yx, xy, xx). All planes in one program: nothing but the answer is written to memory.

    Args:
        hessians: (yy, yx, xx) of each plane.
        chi: distance of the planes.
        weights: constant, inverse and alignment for each plane and bin.
        combine: for each result, the factors of the four elements.
    """
    width, slope = [jnp.zeros(())] * 4, [jnp.zeros(())] * 4
    totals = [jnp.zeros(())] * len(combine)
    for i, (yy, yx, xx) in enumerate(hessians):
        step = chi[i] - chi[i - 1] if i else chi[0]
        width = [one + step * rate for one, rate in zip(width, slope, strict=True)]
        a, b, c, d = width[0] + chi[i], width[1], width[2], width[3] + chi[i]
        kicks = (yy * a + yx * c, yy * b + yx * d, yx * a + xx * c, yx * b + xx * d)
        slope = [rate - kick for rate, kick in zip(slope, kicks, strict=True)]
        constant, inverse, aligned = weights[:, i, :, None, None]
        for k, factors in enumerate(combine):
            rate, size = (
                functools.reduce(operator.add, [f * one for f, one in zip(factors, each, strict=True) if f])
                for each in (slope, width)
            )
            intrinsic = (factors[0] + factors[3]) * (yy + xx)  # an intrinsic kappa distorts yy and xx alike
            added = constant * rate[:, None] + inverse * (size - chi[i] * rate)[:, None] - aligned * intrinsic[:, None]
            totals[k] = totals[k] + added
    return totals


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


def _waves(x: Float[Array, "*shape"], mesh: int) -> tuple[Float[Array, "*shape half"], Float[Array, "*shape half"]]:
    """Cosine and sine of every wave that a periodic mesh of even size holds, at x in units of the period."""
    phase = 2 * jnp.pi * x[..., None] * jnp.arange(mesh // 2 + 1)
    return jnp.cos(phase), jnp.sin(phase)


def _fourier_series(
    cosines: Float[Array, "*shape half"], sines: Float[Array, "*shape half"]
) -> Float[Array, "*shape mesh"]:
    """The orthonormal functions 1, sqrt(2) cos, ..., cos at Nyquist, sqrt(2) sin, ... of `_waves`."""
    nyquist = cosines.shape[-1] - 1
    norm = jnp.where(jnp.arange(nyquist + 1) % nyquist == 0, 1.0, jnp.sqrt(2.0))
    return jnp.concatenate([cosines * norm, jnp.sqrt(2.0) * sines[..., 1:nyquist]], axis=-1)
