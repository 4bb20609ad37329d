#!/usr/bin/env bash
# Om0 of astropy's cosmologies leaves massive neutrinos out, while the tables of papers, CAMB's omegam and CCL's Omega_m
# count them. Planck18.Om0 is therefore 0.3097 where the paper has 0.3111, and S8 made of it is 0.2 % low; a paper's
# Omega_m handed to FlatLambdaCDM together with m_nu counts the neutrinos twice.
# Who is hit: whoever takes Planck18.Om0 for Omega_m (S8, a label, a lensing prefactor), or a paper's Omega_m for Om0.
# Source: astropy.cosmology.FLRW, parameter Om0; camb.CAMBparams.omegam.
# Run on 2026-11-28, astropy 8.0.2, camb 2.0.5, numpy 2.4.6: Om0 0.3097, CAMB's omegam 0.3111; S8 0.8231 from the
# one, 0.8250 from the other; Om0 = 0.3111 with m_nu = 0.06 eV holds 0.3125 of matter.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check astropy==8.0.2 camb==2.0.5 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import sys

import astropy
import camb
from astropy.cosmology import FlatLambdaCDM, Planck18

h = Planck18.h
baryons, dark = Planck18.Ob0 * h**2, (Planck18.Om0 - Planck18.Ob0) * h**2
total = camb.set_params(H0=100 * h, ombh2=baryons, omch2=dark, mnu=0.06).omegam
s8 = [Planck18.meta["sigma8"] * (omega / 0.3) ** 0.5 for omega in (Planck18.Om0, total)]
twice = FlatLambdaCDM(H0=Planck18.H0, Om0=0.3111, Tcmb0=Planck18.Tcmb0, m_nu=Planck18.m_nu)
doubled = float(twice.Om0 + twice.Onu0)
print(f"astropy {astropy.__version__}, camb {camb.__version__}")
print("expected: Planck18.Om0 is the Omega_m = 0.3111 of the paper's table, neutrinos of 0.06 eV among it")
print(f"seen: {Planck18.Om0:.4f}; CAMB with the same baryons, dark matter and neutrinos has omegam = {total:.4f}")
print(f"      S8 = {s8[0]:.4f} from Om0, {s8[1]:.4f} from the total")
print(f"      FlatLambdaCDM with Om0 = 0.3111 and m_nu = 0.06 eV holds {doubled:.4f} of matter in all")
if not (abs(Planck18.Om0 - 0.3097) < 1e-4 and abs(total - 0.3111) < 1e-4 and abs(doubled - 0.3125) < 1e-4):
    sys.exit("CHANGED: Om0 and omegam no longer differ by the neutrinos")
PYTHON
