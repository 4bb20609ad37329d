"""Planes: the matter of one box, cut into slabs at the times when light crossed them.

The path from the farthest source to us is cut into planes of equal thickness. Each holds the matter of several slabs of
the box, at the time the light was there, for `lensing` to choose from.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Float64

from wlbook.common import checks, random
from wlbook.simulation import nbody
from wlbook.simulation.cosmology import FIDUCIAL, Cosmology, distance, growth, scale_factor_at

START = 0.1  # scale factor at which perturbation theory hands over to the particle mesh
CUTS = 3  # slabs cut along each axis of the box for every plane


class LensPlanes(NamedTuple):
    """Matter between us and the source, plane by plane from near to far, with several slabs to choose from for each."""

    surface: Float[Array, "plane slab mesh mesh"]  # density contrast integrated through each slab [Mpc/h]; periodic
    distance: Float64[np.ndarray, " plane"]  # comoving distance of each plane [Mpc/h]
    scale_factor: Float64[np.ndarray, " plane"]  # when light crossed it
    thickness: float  # of each slab [Mpc/h]
    box: float  # side of the box, and of each plane [Mpc/h]
    cosmo: Cosmology  # the simulated universe


class LightCone(NamedTuple):
    """When to stop the simulation, and where the lens planes are."""

    scale_factors: Float64[np.ndarray, " edge"]  # edges of the simulation's steps, ascending to today
    early: int  # number of steps before the first that light crosses
    thickness: float  # of every plane, all alike from us to the farthest source [Mpc/h]
    distance: Float64[np.ndarray, " plane"]  # comoving distance of the planes' middles, from near to far [Mpc/h]
    scale_factor: Float64[np.ndarray, " plane"]  # when light crossed them


def light_cone(
    cosmo: Cosmology, *, box: float, steps: int, source_redshift: float, planes_per_step: int = 1
) -> LightCone:
    """Lay the steps and the lens planes along the path of light.

    The first third of the steps, even in D, brings the matter to the source's redshift. The others are even in comoving
    distance from the source to us, each cut into planes a third to a half of the box thick (thick enough to hold the
    structures, thin enough that two or three come out of the box).

    The box is in Mpc/h, the whole simulation has 6 steps or more, the farthest source lies at a redshift > 0 and < 8.
    `planes_per_step` is 1, or how many times thinner to make the planes.
    """
    checks.at_least("steps", steps, 6)
    checks.within("source_redshift", source_redshift, 0, 8)
    early = steps // 3
    late, far = steps - early, float(distance(cosmo, source_redshift))
    crossing = scale_factor_at(cosmo, np.linspace(far, 0, late + 1))
    a = np.geomspace(START / 2, 1, 512)
    d = growth(cosmo, a)[0]
    first, last = np.interp([START, crossing[0]], a, d)
    between = np.interp(np.linspace(first, last, early + 1)[1:-1], d, a)
    # The same number of planes for all models, so that they share one compiled program.
    per_step = int(np.ceil(float(distance(Cosmology(*FIDUCIAL), source_redshift)) / late / (box / 2.2)))
    count = late * per_step * planes_per_step
    thickness = far / count
    rule = f"more: planes are {thickness:.0f} Mpc/h thick, allowed is box / 2 = {box / 2:g}"
    checks.require(thickness <= box / 2, "steps", steps, rule)
    chi = (np.arange(count) + 0.5) * thickness
    return LightCone(np.r_[START, between, crossing], early, thickness, chi, scale_factor_at(cosmo, chi))


def lens_planes(
    cosmo: Cosmology,
    *,
    box: float,
    particles: int,
    steps: int,
    source_redshift: float,
    seed: int,
    planes_per_step: int = 1,
) -> LensPlanes:
    """Simulate one box up to today and cut the lens planes as it goes.

    The force mesh has twice as many cells a side as there are particles. The density that drives the force half-way
    through a step is also the lens, summed along each axis: no particle is painted twice. Between the step's middle and
    the plane's own time it grows linearly. The seed is also that of where the slabs are cut.
    """
    cone = light_cone(cosmo, box=box, steps=steps, source_redshift=source_redshift, planes_per_step=planes_per_step)
    late, mesh, edges = steps - cone.early, 2 * particles, cone.scale_factors
    per_step = len(cone.distance) // late
    d_edges = growth(cosmo, edges)[0]
    d_middle = (d_edges[cone.early : -1] + d_edges[cone.early + 1 :]) / 2
    d_plane = growth(cosmo, cone.scale_factor)[0]
    # Growth from the middle of a step to its planes' own time [step, plane]: steps in time, planes of a step from near.
    rescale = d_plane.reshape(late, per_step)[::-1] / d_middle[:, None]
    # Where slabs start [step, axis, plane, cut], and how much of each cell they hold [step, axis, plane x cut, cell].
    starts = np.asarray(jax.random.uniform(random.key(seed, "slabs"), (late, 3, per_step, 1)), np.float64)
    starts = (starts + np.arange(CUTS) / CUTS) * box
    weights = _slab_weights(starts, cone.thickness, box, mesh) * rescale[:, None, :, None, None]
    weights = weights.astype(np.float32).reshape(late, 3, per_step * CUTS, -1)

    # What to divide each plane by [step, plane, wave along a side].
    windows = _windows(cosmo.sigma_8 * d_plane, mesh).astype(np.float32).reshape(late, per_step, mesh)[::-1]
    surfaces = []
    state = nbody.initial(cosmo, box=box, particles=particles, scale_factor=edges[0], seed=seed)
    steps_taken = nbody.evolve(cosmo, *state, box=box, mesh=mesh, scale_factors=edges, look=cone.early)
    fields = (delta for delta, _ in steps_taken if delta is not None)
    for delta, weight, window in zip(fields, weights, windows, strict=True):
        # [axis, plane, cut, y, x] becomes [plane, axis x cut, y, x]: the slabs that a plane can be chosen from.
        slabs = _project(delta, weight).reshape(3, per_step, CUTS, mesh, mesh)
        surfaces.append(_clean(slabs.swapaxes(0, 1).reshape(per_step, -1, mesh, mesh), window))
    surface = jnp.concatenate(surfaces[::-1])
    return LensPlanes(surface, cone.distance, cone.scale_factor, cone.thickness, float(box), cosmo)


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
