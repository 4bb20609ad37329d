"""Light: one box of matter, seen through many lines of sight, becomes maps of kappa.

The path from the source to us is cut into planes of equal thickness. Each plane holds the matter of a slab of the box
at the time the light crossed it. One box serves many maps: every map takes, plane by plane, a slab along a random axis,
shifted and flipped at random ("recycling", as in Zorrilla Matilla et al. 2020).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64, Int, Key

from wlbook import nbody, random
from wlbook.cosmology import FIDUCIAL, HUBBLE_DISTANCE, Cosmology, distance, growth, scale_factor_at

START = 0.1  # scale factor at which perturbation theory hands over to the particle mesh
CUTS = 3  # slabs cut along each axis of the box for every plane


class LensPlanes(NamedTuple):
    """Matter between us and the source, plane by plane from near to far, with several slabs to choose from for each.

    Attributes:
        surface: density contrast integrated through each slab [Mpc/h]; the plane is periodic, its side is `box`.
        distance: comoving distance of each plane [Mpc/h].
        scale_factor: when light crossed it.
        box: side of the box [Mpc/h].
        omega_m: of the simulated universe.
    """

    surface: Float[Array, "plane slab mesh mesh"]
    distance: Float64[np.ndarray, " plane"]
    scale_factor: Float64[np.ndarray, " plane"]
    box: float
    omega_m: float


class LightCone(NamedTuple):
    """When to stop the simulation, and where the lens planes are.

    Attributes:
        scale_factors: edges of the simulation's steps, ascending to today.
        early: number of steps before the first that light crosses.
        thickness: of every plane, all alike from us to the farthest source [Mpc/h].
        distance: comoving distance of the planes' middles, from near to far [Mpc/h].
        scale_factor: when light crossed them.
    """

    scale_factors: Float64[np.ndarray, " edge"]
    early: int
    thickness: float
    distance: Float64[np.ndarray, " plane"]
    scale_factor: Float64[np.ndarray, " plane"]


def light_cone(cosmo: Cosmology, *, box: float, steps: int, source_redshift: float) -> LightCone:
    """Lay the steps and the lens planes along the path of light.

    The first third of the steps, even in D, brings the matter to the source's redshift. The others are even in comoving
    distance from the source to us, each cut into planes a third to a half of the box thick (thick enough to hold the
    structures, thin enough that two or three come out of the box).

    Args:
        box: side of the box [Mpc/h].
        steps: of the whole simulation, >= 6.
        source_redshift: of the farthest source, > 0.

    Raises:
        ValueError: naming the argument that is out of range.
    """
    if steps < 6:
        raise ValueError(f"steps = {steps}: must be >= 6")
    if not 0 < source_redshift < 8:
        raise ValueError(f"source_redshift = {source_redshift}: must be > 0 and < 8")
    early = steps // 3
    late = steps - early
    far = float(distance(cosmo, source_redshift))
    crossing = scale_factor_at(cosmo, np.linspace(far, 0, late + 1))
    a = np.geomspace(START / 2, 1, 512)
    d = growth(cosmo, a)[0]
    first, last = np.interp([START, crossing[0]], a, d)
    between = np.interp(np.linspace(first, last, early + 1)[1:-1], d, a)
    # The same number of planes for all models, so that they share one compiled program.
    per_step = max(1, int(float(distance(Cosmology(*FIDUCIAL), source_redshift)) / late / (box / 3)))
    count = late * per_step
    thickness = far / count
    if thickness > box / 2:
        raise ValueError(f"steps = {steps}: planes of {thickness:.0f} Mpc/h must be <= box / 2 = {box / 2:g} thick")
    chi = (np.arange(count) + 0.5) * thickness
    edges = np.concatenate([[START], between, crossing])
    return LightCone(edges, early, thickness, chi, scale_factor_at(cosmo, chi))


def lens_planes(
    cosmo: Cosmology, *, box: float, particles: int, steps: int, source_redshift: float, seed: int
) -> LensPlanes:
    """Simulate one box up to today and cut the lens planes as it goes.

    The force mesh has twice as many cells a side as there are particles. The density that drives the force half-way
    through a step is also the lens, summed along each axis: no particle is painted twice. Between the step's middle and
    the plane's own time it grows linearly.

    Args:
        box: side of the periodic box [Mpc/h].
        particles: particles per side.
        steps: of the whole simulation, >= 6.
        source_redshift: of the farthest source.
        seed: of the initial conditions, and of where the slabs are cut.
    """
    cone = light_cone(cosmo, box=box, steps=steps, source_redshift=source_redshift)
    late = steps - cone.early
    per_step = len(cone.distance) // late
    d_edges = growth(cosmo, cone.scale_factors)[0]
    d_middle = (d_edges[cone.early : -1] + d_edges[cone.early + 1 :]) / 2
    d_plane = growth(cosmo, cone.scale_factor)[0]
    rescale = d_plane.reshape(late, per_step)[::-1] / d_middle[:, None]
    starts = np.asarray(jax.random.uniform(random.key(seed, "slabs"), (late, 3, per_step, 1)), np.float64)
    starts = (starts + np.arange(CUTS) / CUTS) * box
    weights = _slab_weights(starts, cone.thickness, box, 2 * particles) * rescale[:, None, :, None, None]
    weights = weights.astype(np.float32).reshape(late, 3, per_step * CUTS, -1)

    surfaces = []
    mesh = 2 * particles
    windows = _windows(cosmo.sigma_8 * d_plane, mesh).astype(np.float32).reshape(late, per_step, mesh)[::-1]
    edges = cone.scale_factors
    state = nbody.initial(cosmo, box=box, particles=particles, scale_factor=edges[0], seed=seed)
    steps_taken = nbody.evolve(cosmo, *state, box=box, mesh=mesh, scale_factors=edges, look=cone.early)
    fields = (delta for delta, _ in steps_taken if delta is not None)
    for delta, weight in zip(fields, weights, strict=True):
        slabs = _project(delta, weight).reshape(3, per_step, CUTS, mesh, mesh)
        surfaces.append(_clean(slabs.swapaxes(0, 1).reshape(per_step, -1, mesh, mesh), windows[len(surfaces)]))
    return LensPlanes(jnp.concatenate(surfaces[::-1]), cone.distance, cone.scale_factor, float(box), cosmo.omega_m)


def _slab_weights(
    starts: Float64[np.ndarray, "*shape"], thickness: float, box: float, mesh: int
) -> Float64[np.ndarray, "*shape mesh"]:
    """Length of each cell inside the periodic slab that starts at `starts` [Mpc/h]."""
    cell = box / mesh
    near = (np.arange(mesh) * cell - starts[..., None]) % box  # from the slab's start to the cell's near side
    inside = np.clip(thickness - near, 0, cell)
    wrapped = np.clip(near + cell - box, 0, cell)  # of the cell that the slab's start cuts
    return inside + np.minimum(wrapped, thickness)


@jax.jit
def _project(delta: Float[Array, "n n n"], weights: Float[Array, "3 slab n"]) -> Float[Array, "3 slab n n"]:
    """Sum the mesh along each axis with the weights of each slab."""
    n = delta.shape[0]
    first = weights[0] @ delta.reshape(n, n * n)
    last = weights[2] @ delta.reshape(n * n, n).T
    middle = jnp.einsum("sj,ijk->sik", weights[1], delta)
    return jnp.stack([first.reshape(-1, n, n), middle, last.reshape(-1, n, n)])


def _windows(amplitude: Float64[np.ndarray, " plane"], mesh: int) -> Float64[np.ndarray, "plane mesh"]:
    """What the waves of each plane are divided by along each axis: the cloud-in-cell window, and a cut of the lattice.

    Where matter has hardly moved the particles still stand on their lattice, and its wave, the Nyquist wave of the
    mesh, would show in the maps. The cut takes it out while the linear amplitude sigma_8 D is below 0.7, fully below
    0.5; later real structure drowns it.
    """
    order = np.abs(np.fft.fftfreq(mesh))  # 1/2 at the Nyquist wave
    share = np.clip((0.7 - amplitude) / 0.2, 0, 1)
    return np.sinc(order) ** 2 * np.exp(share[:, None] * (order / 0.45) ** 8)


@jax.jit
def _clean(surface: Float[Array, "plane slab n n"], window: Float[Array, "plane n"]) -> Float[Array, "plane slab n n"]:
    """Divide the waves of each plane by its window along both axes."""
    n = surface.shape[-1]
    modes = jnp.fft.rfft2(surface) / (window[:, None, :, None] * window[:, None, None, : n // 2 + 1])
    return jnp.fft.irfft2(modes, s=(n, n))


class _Recycling(NamedTuple):
    """How each map looks through each plane."""

    slab: Int[Array, "plane map"]
    shift: Float[Array, "plane map 2"]  # in units of the box
    flip: Float[Array, "plane map 2"]


def _recycle(planes: int, slabs: int, n_maps: int, key: Key[Array, ""]) -> _Recycling:
    """Random slab, shift and flips; those of one map do not depend on how many there are."""

    def of_one_map(index):
        slab, shift, flip = jax.random.split(jax.random.fold_in(key, index), 3)
        return _Recycling(
            jax.random.randint(slab, (planes,), 0, slabs),
            jax.random.uniform(shift, (planes, 2)),
            jax.random.rademacher(flip, (planes, 2), dtype=jnp.float32),
        )

    return jax.vmap(of_one_map, out_axes=1)(jnp.arange(n_maps))


def convergence(
    planes: LensPlanes,
    *,
    source_distance: Float64[np.ndarray, " bin"],
    side: float,
    pixels: int,
    n_maps: int,
    method: str = "born",
    key: Key[Array, ""],
) -> Float[Array, "map bin y x"]:
    """Kappa on a grid of rays, one through the centre of each pixel (no pixel window).

    kappa = 3/2 omega_m H0^2/c^2 sum over planes of chi (1 - chi / chi_s) / a * surface, along straight rays (Born).
    Planes are interpolated by their Fourier series, which is exact.

    Args:
        planes: from `lens_planes`.
        source_distance: comoving distance of each source plane [Mpc/h].
        side: of the map [deg].
        pixels: per side.
        n_maps: number of maps; each sees its own random slabs, shifts and flips.
        key: JAX key of the recycling.

    Raises:
        ValueError: for an unknown method, or a field that outgrows the box.
    """
    if method != "born":
        raise ValueError(f'method = {method!r}: must be "born"')
    opening = np.deg2rad(side)
    fits_in_box(side, float(np.max(source_distance)), planes.box)
    angles = ((np.arange(pixels) - (pixels - 1) / 2) * (opening / pixels)).astype(np.float32)
    chi = planes.distance
    weights = efficiency(planes.omega_m, chi, planes.scale_factor, source_distance)
    paths = _recycle(len(chi), planes.surface.shape[1], n_maps, key)
    kappa = jnp.zeros((n_maps, weights.shape[1], pixels, pixels), jnp.float32)
    for i, weight in enumerate(weights.astype(np.float32)):
        scale = np.float32(chi[i] / planes.box)
        kappa = _add_plane(kappa, planes.surface[i], weight, scale * angles, *(one[i] for one in paths))
    return kappa


def efficiency(
    omega_m: float,
    chi: Float64[np.ndarray, " plane"],
    scale_factor: Float64[np.ndarray, " plane"],
    source_distance: Float64[np.ndarray, " bin"],
) -> Float64[np.ndarray, "plane bin"]:
    """Kappa of a surface density contrast of 1 Mpc/h: 3/2 omega_m H0^2/c^2 chi (1 - chi / chi_s) / a [h/Mpc].

    Args:
        omega_m: matter density today.
        chi, scale_factor: comoving distance of the planes [Mpc/h], and when light crossed them.
        source_distance: comoving distance of the sources [Mpc/h]; nothing behind them lenses.
    """
    nearer = np.clip(1 - chi[:, None] / source_distance, 0, None)
    return 1.5 * omega_m / HUBBLE_DISTANCE**2 * (chi / scale_factor)[:, None] * nearer


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
