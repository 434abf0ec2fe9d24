"""What becomes of the memory that tensors free: kept for the next ones, or given back."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

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
    choose = _function("mallopt")
    if choose is None or any(os.environ.get(name) for name in OWN_CHOICE):
        return False
    return all([choose(TRIM_THRESHOLD, KEPT), choose(MMAP_THRESHOLD, KEPT)])


def give_freed_memory_back() -> None:
    """Give the system what is kept now, where the C library is glibc."""
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)


def _function(name: str) -> Callable[..., int] | None:
    """One of glibc's own; None where it is not: Windows, macOS, musl."""
    try:
        found: Callable[..., int] = getattr(ctypes.CDLL(None), name)
    except (TypeError, AttributeError):
        return None
    return found
