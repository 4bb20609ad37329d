"""Training: it learns what can be learnt, ends in the same bits whatever happens on the way, and says what is wrong."""

import functools
import io
import re
from pathlib import Path

import calls
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wlbook.common import random
from wlbook.network import architectures, batches, calibration, estimators, trainer, training
from wlbook.network import layers as wl_layers
from wlbook.network.configuration import Training
from wlbook.simulation import dataset, survey

ROOT = Path(__file__).resolve().parents[2]


def key(n=0):
    return jax.random.key(n)


def white_maps(models=4, maps=16, side=16, seed=0):
    """White noise whose spread is sigma_8: all there is to learn, and easy."""
    draw = np.random.default_rng(seed)
    sigma_8 = np.tile(np.repeat(np.linspace(0.5, 1.1, models), maps), 2)
    kappa = 0.01 * sigma_8[:, None, None, None] * draw.normal(size=(len(sigma_8), 1, side, side))
    half = models * maps
    return xr.Dataset(
        {
            "kappa": (("map", "bin", "y", "x"), kappa.astype(np.float32)),
            "omega_m": ("map", 0.5 - 0.3 * sigma_8),
            "sigma_8": ("map", sigma_8),
            "model": ("map", np.tile(np.repeat(np.arange(models, dtype=np.int32), maps), 2)),
            "split": ("map", np.repeat(np.array([0, 1], np.int8), half)),
        },
        attrs={"side": 1.0, "pixel": 60 / side},
    )


QUICK = dict(width=2, steps=12, batch=16, learning_rate=3e-3, n_gal=30.0, smoothing=0.0, seed=1)
NOISELESS = dict(n_gal=30.0, sigma_e=0.0, smoothing=0.0)


def bits(trained):
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(trained)]
    return b"".join(array.tobytes() for array in arrays)


# Truth


def test_a_network_learns_the_spread_of_white_noise():
    data = white_maps(maps=32)
    trained = calls.fit(data, width=4, steps=150, batch=32, learning_rate=1e-2, **NOISELESS, seed=0)
    test = dataset.select(data, "test")
    predicted = calls.predictions(trained, test["kappa"].values, side=1.0, **NOISELESS, seed=2)
    # A map of 256 pixels measures its own spread to 1/sqrt(512) = 4 %, of a range that spreads by 28 %: R^2 < 0.97.
    assert calibration.r_squared(test["sigma_8"].values, predicted[:, 1]) > 0.8
    assert calibration.r_squared(test["omega_m"].values, predicted[:, 0]) > 0.8


def test_the_loss_that_is_told_is_the_mean_square_of_what_is_missed():
    draw = np.random.default_rng(2)
    wanted, unseen = draw.normal(size=(8, 2)), draw.normal(size=(4, 2))
    maps = np.broadcast_to(wanted[:, :, None, None], (8, 2, 4, 4))  # each bin is one number, turned or not
    silent = Picked(jnp.zeros((2, 2)), jnp.array((3, 19)))  # it answers the mean, 0
    plan = Training(steps=1, batch=8, learning_rate=1e-12, loss="squared")
    _, history = trainer.run(
        silent,
        maps,
        wanted,
        plan,
        observe=lambda kappa, key: kappa,
        validation=(np.broadcast_to(unseen[:, :, None, None], (4, 2, 4, 4)), unseen),
        checkpoint=None,
        key=key(),
    )
    assert history["step"].tolist() == [1]
    np.testing.assert_allclose(history["loss"], [np.mean(wanted**2)], rtol=1e-5)
    np.testing.assert_allclose(history["held_out_loss"], [np.mean(unseen**2)], rtol=1e-5)


def test_r_squared_is_one_zero_and_three_quarters():
    truth = np.array([-1.0, 1.0, -1.0, 1.0])
    assert calibration.r_squared(truth, truth) == 1
    assert calibration.r_squared(truth, 0 * truth) == 0
    assert calibration.r_squared(truth, truth / 2) == pytest.approx(0.75)


def test_the_eight_dihedral_copies_are_all_different_and_keep_every_pixel():
    kappa = jnp.arange(9.0).reshape(1, 3, 3)
    copies = [np.asarray(batches.dihedral(kappa, n)) for n in range(8)]
    assert len({copy.tobytes() for copy in copies}) == 8
    assert all(sorted(copy.ravel()) == list(range(9)) for copy in copies)
    np.testing.assert_array_equal(copies[0], kappa)


def test_coarse_pixels_are_means():
    np.testing.assert_array_equal(survey.coarsen(jnp.arange(16.0).reshape(1, 4, 4), 2), [[[2.5, 4.5], [10.5, 12.5]]])


def test_noise_comes_first_then_pixels_then_degradation_then_smoothing():
    seen = []

    def note(kappa, *, key):
        seen.append(kappa)
        return kappa

    kappa = jnp.zeros((2, 1, 8, 8))
    options = dict(pixel=2.0, n_gal=30.0, sigma_e=0.4)
    out = calls.observe(kappa, key(), **options, smoothing=3.0, transform=note, factor=2)
    noisy = survey.add_shape_noise(kappa, **options, key=key())
    np.testing.assert_allclose(seen[0], survey.coarsen(noisy, 2), rtol=1e-6)
    np.testing.assert_allclose(out, survey.smooth(seen[0], 3.0, 4.0), atol=1e-7)


def test_map_i_gets_the_noise_of_its_name():
    class Corner(eqx.Module):
        layers: tuple = ()

        def __call__(self, kappa):
            return kappa[:, 0, 0]

    one, zero = jnp.float32(1), jnp.zeros(1)
    reader = estimators.Estimator(Corner(), one, zero, jnp.ones(1), {})
    kappa = np.zeros((3, 1, 16, 16), np.float32)
    options = dict(n_gal=30.0, sigma_e=0.4)
    found = calls.predictions(reader, kappa, side=1.0, **options, smoothing=0.0, seed=7, copies=1, batch=2)
    expected = survey.add_shape_noise(jnp.zeros((1, 16, 16)), pixel=60 / 16, **options, key=random.key(7, "noise", 2))
    np.testing.assert_allclose(found[2], expected[:, 0, 0], rtol=1e-6)


# Properties


@settings(max_examples=8, deadline=None)
@given(batch=st.integers(1, 9))
def test_predictions_do_not_depend_on_the_batch(batch):
    kappa = white_maps(models=2, maps=2)["kappa"].values
    model = architectures.Compact(width=2, key=key())
    np.testing.assert_allclose(
        training.predict(model, kappa, batch=batch), training.predict(model, kappa, batch=8), rtol=1e-4, atol=1e-6
    )


def test_the_mean_over_copies_is_the_same_for_a_turned_map():
    kappa = white_maps(models=2, maps=2)["kappa"].values
    model = architectures.Compact(width=2, key=key())
    turned = np.rot90(kappa, axes=(-2, -1)).copy()
    np.testing.assert_allclose(
        training.predict(model, kappa, copies=8), training.predict(model, turned, copies=8), rtol=1e-3, atol=1e-6
    )


TRACED = []


class Noted(eqx.Module):
    """A linear network that notes how often it is traced, which compiling does."""

    weight: jax.Array

    def __call__(self, kappa):
        TRACED.append(kappa.shape)
        return self.weight @ kappa.ravel()


def test_networks_of_a_kind_share_their_compiled_steps_and_answers():
    TRACED.clear()
    draw = np.random.default_rng(1)
    counts = []
    for seed in range(3):
        maps, targets = draw.normal(size=(8, 1, 4, 4)), draw.normal(size=(8, 2))
        fresh = Noted(jnp.asarray(0.1 * draw.normal(size=(2, 16)), jnp.float32))
        loud = functools.partial(lambda kappa, _, factor: factor * kappa, factor=1.0 + seed)  # another degradation
        trained = calls.train(fresh, maps, targets, steps=3, batch=4, observe=loud, key=key(seed))
        told = calls.predictions(trained, maps, side=1.0, **NOISELESS, seed=seed, copies=1)
        np.testing.assert_allclose(told, np.einsum("oi,mi->mo", trained.model.weight, maps.reshape(8, 16)), atol=1e-4)
        counts.append(len(TRACED))
    # Once for each training its outputs are counted; what was compiled for the first serves the others.
    assert counts[1] - counts[0] == counts[2] - counts[1] == 1 < counts[0]


class Picked(eqx.Module):
    """A linear network of a few pixels, whose numbers it holds."""

    weight: jax.Array
    pixels: jax.Array

    def __call__(self, kappa):
        return self.weight @ kappa.ravel()[self.pixels]


def test_a_network_that_holds_arrays_of_its_own_is_trained_with_them():
    wanted = np.random.default_rng(1).normal(size=(64, 2))
    maps = np.broadcast_to(wanted[:, :, None, None], (64, 2, 4, 4))  # each bin is one number, turned or not
    for pixels, weight in (((3, 19), np.eye(2)), ((19, 3), np.eye(2)[::-1])):
        fresh = Picked(jnp.zeros((2, 2)), jnp.array(pixels))
        trained = calls.train(fresh, maps, wanted, steps=400, batch=64, learning_rate=0.03, key=key())
        np.testing.assert_allclose(trained.model.weight, weight, atol=0.05)


def test_numbers_may_come_from_numpy():
    trained = calls.fit(white_maps(), **QUICK)
    kappa = white_maps()["kappa"].values[:4]
    plain = {"n_gal": 30.0, "sigma_e": 0.0, "smoothing": 4.0}
    arrays = {"n_gal": [np.float64(30.0)], "sigma_e": np.float64(0.0), "smoothing": np.float64(4.0)}
    asked = [calls.predictions(trained, kappa, side=1.0, **look, seed=2) for look in (plain, arrays)]
    np.testing.assert_array_equal(*asked)


def test_a_pass_takes_every_map_once_and_the_next_in_another_order():
    order = [np.asarray(batches.order(12, 4, key())(n)) for n in range(6)]
    first, second = np.concatenate(order[:3]), np.concatenate(order[3:])
    assert sorted(first) == sorted(second) == list(range(12))
    assert not np.array_equal(first, second)


def test_same_seed_same_bits_and_another_seed_other_bits():
    data = white_maps()
    one, two = (calls.fit(data, **QUICK) for _ in range(2))
    assert bits(one) == bits(two)
    assert bits(calls.fit(data, **QUICK | {"seed": 2})) != bits(one)


@pytest.mark.parametrize("name", architectures.NETWORKS)
def test_every_network_is_trained_saved_and_asked(name, tmp_path):
    data, kappa = white_maps(side=32), white_maps(side=32)["kappa"].values[:3]
    small = {"DeepLSS": {"width": 1}}.get(name, {})
    trained = calls.fit(data, **QUICK | {"steps": 3} | small, architecture=name, loss="likelihood")
    trained.save(tmp_path)
    back = estimators.Estimator.load(tmp_path)
    assert bits(back) == bits(trained)
    answers = training.predict(back, kappa)
    assert answers.shape == (3, 2) and np.isfinite(answers).all()
    # The layers alone give the departure from the mean.
    departure = wl_layers.run(back.layers, jnp.asarray(kappa[0]))
    np.testing.assert_allclose(departure, answers[0] - back.target_mean, rtol=1e-3, atol=1e-5)
    precision = np.asarray(back.precision(kappa[0]))
    assert precision.shape == (2, 2) and (np.linalg.eigvalsh(precision) > 0).all()


def test_the_paper_profiles_network_takes_steps_in_its_precision():
    profile = yaml.safe_load((ROOT / "profiles" / "paper.yml").read_text())["03_network"]
    chosen = {name: profile[name] for name in ("architecture", "precision")}
    assert chosen == {"architecture": "Ribli18", "precision": "bfloat16"}
    data = white_maps(side=32)
    before, after = (calls.fit(data, **QUICK | chosen | {"steps": steps, "seed": 2}) for steps in (1, 2))
    assert np.isfinite(after.history["loss"]).all() and bits(before.model) != bits(after.model)
    assert {leaf.dtype for leaf in jax.tree.leaves(after.model)} == {jnp.dtype("float32")}
    answers = calls.predictions(after, data["kappa"].values[:4], side=1.0, **NOISELESS, seed=2)
    assert np.isfinite(answers).all()


def test_precision_is_in_the_units_of_the_targets():
    class Fixed(eqx.Module):
        def __call__(self, kappa):
            return jnp.array([0.0, 0.0, jnp.log(2.0), 0.0, 0.0])

    reader = estimators.Estimator(Fixed(), jnp.float32(1), jnp.zeros(2), jnp.array([0.1, 1.0]), {})
    # Standardised precision 4 and 1; a target with spread 0.1 has a precision 100 times larger in its own units.
    np.testing.assert_allclose(reader.precision(jnp.zeros((1, 8, 8))), [[400, 0], [0, 1]], rtol=1e-5)
    plain = estimators.Estimator(Fixed(), jnp.float32(1), jnp.zeros(5), jnp.ones(5), {})
    with pytest.raises(ValueError, match=r'^this network predicts no precision: train with loss = "likelihood"$'):
        plain.precision(jnp.zeros((1, 8, 8)))


def test_what_lies_under_a_mask_is_neither_learnt_from_nor_asked():
    data = white_maps()
    mask = np.ones((16, 16), bool)
    mask[:, :6] = False
    hidden = data.copy(deep=True)
    hidden["kappa"] = hidden["kappa"] * xr.DataArray(np.where(mask, 1, 9), dims=("y", "x")).astype(np.float32)
    one, two = (calls.fit(part, **QUICK, mask=mask) for part in (data, hidden))
    assert bits(one) == bits(two)
    asked = [
        calls.predictions(one, part["kappa"].values[:2], side=1.0, **NOISELESS, seed=0, mask=mask)
        for part in (data, hidden)
    ]
    np.testing.assert_array_equal(*asked)


def test_a_coarse_pixel_is_observed_where_all_of_it_is():
    mask = np.ones((8, 8), bool)
    mask[0, 0] = False
    out = calls.observe(jnp.ones((1, 8, 8)), key(), pixel=2.0, **NOISELESS, factor=2, mask=mask)
    assert out[0, 0, 0] == 0 and np.count_nonzero(out) == 15


def test_what_is_saved_comes_back_to_the_bit(tmp_path):
    trained = calls.fit(white_maps(models=16, maps=4), **QUICK, coarsen=1)
    trained.save(tmp_path / "network")
    back = estimators.Estimator.load(tmp_path / "network")
    assert bits(back) == bits(trained) and back.coarsen == 1
    assert set(back.history) == {"step", "loss", "held_out_step", "held_out_loss"}
    assert not list((tmp_path / "network").glob("*.pkl"))


def test_held_out_models_are_not_learnt_from():
    data = white_maps(models=16, maps=4)
    changed = data.copy(deep=True)
    held = (changed["model"] == 4) | (changed["model"] == 12)
    changed["kappa"] = changed["kappa"] * xr.where(held, 3.0, 1.0).astype(np.float32)
    one, two = calls.fit(data, **QUICK), calls.fit(changed, **QUICK)
    assert bits(one.model) == bits(two.model)
    assert one.history["held_out_loss"][-1] != two.history["held_out_loss"][-1]


def test_the_test_split_is_not_looked_at():
    data = white_maps()
    changed = data.copy(deep=True)
    changed["kappa"][{"map": changed["split"].values == 1}] = np.nan
    assert bits(calls.fit(data, **QUICK)) == bits(calls.fit(changed, **QUICK))


def test_a_degradation_changes_what_is_learnt():
    data = white_maps()

    def halve(kappa, *, key):
        return kappa * jnp.linspace(0, 1, 16)

    assert bits(calls.fit(data, **QUICK, transform=halve).model) != bits(calls.fit(data, **QUICK).model)


def test_a_coarse_network_is_asked_through_coarse_pixels():
    data = white_maps(side=32)
    trained = calls.fit(data, **QUICK, coarsen=2)
    kappa = data["kappa"].values[:3]
    found = calls.predictions(trained, kappa, side=1.0, **NOISELESS, seed=0, copies=1)
    coarse = survey.coarsen(jnp.asarray(kappa), 2)
    np.testing.assert_allclose(found, training.predict(trained, coarse), rtol=1e-5)


# Checkpoints


def test_a_checkpoint_of_other_arguments_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)
    run = functools.partial(
        calls.train,
        architectures.Compact(width=2, key=key()),
        white_maps()["kappa"].values[:32] * 100,
        np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32),
        batch=16,
        learning_rate=1e-3,
        checkpoint=tmp_path,
        key=key(),
    )
    run(steps=4)
    with pytest.raises(ValueError, match=r"state.eqx: (is not a state of this training|was made with other arguments)"):
        run(steps=6)


# Errors


def broken(name, index, value):
    data = white_maps().copy(deep=True)
    data[name].values[index] = value
    return data


@pytest.mark.parametrize(
    ("data", "changes", "message"),
    [
        (broken("kappa", 3, np.nan), {}, r"^kappa\[3\] holds NaN or infinity \(1 of 64 do\): must be finite$"),
        (broken("sigma_8", slice(None), 0.8), {}, r"^targets\[:, 1\] = 0.8 for every map: must vary$"),
        (white_maps(), {"batch": 65}, "^batch = 65: must be 1 <= batch <= 64, the number of training maps$"),
        (white_maps(), {"steps": 0}, "^steps = 0: must be >= 1$"),
        (white_maps(), {"learning_rate": -1.0}, "^learning_rate = -1.0: must be > 0$"),
        (white_maps(), {"patience": 0}, "^patience = 0: must be >= 1$"),
        (white_maps(), {"precision": "int8"}, '^precision = .int8.: must be one of "float32", "bfloat16"$'),
        (white_maps(), {"weight_decay": -1.0}, "^weight_decay = -1.0: must be >= 0$"),
        (white_maps(), {"n_gal": -1.0}, "^n_gal = -1.0: must be > 0"),
        (white_maps(), {"width": 0}, "^width = 0: must be 1 <= width"),
        (white_maps(), {"coarsen": 3}, "^coarsen = 3: must divide the map's side of 16 pixels$"),
        (white_maps().isel(map=slice(64, None)), {}, '^data holds no map of split "train"$'),
    ],
)
def test_bad_input_is_named(data, changes, message):
    with pytest.raises(ValueError, match=message):
        calls.fit(data, **QUICK | changes)


def test_a_diverged_loss_is_named_and_the_last_good_state_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)
    data = white_maps()["kappa"].values[:32]
    targets = np.random.default_rng(0).normal(size=(32, 2)).astype(np.float32)
    common = dict(steps=30, batch=16, optimiser="ribli18", learning_rate=1e6, key=key())
    model = architectures.Compact(width=2, key=key())
    with pytest.raises(
        FloatingPointError, match=r"^loss = (nan|inf) at step .* the last good state is kept in"
    ) as error:
        calls.train(model, 100 * data, targets, **common, checkpoint=tmp_path)
    step, kept = (int(n) for n in re.findall(r"step (\d+)", str(error.value)))
    assert 0 < kept <= step < 29
    state = checkpoints_state(model, tmp_path)
    assert int(state["done"]) == kept and all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state["network"]))


def checkpoints_state(model, folder):
    fresh = trainer.Trainer(
        model, Training(30, 16, optimiser="ribli18"), None, trainer.plan_for_device(16, False), key()
    )
    return eqx.tree_deserialise_leaves(io.BytesIO((folder / "state.eqx").read_bytes()), fresh.initial(0, 0))


def test_stopping_early_without_held_out_maps_is_refused():
    with pytest.raises(ValueError, match=r"^patience = 3: stopping early needs held-out maps, and there are none"):
        calls.fit(white_maps(), **QUICK, patience=3)


def test_a_loss_that_needs_more_outputs_is_refused():
    data, targets = white_maps()["kappa"].values[:32], np.random.default_rng(0).normal(size=(32, 2))
    with pytest.raises(ValueError, match=r'^outputs = 2: loss = "likelihood" needs 5 for 2 targets$'):
        calls.train(
            architectures.Compact(width=2, key=key()), data, targets, steps=1, batch=8, loss="likelihood", key=key()
        )


def test_predictions_name_what_is_wrong():
    model, kappa = architectures.Compact(width=2, key=key()), white_maps()["kappa"].values[:2]
    for arguments, message in [
        ({"copies": 9}, "^copies = 9: must be 1 <= copies <= 8"),
        ({"batch": 0}, "^batch = 0: must be >= 1$"),
    ]:
        with pytest.raises(ValueError, match=message):
            training.predict(model, kappa, **arguments)
    with pytest.raises(ValueError, match=r"^kappa holds no map"):
        training.predict(model, kappa[:0])
    with pytest.raises(ValueError, match=r"^kappa\[0\] holds NaN"):
        training.predict(model, kappa * np.nan)
