"""Measure a trained model; what measures which data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from torch import nn

from facegeo.errors import UserError
from facegeo.landmarks.data import LFPWDataModule
from facegeo.landmarks.evaluate import report_points
from facegeo.landmarks.nets import Cascade
from facegeo.normals.data import NormalDataModule
from facegeo.normals.evaluate import report_normals, show_photos
from facegeo.normals.maps import trained_coding
from facegeo.normals.photos import PhotoFolder
from facegeo.papers import paper_values
from facegeo.runs.folder import claim, data_choice, eval_folder, plain
from facegeo.runs.jobs import check_measured
from facegeo.runs.values import check_values
from facegeo.runs.wandb import JobLogs
from facegeo.training.model_file import load_model
from facegeo.training.results import keep_metrics

REPORTS: dict[type, Callable[..., dict[str, float]]] = {
    LFPWDataModule: report_points,
    NormalDataModule: report_normals,
    PhotoFolder: show_photos,
}


def report_for(data: object) -> Callable[..., dict[str, float]]:
    """The function that measures a model on these data and draws what it finds.

    Raises:
        UserError: If there is none.
    """
    for kind, report in REPORTS.items():
        if isinstance(data, kind):
            return report
    raise UserError(f"data is a {type(data).__name__}: there is no report for it")


def report_others(
    model: nn.Module, others: Mapping[str, object], folder: Path, device: str, console: Console
) -> dict[str, float]:
    """Measure a trained model on other data too, each in a folder of its name.

    Args:
        model: Trained.
        others: Data modules by name, prepared and checked.
        folder: The run's; its numbers are added to.
        device: Where the model runs.
        console: Shows the tables.

    Returns:
        Metrics with the data's name in place of the split's, such as ``strangers/t2/mean_deg``.
    """
    results: dict[str, float] = {}
    for name, data in others.items():
        (folder / name).mkdir(exist_ok=True)
        found = report_for(data)(model, data, folder / name, ["test"], None, device, console)
        results |= {f"{name}/{key.partition('/')[2]}": value for key, value in found.items()}
    if results:
        keep_metrics(folder, results, console)
    return results


def accelerator(name: str) -> str:
    """CUDA where there is one, else the CPU: Apple's GPU has no float64, as the metrics need."""
    if name != "auto":
        return name
    return "gpu" if torch.cuda.is_available() else "cpu"


def device_of(accelerator: str) -> str:
    """Where a model is measured that was trained with this accelerator."""
    return "cuda" if accelerator in ("gpu", "cuda") else "cpu"


log = logging.getLogger(__name__)


def evaluate(cfg: DictConfig) -> dict[str, float]:
    """Measure a trained model as ``cfg``, composed from ``conf/eval.yaml``, says.

    Returns:
        Metrics by name, as in ``metrics.json`` of the run's folder.

    Raises:
        UserError: For every mistake in configuration, checkpoint or data.
    """
    check_values(plain(cfg))
    check_measured(cfg)
    model, notes = load_model(cfg.checkpoint)
    data = instantiate(cfg.data)
    _check_kind(cfg, model, data)
    paper, options = None, {"t": cfg.t, "panels": cfg.panels}
    if isinstance(data, LFPWDataModule):
        options = {}
    else:
        _warn_of_faces(notes, data)
    if isinstance(data, PhotoFolder):
        options["coding"] = trained_coding(notes)
    if not isinstance(data, PhotoFolder):
        _check_held_out(cfg, data, notes)
        paper = paper_values(data.paper)
    folder = eval_folder(cfg)
    claim(folder, plain(cfg))
    device = device_of(accelerator(cfg.accelerator))
    results = report_for(data)(model, data, folder, cfg.splits, paper, device, **options)
    if "logger" in cfg:
        logs = JobLogs(instantiate(cfg.logger), folder, plain(cfg))
        logs.begin({})
        logs.measured(results)
        logs.close(results, {}, "done")
    return results


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


def _warn_of_faces(notes: Mapping[str, Any], data: NormalDataModule | PhotoFolder) -> None:
    trained = notes.get("size", data.size)
    if trained != data.size:
        log.warning(
            "trained on faces of %d px, these are %d px: set data.size=%d to show it what it knows",
            trained,
            data.size,
            trained,
        )
    codings = {trained_coding(notes), getattr(data, "coding", None)} - {None}
    if len(codings) > 1:
        log.warning("trained on linear or sRGB photos, these are of the other coding: expect worse")


def _check_names(cfg: DictConfig, now: Mapping[str, Any], trained: set[str]) -> None:
    """See that nobody who was trained on is measured on, where splits list people by name."""
    for split in {*cfg.splits} - {"train"} if now.get("split_by") == "person" else ():
        if seen := sorted(trained & {*now[split]}):
            raise UserError(
                f"{cfg.checkpoint} was trained on {', '.join(seen)} of the {split} split: leave "
                f"them out of data.{split}, or measure another model"
            )


def _check_held_out(
    cfg: DictConfig, data: LFPWDataModule | NormalDataModule, notes: Mapping[str, Any]
) -> None:
    """Read the data; see that the faces to measure on were held out of the training."""
    data.prepare_data()
    data.check(cfg.splits)
    now = data.split_settings
    trained = {"content": now.get("content")} | notes.get("split", now)  # older notes lack it
    _check_names(cfg, now, {*trained.get("train", ()), *notes.get("earlier_people", ())})
    same_data = trained["content"] == now.get("content")
    by_name = now.get("split_by") == "person" and bool(trained.get("train"))
    if not (same_data or by_name) and "val" in cfg.splits:
        log.warning("trained on other data: which of these faces it has seen is not known")
    # With a test list, only the faces to validate on are drawn; listed people are chosen.
    chosen = now.get("test_fraction") is not None or now.get("split_by") == "person"
    drawn = {"val", "test"} if chosen else {"val"}
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
