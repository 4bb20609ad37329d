"""The map store, filled under kill -9 and in shards: the same bytes as if nobody had disturbed it."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
SMALL = {"n_models": 4, "n_maps": 4, "n_fiducial": 2, "pixels": 16, "particles": 16, "steps": 6}
KILLS = int(os.environ.get("WLBOOK_TEST_KILLS", "4"))


def start(store: Path, *more: str) -> subprocess.Popen:
    asked = [f"-p{name}={value}" for name, value in SMALL.items()]
    environment = os.environ | {"WLBOOK_STORE": str(store)}
    command = [sys.executable, "-m", "wlbook", "simulate", *asked, *more]
    return subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen) -> str:
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    return printed


def contents(store: Path) -> dict[str, dict[str, str]]:
    """Key of every box -> sha256 of its files."""
    found = {}
    for path in store.glob("simulation.boxes.simulate_box/*/manifest.json"):
        manifest = json.loads(path.read_text())
        found[manifest["key"]] = {name: file["sha256"] for name, file in manifest["files"].items()}
    return found


@pytest.mark.slow
def test_kills_and_shards_change_no_byte(tmp_path):
    undisturbed, killed, sharded = (tmp_path / name for name in ("undisturbed", "killed", "sharded"))
    finish(start(undisturbed))
    expected = contents(undisturbed)
    assert len(expected) == 2 * SMALL["n_models"] + SMALL["n_fiducial"]

    draw, survived = random.Random(1), []
    for _ in range(KILLS):
        process = start(killed)
        time.sleep(draw.uniform(3, 9))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        done = contents(killed)
        assert set(survived) <= set(done), "a kill lost a box"
        assert all(expected[key] == files for key, files in done.items())
        survived = list(done)
    finish(start(killed))
    assert contents(killed) == expected

    for shard in ("2/3", "1/3", "3/3"):
        finish(start(sharded, "--shard", shard))
    assert contents(sharded) == expected
