"""Memory that tensors free: kept for the next ones, or returned to the system."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
KEPT = 1 << 30
OWN_CHOICE = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES", "LD_PRELOAD")


def keep_freed_memory() -> bool:
    """Let the C library keep what tensors free for the next ones.

    By default glibc returns large blocks to the system, which clears every page again when the
    next operation asks for them. Changes no number; a process keeps the most it ever held.

    Returns:
        Whether it was done: not if the environment sets the allocator, nor without glibc.
    """
    choose = _function("mallopt")
    if choose is None or any(os.environ.get(name) for name in OWN_CHOICE):
        return False
    return all([choose(TRIM_THRESHOLD, KEPT), choose(MMAP_THRESHOLD, KEPT)])


def give_freed_memory_back() -> None:
    """Return unused memory to the system, where the C library is glibc."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """A function of glibc; None on Windows, macOS and musl."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (TypeError, AttributeError):
        return None
    return found
