"""Memory that tensors free stays in the process, or goes back; in processes of their own."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import os
import sys
from pathlib import Path
import torch
from facegeo.training.memory import give_freed_memory_back, keep_freed_memory

def megabytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6

kept = keep_freed_memory() if sys.argv[1:] else None
before = megabytes()
blocks = [torch.ones(10 << 20) for _ in range(4)]  # 42 MB each
del blocks
freed = megabytes() - before
give_freed_memory_back()
print(kept, freed, megabytes() - before)
"""
BLOCKS_MB = 168

on_linux = pytest.mark.skipif(
    not Path("/proc/self/statm").is_file(), reason="reads resident memory from Linux's /proc"
)


def run(*words: str, **environment: str) -> tuple[str, float, float]:
    """Whether memory is kept, and how much more a process holds after freeing four blocks, MB."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        env={"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, freed, returned = done.stdout.split()
    return kept, float(freed), float(returned)


@on_linux
def test_freed_memory_is_kept_until_it_is_given_back() -> None:
    kept, freed, returned = run("keep")
    if kept == "False":
        pytest.skip("the C library is not glibc")
    assert freed > 0.9 * BLOCKS_MB
    assert returned < 0.1 * BLOCKS_MB


@on_linux
def test_without_it_freed_memory_goes_back_at_once() -> None:
    _, freed, _ = run()
    assert freed < 0.1 * BLOCKS_MB


@on_linux
def test_the_users_own_setting_is_respected() -> None:
    assert run("keep", MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"
