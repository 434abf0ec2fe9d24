"""Runs a composed configuration: folder, seed, training, measuring. Knows Hydra."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from facegeo.checkpoint import MODEL, find_model, load_model, save_model
from facegeo.data.lfpw import LFPWDataModule
from facegeo.data.photo_folder import PhotoFolder
from facegeo.data.photoface import PhotofaceDataModule
from facegeo.errors import UserError
from facegeo.paths import experiments_dir
from facegeo.procedures.across_seeds import compare_seeds, with_effect
from facegeo.procedures.report_normals import report_normals
from facegeo.procedures.report_points import report_points
from facegeo.procedures.show_photos import show_photos
from facegeo.tables import Table

REPORTS: dict[type, Callable[..., dict[str, float]]] = {
    LFPWDataModule: report_points,
    PhotofaceDataModule: report_normals,
    PhotoFolder: show_photos,
}
"""What measures a model, by what the data has to measure it with."""


def run(cfg: DictConfig) -> dict[str, float]:
    """Train and measure what ``cfg`` describes, or go on with it where it was killed.

    Args:
        cfg: Composed from ``conf/train.yaml``.

    Returns:
        Metrics by name, such as ``test/stage3/error_pct``.

    Raises:
        UserError: For every mistake in configuration or data.
    """
    folder = run_folder(cfg)
    plain = _plain(cfg)
    _claim(folder, plain)
    seed_everything(cfg.seed, workers=True, verbose=False)
    data, model = instantiate(cfg.data), instantiate(cfg.model)
    data.prepare_data()
    data.check(cfg.splits)
    data.keep_split(folder / "split.json")
    make_task, make_trainer = instantiate(cfg.task), instantiate(cfg.trainer)
    make_logger = instantiate(cfg.logger)
    accelerator = _accelerator(cfg.trainer.accelerator)
    paper = paper_values(data.paper)

    def trainer(**options: Any) -> Trainer:
        logger = make_logger(save_dir=folder, name="curves")
        try:
            built: Trainer = make_trainer(
                logger=logger, default_root_dir=folder, accelerator=accelerator, **options
            )
        except (MisconfigurationException, TypeError) as error:
            raise UserError(f"trainer: {error}; change trainer=... or its keys") from error
        return built

    record = instantiate(cfg.procedure)(model, data, make_task, trainer, folder)
    if not _goes_on_alone():
        return {}
    device = "cuda" if accelerator in ("gpu", "cuda") else "cpu"
    results = _report(data)(model, data, folder, cfg.splits, paper, device)
    about = {"seed": cfg.seed, "data": data.title, "split": data.split_settings}
    notes = {"results": results} | about | record
    save_model(folder / MODEL, model, plain["model"], notes)
    return results


def evaluate(cfg: DictConfig) -> dict[str, float]:
    """Measure a trained model as ``cfg``, composed from ``conf/eval.yaml``, says.

    Returns:
        Metrics by name, as in ``metrics.json`` of the run's folder.

    Raises:
        UserError: For every mistake in configuration, checkpoint or data.
    """
    model, notes = load_model(cfg.checkpoint)
    data = instantiate(cfg.data)
    paper, options = None, {"t": cfg.t, "panels": cfg.panels}
    if not isinstance(data, PhotoFolder):
        _check_held_out(cfg, data, notes)
        paper = paper_values(data.paper)
    folder = _eval_folder(cfg)
    _claim(folder, _plain(cfg))
    if isinstance(data, LFPWDataModule):
        options = {}
    device = "cuda" if _accelerator(cfg.accelerator) in ("gpu", "cuda") else "cpu"
    results = _report(data)(model, data, folder, cfg.splits, paper, device, **options)
    if "logger" in cfg:
        _log(instantiate(cfg.logger)(save_dir=folder, name=folder.name), folder, results)
    return results


def _goes_on_alone() -> bool:
    """End a training by several processes; whether this is the one that measures and writes."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return True
    rank = torch.distributed.get_rank()
    torch.distributed.destroy_process_group()  # metrics would wait for the others
    return rank == 0


def _check_held_out(
    cfg: DictConfig, data: LFPWDataModule | PhotofaceDataModule, notes: Mapping[str, Any]
) -> None:
    """Read the data; see that faces to validate on were held out of the training."""
    data.prepare_data()
    data.check(cfg.splits)
    trained = notes.get("split", data.split_settings)
    if "val" in cfg.splits and trained != data.split_settings:
        raise UserError(
            f"{cfg.checkpoint} held out other faces ({trained}) than data says "
            f"({data.split_settings}): it may have seen these val faces; give it the same "
            "data and settings of its split"
        )


def _eval_folder(cfg: DictConfig) -> Path:
    choice = HydraConfig.get().runtime.choices["data"] if HydraConfig.initialized() else "data"
    path = find_model(cfg.checkpoint)
    title = f"eval-{path.parent.name if path.name == MODEL else path.stem}-{choice}"
    return Path(cfg.out) / (cfg.name or f"{title}-{config_hash(cfg)}")


def _log(logger: Logger, folder: Path, results: dict[str, float]) -> None:
    """Hand an evaluation's numbers, and its pictures where that goes, to a logger."""
    logger.log_metrics(results)
    if hasattr(logger, "log_image"):  # W&B's has it, CSV's has not
        for picture in sorted(folder.rglob("*.png")):
            logger.log_image(key=picture.stem, images=[str(picture)])
    logger.finalize("success")


def _report(data: object) -> Callable[..., dict[str, float]]:
    for kind, report in REPORTS.items():
        if isinstance(data, kind):
            return report
    raise UserError(f"data is a {type(data).__name__}: there is no report for it")


def paper_values(section: str | None) -> dict[str, Any] | None:
    """Read what the paper prints, by stage or row, from a section of the file of its numbers.

    Raises:
        UserError: If there is no such section.
    """
    if section is None:
        return None
    values = OmegaConf.load(experiments_dir() / "paper_values.yaml")
    cells = OmegaConf.select(values, section)
    if not isinstance(cells, DictConfig):
        raise UserError(
            f"there is no section {section} in experiments/paper_values.yaml; "
            "name one such as ccnn.fig4_stage_count, or null"
        )
    return cast(dict[str, Any], OmegaConf.to_container(cells))


def _accelerator(name: str) -> str:
    """CUDA where there is one, else the CPU: Apple's GPU has no float64, as the metrics need."""
    if name != "auto":
        return name
    return "gpu" if torch.cuda.is_available() else "cpu"


def run_folder(cfg: DictConfig) -> Path:
    """Folder of this run: named by the user, or by experiment, seed and a hash of the config."""
    if cfg.name is not None:
        return Path(cfg.out) / str(cfg.name)
    choice = (
        HydraConfig.get().runtime.choices.get("experiment") if HydraConfig.initialized() else None
    )
    title = (choice or "train").replace("/", "-")
    return Path(cfg.out) / f"{title}-seed{cfg.seed}-{config_hash(cfg)}"


def config_hash(cfg: DictConfig) -> str:
    """Eight hex digits that change when a number of the result may change."""
    text = json.dumps(with_effect(_plain(cfg)), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _plain(cfg: DictConfig) -> dict[str, Any]:
    plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    return cast(dict[str, Any], plain)


def _claim(folder: Path, config: Mapping[str, Any]) -> None:
    """Make the folder this configuration's, or see that it is."""
    record = folder / "config.json"
    if record.is_file():
        before, now = (
            with_effect(json.loads(text)) for text in (record.read_text(), json.dumps(config))
        )
        changed = [
            f"{key}: {before.get(key, 'none')} there, {now.get(key, 'none')} now"
            for key in sorted(before.keys() | now.keys())
            if before.get(key, record) != now.get(key, record)
        ]
        if changed:
            more = f"; and {len(changed) - 5} more" if len(changed) > 5 else ""
            raise UserError(
                f"{folder} holds a run with another configuration "
                f"({'; '.join(changed[:5])}{more}); choose another name= or remove the folder"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    partial = record.with_name(f".{record.name}.{os.getpid()}")
    partial.write_text(json.dumps(config, indent=2))
    partial.replace(record)


def report_seeds(cfg: DictConfig) -> Table:
    """Compare runs as ``cfg``, composed from ``conf/report.yaml``, says; show and write the table.

    Raises:
        UserError: If a run is not finished, or they differ in more than the seed.
    """
    folders, out = [Path(run) for run in cfg.runs], Path(cfg.out)
    paper = {stage: cell["value"] for stage, cell in (paper_values(cfg.paper) or {}).items()}
    table = compare_seeds(folders, cfg.split, out, cfg.title, paper)
    console = Console()
    console.print(table.rich())
    console.print(f"Table and figure: {out}.csv, .md, .png")
    return table
