"""``facegeo-prepare``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from facegeo.cli.app import DictConfig, launch

if TYPE_CHECKING:
    from facegeo.normals.prepare import Preparation


def _prepare(cfg: DictConfig) -> None:
    from facegeo.errors import UserError

    if cfg.layout == "photoface":
        preparation, title = _photoface(cfg), "normals from four photographs"
    elif cfg.layout == "yaleb":
        preparation, title = _people(cfg), "normals from one lamp at a time"
    else:
        raise UserError(f"layout must be one of photoface, yaleb, got {cfg.layout!r}")
    from rich.console import Console

    from facegeo.normals.prepare import prepare

    report = prepare(preparation)
    Console().print(preparation.table(report, f"{cfg.out}: {title}").rich())


def _photoface(cfg: DictConfig) -> "Preparation[Any]":
    from facegeo.normals.prepare_photoface import PhotofacePreparation
    from facegeo.normals.sessions import Reading

    return PhotofacePreparation(
        root=Path(cfg.root),
        out=Path(cfg.out),
        reading=Reading(cfg.lights, cfg.lights_frame, cfg.points),
        frame=cfg.frame,
        source_frame=cfg.source_frame,
        on_error=cfg.on_error,
        processes=cfg.processes,
    )


def _people(cfg: DictConfig) -> "Preparation[Any]":
    from facegeo.normals.prepare_people import PeoplePreparation
    from facegeo.predict.people import FaceFinder

    return PeoplePreparation(
        root=Path(cfg.root),
        out=Path(cfg.out),
        find_face=FaceFinder(cfg.cascade),
        reference=None if cfg.reference is None else Path(cfg.reference).expanduser(),
        max_azimuth_deg=cfg.max_azimuth_deg,
        max_elevation_deg=cfg.max_elevation_deg,
        on_error=cfg.on_error,
        processes=cfg.processes,
    )


def main() -> None:
    """Prepare raw data from the command line."""
    launch(
        _prepare,
        "prepare",
        "Compute normals and albedo of people who were photographed under one lamp at a time, by "
        "photometric stereo that leaves shadows and highlights out. Raw Photoface sessions become "
        "the prepared layout with faces.csv for data=photoface, the cropped Extended Yale B the "
        "folder for data=yaleb. The same command again finishes what was interrupted.",
        [
            "facegeo-prepare photoface root=Photoface_dist out=data/photoface",
            "facegeo-prepare yaleb root=CroppedYale out=data/yaleb",
            "facegeo-prepare photoface root=Photoface_dist out=data/photoface points=landmarks.pts",
            "facegeo-render out=data/raw layout=photoface && "
            "facegeo-prepare photoface root=data/raw out=data/prepared",
        ],
        interrupted="interrupted; the same command resumes where it stopped",
        bare="layout",
    )
