"""Runs a composed configuration: folder, seed, training, measuring. Knows Hydra."""

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

from facegeo.errors import UserError
from facegeo.files.shipped import SHARED
from facegeo.files.writing import LOCK, TakenError, locked
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.fit import cascade_time
from facegeo.landmarks.nets import Cascade
from facegeo.normals.data import NormalDataModule
from facegeo.normals.photos import PhotoFolder
from facegeo.normals.task import check_size
from facegeo.papers import paper_values
from facegeo.runs.cost import model_costs
from facegeo.runs.evaluate import accelerator, device_of, report_for, report_others
from facegeo.runs.folder import chosen, claim, in_sweep, overrides, plain, run_folder
from facegeo.runs.jobs import check_measured
from facegeo.runs.record import RunRecord
from facegeo.runs.reuse import generator_key, stage_keys
from facegeo.runs.values import check_values
from facegeo.runs.wandb import JobLogs
from facegeo.training.model_file import MODEL, save_model
from facegeo.training.results import SharedWeights

log = logging.getLogger(__name__)
SHORT_S = 30.0
"""A training shorter than this is begun without a word on its length."""


def run(cfg: DictConfig, gpu: int | None = None) -> dict[str, float]:
    """Train and measure what ``cfg`` describes, or go on with it where it was killed.

    Args:
        cfg: Composed from ``conf/train.yaml``.
        gpu: Which GPU to use where there are several; None leaves it to the trainer.

    Returns:
        Metrics by name, such as ``test/stage3/error_pct``.

    Raises:
        UserError: For every mistake in configuration or data.
        TakenError: In a sweep, if another process is at work in the run's folder.
    """
    check_measured(cfg)
    folder = run_folder(cfg)
    if not in_sweep():  # there the job's record tells it
        check_values(plain(cfg))
    record = RunRecord(cfg.study, chosen("experiment"), cfg.seed, overrides())
    if getattr(rank_zero_only, "rank", 0):  # a process of DDP that the first one started
        return _train_and_measure(cfg, folder, record, _logs(cfg, folder), gpu)
    with _alone(folder):
        claim(folder, plain(cfg))
        logs, results = _logs(cfg, folder), dict[str, float]()
        with _recorded(record, folder, logs, results):
            results |= _train_and_measure(cfg, folder, record, logs, gpu)
    return results


def _logs(cfg: DictConfig, folder: Path) -> JobLogs:
    return JobLogs(instantiate(cfg.logger), folder, plain(cfg))


def _train_and_measure(
    cfg: DictConfig, folder: Path, record: RunRecord, logs: JobLogs, gpu: int | None
) -> dict[str, float]:
    check_values(plain(cfg))
    seed_everything(cfg.seed, workers=True, verbose=False)
    data, model = instantiate(cfg.data), instantiate(cfg.model)
    if isinstance(data, PhotoFolder):
        raise UserError("data=photos has no ground truth to train on; it is for facegeo-eval")
    if isinstance(data, NormalDataModule):
        check_size(model, data)
    _prepare(cfg, data, model, folder)
    data.check(cfg.splits)
    data.keep_split(folder / "split.json")
    others = _others(cfg, NormalDataModule if isinstance(data, NormalDataModule) else type(data))
    kind = accelerator(cfg.trainer.accelerator)
    record.data = {"title": data.title, "kind": type(data).__name__, "hash": data.content()}
    record.cost = model_costs(model)
    record.device = torch.cuda.get_device_name() if device_of(kind) == "cuda" else "cpu"
    make_task, make_trainer = _telling(instantiate(cfg.task)), instantiate(cfg.trainer)
    paper = paper_values(data.paper)
    where = {"default_root_dir": folder, "accelerator": kind} | _in_a_sweep(cfg, gpu)

    def trainer(part: str = "fit", **options: Any) -> Trainer:
        _check_trainer(cfg, options)
        try:
            built: Trainer = make_trainer(logger=logs.of_trainer(part), **where, **options)
        except (MisconfigurationException, TypeError, ValueError) as error:
            raise UserError(f"trainer: {error}; change trainer=... or its keys") from error
        return built

    shared = _shared(cfg, data)
    try:
        notes = instantiate(cfg.procedure)(model, data, make_task, trainer, folder, shared=shared)
    except MisconfigurationException as error:
        raise UserError(
            f"the trainer refuses: {error}; gradients are clipped by task.clip_norm, and "
            "data.batch_size takes the place of accumulation"
        ) from error
    if not _goes_on_alone():
        return {}
    record.shared |= shared.taken if shared else {}
    console = Console(quiet=in_sweep())  # a sweep ends in one table of all its runs
    results = report_for(data)(model, data, folder, cfg.splits, paper, device_of(kind), console)
    results |= report_others(model, others, folder, device_of(kind), console)
    _record_tested(record, cfg, data, others)
    about = {"seed": cfg.seed, "data": data.title, "split": data.split_settings}
    if isinstance(data, NormalDataModule):
        about |= {"size": data.size, "coding": data.coding}
    save_model(folder / MODEL, model, plain(cfg)["model"], {"results": results} | about | notes)
    return results


def _prepare(cfg: DictConfig, data: Any, model: torch.nn.Module, folder: Path) -> None:  # noqa: ANN401
    """Make the data where it is generated, and say how long everything will take."""
    lengths, longest = (plain(cfg)["procedure"].get(key) for key in ("steps", "max_steps"))
    is_known = isinstance(data, LFPWDataModule) and isinstance(lengths, Mapping)
    first = not getattr(rank_zero_only, "rank", 0)
    if in_sweep() or not (first and is_known and isinstance(model, Cascade)):
        data.prepare_data()
        return
    steps = {
        name: min(count, longest or count)
        for name, count in lengths.items()
        if not (folder / f"{name}.safetensors").is_file()
    }
    device = device_of(accelerator(cfg.trainer.accelerator))
    expected = cascade_time(model, steps, data.batch_size, device)
    rendering: list[float] = []

    def say(seconds: float) -> None:
        rendering.append(seconds)
        log.info(expected.text(seconds))

    data.prepare_data(on_rate=say)
    if not rendering and expected.training_s > SHORT_S:
        log.info(expected.text())


def _telling(make_task: Any) -> Any:  # noqa: ANN401
    """The task's maker, whose own makers, such as the optimizer's, tell what they refuse."""
    makers = getattr(make_task, "keywords", {}).items()
    own = {key: partial(_made, key, make) for key, make in makers if isinstance(make, partial)}
    return partial(make_task, **own) if own else make_task


def _made(key: str, make: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
    try:
        return make(*args, **kwargs)
    except (TypeError, ValueError) as error:
        raise UserError(f"task.{key}: {error}; change its keys") from error


def _check_trainer(cfg: DictConfig, options: Mapping[str, Any]) -> None:
    """See that the user sets nothing of the trainer that the training itself sets."""
    ours = {*options, "default_root_dir", "logger"} & {*cfg.trainer}
    if ours:
        raise UserError(
            f"trainer.{min(ours)} is set by the training itself: lengths are procedure.steps, "
            "max_steps, validate_every and checkpoint_every, loggers logger="
        )


def _record_tested(
    record: RunRecord,
    cfg: DictConfig,
    data: LFPWDataModule | NormalDataModule,
    others: Mapping[str, Any],
) -> None:
    """Note what the model was tested on, so that reports see what does not compare."""
    record.also_on = {
        name: {"title": one.title, "hash": _tested(one), "config": plain(cfg)["also_on"][name]}
        for name, one in others.items()
    }
    if "test" in cfg.splits:
        record.data["test_hash"] = _tested(data)


def _tested(data: LFPWDataModule | NormalDataModule) -> str:
    """Hex digits that change with what is tested on."""
    return data.content("test") if isinstance(data, LFPWDataModule) else data.tested_content()


def _others(cfg: DictConfig, kind: type[Any]) -> dict[str, Any]:
    """The data that the model is to be measured on besides its own."""
    others: dict[str, Any] = {}
    for name, node in (cfg.also_on or {}).items():
        if not str(name).isidentifier() or name in ("train", "val", "test"):
            raise UserError(f"also_on.{name}: wanted a name that is no split's, such as strangers")
        data: Any = instantiate(node)
        if not isinstance(data, kind):  # told now, not after the training
            raise UserError(
                f"also_on.{name} is a {type(data).__name__}: wanted a {kind.__name__}, as data is"
            )
        data.prepare_data()
        data.check(["test"])
        others[str(name)] = data
    return others


def _in_a_sweep(cfg: DictConfig, gpu: int | None) -> dict[str, Any]:
    """What a trainer needs among others: its own GPU; DDP that does not start the sweep again."""
    changed: dict[str, Any] = {} if gpu is None else {"devices": [gpu]}
    strategy = str(cfg.trainer.get("strategy", ""))
    if in_sweep() and strategy.startswith("ddp") and "spawn" not in strategy:
        changed["strategy"] = strategy.replace("ddp", "ddp_spawn", 1)
    return changed


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other processes out of a run's folder."""
    try:
        with locked(folder / LOCK):
            yield
    except TakenError as error:
        if in_sweep():
            raise
        raise UserError(f"{error} is at work in {folder}; wait for it, or choose name=") from error


@contextmanager
def _recorded(
    record: RunRecord, folder: Path, logs: JobLogs, results: dict[str, float]
) -> Iterator[None]:
    """Write the run's record, and tell its logs, when it begins and however it ends but killed."""
    record.begin(folder)
    logs.begin(asdict(record))
    try:
        yield
    except BaseException as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        stopped = isinstance(error, KeyboardInterrupt | SystemExit)
        with suppress(OSError):  # the disk may be full, which is then what to tell
            record.end(folder, "stopped" if stopped else "failed", reason)
        raise
    else:
        record.wandb = logs.address
        record.end(folder, "done")
    finally:
        logs.close(results, asdict(record), record.status)


def _shared(cfg: DictConfig, data: LFPWDataModule | NormalDataModule) -> SharedWeights | None:
    """Weights that the runs of all studies in ``out`` have in common."""
    if cfg.study is None or not in_sweep():
        return None
    if isinstance(data, LFPWDataModule) != ("stages" in cfg.model):
        return None  # the procedure refuses them
    make_keys = stage_keys if isinstance(data, LFPWDataModule) else generator_key
    return SharedWeights(Path(cfg.out) / SHARED, make_keys(plain(cfg), data.content()))


def _goes_on_alone() -> bool:
    """End a training by several processes; whether this is the one that measures and writes."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return True
    rank = torch.distributed.get_rank()
    torch.distributed.destroy_process_group()  # metrics would wait for the others
    return rank == 0
