"""Run a composed configuration: folder, seed, training, measuring."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities import rank_zero_only
from omegaconf import DictConfig
from rich.console import Console
from torch import nn

from facegeo.errors import UserError
from facegeo.files.shipped import SHARED
from facegeo.files.writing import LOCK, TakenError, locked
from facegeo.papers import paper_values
from facegeo.runs.evaluate import accelerator, check_fit, device_of, report_others
from facegeo.runs.folder import chosen, claim, data_choice, in_sweep, overrides, plain, run_folder
from facegeo.runs.jobs import check_whole_job
from facegeo.runs.record import RunRecord
from facegeo.runs.reuse import weight_keys
from facegeo.runs.wandb import JobLogs
from facegeo.training.model_file import MODEL, save_model
from facegeo.training.results import SharedWeights
from facegeo.training.wing import WingData

log = logging.getLogger(__name__)


def run(cfg: DictConfig) -> dict[str, float]:
    """Train and measure a model, or resume it where it was killed.

    Args:
        cfg: Composed from ``conf/train.yaml``.

    Returns:
        Metrics by name, such as ``test/stage3/error_pct``.

    Raises:
        UserError: For every mistake in configuration or data.
    """
    check_whole_job(cfg)
    folder = run_folder(cfg)
    if getattr(rank_zero_only, "rank", 0):  # a process of DDP that the first one started
        return _train_and_measure(cfg, folder, _record(cfg), _logs(cfg, folder), None)
    try:
        with locked(folder / LOCK):
            return run_in(folder, cfg)
    except TakenError as error:
        raise UserError(f"{error} is at work in {folder}; wait for it, or choose name=") from error


def run_in(folder: Path, cfg: DictConfig, gpu: int | None = None) -> dict[str, float]:
    """Train and measure as ``run`` does, in a folder whose lock the caller holds.

    ``gpu`` is the one to use where there are several; None leaves it to the trainer.
    """
    claim(folder, plain(cfg))
    record, logs, results = _record(cfg), _logs(cfg, folder), dict[str, float]()
    with _recorded(record, folder, logs, results):
        results |= _train_and_measure(cfg, folder, record, logs, gpu)
    return results


def _record(cfg: DictConfig) -> RunRecord:
    return RunRecord(cfg.study, chosen("experiment"), cfg.seed, overrides())


def _logs(cfg: DictConfig, folder: Path) -> JobLogs:
    return JobLogs(instantiate(cfg.logger), folder, plain(cfg))


def _train_and_measure(
    cfg: DictConfig, folder: Path, record: RunRecord, logs: JobLogs, gpu: int | None
) -> dict[str, float]:
    seed_everything(cfg.seed, workers=True, verbose=False)
    kind = accelerator(cfg.trainer.accelerator)
    device = device_of(kind)
    data: WingData = instantiate(cfg.data)
    model: nn.Module = instantiate(cfg.model)
    _prepare(cfg, data, model, folder, device)
    others, paper = _others(cfg, data), paper_values(data.paper)
    record.data = {"title": data.title, "kind": type(data).__name__, "hash": data.content()}
    record.cost = data.costs(model)
    record.device = torch.cuda.get_device_name() if device == "cuda" else "cpu"
    make_task = _named_errors(instantiate(cfg.task))
    where = {"default_root_dir": folder, "accelerator": kind} | _in_a_sweep(cfg, gpu)
    make_trainer = _trainers(cfg, logs, where)
    shared = _shared(cfg, data)
    fit = instantiate(cfg.procedure)
    try:
        notes = fit(model, data, make_task, make_trainer, folder, shared=shared)
    except MisconfigurationException as error:
        raise UserError(
            f"the trainer refused: {error}; gradients are clipped by task.clip_norm, and "
            "data.batch_size takes the place of accumulation"
        ) from error
    if not _is_first_process():
        return {}
    record.shared |= shared.taken if shared else {}
    console = Console(quiet=in_sweep())  # a sweep ends in one table of all its runs
    results = data.report(model, folder, cfg.splits, paper=paper, device=device, console=console)
    results |= report_others(model, others, folder, device, console)
    _record_tested(record, cfg, data, others)
    about = {"seed": cfg.seed, "data": data.title, "split": data.split_settings} | data.notes()
    save_model(folder / MODEL, model, plain(cfg)["model"], {"results": results} | about | notes)
    return results


def _prepare(cfg: DictConfig, data: WingData, model: nn.Module, folder: Path, device: str) -> None:
    """Make and check the data, and keep which faces are held out."""
    if not data.has_truth:
        raise UserError(
            f"data={data_choice()} has no ground truth to train on; it is for facegeo-eval"
        )
    check_fit("model", model, data, {})
    if in_sweep() or getattr(rank_zero_only, "rank", 0) != 0:
        data.prepare_data()
    else:
        data.prepare_for(model, plain(cfg)["procedure"], folder, device)
    data.check(cfg.splits)
    data.keep_split(folder / "split.json")


def _trainers(cfg: DictConfig, logs: JobLogs, where: Mapping[str, Any]) -> Callable[..., Trainer]:
    """The maker of trainers, from the part that each trains and its options."""
    make = instantiate(cfg.trainer)

    def trainer(part: str = "fit", **options: Any) -> Trainer:
        if taken := {*options, "default_root_dir", "logger"} & {*cfg.trainer}:
            raise UserError(
                f"trainer.{min(taken)} is set by the training itself: lengths are procedure.steps, "
                "max_steps, validate_every and checkpoint_every, loggers logger="
            )
        try:
            built: Trainer = make(logger=logs.of_trainer(part), **where, **options)
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise UserError(f"trainer: {error}; change trainer=... or its keys") from error
        return built

    return trainer


def _named_errors(make_task: Any) -> Any:  # noqa: ANN401
    """The task's maker; errors of its own makers, such as the optimizer's, name their key."""
    makers = getattr(make_task, "keywords", {}).items()
    own = {key: partial(_made, key, make) for key, make in makers if isinstance(make, partial)}
    return partial(make_task, **own) if own else make_task


def _made(key: str, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    """Call a maker; not a local function, because DDP pickles it for its processes."""
    try:
        return make(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise UserError(f"task.{key}: {error}; change its keys") from error


def _record_tested(
    record: RunRecord, cfg: DictConfig, data: WingData, others: Mapping[str, WingData]
) -> None:
    """Record the data that the model was tested on, so that reports can compare them."""
    configs = plain(cfg)["also_on"]
    record.also_on = {
        name: {"title": one.title, "hash": one.tested_content(), "config": configs[name]}
        for name, one in others.items()
    }
    if "test" in cfg.splits:
        record.data["test_hash"] = data.tested_content()


def _others(cfg: DictConfig, own: WingData) -> dict[str, WingData]:
    """The other data that the model will be measured on."""
    others: dict[str, WingData] = {}
    for name, node in (cfg.also_on or {}).items():
        if not str(name).isidentifier() or name in ("train", "val", "test"):
            raise UserError(f"also_on.{name}: wanted a name that no split has, such as strangers")
        data: WingData = instantiate(node)
        if data.finds != own.finds or not data.has_truth:  # now, not after the training
            raise UserError(
                f"also_on.{name} is a {type(data).__name__}: wanted faces with {own.finds}, as "
                "data has"
            )
        data.prepare_data()
        data.check(["test"])
        others[str(name)] = data
    return others


def _in_a_sweep(cfg: DictConfig, gpu: int | None) -> dict[str, Any]:
    """Trainer options of a sweep's job: its own GPU; DDP that does not start the sweep again."""
    changed: dict[str, Any] = {} if gpu is None else {"devices": [gpu]}
    strategy = str(cfg.trainer.get("strategy", ""))
    if in_sweep() and strategy.startswith("ddp") and "spawn" not in strategy:
        changed["strategy"] = strategy.replace("ddp", "ddp_spawn", 1)
    return changed


@contextmanager
def _recorded(
    record: RunRecord, folder: Path, logs: JobLogs, results: dict[str, float]
) -> Iterator[None]:
    """Write the run's record and logs when it begins and when it ends in any way but SIGKILL."""
    record.begin(folder)
    logs.begin(asdict(record))
    try:
        yield
    except BaseException as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        with suppress(OSError):  # the disk may be full, which is then the error to report
            record.end(folder, "stopped" if stopped else "failed", reason)
        raise
    else:
        record.wandb = logs.address
        record.end(folder, "done")
    finally:
        logs.close(results, asdict(record), record.status)


def _shared(cfg: DictConfig, data: WingData) -> SharedWeights | None:
    """Weights that runs of all studies in ``out`` share; None outside a study."""
    if cfg.study is None or not in_sweep():
        return None
    keys = weight_keys(plain(cfg), data.content(), data.weight_parts)
    return SharedWeights(Path(cfg.out) / SHARED, keys) if keys else None


def _is_first_process() -> bool:
    """End a training by several processes; return whether this one measures and writes."""
    parallel = torch.distributed
    if not (parallel.is_available() and parallel.is_initialized()):
        return True
    rank = parallel.get_rank()
    parallel.destroy_process_group()  # metrics would wait for the others
    return rank == 0
