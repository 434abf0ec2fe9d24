"""What tensors free is kept for the next ones, in a process of its own: it is for good."""

import subprocess
import sys

import pytest

SCRIPT = """
import resource, sys
import torch
from facegeo.allocator import keep_freed_memory
kept = keep_freed_memory() if sys.argv[1:] else None
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for turn in range(8):
    if turn == 4:
        before = faults()
    blocks = [torch.ones(10 << 20) for _ in range(4)]  # 40 MB each
    del blocks
print(kept, faults() - before)
"""


def run(*words: str, **environment: str) -> tuple[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words],
        env={"OMP_NUM_THREADS": "1"} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    kept, faults = done.stdout.split()
    return kept, int(faults)


def test_pages_are_asked_for_once() -> None:
    kept, faults = run("keep")
    if kept == "False":
        pytest.skip("the C library is not glibc")
    assert faults < 1000
    assert run()[1] > 10_000  # 4 turns of 160 MB in pages of 4 kB


def test_a_choice_of_the_user_stands() -> None:
    assert run("keep", MALLOC_TRIM_THRESHOLD_="131072")[0] == "False"
