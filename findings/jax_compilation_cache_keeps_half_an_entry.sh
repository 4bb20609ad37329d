#!/usr/bin/env bash
# JAX's persistent compilation cache writes an entry in place and never looks at it again: a process that stops in the
# middle (full disk, quota, kill) leaves half an entry, and every later process warns, compiles anew, and leaves the
# half where it is, since an entry that exists is not written again. Two processes that start together on an empty cache
# see the same for a moment. The documentation says only that errors of the cache are warnings; one would expect the
# next process to mend what it could not read.
# Who is hit: runs that share a cache folder and treat warnings as errors (pytest), or compile for minutes on each start.
# Source: jax/_src/lru_cache.py, LRUCache.put and get without a size limit. With a limit a lock guards both, but what a
# process that died left behind stays there too (jax issue 39880).
# Run on 2026-11-28, jax 0.10.2: the disk fills once; then three processes in turn warn of the same entry, and its size
# never changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check jax==0.10.2 numpy==2.4.6
cat >"$work/compile.py" <<'PYTHON'
import resource
import signal
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp

cache, limit = Path(sys.argv[1]), int(sys.argv[2])
jax.config.update("jax_compilation_cache_dir", str(cache))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
x = jnp.asarray([1.0, 2.0, 3.0])
if limit:  # no file may grow beyond this: a disk that is full, or a quota
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def polynomial(x):
    return jnp.sin(x) * jnp.cos(x) + x**3


with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    jax.jit(polynomial)(x)
said = sorted({str(warning.message).split(" for ")[0] for warning in caught})
size = [path.stat().st_size for path in cache.glob("jit_polynomial*")]
print(f"{jax.__version__} bytes={size} {said}")
PYTHON
run() { "$work/venv/bin/python" "$work/compile.py" "$@"; }
echo "expected: the first process to read half an entry writes it anew, and the next ones read it"
whole=$(run "$work/other" 0)
first=$(run "$work/cache" 512)
second=$(run "$work/cache" 0)
third=$(run "$work/cache" 0)
echo "a whole entry:        $whole"
echo "the disk fills:       $first"
echo "the next process:     $second"
echo "and the one after it: $third"
case "$second" in
*"bytes=[512]"*"Error reading persistent compilation cache entry"*) ;;
*) echo "CHANGED: half an entry is not met, or mended"; exit 1 ;;
esac
[ "$second" = "$third" ] || { echo "CHANGED: half an entry is mended in the end"; exit 1; }
