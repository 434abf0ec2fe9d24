"""``facegeo-eval``."""

from facegeo.cli.app import DictConfig, launch


def _evaluate(cfg: DictConfig) -> object:
    from facegeo.runs.evaluate import evaluate

    return evaluate(cfg)


def main() -> None:
    """Measure a trained model from the command line."""
    launch(
        _evaluate,
        "eval",
        "Measure a trained model on the test faces of a data set: a table on the terminal, and "
        "metrics.json, table and pictures in the run's folder.",
        [
            "facegeo-eval checkpoint=ccnn-lfpw data=lfpw data.root=DIR",
            "facegeo-eval checkpoint=runs/ccnn-tuned-seed0-1a2b3c4d",
            "facegeo-eval checkpoint=model.safetensors splits=[val,test]",
            "facegeo-eval checkpoint=RUN data=photoface data.root=DIR data.size=128 t=5",
            "facegeo-eval checkpoint=RUN data=photos data.root=DIR panels=true",
        ],
    )
