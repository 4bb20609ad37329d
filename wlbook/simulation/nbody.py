"""Gravity: matter in a periodic box, moved by a particle mesh.

Second-order Lagrangian initial conditions, then drift-kick-drift steps in the growth factor D with the weights of
BullFrog (Rampf, List and Hahn 2024, arXiv:2409.19049), which follow second-order perturbation theory exactly, however
long the step. Velocities are dx/dD [Mpc/h] and the force is A = -grad laplace^-1 delta [Mpc/h], so that no other unit
of time is needed.
"""

import functools
from collections.abc import Iterator, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Complex, Float, Key

from wlbook.common import checks, random
from wlbook.simulation.cosmology import Cosmology, growth, linear_power
from wlbook.simulation.particle_mesh import Side, cloud_in_cell_window, density_contrast, read, wavenumbers

SHARPENING = 0.01  # how far particles move towards the halos, in units of the pull of `halo_kernel`
_FINEST = 1024  # particles per side up to which boxes of one seed share their waves


def initial(
    cosmo: Cosmology, *, box: float, particles: int, scale_factor: float, seed: int
) -> tuple[Float[Array, "particle 3"], Float[Array, "particle 3"]]:
    """Positions [Mpc/h] and velocities dx/dD [Mpc/h] of second-order Lagrangian perturbation theory.

    For `particles` >= 2 per side of a periodic box [Mpc/h], early enough for the theory to hold (a of about 0.1).
    """
    checks.positive("box", box, "Mpc/h")
    checks.at_least("particles", particles, 2)
    checks.within("scale_factor", scale_factor, 0.001, 1, "(]")
    k = np.geomspace(1e-4, 1e2, 512)
    table = np.log([k, linear_power(cosmo, k)]).astype(np.float32)
    start = growth(cosmo, scale_factor).astype(np.float32)
    return _initial(random.key(seed, "initial conditions"), *table, start, np.float32(box), particles)


def evolve(
    cosmo: Cosmology,
    positions: Float[Array, "particle 3"],
    velocities: Float[Array, "particle 3"],
    *,
    box: float,
    mesh: int,
    scale_factors: Float[np.ndarray, " edge"],
    look: int | None = None,
) -> Iterator[tuple[Float[Array, "mesh mesh mesh"] | None, Float[Array, "particle 3"]]]:
    """Move particles from the first scale factor to the last, step by step.

    Each step gives the density contrast half-way through it (half-way in D), sharpened, or None in a step not looked
    at; and the positions at its end.

    Positions [Mpc/h] of n^3 particles are as `initial` leaves them; the force mesh of the box [Mpc/h] has n cells a
    side or more. Scale factors are the ascending edges of the steps; at the first, about 0.1, perturbation theory hands
    over. `look` is the first step to look at; none unless given.
    """
    particles = round(positions.shape[0] ** (1 / 3))
    scale_factors = np.asarray(scale_factors, dtype=np.float64)
    checks.require(mesh >= particles, "mesh", mesh, f">= particles = {particles}")
    checks.rising("scale_factors", scale_factors)
    side = jnp.float32(box)
    weights = bullfrog(cosmo, scale_factors).astype(np.float32)
    kernels = _kernels(mesh, particles, side)
    # Python calls the pieces one by one: on a CPU, XLA runs them half as fast when compiled as one program.
    for step, (alpha, beta, length) in enumerate(weights):
        # Drift to the middle of the step, where the force is taken.
        positions = _move(positions, velocities, length / 2)
        delta = density_contrast(positions, mesh, side)
        # Pulls at the particles [particle, 3 or 6]: x, y, z of the force, then of the pull to the halos if looked at.
        looking = look is not None and step >= look
        pulls = read(pull(kernels if looking else kernels[:1], delta, side), positions, side)
        if looking:
            delta = density_contrast(_move(positions, pulls[:, 3:], np.float32(SHARPENING)), mesh, side)
        # Kick with the force alone, and drift to the end.
        velocities = _kick(velocities, pulls[:, :3], alpha, beta)
        positions = _move(positions, velocities, length / 2)
        yield delta if looking else None, positions


@jax.jit
def _move(positions, velocities, length):
    return positions + length * velocities


@jax.jit
def _kick(velocities, pulls, alpha, beta):
    return alpha * velocities + beta * pulls


def bullfrog(cosmo: Cosmology, scale_factors: Float[np.ndarray, " edge"]) -> Float[np.ndarray, "step 3"]:
    """Weights (alpha, beta, length) of each drift-kick-drift step, for v -> alpha v + beta A.

    Over a step from D0 to D1 with the force taken at D = (D0 + D1) / 2 on positions drifted there by v (D1 - D0) / 2,
    the Zel'dovich solution x = q + D psi_1 is kept if alpha + beta D = 1, since its force is A = D psi_1. The second
    order E psi_2 has the force (E - D^2) psi_2, hence dE/dD is kept if
    alpha E0' + beta (E0 + E0' (D1 - D0) / 2 - D^2) = E1'.
    """
    d, e, slope = growth(cosmo, np.asarray(scale_factors, dtype=np.float64))
    length = np.diff(d)
    middle = d[:-1] + length / 2
    pull = (e[:-1] + slope[:-1] * length / 2 - middle**2) / middle
    alpha = (slope[1:] - pull) / (slope[:-1] - pull)
    return np.stack([alpha, (1 - alpha) / middle, length], axis=-1)


@functools.partial(jax.jit, static_argnames="particles")
def _initial(key, log_k, log_power, start, box, particles):
    """Positions and velocities of second-order Lagrangian perturbation theory at growth (D, E, dE/dD) = start."""
    d, e, slope = start
    psi_1, psi_2 = displacements(linear_modes(log_k, log_power, box, particles, key=key), box)
    lattice = jnp.arange(particles, dtype=jnp.float32) * (box / particles)
    q = jnp.stack(jnp.meshgrid(lattice, lattice, lattice, indexing="ij"), axis=-1).reshape(-1, 3)
    return q + d * psi_1 + e * psi_2, psi_1 + slope * psi_2


def linear_modes(
    log_k: Float[Array, " k"], log_power: Float[Array, " k"], box: Side, particles: int, *, key: Key[Array, ""]
) -> Complex[Array, "n n half"]:
    """A Gaussian field of the given spectrum today, as its unnormalised Fourier modes (`rfftn`).

    The table of the linear spectrum holds natural logarithms of [h/Mpc] and [(Mpc/h)^3]; `particles` are grid points
    along a side. Boxes of one key have the same waves, whatever their resolution.
    """
    k = jnp.sqrt(sum(one**2 for one in wavenumbers(particles, box)))
    power = jnp.exp(jnp.interp(jnp.log(jnp.maximum(k, 1e-4)), log_k, log_power))
    amplitude = jnp.sqrt(power * (particles / box) ** 3 * particles**3 / 2)
    return _white_modes(particles, key) * jnp.where(k > 0, amplitude, 0)


def _white_modes(n: int, key: Key[Array, ""]) -> Complex[Array, "n n half"]:
    """Complex normal modes of a real field, each from its own wave numbers: a finer grid holds the coarser's modes.

    Real and imaginary part have variance one. Modes at the Nyquist frequency, which no coarser grid shares, are zero.
    """
    rows = np.fft.fftfreq(n, 1 / n).astype(np.int32)
    along = np.arange(n // 2, dtype=np.int32)
    planes = (rows[:, None] % _FINEST) * _FINEST + rows % _FINEST

    def draw(number):
        return jax.random.normal(jax.random.fold_in(key, number), (2,), jnp.float32)

    def of_row(number):
        return jax.vmap(draw)(number * (_FINEST // 2) + along)

    parts = jax.lax.map(of_row, jnp.asarray(planes.ravel()), batch_size=n)
    modes = jax.lax.complex(parts[..., 0], parts[..., 1]).reshape(n, n, n // 2)
    # Waves along the plane k_z = 0 come in conjugate pairs.
    plane = modes[:, :, 0]
    partner = jnp.roll(plane[::-1, ::-1], (1, 1), (0, 1)).conj()
    modes = modes.at[:, :, 0].set((plane + partner) / np.sqrt(2))
    modes = jnp.pad(modes, ((0, 0), (0, 0), (0, 1)))
    inside = np.abs(rows) < n // 2 if n % 2 == 0 else np.ones(n, bool)
    return modes * (inside[:, None, None] & inside[None, :, None])


def displacements(
    modes: Complex[Array, "n n half"], box: Side
) -> tuple[Float[Array, "particle 3"], Float[Array, "particle 3"]]:
    """First- and second-order Lagrangian displacements psi_1 and psi_2 of a lattice [Mpc/h] (Bouchet et al. 1995).

    div psi_1 = -delta, and div psi_2 = the sum over i > j of phi_ii phi_jj - phi_ij^2 with laplace phi = delta.
    """
    n = modes.shape[0]
    k = wavenumbers(n, box)
    inverse = _inverse_laplacian(k)

    def second_derivative(i, j):
        return jnp.fft.irfftn(k[i] * k[j] * inverse * modes, s=(n,) * 3)

    xx, yy, zz = (second_derivative(i, i) for i in range(3))
    source = xx * yy + yy * zz + zz * xx
    for i, j in ((0, 1), (1, 2), (2, 0)):
        source = source - second_derivative(i, j) ** 2

    def inverse_divergence(field):
        return jnp.stack([jnp.fft.irfftn(-1j * one * inverse * field, s=(n,) * 3) for one in k], -1).reshape(-1, 3)

    return inverse_divergence(-modes), inverse_divergence(jnp.fft.rfftn(source))


def force_kernel(mesh: int, particles: int, box: Side) -> Float[Array, "mesh mesh half"]:
    """-laplace^-1 on the mesh, sharpened: the windows of painting, of the finite difference and of reading divided out.

    Particles that start on a lattice repeat every wave q as a spurious one at K - q, K = 2 pi / spacing. Left in, those
    images pull almost as hard as the wave itself; the factor exp(-(k / 1.25 k_N)^4), k_N = K / 2, takes them out and
    leaves the force within 3 % of 1 / k^2 up to 0.7 k_N, averaged over directions.
    """
    k = wavenumbers(mesh, box)
    cell = box / mesh
    squared = sum(one**2 for one in k)
    # The four-point difference of `pull` turns k into this; dividing by k . k' keeps the force along k exact.
    product = sum(one * (8 * jnp.sin(one * cell) - jnp.sin(2 * one * cell)) / (6 * cell) for one in k)
    product = jnp.maximum(product, 0.2 * squared)
    images = jnp.exp(-((squared * (box / (1.25 * np.pi * particles)) ** 2) ** 2))
    return jnp.where(squared > 0, images / jnp.where(squared > 0, product, 1), 0) / cloud_in_cell_window(mesh) ** 2


def halo_kernel(mesh: int, particles: int, box: Side) -> Float[Array, "mesh mesh half"]:
    """Band-passed -laplace^-1, whose pull leads to the halos that the mesh leaves too puffy (Dai et al. 2018, "PGD").

    The band, 0.6 to 1.8 of the particles' Nyquist wavenumber, is where a mesh of twice the particles loses power. One
    number, SHARPENING, serves all models, times and resolutions: it was chosen for the matter spectrum to agree with
    halofit in four models at spacings of 0.9, 1.9 and 3.8 Mpc/h.
    """
    squared = sum(one**2 for one in wavenumbers(mesh, box)) * (box / (np.pi * particles)) ** 2
    band = jnp.exp(-(0.6**2) / jnp.where(squared > 0, squared, 1) - (squared / 1.8**2) ** 2)
    inverse = _inverse_laplacian(wavenumbers(mesh, box))
    return inverse * band / cloud_in_cell_window(mesh)


@functools.partial(jax.jit, static_argnames=("mesh", "particles"))
def _kernels(mesh, particles, box):
    return force_kernel(mesh, particles, box), halo_kernel(mesh, particles, box)


@jax.jit
def pull(
    kernels: Sequence[Float[Array, "mesh mesh half"]], delta: Float[Array, "mesh mesh mesh"], box: Side
) -> Float[Array, "mesh mesh mesh c"]:
    """grad of (kernel * delta) on the mesh for each kernel, by four-point differences: fewer transforms than i k.

    Returns [..., 3 per kernel], so that `read` fetches all components of a cell from one place.
    """
    n = delta.shape[0]
    modes = jnp.fft.rfftn(delta)
    components = []
    for kernel in kernels:
        # The barrier keeps XLA from padding anew for every neighbour.
        field = jax.lax.optimization_barrier(jnp.pad(jnp.fft.irfftn(kernel * modes, s=(n,) * 3), 2, mode="wrap"))
        for axis in range(3):
            along = field[tuple(slice(None) if one == axis else slice(2, -2) for one in range(3))]
            ahead, behind, far_ahead, far_behind = (
                jax.lax.slice_in_dim(along, 2 + step, 2 + step + n, axis=axis) for step in (1, -1, 2, -2)
            )
            components.append((8 * (ahead - behind) - (far_ahead - far_behind)) * (n / (12 * box)))
    return jnp.concatenate([one[..., None] for one in components], axis=-1)


def _inverse_laplacian(k):
    """1 / k^2, and 0 for the mean."""
    squared = k[0] ** 2 + k[1] ** 2 + k[2] ** 2
    return jnp.where(squared > 0, 1 / jnp.where(squared > 0, squared, 1), 0)
