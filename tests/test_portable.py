"""``make test-portable`` computes as it says: as a processor without newer instructions."""

import os
import platform

import pytest
import torch

REPORTED = {"avx2": "AVX2", "default": "DEFAULT"}
ASKED = os.environ.get("ATEN_CPU_CAPABILITY", "")


@pytest.mark.portable
@pytest.mark.skipif(ASKED not in REPORTED, reason="ATEN_CPU_CAPABILITY asks for nothing")
@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86 instructions")
def test_torch_uses_the_instructions_that_were_asked_for() -> None:
    assert torch.backends.cpu.get_cpu_capability() == REPORTED[ASKED]
