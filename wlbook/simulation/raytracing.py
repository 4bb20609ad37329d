"""Bundles of light, followed from plane to plane: the kernels of ray tracing.

A few thousand bundles cross all planes before the next set out, so that what is known of them stays in a processor's
cache: along the whole way nothing is written to memory but the answer.
"""

import functools
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

Points = Float[Array, "map y x"]
FINER = 2  # cells of the grid that bundles read from, to one of the planes' own


def at_once() -> int:
    """Bundles that cross all planes together: what the cache of a core holds, or what keeps an accelerator busy."""
    return 2**15 if jax.default_backend() == "cpu" else 2**21


@jax.jit
def fields(
    surface: Float[Array, "plane slab n n"], bending: Float[Array | np.ndarray, " plane"], box: Any
) -> Float[Array, "plane slab fine fine 5"]:
    """What bends light: first and second derivatives of every plane's potential (see `_potential`).

    From the planes' surface density contrast [Mpc/h], `lensing.strength` of each, and the side of the box [Mpc/h].
    """
    return jax.lax.map(lambda one: _potential(one[0], one[1], box), (surface, bending))


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


@functools.partial(jax.jit, static_argnames="combine")
def follow(
    fields: Float[Array, "plane slab fine fine 5"],
    angles: tuple[Float[Array | np.ndarray, " y"], Float[Array | np.ndarray, " x"]],
    chi: Float[Array | np.ndarray, " plane"],
    box: Any,
    weights: Float[Array | np.ndarray, "plane 3 bin"],
    turns: Any,
    combine: tuple[tuple[float, ...], ...],
    light: Any,
) -> list[Float[Array, "map bin y x"]]:
    """Mean distortion of the galaxies of each bin, of bundles that leave us on a grid of angles.

    The cross-section dx/dtheta of a bundle is followed as its deviation from that of straight light, with elements
    (yy, yx, xy, xx).

    Args:
        angles, chi, box: of the bundles along y and x [rad]; distance of the planes, side of the box [Mpc/h].
        weights, turns: constant, inverse and alignment for each plane and bin; a `lensing.Recycling` of the maps.
        combine: for each result, the factors of the four elements.
        light: true. The compiler must not know: it would else read the fields anew for whatever depends on them.
    """
    slabs, n, count = fields.shape[1], fields.shape[2], fields.shape[4]
    table = fields.reshape(-1, count)
    zero = jnp.zeros((turns.slab.shape[1], len(angles[0]), len(angles[1])))
    straight = (angles[0][:, None], angles[1])

    def nothing(y: Array, x: Array) -> Array:
        return jnp.zeros((*y.shape, count), fields.dtype)

    def cross(now: Any, plane: Any) -> tuple[Any, None]:
        place, slope, width, rates, totals = now
        number, chi, before, after, weight, turn = plane
        # Where bundles meet the plane [map, y, x] along each axis, in units of the box; and what pulls there [..., 5].
        flip = [turn.flip[:, axis, None, None] for axis in (0, 1)]
        meets = (
            turn.shift[:, axis, None, None] + flip[axis] * (place[axis] / box + chi / box * straight[axis]) + zero
            for axis in (0, 1)
        )
        first = jnp.broadcast_to((number * slabs + turn.slab)[:, None, None], zero.shape)
        pulls = jax.lax.cond(light, lambda y, x: _read(table, first, y, x, n), nothing, *meets)
        # The way is bent, and straight on to the next plane.
        slope = tuple(slope[axis] - flip[axis] * pulls[..., axis] for axis in (0, 1))
        place = tuple(one + (after - chi) * rate for one, rate in zip(place, slope, strict=True))
        # So is the cross-section (yy, yx, xy, xx): its rates drop by the plane's second derivatives times itself.
        yy, yx, xx = pulls[..., 2], flip[0] * flip[1] * pulls[..., 3], pulls[..., 4]
        width = [one + (chi - before) * rate for one, rate in zip(width, rates, strict=True)]
        a, b, c, d = width[0] + chi, width[1], width[2], width[3] + chi
        kicks = (yy * a + yx * c, yy * b + yx * d, yx * a + xx * c, yx * b + xx * d)
        rates = [rate - kick for rate, kick in zip(rates, kicks, strict=True)]
        # What the galaxies of each bin see of this plane [map, bin, y, x], for each combination of the elements.
        constant, inverse, aligned = weight[:, :, None, None]
        added = []
        for factors in combine:
            rate, size = (
                functools.reduce(operator.add, [f * one for f, one in zip(factors, each, strict=True) if f])
                for each in (rates, width)
            )
            intrinsic = (factors[0] + factors[3]) * (yy + xx)  # an intrinsic kappa distorts yy and xx alike
            bent = constant * rate[:, None] + inverse * (size - chi * rate)[:, None]
            added.append(bent - aligned * intrinsic[:, None])
        return (place, slope, width, rates, [sum(each) for each in zip(totals, added, strict=True)]), None

    before, after = jnp.append(0.0, chi[:-1]), jnp.append(chi[1:], chi[-1])
    empty = [jnp.zeros((len(zero), weights.shape[-1], *zero.shape[1:])) for _ in combine]
    start = ((zero, zero), (zero, zero), [zero] * 4, [zero] * 4, empty)
    end, _ = jax.lax.scan(cross, start, (jnp.arange(len(chi)), chi, before, after, weights, turns))
    return end[-1]


def _read(
    table: Float[Array, "cell c"], first: Int[Array, "map y x"], y: Points, x: Points, n: int
) -> Float[Array, "map y x c"]:
    """All fields at periodic points in units of the box, linearly between four cells of the `first`-th n x n cells."""
    across = [(one.ravel() - jnp.floor(one.ravel())) * n for one in (y, x)]
    low_y, low_x = (jnp.minimum(one.astype(jnp.int32), n - 1) for one in across)
    share_y, share_x = across[0] - low_y, across[1] - low_x
    high_y, high_x = (jnp.where(one + 1 == n, 0, one + 1) for one in (low_y, low_x))
    total = jnp.zeros((1, table.shape[1]), table.dtype)
    for row, weight_y in ((low_y, 1 - share_y), (high_y, share_y)):
        for column, weight_x in ((low_x, 1 - share_x), (high_x, share_x)):
            cell = (first.ravel() * n + row) * n + column
            total = total + table.at[cell].get(mode="promise_in_bounds") * (weight_y * weight_x)[:, None]
    return total.reshape(*y.shape, -1)
