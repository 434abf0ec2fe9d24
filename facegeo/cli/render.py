"""``facegeo-render``."""

from typing import TYPE_CHECKING

from facegeo.cli.app import DictConfig, launch

if TYPE_CHECKING:
    from facegeo.rendering.order import Order


def _render(cfg: DictConfig) -> None:
    from pathlib import Path

    order = _order(cfg)
    if cfg.sheet is not None:
        from facegeo.rendering.folders import write_sheet

        grid = _pair(cfg.sheet_grid, "sheet_grid must be two whole numbers, rows and columns")
        write_sheet(Path(cfg.sheet), order, *grid, maps=cfg.sheet_maps)
        print(f"wrote {cfg.sheet}")
        return
    from facegeo.rendering.write import fill

    root = Path(cfg.out)
    report = fill(root, order, processes=cfg.processes, overwrite=cfg.overwrite)
    print(report.text(root))


def _order(cfg: DictConfig) -> "Order":
    from pathlib import Path

    from facegeo.rendering.order import Order

    return Order(
        layout=cfg.layout,
        train=cfg.train,
        test=cfg.test,
        size=cfg.size,
        seed=cfg.seed,
        head=cfg.head.kind,
        head_path=None if cfg.head.path is None else Path(cfg.head.path),
        maps=cfg.maps,
        quality=_pair(cfg.quality, "quality must be [worst, best] in 1..100"),
        frame=cfg.frame,
        shadows=cfg.shadows,
        device=cfg.device,
        map_share=cfg.map_share,
        lights=None if cfg.lights is None else Path(cfg.lights),
        mask=tuple(cfg.mask),
    )


def _pair(value: object, wanted: str) -> tuple[int, int]:
    from collections.abc import Sequence

    from facegeo.errors import UserError

    match value:
        case Sequence() if len(value) == 2 and all(type(number) is int for number in value):
            return value[0], value[1]
    raise UserError(f"{wanted}, got {value}")


def main() -> None:
    """Generate faces from the command line."""
    launch(
        _render,
        "render",
        "Generate faces and write them in the layouts of the real data sets: lists of Sun et al. "
        "with five points and a box a face, or Photoface sessions with normals; or portraits, one "
        "photograph with normals each, in the light of environment maps. The same seed "
        "gives the same files for any number of processes; an unfinished folder is finished.",
        [
            "facegeo-render out=data/faces train=3000 test=500 size=160",
            "facegeo-render out=data/sessions layout=photoface train=100 test=20",
            "facegeo-render out=data/portraits layout=portraits train=2000 test=200 size=192",
            "facegeo-render out=data/fine head=ict head.path=ICT-FaceKit/FaceXModel",
            "facegeo-render sheet=faces.jpg size=128",
        ],
    )
