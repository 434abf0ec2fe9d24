"""Measure a trained model on the data of its wing."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from torch import nn

from facegeo.errors import UserError
from facegeo.papers import paper_values
from facegeo.runs.folder import claim, data_choice, eval_folder, plain
from facegeo.runs.jobs import check_measured, check_values
from facegeo.runs.wandb import JobLogs
from facegeo.training.model_file import load_model
from facegeo.training.results import keep_metrics
from facegeo.training.wing import WingData

FITTING = {"points": "lfpw or generated", "normals": "sessions, photoface or photos"}
"""Choices of ``data`` for a model, by what it finds."""

log = logging.getLogger(__name__)


def check_fit(name: str, model: nn.Module, data: WingData, options: Mapping[str, Any]) -> None:
    """Check that model, data and options fit together, before any face is read.

    Args:
        name: The model, for messages.
        model: To be trained or measured.
        data: The faces.
        options: Keys of an evaluation that not every kind of model has.

    Raises:
        UserError: If they do not.
    """
    finds = getattr(model, "finds", data.finds)
    if finds != data.finds:
        raise UserError(
            f"{name} finds {finds}: wanted data={FITTING.get(finds, f'faces with {finds}')}, "
            f"got data={data_choice()}"
        )
    data.check_model(model, options)


def report_others(
    model: nn.Module, others: Mapping[str, WingData], folder: Path, device: str, console: Console
) -> dict[str, float]:
    """Measure a trained model on other, prepared data, each in a subfolder of its name.

    Returns:
        Metrics with the data's name in place of the split's, such as ``strangers/t2/mean_deg``;
        they are added to the ``metrics.json`` of ``folder``.
    """
    results: dict[str, float] = {}
    for name, data in others.items():
        (folder / name).mkdir(exist_ok=True)
        found = data.report(model, folder / name, ["test"], device=device, console=console)
        results |= {f"{name}/{key.partition('/')[2]}": value for key, value in found.items()}
    if results:
        keep_metrics(folder, results, console)
    return results


def accelerator(name: str) -> str:
    """Resolve "auto": the GPU with CUDA, else the CPU (Apple's GPU lacks float64)."""
    if name != "auto":
        return name
    return "gpu" if torch.cuda.is_available() else "cpu"


def device_of(accelerator: str) -> str:
    """Return the torch device on which a model of this accelerator is measured."""
    return "cuda" if accelerator in ("gpu", "cuda") else "cpu"


def evaluate(cfg: DictConfig) -> dict[str, float]:
    """Measure a trained model, as a config composed from ``conf/eval.yaml`` asks.

    Returns:
        Metrics by name, as in ``metrics.json`` of the run's folder.

    Raises:
        UserError: For every mistake in configuration, checkpoint or data.
    """
    check_values(plain(cfg))
    check_measured(cfg)
    model, notes = load_model(cfg.checkpoint)
    data: WingData = instantiate(cfg.data)
    options = {key: cfg[key] for key in ("t", "panels") if cfg[key] not in (None, False)}
    check_fit(cfg.checkpoint, model, data, options)
    data.compare_notes(notes)
    if data.has_truth:
        _check_held_out(cfg, data, notes)
    paper = paper_values(data.paper) if data.has_truth else None
    folder = eval_folder(cfg)
    claim(folder, plain(cfg))
    device = device_of(accelerator(cfg.accelerator))
    results = data.report(
        model, folder, cfg.splits, paper=paper, device=device, notes=notes, **options
    )
    if "logger" in cfg:
        logs = JobLogs(instantiate(cfg.logger), folder, plain(cfg))
        logs.begin({})
        logs.measured(results)
        logs.close(results, {}, "done")
    return results


def _check_held_out(cfg: DictConfig, data: WingData, notes: Mapping[str, Any]) -> None:
    """Read the data; raise if faces to measure on were not held out of the training."""
    data.prepare_data()
    data.check(cfg.splits)
    now = data.split_settings
    trained = {"content": now.get("content")} | notes.get("split", now)  # older notes lack it
    of_people = now.get("split_by") == "person"  # whose splits list people by name
    people = {*trained.get("train", ()), *notes.get("earlier_people", ())}
    for split in {*cfg.splits} - {"train"} if of_people else ():
        if seen := sorted(people & {*now[split]}):
            raise UserError(
                f"{cfg.checkpoint} was trained on {', '.join(seen)} of the {split} split: leave "
                f"them out of data.{split}, or measure another model"
            )
    same_data = trained["content"] == now.get("content")
    known = same_data or (of_people and trained.get("train"))
    if not known and "val" in cfg.splits:
        log.warning("trained on other data: it is not known which of these faces it has seen")
    # With a test list, only the faces to validate on are drawn; listed people are chosen.
    drawn = {"val", "test"} if of_people or now.get("test_fraction") is not None else {"val"}
    if same_data and trained != now and drawn & set(cfg.splits):
        differs = "; ".join(
            f"{key}: {trained.get(key)} there, {now.get(key)} here"
            for key in sorted(trained.keys() | now.keys())
            if trained.get(key) != now.get(key)
        )
        raise UserError(
            f"{cfg.checkpoint} held out other faces than data does ({differs}): it may have seen "
            f"these {' and '.join(cfg.splits)} faces; give it the same settings of the split"
        )
