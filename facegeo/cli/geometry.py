"""``facegeo-geometry``."""

from typing import TYPE_CHECKING

from facegeo.cli.app import launch

if TYPE_CHECKING:
    from omegaconf import DictConfig


def _measure(cfg: "DictConfig") -> object:
    from pathlib import Path

    from facegeo.errors import UserError
    from facegeo.landmarks.nets import Cascade
    from facegeo.surfaces.known_surfaces import Question
    from facegeo.surfaces.measure import measure_geometry
    from facegeo.training.model_file import load_model

    question = Question(
        faces=cfg.faces,
        size=cfg.size,
        seed=cfg.seed,
        blur_pct=cfg.blur_pct,
        scale_pct=cfg.scale_pct,
        head=cfg.head.kind,
        head_path=None if cfg.head.path is None else Path(cfg.head.path),
    )
    if cfg.checkpoint is None:
        if cfg.t is not None:
            raise UserError(f"t={cfg.t} is of a model: name one with checkpoint=RUN")
        return measure_geometry(question, Path(cfg.out))
    model, notes = load_model(cfg.checkpoint)
    if isinstance(model, Cascade):
        raise UserError(f"checkpoint={cfg.checkpoint} finds points: wanted a model of normals")
    return measure_geometry(question, Path(cfg.out), model, notes, t=cfg.t)


def main() -> None:
    """Measure surfaces made of normals, from the command line."""
    launch(
        _measure,
        "geometry",
        "Measure how well normals become depth, and detail on a coarse surface, on generated "
        "faces whose depth is known: both ways to integrate, the true normals and a model's, "
        "before and after detail is transferred. A table on the terminal; numbers, tables and "
        "pictures in a folder.",
        [
            "facegeo-geometry",
            "facegeo-geometry checkpoint=RUN size=64 out=runs/geometry-64",
            "facegeo-geometry head=ict head.path=ICT-FaceKit/FaceXModel",
        ],
    )
