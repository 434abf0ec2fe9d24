"""``facegeo-export``."""

from facegeo.cli.app import DictConfig, launch


def _export(cfg: DictConfig) -> None:
    from pathlib import Path

    from hydra.utils import instantiate

    from facegeo.export.job import Order, export_model

    order = Order(
        checkpoint=str(cfg.checkpoint),
        format=cfg.format,
        precision=cfg.precision,
        t=cfg.t,
        size=cfg.size,
        output=None if cfg.output is None else Path(str(cfg.output)),
    )
    path = export_model(order, instantiate(cfg.data))
    print(f"wrote {path} ({path.stat().st_size / 1e6:.1f} MB)")


def main() -> None:
    """Export a trained model from the command line."""
    launch(
        _export,
        "export",
        "Export a trained model: a cascade as one graph from image and boxes to points, or a "
        "generator of normals. The file is compared with PyTorch on noise and on faces, and kept "
        "only if it is equal.",
        [
            "facegeo-export checkpoint=ccnn-lfpw",
            "facegeo-export checkpoint=ccnn-lfpw data=lfpw data.root=DIR precision=fp16",
            "facegeo-export checkpoint=RUN format=torch_export output=model.pt2",
            "facegeo-export checkpoint=RUN t=2 size=256 precision=fp16",
        ],
    )
