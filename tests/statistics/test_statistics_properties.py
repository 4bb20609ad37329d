"""What holds for every statistic: symmetries, batches, gradients, odd maps, and one line for what it cannot use."""

import functools

import hypothesis.extra.numpy as npst
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from fields import EDGES, IN_BINS, OF_WAVES, SIDE, STATISTICS, WITH_BOUNDARY, some_maps, some_mask
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook import statistics
from wlbook.statistics import execution


@pytest.mark.parametrize("name", [name for name in STATISTICS if name != "starlet"])
@settings(max_examples=15, deadline=None)
@given(dy=st.integers(0, 63), dx=st.integers(0, 63), flip=st.sampled_from([(), (-1,), (-2,), (-1, -2)]))
def test_statistics_do_not_know_where_a_periodic_map_begins(name, dy, dx, flip):
    kappa = some_maps()[0]
    moved = np.flip(np.roll(kappa, (dy, dx), (-2, -1)), flip)
    before, after = np.asarray(STATISTICS[name](kappa)), np.asarray(STATISTICS[name](moved))
    # Scattering takes wide moduli on every second or fourth pixel: on others, after a shift.
    close = 3e-3 if name == "scattering" else 2e-4
    np.testing.assert_allclose(after, before, rtol=close, atol=5e-5 * np.abs(before).max())


@pytest.mark.parametrize("name", [name for name in IN_BINS if name != "starlet l1"])
@settings(max_examples=10, deadline=None)
@given(power=st.integers(-6, 6))
def test_units_of_kappa_do_not_matter_when_the_edges_follow(name, power):
    kappa, factor = some_maps()[0], 2.0**power
    before = np.asarray(STATISTICS[name](kappa))
    after = np.asarray(STATISTICS[name](factor * kappa, edges=factor * EDGES))
    np.testing.assert_allclose(after, before, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "degree"), [("power spectrum", 2), ("bispectrum", 3), ("scattering", 1), ("starlet", 1)]
)
def test_statistics_without_edges_in_kappa_grow_with_a_power_of_it(name, degree):
    kappa = some_maps()[0]
    expected = 8.0**degree * np.asarray(STATISTICS[name](kappa))
    np.testing.assert_allclose(STATISTICS[name](8.0 * kappa), expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())


@settings(max_examples=25, deadline=None)
# Numbers below 1e-38 are zero to XLA.
@given(npst.arrays(np.float32, (2, 1, 6, 6), elements=st.floats(-1, 1, width=32, allow_subnormal=False)))
def test_every_peak_of_a_map_falls_into_one_bin(kappa):
    around = [np.roll(kappa, (dy, dx), (-2, -1)) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]
    expected = (kappa > np.max(around, axis=0)).sum(axis=(-1, -2))
    assert (
        np.asarray(statistics.peak_counts(kappa, edges=[-1.5, -0.1, 0.2, 1.5])).sum(axis=-1).tolist()
        == expected.tolist()
    )


@pytest.mark.parametrize("name", STATISTICS)
def test_maps_of_a_batch_do_not_see_each_other(name):
    kappa = jnp.asarray(some_maps())
    together = np.asarray(STATISTICS[name](kappa))
    one_by_one = np.stack([STATISTICS[name](m) for m in kappa])
    nested = np.asarray(STATISTICS[name](kappa.reshape(2, 3, 2, 64, 64))).reshape(together.shape)
    mapped = np.asarray(jax.jit(jax.vmap(STATISTICS[name]))(kappa))
    for other in (one_by_one, nested, mapped):
        np.testing.assert_allclose(other, together, rtol=1e-4, atol=1e-5 * np.abs(together).max())


@pytest.mark.parametrize("name", STATISTICS)
def test_an_empty_batch_gives_an_empty_answer(name):
    found = STATISTICS[name](np.zeros((0, 2, 64, 64), np.float32))
    assert found.shape == (0, *STATISTICS[name](some_maps()).shape[1:])


@pytest.mark.parametrize("name", STATISTICS)
def test_integers_are_numbers_too(name):
    kappa = np.round(2 * some_maps()[0]).astype(np.int32)
    np.testing.assert_array_equal(STATISTICS[name](kappa), STATISTICS[name](kappa.astype(np.float32)))


@pytest.mark.parametrize("name", [name for name in STATISTICS if name not in OF_WAVES])
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (48, 32)])
def test_maps_may_be_oblong_or_a_single_pixel(name, shape):
    kappa = np.ascontiguousarray(some_maps()[0, :, : shape[0], : shape[1]])
    turned = np.ascontiguousarray(np.swapaxes(kappa, -1, -2))
    found = np.asarray(STATISTICS[name](kappa))
    assert np.isfinite(found).all()
    again = np.asarray(STATISTICS[name](turned))
    again = np.swapaxes(again, -1, -2) if name == "starlet" else again
    np.testing.assert_allclose(again, found, rtol=1e-4, atol=1e-5)


SMOOTH = {
    "power spectrum": STATISTICS["power spectrum"],
    "bispectrum": STATISTICS["bispectrum"],
    "moments": STATISTICS["moments"],
    "starlet": STATISTICS["starlet"],
    "scattering": STATISTICS["scattering"],
    # One bin that holds every coefficient, so that none crosses an edge.
    "starlet l1": functools.partial(statistics.starlet_l1, edges=[-50.0, 50.0]),
}


@pytest.mark.parametrize("mask", [None, some_mask()], ids=["whole", "masked"])
@pytest.mark.parametrize("name", SMOOTH)
def test_slopes_are_what_finite_differences_say(name, mask):
    kappa, direction = jnp.asarray(some_maps()[0]), jnp.asarray(some_maps()[1])
    weights = np.random.default_rng(1).normal(size=SMOOTH[name](kappa).shape).astype(np.float32)

    def total(amount):
        found = SMOOTH[name](kappa + amount * direction, mask=mask)
        return jnp.sum(weights * found) / jnp.max(jnp.abs(SMOOTH[name](kappa)))

    difference = (total(0.02) - total(-0.02)) / 0.04
    slope = jax.jit(jax.grad(total))(0.0)
    assert abs(slope) > 1e-3
    np.testing.assert_allclose(slope, difference, rtol=0.01, atol=2e-3)


def test_slope_of_the_boundary_length_is_what_finite_differences_say():
    kappa, direction = jnp.asarray(some_maps()[0]), jnp.asarray(some_maps()[1])

    def length(amount):  # one bin that holds every pixel, so that none crosses an edge
        return statistics.minkowski_functionals(kappa + amount * direction, edges=[-50.0, 50.0])[:, 1].sum()

    difference = (length(0.01) - length(-0.01)) / 0.02
    np.testing.assert_allclose(jax.grad(length)(0.0), difference, rtol=1e-2)
    flat = jax.grad(lambda k: statistics.minkowski_functionals(k, edges=[-1.0, 1.0]).sum())(jnp.zeros((1, 8, 8)))
    assert np.isfinite(flat).all()


@pytest.mark.parametrize("name", STATISTICS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_broken_pixels_are_counted_and_refused(name, bad):
    kappa = some_maps().copy()
    kappa[0, 0, 3, 4] = kappa[2, 1, 0, 0] = bad
    with pytest.raises(ValueError, match=r"^kappa: 2 of 49152 pixels are NaN or infinite: all must be finite$"):
        STATISTICS[name](kappa)


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        ([1.0], r"^edges = \[1.0\]: must be at least two rising numbers$"),
        ([], r"^edges = \[\]: must be at least two rising numbers$"),
        ([0.0, 2.0, 1.0], r"^edges = \[0.0, 2.0, 1.0\]: must be at least two rising numbers$"),
        ([0.0, 0.0], r"^edges = \[0.0, 0.0\]: must be at least two rising numbers$"),
        ([0.0, np.nan, 1.0], r"^edges = \[0.0, nan, 1.0\]: must be finite$"),
    ],
)
@pytest.mark.parametrize("name", [*OF_WAVES, *IN_BINS])
def test_edges_out_of_order_are_named(name, edges, message):
    waves = name in OF_WAVES
    with pytest.raises(ValueError, match=message.replace("^edges", "^ell_edges") if waves else message):
        STATISTICS[name](some_maps(), **{"ell_edges" if waves else "edges": edges})


@pytest.mark.parametrize(
    ("shape", "keywords", "message"),
    [
        ((1, 1, 64, 32), {}, r"^shape of kappa = \(1, 1, 64, 32\): must be square for a power spectrum"),
        ((1, 1, 64, 64), {"side": -3.5}, r"^side = -3.5: must be > 0 \[deg\]$"),
        ((1, 1, 1, 1), {}, r"^ell_edges: no mode of 1 x 1 pixels over 3.5 deg lies in 200 < ell <="),
        ((1, 1, 64, 64), {"ell_edges": [10.0, 20.0, 300.0]}, r"^ell_edges: no mode .* lies in 10 < ell <= 20$"),
    ],
)
def test_maps_without_a_spectrum_are_refused(shape, keywords, message):
    with pytest.raises(ValueError, match=message):
        STATISTICS["power spectrum"](np.zeros(shape, np.float32), **keywords)


@pytest.mark.parametrize("name", WITH_BOUNDARY)
def test_a_boundary_that_no_statistic_knows_is_named(name):
    with pytest.raises(ValueError, match=r'^boundary = \'wrap\': must be one of "periodic", "drop"'):
        STATISTICS[name](some_maps(), boundary="wrap")


@pytest.mark.parametrize("name", WITH_BOUNDARY)
def test_dropped_edges_leave_no_trace_of_the_other_side(name):
    kappa = some_maps()[0].copy()
    whole = np.asarray(STATISTICS[name](kappa, boundary="drop"))
    assert np.isfinite(whole).all() and whole.any()
    if name in ("power spectrum", "bispectrum"):
        return  # their edges are tested with fields cut from larger ones
    if name in ("starlet", "scattering", "starlet l1", "starlet peaks"):  # wide: half of the map must not know
        kappa[..., -1] += 100.0
        inner = np.s_[..., :, :16] if name == "starlet" else None
        again = np.asarray(STATISTICS[name](kappa, boundary="drop"))
        if inner is not None:
            np.testing.assert_allclose(again[inner], whole[inner], atol=1e-4)
            wrapped = np.asarray(STATISTICS[name](kappa)) - np.asarray(STATISTICS[name](some_maps()[0]))
            assert np.abs(wrapped[inner]).max() > 1
        return
    # An edge that is higher than all: its neighbours know, the other side does not.
    ramp = np.broadcast_to(np.arange(64, dtype=np.float32), (1, 64, 64)) + 0.0
    jump = np.asarray(STATISTICS[name](ramp)) - np.asarray(STATISTICS[name](ramp, boundary="drop"))
    assert name in ("peaks", "minima") or np.abs(jump).max() > 0


@pytest.mark.parametrize(
    ("statistic", "shape", "needed"),
    [
        (statistics.minkowski_functionals, (1, 4, 9), 5),
        (statistics.peak_counts, (1, 9, 2), 3),
        (statistics.minima_counts, (1, 1, 1), 3),
        (statistics.starlet_peaks, (1, 2, 2), 3),
        (statistics.starlet_l1, (1, 2, 2), 3),
    ],
)
def test_maps_smaller_than_their_border_are_refused(statistic, shape, needed):
    message = rf'must be at least {needed} x {needed} pixels for boundary = "drop"$'
    with pytest.raises(ValueError, match=message):
        statistic(np.zeros(shape, np.float32), edges=EDGES, boundary="drop")


def test_what_only_one_statistic_asks_for_is_named():
    kappa = some_maps()
    with pytest.raises(ValueError, match=r"^scales = 0: must be a whole number >= 1$"):
        statistics.starlet(kappa, scales=0)
    with pytest.raises(ValueError, match=r"^angles = 0: must be a whole number >= 1$"):
        statistics.scattering_transform(kappa, angles=0)
    with pytest.raises(ValueError, match=r"^units = \[1.0, 0.0\]: must be 2 numbers > 0, one a scale and the rest's$"):
        statistics.starlet_peaks(kappa, edges=EDGES, scales=1, units=[1.0, 0.0])
    edges = [200.0, 500.0, 1000.0]
    with pytest.raises(ValueError, match=r"^sides = \[\(0, 1, 2\)\]: \(0, 1, 2\) must be three bins of 0 to 1$"):
        statistics.bispectrum(kappa, side=SIDE, ell_edges=edges, sides=[(0, 1, 2)])
    with pytest.raises(ValueError, match=r"^sides: no three waves of the bins \(0, 0, 2\) make a triangle$"):
        statistics.bispectrum(kappa, side=SIDE, ell_edges=[100.0, 250.0, 1200.0, 1300.0], sides=[(0, 0, 2)])
    with pytest.raises(ValueError, match=r"^ell_edges\[-1\] = 3000: must be below 2194.29, two thirds of"):
        statistics.bispectrum(kappa, side=SIDE, ell_edges=[200.0, 3000.0])
    with pytest.raises(ValueError, match=r"^dtype of kappa = complex64: must be real numbers$"):
        statistics.moments(kappa.astype(np.complex64))


@pytest.mark.parametrize("name", STATISTICS)
def test_an_accelerator_would_find_the_same(name, monkeypatch):
    kappa, mask = np.ascontiguousarray(some_maps()[:3]), some_mask()
    expected = np.asarray(STATISTICS[name](kappa, mask=mask))
    jax.clear_caches()
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert not execution.layout().one_by_one
    found = np.asarray(STATISTICS[name](kappa, mask=mask))
    jax.clear_caches()
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-5 * np.abs(expected).max())


def test_blocks_of_maps_are_put_together_in_order(monkeypatch):
    kappa = np.random.default_rng(3).normal(size=(41, 2, 64, 64)).astype(np.float32)  # several blocks, the last short
    monkeypatch.setattr(execution, "layout", lambda: execution.Layout(3, 2**18, one_by_one=True, scatter=True))
    found = np.asarray(statistics.moments(kappa))
    np.testing.assert_allclose(found[:, :, 0], kappa.var(axis=(-1, -2)), rtol=1e-4)
    assert found.shape == (41, 2, 9)
