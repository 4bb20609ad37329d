"""The loop: killed, split over devices, streamed, in halves, with company: it must always end where it should."""

import functools
import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import calls
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from test_training import QUICK, bits, white_maps

from wlbook.network import batches, summary, trainer
from wlbook.network import layers as wl_layers
from wlbook.simulation import survey

PATHS = [str(Path(__file__).parent), str(Path(__file__).parents[1])]  # what pytest puts there for this file


def key(n=0):
    return jax.random.key(n)


class Tiny(eqx.Module):
    """As little as a network can be: the loop does not ask for more, and it compiles fast."""

    layers: tuple

    def __init__(self, key, norm=False):
        one, two = jax.random.split(key)
        first = (wl_layers.ChannelsLast(), wl_layers.Convolution(1, 3, 3, key=one))
        last = (wl_layers.ReLU(), wl_layers.GlobalAverage(), wl_layers.Dense(3, 2, key=two))
        self.layers = (*first, *([wl_layers.BatchNorm(3)] if norm else []), *last)

    def __call__(self, kappa):
        return wl_layers.run(self.layers, kappa)


def noisy(kappa, key):
    return kappa + 0.1 * jax.random.normal(key, kappa.shape)


def arrays(maps=64, side=16):
    draw = np.random.default_rng(0)
    kappa = draw.normal(size=(maps, 1, side, side)).astype(np.float32)
    return kappa, draw.normal(size=(maps, 2)).astype(np.float32)


def run(
    model=None,
    kappa=None,
    *,
    observe=noisy,
    plan=None,
    validation=None,
    checkpoint=None,
    **options,
):
    """Train on random maps; the trained network and its history."""
    maps, targets = arrays()
    return trainer.run(
        model or Tiny(key()),
        maps if kappa is None else kappa,
        targets,
        trainer.Training(**{"steps": 12, "batch": 16, "learning_rate": 3e-3} | options),
        observe=observe,
        validation=validation,
        checkpoint=checkpoint,
        plan=plan,
        key=key(5),
    )


def close(one, two, **tolerance):
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(two), strict=True):
        np.testing.assert_allclose(a, b, **{"rtol": 2e-3, "atol": 2e-5} | tolerance)


# Killed and resumed

_CHILD = """
import sys
sys.path[:0] = {paths!r}
from pathlib import Path
from test_trainer import bits, long_training
from wlbook.network import trainer
trainer.SAVE_SECONDS = 0.02
Path(sys.argv[2]).write_bytes(bits(long_training(Path(sys.argv[1]))))
"""


def long_training(checkpoint):
    """Everything that has a state: batch statistics, early stopping, a history of norms."""
    kappa, targets = arrays()
    return run(
        Tiny(key(1), norm=True),
        steps=3000,
        learning_rate=1e-4,
        optimiser="deeplss",
        validation=(kappa[:8], targets[:8]),
        patience=19,
        checkpoint=checkpoint,
    )


@pytest.mark.slow
def test_ten_kills_at_random_steps_leave_the_bits_of_undisturbed_training(tmp_path):
    state = tmp_path / "kept" / "state.eqx"
    command = [sys.executable, "-c", _CHILD.format(paths=PATHS), str(state.parent), str(tmp_path / "bits")]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    wait, reached = random.Random(3), []
    for _ in range(10):
        before = state.stat().st_mtime_ns if state.exists() else 0
        child = subprocess.Popen(command, env=environment)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline and child.poll() is None:
            if state.exists() and state.stat().st_mtime_ns != before:
                break
            time.sleep(0.002)
        time.sleep(wait.uniform(0.0, 0.3))
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert child.returncode == -signal.SIGKILL, "the training ended before it could be killed"
        reached.append(state.read_bytes())
    assert len(set(reached)) == 10, "a run did not go on"
    subprocess.run(command, env=environment, check=True)
    assert (tmp_path / "bits").read_bytes() == bits(long_training(None))


def test_resuming_in_this_process_goes_on_and_does_not_start_again(tmp_path):
    whole = run(steps=12)
    with pytest.MonkeyPatch.context() as patch:
        advance = trainer._check_loss

        def killed(loss, steps, *rest):
            advance(loss, steps, *rest)
            if steps.stop == 7:
                raise KeyboardInterrupt

        patch.setattr(trainer, "_check_loss", killed)
        patch.setattr(trainer, "SAVE_SECONDS", 0.0)
        with pytest.raises(KeyboardInterrupt):
            run(steps=12, checkpoint=tmp_path)
    assert (tmp_path / "state.eqx").exists() and bits(run(steps=12, checkpoint=tmp_path)) == bits(whole)


def flipped(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def in_place_of(path):
    path.unlink()
    path.mkdir()


CHECKPOINT_DAMAGES = {
    "a bit": flipped,
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "a folder": in_place_of,
}


@pytest.mark.parametrize("damage", CHECKPOINT_DAMAGES.values(), ids=CHECKPOINT_DAMAGES)
@pytest.mark.parametrize("both", [False, True])
def test_a_damaged_checkpoint_is_set_aside_told_and_the_training_ends_as_if_undisturbed(
    tmp_path, monkeypatch, damage, both
):
    whole = run(steps=12)
    monkeypatch.setattr(trainer, "SAVE_SECONDS", 0.0)
    folder, told = tmp_path / "kept", tmp_path / "told"
    monkeypatch.setenv("WLBOOK_PROGRESS", str(told))
    run(steps=12, checkpoint=folder)
    states = [folder / "state.eqx", folder / "state.before.eqx"]
    begun, check = [], trainer._check_loss
    monkeypatch.setattr(
        trainer, "_check_loss", lambda loss, steps, *rest: begun.append(steps.start) or check(loss, steps, *rest)
    )
    for path in states if both else states[:1]:
        damage(path)
    assert bits(run(steps=12, checkpoint=folder)) == bits(whole)
    lines = [line for line in told.read_text().splitlines() if "is damaged" in line]
    assert [line.split(": ")[0] for line in lines] == [f"checkpoint = {path}" for path in states[: 1 + both]]
    assert len(list(folder.glob("*.damaged.*"))) == 1 + both
    assert begun[0] == (0 if both else 11)


def test_every_step_draws_a_noise_of_its_own():
    seen = []

    def observe(kappa, key):
        jax.debug.callback(lambda data: seen.append(tuple(data.tolist())), jax.random.key_data(key))
        return noisy(kappa, key)

    run(observe=observe, steps=5)
    jax.effects_barrier()
    assert len(seen) == len(set(seen)) == 5


# Ways to run


@pytest.mark.parametrize("norm", [False, True])
def test_one_call_of_many_steps_ends_where_a_python_loop_does(norm):
    device = tuple(jax.devices()[:1])
    # Plain gradient descent: Adam blows rounding up where batch statistics leave no gradient.
    options = {"model": Tiny(key(1), norm=norm), "steps": 20, "optimiser": "ribli18"}
    close(*(run(**options, plan=trainer.ExecutionPlan(scan, device)) for scan in (1, 10)))


_SHARDED = """
import sys
sys.path[:0] = {paths!r}
import json
import jax
from test_trainer import Tiny, run, key
from wlbook.network import trainer
plan = trainer.plan_for_device
found = {{"devices": len(plan(16, False).devices), "odd": len(plan(18, False).devices)}}
for name, model in (("plain", Tiny(key())), ("norm", Tiny(key(), norm=True))):
    trained, history = run(model, optimiser="ribli18")
    found[name] = history["loss"].tolist()
    first = [leaf.sum().item() for leaf in jax.tree.leaves(trained)]
    found[name] += first
print(json.dumps(found))
"""


@pytest.mark.slow
def test_a_batch_split_over_four_devices_gives_what_one_device_gives():
    found = {}
    for number in (1, 4):
        environment = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={number}"}
        command = [sys.executable, "-c", _SHARDED.format(paths=PATHS)]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        found[number] = json.loads(done.stdout)
    assert found[4].pop("devices") == 4 and found[4].pop("odd") == 3
    assert found[1].pop("devices") == found[1].pop("odd") == 1
    for name, values in found[1].items():
        np.testing.assert_allclose(values, found[4][name], rtol=2e-3, atol=1e-4, err_msg=name)


def test_bfloat16_computes_in_halves_and_keeps_whole_weights():
    _, history = run(steps=40)
    half, history_half = run(steps=40, precision="bfloat16")
    assert {leaf.dtype for leaf in jax.tree.leaves(half)} == {jnp.dtype("float32")}
    assert not np.array_equal(history["loss"], history_half["loss"])
    np.testing.assert_allclose(history["loss"], history_half["loss"], rtol=0.03)
    # Steps this small would vanish in bfloat16's 8 bits.
    start = summary.weights(Tiny(key()))["layers[1].weight"]
    after, _ = run(steps=3, learning_rate=1e-6, precision="bfloat16")
    assert 0 < np.abs(summary.weights(after)["layers[1].weight"] - start).max() < 1e-5


# Streaming


@pytest.fixture
def stored(tmp_path):
    """The training maps in a zarr store with 8 maps a chunk, not loaded."""
    kappa = xr.DataArray(arrays()[0], dims=("map", "bin", "y", "x"))
    kappa.to_dataset(name="kappa").to_zarr(
        tmp_path / "maps.zarr", consolidated=False, zarr_format=3, encoding={"kappa": {"chunks": (8, 1, 16, 16)}}
    )
    return xr.open_zarr(tmp_path / "maps.zarr", chunks=None, consolidated=False)["kappa"]


def test_streamed_maps_are_the_maps_and_are_read_a_chunk_at_a_time(stored, monkeypatch):
    assert isinstance(batches.source(stored), np.ndarray)
    monkeypatch.setattr(batches, "device_memory", lambda: 2000)
    streamed = batches.source(stored)
    assert isinstance(streamed, batches.Streamed) and streamed.block == 8 and streamed.shape == (64, 1, 16, 16)
    rows = np.array([63, 0, 17, 0, 8])
    np.testing.assert_array_equal(streamed[rows], arrays()[0][rows])
    coarse = batches.source(stored, factor=2)
    np.testing.assert_allclose(coarse[rows], survey.coarsen(arrays()[0][rows], 2), rtol=1e-6)
    assert streamed._read.cache_info().misses == 4  # chunks 7, 0, 2, 1


def test_streamed_training_ends_in_the_bits_of_training_from_memory(stored, monkeypatch):
    streamed = batches.Streamed(stored)
    # The same maps seen in the same order: the only thing that may differ is where they come from.
    monkeypatch.setattr(
        batches, "order", functools.partial(lambda *a, block, inner: inner(*a, block=8), inner=batches.order)
    )
    assert bits(run(kappa=streamed)) == bits(run())


def test_nan_in_streamed_maps_is_named_when_it_is_read(tmp_path):
    kappa = arrays()[0]
    kappa[37] = np.nan
    streamed = batches.Streamed(xr.DataArray(kappa, dims=("map", "bin", "y", "x")))
    with pytest.raises(ValueError, match=r"^kappa\[37\] holds NaN or infinity"):
        run(kappa=streamed)


def test_fit_streams_what_does_not_fit(monkeypatch):
    data = white_maps()
    monkeypatch.setattr(batches, "device_memory", lambda: 1000)
    streamed = calls.fit(data, **QUICK)
    monkeypatch.undo()
    assert bits(streamed) == bits(calls.fit(data, **QUICK))  # nothing chunked: one order for both


def test_the_next_batch_is_made_while_this_one_is_used():
    started = []
    found = []
    for made in batches.ahead(lambda n: started.append(n) or n, range(4)):
        deadline = time.monotonic() + 5
        while len(started) < min(4, made + 2) and time.monotonic() < deadline:
            time.sleep(0.001)
        found.append((made, len(started)))
    assert found == [(0, 2), (1, 3), (2, 4), (3, 4)]


@settings(max_examples=30, deadline=None)
@given(maps=st.integers(4, 90), batch=st.integers(1, 4), block=st.integers(1, 12))
def test_a_pass_in_blocks_takes_every_map_once(maps, batch, block):
    steps = maps // batch
    order = batches.order(maps, batch, key(1), block=block)
    seen = np.concatenate([order(n) for n in range(steps)])
    assert len(seen) == len(set(seen.tolist())) == steps * batch and seen.min() >= 0 and seen.max() < maps
    if block > 1:  # no more blocks at once than are held in memory
        at_once = max(len(set((order(n) // block).tolist())) for n in range(steps))
        assert at_once <= min(batch, 2 * batches.WINDOW)


# Early stopping


def test_early_stopping_returns_the_weights_of_the_best_look(monkeypatch):
    scores = iter([3.0, 1.0, 2.0, 4.0, 5.0, 0.5])
    monkeypatch.setattr(trainer._HeldOut, "__call__", lambda self, network: next(scores))
    kappa, targets = arrays()
    options = {"steps": 60, "validation": (kappa[:4], targets[:4])}
    stopped, history = run(**options, patience=3)
    # Looks at steps 3, 6, 9, 12, 15: the second was the best, three were no better.
    assert history["held_out_loss"].tolist() == [3.0, 1.0, 2.0, 4.0, 5.0] and len(history["loss"]) == 15
    monkeypatch.undo()
    monkeypatch.setattr(trainer, "_stopped", lambda state, patience: int(state["done"]) == 6)
    after_six, _ = run(**options)
    assert bits(stopped) == bits(after_six)


def test_without_patience_nothing_stops_and_the_last_weights_count():
    kappa, targets = arrays()
    plain, _ = run(steps=20)
    looked, history = run(steps=20, validation=(kappa[:4], targets[:4]))
    assert bits(plain) == bits(looked) and len(history["held_out_loss"]) == 20


def test_models_can_be_held_out_by_name():
    data = white_maps()
    changed = data.copy(deep=True)
    changed["kappa"] = changed["kappa"] * xr.where(changed["model"] == 3, 5.0, 1.0).astype(np.float32)
    one, two = (calls.fit(part, **QUICK, held_out=[3]) for part in (data, changed))
    assert bits(one.model) == bits(two.model)
    assert not eqx.tree_equal(one.history["held_out_loss"][-1], two.history["held_out_loss"][-1])
