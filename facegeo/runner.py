"""Runs a composed configuration: folder, seed, training, measuring. Knows Hydra."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import torch
from hydra.utils import instantiate
from lightning import Trainer, seed_everything
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from facegeo.checkpoint import MODEL, load_model, save_model
from facegeo.data.lfpw import LFPWDataModule
from facegeo.data.photo_folder import PhotoFolder
from facegeo.data.photoface import PhotofaceDataModule
from facegeo.errors import UserError
from facegeo.models.ccnn import Cascade
from facegeo.paths import experiments_dir
from facegeo.procedures.across_seeds import compare_seeds
from facegeo.procedures.fit_normals import check_size
from facegeo.procedures.report_normals import report_normals
from facegeo.procedures.report_points import report_points
from facegeo.procedures.show_photos import show_photos
from facegeo.run_folder import claim, data_choice, eval_folder, plain, run_folder
from facegeo.tables import Table

log = logging.getLogger(__name__)

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
    claim(folder, plain(cfg))
    seed_everything(cfg.seed, workers=True, verbose=False)
    data, model = instantiate(cfg.data), instantiate(cfg.model)
    if isinstance(data, PhotoFolder):
        raise UserError("data=photos has no ground truth to train on; it is for facegeo-eval")
    if isinstance(data, PhotofaceDataModule):
        check_size(model, data)
    data.prepare_data()
    data.check(cfg.splits)
    data.keep_split(folder / "split.json")
    make_task, make_trainer = instantiate(cfg.task), instantiate(cfg.trainer)
    make_logger = instantiate(cfg.logger)
    accelerator = _accelerator(cfg.trainer.accelerator)
    paper = paper_values(data.paper)

    def trainer(**options: Any) -> Trainer:
        logger = make_logger(save_dir=folder)
        logger.log_hyperparams(plain(cfg))
        try:
            built: Trainer = make_trainer(
                logger=logger, default_root_dir=folder, accelerator=accelerator, **options
            )
        except (MisconfigurationException, TypeError) as error:
            raise UserError(f"trainer: {error}; change trainer=... or its keys") from error
        return built

    try:
        record = instantiate(cfg.procedure)(model, data, make_task, trainer, folder)
    except MisconfigurationException as error:
        raise UserError(
            f"the trainer refuses: {error}; gradients are clipped by task.clip_norm, and "
            "data.batch_size takes the place of accumulation"
        ) from error
    if not _goes_on_alone():
        return {}
    device = "cuda" if accelerator in ("gpu", "cuda") else "cpu"
    results = _report(data)(model, data, folder, cfg.splits, paper, device)
    about = {"seed": cfg.seed, "data": data.title, "split": data.split_settings}
    if isinstance(data, PhotofaceDataModule):
        about["size"] = data.size
    notes = {"results": results} | about | record
    save_model(folder / MODEL, model, plain(cfg)["model"], notes)
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
    _check_kind(cfg, model, data)
    paper, options = None, {"t": cfg.t, "panels": cfg.panels}
    if isinstance(data, LFPWDataModule):
        options = {}
    else:
        _warn_of_size(notes, data)
    if not isinstance(data, PhotoFolder):
        _check_held_out(cfg, data, notes)
        paper = paper_values(data.paper)
    folder = eval_folder(cfg)
    claim(folder, plain(cfg))
    device = "cuda" if _accelerator(cfg.accelerator) in ("gpu", "cuda") else "cpu"
    results = _report(data)(model, data, folder, cfg.splits, paper, device, **options)
    if "logger" in cfg:
        _log(instantiate(cfg.logger)(save_dir=folder), folder, results)
    return results


def _goes_on_alone() -> bool:
    """End a training by several processes; whether this is the one that measures and writes."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return True
    rank = torch.distributed.get_rank()
    torch.distributed.destroy_process_group()  # metrics would wait for the others
    return rank == 0


def _check_kind(cfg: DictConfig, model: object, data: object) -> None:
    """See that the model finds what the data has, before any of it is read."""
    points = isinstance(data, LFPWDataModule)
    if isinstance(model, Cascade) != points:
        finds, fitting = ("normals", "sessions, photoface or photos")
        if isinstance(model, Cascade):
            finds, fitting = ("points", "lfpw or generated")
        raise UserError(
            f"{cfg.checkpoint} finds {finds}: wanted data={fitting}, got data={data_choice()}"
        )
    if points and (cfg.t is not None or cfg.panels):
        raise UserError("t and panels are for models of normals; leave them out with points")


def _warn_of_size(notes: Mapping[str, Any], data: PhotofaceDataModule | PhotoFolder) -> None:
    trained = notes.get("size", data.size)
    if trained != data.size:
        log.warning(
            "trained on faces of %d px, these are %d px: set data.size=%d to show it what it knows",
            trained,
            data.size,
            trained,
        )


def _check_held_out(
    cfg: DictConfig, data: LFPWDataModule | PhotofaceDataModule, notes: Mapping[str, Any]
) -> None:
    """Read the data; see that the faces to measure on were held out of the training."""
    data.prepare_data()
    data.check(cfg.splits)
    now = data.split_settings
    trained = notes.get("split", now)
    same_data = trained.get("content") == now.get("content")
    # With a test list, only the faces to validate on are drawn.
    drawn = {"val", "test"} if now.get("test_fraction") is not None else {"val"}
    if same_data and trained != now and drawn & set(cfg.splits):
        differs = "; ".join(
            f"{key}: {trained.get(key)} there, {now.get(key)} here"
            for key in sorted(trained.keys() | now.keys())
            if trained.get(key) != now.get(key)
        )
        raise UserError(
            f"{cfg.checkpoint} held out other faces than data says ({differs}): it may have seen "
            f"these {' and '.join(cfg.splits)} faces; give it the same settings of the split"
        )


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
