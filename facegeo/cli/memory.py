"""How a process of a command keeps its memory."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
KEPT = 1 << 30
OWN_CHOICE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Let the C library keep what tensors free for the next ones.

    As it comes, glibc gives large blocks back to the system, which clears every page again when
    the next operation asks for them. Changes no number; a process keeps the most it ever held.

    Returns:
        Whether it was done: not where the environment chooses for itself, nor without glibc.
    """
    if any(os.environ.get(name) for name in OWN_CHOICE):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (TypeError, AttributeError):  # Windows; macOS, musl
        return False
    return all([mallopt(TRIM_THRESHOLD, KEPT), mallopt(MMAP_THRESHOLD, KEPT)])
