"""``facegeo-prepare``."""

import sys
from typing import TYPE_CHECKING

from facegeo.cli.app import launch

if TYPE_CHECKING:
    from omegaconf import DictConfig


def _prepare(cfg: "DictConfig") -> None:
    from pathlib import Path

    from rich.console import Console

    from facegeo.data.raw_session import Reading
    from facegeo.errors import UserError
    from facegeo.procedures.prepare_photoface import Preparation, prepare
    from facegeo.procedures.prepare_report import report_table

    if cfg.layout != "photoface":
        raise UserError(f"layout must be photoface, got {cfg.layout!r}")
    preparation = Preparation(
        root=Path(cfg.root),
        out=Path(cfg.out),
        reading=Reading(cfg.lights, cfg.lights_frame, cfg.points),
        frame=cfg.frame,
        source_frame=cfg.source_frame,
        on_error=cfg.on_error,
        processes=cfg.processes,
    )
    report = prepare(preparation)
    Console().print(report_table(report, f"{cfg.out}: normals from four photographs").rich())


def main() -> None:
    """Prepare raw data from the command line."""
    if len(sys.argv) > 1 and sys.argv[1].isidentifier():  # facegeo-prepare photoface root=DIR
        sys.argv[1] = f"layout={sys.argv[1]}"
    launch(
        _prepare,
        "prepare",
        "Compute normals and albedo of raw Photoface sessions by photometric stereo that leaves "
        "shadows and highlights out, crop and mask the faces, and write the prepared layout with "
        "faces.csv for data=photoface. The same command again finishes what was interrupted.",
        [
            "facegeo-prepare photoface root=Photoface_dist out=data/photoface",
            "facegeo-prepare photoface root=Photoface_dist out=data/photoface points=landmarks.pts",
            "facegeo-render out=data/raw layout=photoface && "
            "facegeo-prepare photoface root=data/raw out=data/prepared",
        ],
        interrupted="interrupted; the same command goes on where it stopped",
    )
