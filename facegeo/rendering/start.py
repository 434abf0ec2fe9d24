"""Start warp without its chatter."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

import warp as wp

from facegeo.errors import UserError
from facegeo.rendering import tracing


def start_warp(device: str) -> None:
    """Load the library and the kernels; compiles them the first time, for some seconds.

    Args:
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: If a GPU is asked for and there is none.
    """
    wp.config.log_level = getattr(wp, "LOG_WARNING", 30)
    with _silent_stderr():  # native code: a line on missing GPUs, and the compiler's remarks
        wp.init()  # type: ignore[no-untyped-call]
        if device != "cuda" or wp.is_cuda_available():
            wp.load_module(tracing, device=device)
            return
    raise UserError("device=cuda needs an NVIDIA GPU and its driver, found none; set device=cpu")


def load_kernels(module: ModuleType, device: str) -> None:
    """Load more kernels once warp has started; compiles them the first time.

    Args:
        module: Holds the kernels.
        device: ``cpu`` or ``cuda``.
    """
    with _silent_stderr():
        wp.load_module(module, device=device)


@contextmanager
def _silent_stderr() -> Iterator[None]:
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
