"""What a measurement was made on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from facegeo import __version__

LIBRARIES = (
    "onnxruntime",
    "numpy",
    "opencv-python-headless",
    "dlib-bin",
    "facenet-pytorch",
)

INSTRUCTIONS = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA")
"""Environment variables that hold PyTorch back from what the processor can do."""


def machine() -> dict[str, str]:
    """Processor, cores, GPU, system and versions, for people to read."""
    found = {
        "processor": processor(),
        "cores": str(cores()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "facegeo": __version__,
        "torch": str(torch.__version__),  # its build too, which the package's version may not tell
    }
    found |= {name: os.environ[name] for name in INSTRUCTIONS if name in os.environ}
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name()
        found["cuda"] = str(torch.version.cuda)
    for library in LIBRARIES:
        try:
            found[library] = version(library)
        except PackageNotFoundError:
            continue
    return found


def cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor() -> str:
    """Its name, with the widest vectors that PyTorch uses."""
    name = platform.processor() or platform.machine()
    facts = Path("/proc/cpuinfo")
    if facts.is_file():
        lines = facts.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        name = names[0] if names else name
    return f"{name} ({torch.backends.cpu.get_cpu_capability()})"
