#!/usr/bin/env bash
# pyccl's WeakLensingTracer is a tracer of shear: it carries sqrt((l+2)!/(l-2)!)/(l+1/2)^2. CMBLensingTracer is one of
# convergence and carries l(l+1)/(l+1/2)^2. For one and the same source plane their spectra differ at low ell: 0.667 at
# l = 2, 0.833 at 3, 0.982 at 10, and a cross spectrum of the two by the root of that.
# Who is hit: whoever predicts maps of kappa with both, n(z) by the first and planes by the second, at large scales.
# Source: pyccl.tracers, WeakLensingTracer and CMBLensingTracer (der_angles); no argument of the first gives kappa.
# Run on 2026-11-28, pyccl 3.3.6, numpy 2.4.6: at l = 2, 3, 10, 100 the auto spectrum is 0.6667 0.8333 0.9818 0.9998
# of the plane's and the cross spectrum 0.8165 0.9129 0.9909 0.9999.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check pyccl==3.3.6 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import pyccl

cosmo = pyccl.Cosmology(Omega_b=0.045, Omega_c=0.255, h=0.7, n_s=0.96, sigma8=0.8, transfer_function="eisenstein_hu")
z = np.linspace(0.99, 1.01, 50)
sources = pyccl.WeakLensingTracer(cosmo, dndz=(z, np.exp(-0.5 * ((z - 1) / 0.002) ** 2)))
plane = pyccl.CMBLensingTracer(cosmo, z_source=1.0)
ell = np.array([2, 3, 10, 100])
kappa = pyccl.angular_cl(cosmo, plane, plane, ell)
auto = pyccl.angular_cl(cosmo, sources, sources, ell) / kappa
cross = pyccl.angular_cl(cosmo, sources, plane, ell) / kappa
shear = (ell + 2) * (ell - 1) / (ell * (ell + 1))
print(f"pyccl {pyccl.__version__}, numpy {np.__version__}; sources at z = 1 +- 0.002 and a plane at z = 1")
print("expected: two names for one convergence, so the same C_ell")
print("seen at l = 2, 3, 10, 100, over the plane's spectrum")
print("      auto ", *(f"{ratio:.4f}" for ratio in auto))
print("      cross", *(f"{ratio:.4f}" for ratio in cross))
print("      (l+2)(l-1)/(l(l+1))", *(f"{ratio:.4f}" for ratio in shear))
if not (np.allclose(auto, shear, rtol=2e-3) and np.allclose(cross, np.sqrt(shear), rtol=2e-3)):
    sys.exit("CHANGED: the two tracers no longer differ by the prefactor of shear")
PYTHON
