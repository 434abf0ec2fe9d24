"""``facegeo-predict``."""

from facegeo.cli.app import DictConfig, launch


def _predict(cfg: DictConfig) -> None:
    from pathlib import Path

    from hydra.utils import instantiate
    from rich.console import Console

    from facegeo.errors import UserError
    from facegeo.predict.job import predict_files
    from facegeo.predict.predictor import load
    from facegeo.predict.results import Pictures, Settings

    if not isinstance(cfg.smooth, bool):  # Hydra takes "no" for a word, and words for true
        raise UserError(f"smooth must be true or false, got {cfg.smooth!r}")
    detect = instantiate(cfg.detector)
    predictor = load(
        cfg.checkpoint, normals=cfg.normals, detect=detect, device=cfg.device, looks=cfg.looks
    )
    smooth = instantiate(cfg.one_euro) if cfg.smooth else None
    pictures = Pictures(cfg.light, cfg.relight, cfg.film, cfg.mesh)
    settings = Settings(cfg.batch, pictures, smooth, cfg.overwrite)
    report = predict_files(str(cfg.input), Path(cfg.output).expanduser(), predictor, settings)
    for table in report.tables(cfg.output):
        Console().print(table.rich())
    if report.faults:
        raise SystemExit(1)


def main() -> None:
    """Predict photos and videos from the command line."""
    launch(
        _predict,
        "predict",
        "Find the five points, and with normals=MODEL the surface normals, of faces in photos and "
        "videos. Writes JSON, a CSV list and pictures of the results. Files that cannot be used "
        "are listed at the end, the others are done, and the exit code is 1.",
        [
            "facegeo-predict input=photo.jpg output=found",
            "facegeo-predict input=holiday output=found detector.neighbours=2",
            "facegeo-predict input='*.png' output=found detector=file detector.path=boxes.csv",
            "facegeo-predict input=photo.jpg output=found normals=runs/casfne-paper-seed0-1a2b3c4d",
            "facegeo-predict input=clip.mp4 output=found smooth=true",
        ],
        interrupted="interrupted; results so far are kept, the same command starts again",
    )
