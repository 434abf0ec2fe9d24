"""The most memory that some work took."""

from __future__ import annotations

from pathlib import Path

import torch

from facegeo.training.memory import give_freed_memory_back

MIB = 2**20
STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak(device: str) -> None:
    """Forget what came before, where the system can."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif RESET.exists():
        give_freed_memory_back()
        RESET.write_text("5")


def peak_mb(device: str) -> float | None:
    """Since ``reset_peak``: the device's memory, or the whole process's; None: not known here."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / MIB
    if not (STATUS.exists() and RESET.exists()):
        return None
    lines = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    return float(lines["VmHWM"].split()[0]) / 1024
