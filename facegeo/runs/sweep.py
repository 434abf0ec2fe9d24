"""One job of ``facegeo-train``: a single run, or one of a sweep that may be killed and resumed."""

from __future__ import annotations

import difflib
import json
import logging
import os
import traceback
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from facegeo.errors import UserError
from facegeo.files.writing import LOCK, TakenError, locked, write_whole
from facegeo.runs.folder import CONFIG, chosen, claim, in_sweep, overrides, plain, run_folder
from facegeo.runs.jobs import JOBS, Outcome, check_whole_job
from facegeo.runs.record import read_record
from facegeo.runs.train import run, run_in
from facegeo.training.results import METRICS

log = logging.getLogger(__name__)


def job(cfg: DictConfig) -> float | None:
    """Run one job; in a sweep skip it if it is done, and let no failure stop the other jobs.

    Returns:
        The metric that ``cfg.objective`` names, or None.

    Raises:
        UserError: For every mistake in configuration or data; in a sweep without an objective
            it is reported at the sweep's end instead.
    """
    if (study := chosen("ablation")) and not in_sweep():
        raise UserError(f"ablation={study} is a study of several runs; add -m to run them all")
    if not in_sweep() and not cfg.dry_run:
        return _objective(cfg, run(cfg))
    check_whole_job(cfg)
    folder = run_folder(cfg)
    if cfg.dry_run:
        status = str(read_record(folder).get("status", "to do"))
        states = {"running": "begun", "stopped": "begun", "failed": "failed before"}
        state = (states | {"done": "to measure"}).get(status, status)
        found = "done before" if _finished(cfg, folder) is not None else state
        _report(Outcome(str(folder), overrides(), found))
        return None
    return _job_of_a_sweep(cfg, folder)


def _job_of_a_sweep(cfg: DictConfig, folder: Path) -> float | None:
    outcome = Outcome(str(folder), overrides(), "stopped")
    try:
        with locked(folder / LOCK):
            results, status = _finished(cfg, folder), "done before"
            if results is None:
                results, status = run_in(folder, cfg, _share_machine(cfg)), "done"
            else:
                claim(folder, plain(cfg))
        outcome.status = status
        print(f"{status}: {folder}")
        return _objective(cfg, results)
    except TakenError as error:
        outcome.status, outcome.error = "elsewhere", f"{error} is at work on it"
        if cfg.objective is not None:
            raise UserError(f"{folder}: {outcome.error}") from error
    except Exception as error:
        outcome.status, outcome.error = "failed", _reason(error, folder)
        if cfg.objective is not None:  # a search must know
            raise
        log.error("failed: %s", outcome.error)
    finally:
        _report(outcome)
    return None


def _finished(cfg: DictConfig, folder: Path) -> dict[str, float] | None:
    """Metrics of a run that an earlier sweep finished and measured as this one would."""
    record = read_record(folder)
    if record.get("status") != "done" or not (folder / METRICS).is_file():
        return None
    before, now = json.loads((folder / CONFIG).read_text()), plain(cfg)
    found: dict[str, float] = json.loads((folder / METRICS).read_text())
    others = {name: one.get("config") for name, one in record.get("also_on", {}).items()}
    measured = all(any(name.startswith(f"{split}/") for name in found) for split in cfg.splits)
    measured &= all(others.get(name) == node for name, node in (now["also_on"] or {}).items())
    coding, coded = ((config.get("data") or {}).get("coding") for config in (now, before))
    return found if measured and coding == coded else None


def _objective(cfg: DictConfig, results: dict[str, float]) -> float | None:
    if cfg.objective is None:
        return None
    if cfg.objective not in results:
        nearest = difflib.get_close_matches(str(cfg.objective), results, cutoff=0)
        raise UserError(
            f"objective={cfg.objective} is not a metric of this run; nearest: {', '.join(nearest)}"
        )
    return results[cfg.objective]


def _share_machine(cfg: DictConfig) -> int | None:
    """Limit this job to its share of the processors; return its GPU where there are several.

    ``hydra.launcher.n_jobs`` is the number of jobs at a time on one machine.
    """
    config = HydraConfig.get()
    together = int(config.launcher.get("n_jobs") or 1)
    processors = os.cpu_count() or 1
    together = processors if together < 0 else together
    if together == 1:
        return None
    cfg.trainer.enable_progress_bar = False  # bars of several jobs write over each other
    torch.set_num_threads(min(torch.get_num_threads(), max(1, processors // together)))
    gpus = torch.cuda.device_count()
    if gpus < 2:
        return None
    gpu = int(config.job.num) % gpus
    torch.cuda.set_device(gpu)
    return gpu


def _reason(error: Exception, folder: Path) -> str:
    """One message for a mistake; for anything else also a file with the traceback."""
    if isinstance(error, UserError):
        return str(error)
    file = folder / "error.txt"
    try:
        write_whole(file, "".join(traceback.format_exception(error)))
    except OSError:
        return f"{type(error).__name__}: {error}"
    return f"{type(error).__name__}: {error} (traceback: {file})"


def _report(outcome: Outcome) -> None:
    """Write the outcome for the sweep's end, which may be in another process."""
    if not in_sweep():
        print(f"{outcome.status}: {outcome.folder}")
        return
    config: Any = HydraConfig.get()
    file = Path(config.sweep.dir) / JOBS / f"{config.job.num:05d}.json"
    write_whole(file, json.dumps(outcome.__dict__))
