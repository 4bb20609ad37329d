"""Checks: what is allowed passes, and one line says what is wrong with the rest."""

import re
import subprocess
import sys
from typing import Literal

import numpy as np
import pytest

from wlbook.common import checks


@pytest.mark.parametrize(
    ("check", "arguments", "message"),
    [
        (checks.require, (False, "sides", [], "three bins"), "sides = []: must be three bins"),
        (checks.at_least, ("steps", 5, 6), "steps = 5: must be >= 6"),
        (checks.at_least, ("sigma", np.nan, 0), "sigma = nan: must be >= 0"),
        (checks.at_least, ("length", -1.0, 0, "Mpc/h"), "length = -1.0: must be >= 0 [Mpc/h]"),
        (checks.positive, ("side", 0.0, "deg"), "side = 0.0: must be > 0 [deg]"),
        (checks.within, ("omega_m", 1.0, 0, 1), "omega_m = 1.0: must be > 0 and < 1"),
        (checks.within, ("omega_m", np.nan, 0, 1), "omega_m = nan: must be > 0 and < 1"),
        (checks.within, ("h", 0.2, 0.3, 1.5, "[]"), "h = 0.2: must be >= 0.3 and <= 1.5"),
        (checks.within, ("a", 0.0, 0, 1, "(]"), "a = 0.0: must be > 0 and <= 1"),
        (checks.one_of, ("kind", "other", ("peaks", "voids")), 'kind = \'other\': must be one of "peaks", "voids"'),
        (checks.one_of, ("kind", "x", Literal["a", "b"]), 'kind = \'x\': must be one of "a", "b"'),
        (checks.rising, ("edges", [1.0, 1.0]), "edges = [1.0, 1.0]: must be at least two rising numbers"),
        (checks.rising, ("edges", [1.0]), "edges = [1.0]: must be at least two rising numbers"),
        (checks.rising, ("edges", [-1, 2], 0, "deg"), "edges = [-1.0, 2.0]: must be at least two rising numbers, >= 0"),
        (checks.same_shape, ("groups", [1], (2,), "the map's"), "groups has shape (1,): must be the map's, (2,)"),
        (checks.check_finite, ("kappa", [[0], [np.inf]], 4), "kappa[5] holds NaN or infinity (1 of 2 do)"),
    ],
)
def test_what_is_wrong_is_named_with_its_value(check, arguments, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        check(*arguments)


def test_what_is_allowed_passes():
    checks.require(True, "sides", [], "three bins")
    checks.at_least("steps", 6, 6)
    checks.positive("side", 0.1)
    checks.within("h", 1.5, 0.3, 1.5, "[]")
    checks.within("a", 1, 0, 1, "(]")
    checks.one_of("kind", "voids", {"peaks": 1, "voids": 2})
    checks.rising("edges", [-np.inf, 0, np.inf])
    checks.same_shape("groups", np.zeros((2, 3)), (2, 3), "the map's")
    checks.check_finite("kappa", np.zeros((2, 3)))


def test_checks_need_no_jax():
    code = "import sys, wlbook.common.checks; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
