"""The record of a run besides its numbers: overrides, data, device, time, memory, versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import torch

import facegeo
from facegeo.files.writing import write_whole

RECORD = "record.json"
PACKAGES = ("lightning", "hydra-core", "torchmetrics", "numpy", "albumentations", "wandb")


@dataclass
class RunRecord:
    """Contents of ``record.json``.

    Attributes:
        study: Name of the study, if the run belongs to one.
        experiment: The choice of ``experiment``.
        seed: Of the run.
        overrides: Choices of the command line or the sweep.
        status: "running", "stopped", "failed" or "done".
        error: Why it failed.
        data: Title, kind (class) and hash of the data; ``test_hash`` of the test faces.
        also_on: Other data that the model was measured on, by name: title, hash, configuration.
        device: Name of the GPU, or cpu.
        threads: Threads that torch had.
        wall_s: Seconds, all sessions that ended by themselves together.
        sessions: How often the run was started or resumed.
        peak_memory_mb: Most memory that the process held so far, MiB; a sweep without launcher
            runs all its jobs in one.
        peak_gpu_memory_mb: Most memory of the GPU that torch held, MiB; None without one.
        shared: Parts whose weights came from another run of a study, with that run's key.
        cost: Parameters and multiplications for one face, by stage or t.
        started: Of the first session, UTC.
        ended: Of the last session, UTC.
        wandb: Address or id of the W&B run.
        git: Commit of the checkout and whether it was changed; None outside a checkout.
        commits: Those of all sessions, in order.
        packages: Versions.
    """

    study: str | None
    experiment: str | None
    seed: int
    overrides: list[str]
    status: str = "running"
    error: str | None = None
    data: dict[str, str] = field(default_factory=dict)
    also_on: dict[str, dict[str, Any]] = field(default_factory=dict)
    device: str = "cpu"
    threads: int = 1
    wall_s: float = 0.0
    sessions: int = 0
    peak_memory_mb: float = 0.0
    peak_gpu_memory_mb: float | None = None
    shared: dict[str, str] = field(default_factory=dict)
    cost: dict[str, dict[str, int]] = field(default_factory=dict)
    started: str = ""
    ended: str | None = None
    wandb: str | None = None
    git: dict[str, str | bool] | None = None
    commits: list[str] = field(default_factory=list)
    packages: dict[str, str] = field(default_factory=dict)

    def begin(self, folder: Path) -> None:
        """Write the start of a session; times of earlier sessions are added up."""
        before = read_record(folder)
        self.started = str(before.get("started") or _now())
        self.sessions = int(before.get("sessions", 0)) + 1
        self.wall_s = float(before.get("wall_s", 0.0))
        self.shared = dict(before.get("shared") or {})
        self._begun = time.monotonic()
        self.git, self.packages = _git(), _packages()
        now = [str(self.git["commit"])] if self.git else []
        self.commits = list(dict.fromkeys([*before.get("commits", []), *now]))
        self.threads = torch.get_num_threads()
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._write(folder)

    def end(self, folder: Path, status: str, error: str | None = None) -> None:
        """Write how a session ended."""
        self.status, self.error, self.ended = status, error, _now()
        self.wall_s += time.monotonic() - self._begun
        self.peak_memory_mb = _peak_memory_mb()
        if torch.cuda.is_available():
            self.peak_gpu_memory_mb = round(torch.cuda.max_memory_allocated() / 2**20, 1)
        self._write(folder)

    def _write(self, folder: Path) -> None:
        write_whole(folder / RECORD, json.dumps(asdict(self), indent=2))


def read_record(folder: Path) -> dict[str, Any]:
    """The record of a run's folder; empty if it is missing or cannot be read."""
    try:
        found = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError):
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {}


def _peak_memory_mb() -> float:
    """Most memory that this process held, MiB; 0 on Windows, where it is not known."""
    try:
        import resource
    except ImportError:
        return 0.0
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _packages() -> dict[str, str]:
    found = {
        "facegeo": facegeo.__version__,
        "python": sys.version.split()[0],
        "torch": str(torch.__version__),  # with its build, as +cu126
    }
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _git() -> dict[str, str | bool] | None:
    """Commit of the checkout that the code runs from, and whether its files were changed."""
    root = Path(facegeo.__file__).parents[1]
    if not (root / ".git").exists():  # such as an installation below another project's checkout
        return None

    def ask(words: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(root), *words.split()],
            capture_output=True,
            text=True,
            check=True,
            timeout=10,
            env=os.environ | {"GIT_OPTIONAL_LOCKS": "0"},  # status must not write
        )
        return done.stdout.strip()

    try:
        commit, changed = ask("rev-parse HEAD"), ask("status --porcelain -- facegeo conf")
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit, "dirty": bool(changed)}
