"""What this process costs: wall time, memory, and the device that it runs on."""

import contextlib
import dataclasses
import os
import platform
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a page cost, counting each stored result it used at the price paid when it was made."""

    device: str  # kind of processor
    own: float  # wall time of this process outside the store's makings [s]
    stages: dict[str, float]  # stage -> wall time of the results used [s]
    memory: int  # peak memory of this process, the device's included where it tells [bytes]
    profile: str  # the profile in force

    @property
    def seconds(self) -> float:
        """Everything together [s]: what the page would take from an empty store."""
        return self.own + sum(self.stages.values())

    def __str__(self) -> str:
        took = f"{self.seconds:.0f} s" if self.seconds < 100 else f"{self.seconds / 60:.1f} minutes"
        return f"{took} on {self.device}, {self.memory / 2**30:.1f} GB of memory, profile {self.profile}"


class Clock:
    """Wall time of makings; threads that make at the same time share it, so that times add up to what passed."""

    def __init__(self) -> None:
        self.total = 0.0
        self._lock = threading.Lock()
        self._active: dict[object, float] = {}
        self._since = 0.0

    def _tick(self) -> None:
        now = time.perf_counter()
        for token in self._active:
            self._active[token] += (now - self._since) / len(self._active)
        self._since = now

    @contextlib.contextmanager
    def running(self) -> Iterator[Callable[[], float]]:
        """Time the block; what is given tells the seconds that were its share, once the block has ended."""
        token, share = object(), 0.0
        with self._lock:
            self._tick()
            self._active[token] = 0.0
        try:
            yield lambda: share
        finally:
            with self._lock:
                self._tick()
                share = self._active.pop(token)
                self.total += share


def device() -> str:
    """Kind of the processor that JAX uses here, or would: "cpu" or the name of the accelerator."""
    jax = sys.modules.get("jax")
    kind = jax.devices()[0].device_kind if jax is not None else "cpu"
    return f"{os.cpu_count()} cores ({platform.machine()})" if kind == "cpu" else kind


def peak_memory() -> int:
    """Peak memory of this process, on the device too where it tells [bytes]."""
    unit = 1 if sys.platform == "darwin" else 1024
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    jax = sys.modules.get("jax")
    statistics = jax.devices()[0].memory_stats() if jax is not None else None
    return memory + (statistics or {}).get("peak_bytes_in_use", 0)
