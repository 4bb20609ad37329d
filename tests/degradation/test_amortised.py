"""One network for all degradations: what is drawn, what it is told, what it is shown, and how it is kept."""

import math
import re

import calls
import jax
import jax.numpy as jnp
import lessons_data
import numpy as np
import pytest

from wlbook import degradation
from wlbook.degradation import amortised, sampler
from wlbook.degradation.sampler import DegradationFamily, SampledDegradation

KEY = jax.random.key(3)
SIDE = lessons_data.SIDE
ONE = DegradationFamily(SIDE, 16, 1, tuple(np.linspace(0.1, 1.0, 8)))
THREE = DegradationFamily(SIDE, 16, 3, tuple(np.linspace(0.1, 1.0, 8)))
SPECS = [
    "none", "low_pass:400", "high_pass:400", "keep_kappa:-1:1", "keep_kappa:-inf:0.5", "keep_kappa:0.5:inf",
    "remove_kappa:-1:1", "sum_bins",
]  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> amortised.Amortised:
    return calls.fit_amortised(lessons_data.data(), width=2, ramps=2, steps=6, batch=8, seed=2)


@pytest.mark.parametrize("spec", SPECS)
def test_a_map_is_degraded_as_its_specification_says(spec):
    kappa = lessons_data.maps(4, bins=3)
    drawn = SampledDegradation(*(jnp.repeat(numbers, 4) for numbers in THREE.read(spec)))
    wanted = degradation.parse(spec, side=SIDE)(kappa, key=KEY)
    if spec == "sum_bins":
        wanted = jnp.broadcast_to(wanted / 3, kappa.shape)
    np.testing.assert_allclose(THREE.apply(kappa, drawn, key=KEY), wanted, atol=1e-7)


def test_shuffled_and_turned_maps_keep_histogram_and_spectrum():
    kappa = lessons_data.maps(4, bins=3)
    for spec, kept in (
        ("shuffle_pixels", lambda kappa: np.sort(np.asarray(kappa).reshape(4, 3, -1))),
        ("randomize_phases", lambda kappa: np.abs(np.fft.fft2(np.asarray(kappa, np.float64)))),
    ):
        drawn = SampledDegradation(*(jnp.repeat(numbers, 4) for numbers in THREE.read(spec)))
        after = THREE.apply(kappa, drawn, key=KEY)
        assert not np.allclose(after, kappa, atol=1e-4)
        np.testing.assert_allclose(kept(after), kept(kappa), atol=1e-5 * kept(kappa).max())


def test_the_other_end_of_a_removed_range_is_what_is_kept():
    for removed, kept in (("remove_kappa:1:inf", "keep_kappa:-inf:1"), ("remove_kappa:-inf:1", "keep_kappa:1:inf")):
        for one, two in zip(ONE.read(removed), ONE.read(kept), strict=True):
            np.testing.assert_array_equal(one, two)


def test_every_degradation_is_drawn_with_strengths_within_its_range():
    drawn = THREE.draw(6000, KEY)
    counts = np.bincount(drawn.kind, minlength=len(THREE.kinds))
    share = {name: count / 6000 for name, count in zip(THREE.kinds, counts, strict=True)}
    strong = {"low_pass", "high_pass", "keep_kappa", "remove_kappa"}
    for name, found in share.items():
        wanted = (3 if name in strong else 1) / (3 * 4 + 4)
        assert found == pytest.approx(wanted, abs=4 * math.sqrt(wanted / 6000)), name
    kind, first, second = (np.asarray(numbers) for numbers in drawn)
    cuts = first[kind == THREE.kinds.index("low_pass")]
    assert THREE.ells[0] <= cuts.min() < 1.1 * THREE.ells[0] and 0.9 * THREE.ells[1] < cuts.max() <= THREE.ells[1]
    kept = kind == THREE.kinds.index("keep_kappa")
    assert (first[kept] + 0.49 < second[kept]).all()
    assert 0.25 < np.isinf(first[kept]).mean() < 0.42 and 0.25 < np.isinf(second[kept]).mean() < 0.42
    assert np.isfinite(np.r_[first, second][np.r_[~kept, ~kept]]).all()


def test_a_batch_holds_many_degradations_and_the_next_one_others():
    first, second = (ONE.draw(32, jax.random.fold_in(KEY, number)) for number in (0, 1))
    assert len(np.unique(first.kind)) >= 4
    assert not np.array_equal(first.kind, second.kind)


def test_what_is_told_tells_degradations_and_strengths_apart():
    told = {spec: np.asarray(THREE.told(THREE.read(spec)))[0] for spec in [*SPECS, "low_pass:500", "shuffle_pixels"]}
    assert len({tuple(vector) for vector in told.values()}) == len(told)
    for vector in told.values():
        assert vector.shape == (THREE.numbers,)
        assert (np.abs(vector) <= 1).all() and vector[: len(THREE.kinds)].sum() == 1
    assert told["low_pass:500"][-3] > told["low_pass:400"][-3]


@pytest.mark.parametrize(
    "spec", ["keep_kappa:-1:1", "keep_kappa:0.5:inf", "remove_kappa:-0.5:1.5", "keep_kappa:-inf:-1"]
)
def test_a_gaussian_map_cut_in_kappa_is_standardised(spec):
    family = DegradationFamily(SIDE, 64, 1, (1.0,) * 4)
    kappa = jax.random.normal(KEY, (8, 1, 64, 64))
    drawn = SampledDegradation(*(jnp.repeat(numbers, 8) for numbers in family.read(spec)))
    seen = family.standardised(family.apply(kappa, drawn, key=KEY), drawn)
    assert float(seen.mean()) == pytest.approx(0.0, abs=0.03)
    assert float(seen.std()) == pytest.approx(1.0, abs=0.03)


def test_filtered_maps_are_standardised_with_the_power_that_is_left():
    kappa = lessons_data.maps(64) - lessons_data.maps(64).mean()
    kappa = kappa / kappa.std()
    family = sampler.family(kappa, SIDE, 0.0)
    for spec in ("low_pass:300", "high_pass:600"):
        drawn = SampledDegradation(*(jnp.repeat(numbers, 64) for numbers in family.read(spec)))
        degraded = family.apply(kappa, drawn, key=KEY)
        assert float(degraded.std()) < 0.95
        assert float(family.standardised(degraded, drawn).std()) == pytest.approx(1.0, abs=0.1)


def test_kind_and_strength_reach_the_network(trained):
    kappa = np.asarray(lessons_data.maps(1))[0]
    specs = ["none", "low_pass:300", "low_pass:700", "keep_kappa:-1:1", "keep_kappa:-1:2", "shuffle_pixels"]
    said = np.array([trained.at(spec)(kappa) for spec in specs])
    apart = np.abs(said[:, None] - said[None]).max(-1) + np.eye(len(specs))
    assert apart.min() > 1e-6


def test_the_network_asked_for_many_degradations_says_what_it_says_for_one(trained):
    observed = {"n_gal": 30.0, "sigma_e": 0.4, "smoothing": 1.0, "seed": 4, "side": SIDE}
    kappa, specs = np.asarray(lessons_data.maps(5)), ["none", "low_pass:300", "keep_kappa:-1:1"]
    together = calls.ask_amortised(trained, kappa, specs=specs, batch=2, **observed)
    for spec, found in zip(specs, together, strict=True):
        transform = degradation.parse(spec, side=SIDE)
        alone = calls.predictions(trained.at(spec), kappa, copies=1, transform=transform, **observed)
        np.testing.assert_allclose(found, alone, rtol=1e-4, atol=1e-6)


def test_noise_after_the_degradation_is_not_taken_away():
    data = lessons_data.data()
    late = {"sigma_e": 0.0, "noise_after": 0.5}
    network = calls.fit_amortised(data, width=2, steps=2, batch=8, seed=2, **late)
    assert float(network.input_scale) == pytest.approx(0.5, rel=0.05)
    assert network.family.noise == pytest.approx(1.0, abs=0.05)
    settings = {"n_gal": 30.0, "smoothing": 0.0, "seed": 4, "side": SIDE, "specs": ["low_pass:110"]}
    kappa = np.asarray(lessons_data.maps(4))
    quiet = calls.ask_amortised(network, kappa, sigma_e=0.0, **settings)
    assert not np.allclose(quiet, calls.ask_amortised(network, kappa, **late, **settings))


def test_tuning_changes_the_network_and_keeps_its_ladder(trained):
    tuned = calls.tuned(trained, lessons_data.data(), spec="low_pass:300", steps=3, batch=8, seed=2)
    assert tuned.family == trained.family and len(tuned.history["loss"]) == 3
    kappa = np.asarray(lessons_data.maps(1))[0]
    assert not np.allclose(tuned.at("low_pass:300")(kappa), trained.at("low_pass:300")(kappa))


def test_a_stored_network_answers_as_before(trained, tmp_path):
    trained.save(tmp_path)
    again = amortised.Amortised.load(tmp_path)
    kappa = np.asarray(lessons_data.maps(1))[0]
    assert again.family == trained.family
    np.testing.assert_array_equal(again.at("low_pass:300")(kappa), trained.at("low_pass:300")(kappa))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("gaussianize", "one network learns single steps of none, low_pass"),
        ("low_pass:300+shuffle_pixels", "one network learns single steps"),
        ("sum_bins", "one network learns single steps"),
        ("low_pass:300:gaussian", "one network learns single steps"),
        ("low_pass:20", "ell = 20, one network learns 103 to 1164"),
        ("keep_kappa:-0.01kappa:0.01kappa", "one network learns thresholds in standard deviations"),
        ("keep_kappa:-5:1", "one network learns thresholds up to 3"),
        ("keep_kappa:-inf:inf", "one network learns ranges with an end"),
        ("keep_kappa:1:-1", "one network learns ranges that rise"),
        ("keep_kappa:nan:1", "one network learns ranges that rise"),
        ("remove_kappa:1", "one network learns remove_kappa with 2 numbers"),
        ("keep_kappa:20Mpc/h@0.5:10Mpc/h@0.5", "one network learns wavelengths of filters only"),
        ("low_pass", "one network learns low_pass with 1 number"),
        ("low_pass:300:mean", "one network learns single steps"),
        ("low_pas:300", "one network learns single steps"),
    ],
)
def test_what_one_network_does_not_learn_is_refused_in_one_line(spec, message):
    assert not ONE.holds(spec)
    with pytest.raises(ValueError, match=re.escape(f"degradation = {spec!r}: {message}")):
        ONE.read(spec)
