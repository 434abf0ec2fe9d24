"""``facegeo-profile``."""

from typing import TYPE_CHECKING

from facegeo.cli.app import launch

if TYPE_CHECKING:
    from omegaconf import DictConfig


def _profile(cfg: "DictConfig") -> None:
    import json

    from hydra.utils import instantiate
    from rich.console import Console

    from facegeo.errors import UserError
    from facegeo.models.ccnn import Cascade
    from facegeo.profile import profile_cascade, profile_tables

    if cfg.format not in ("table", "json"):
        raise UserError(f"format must be table or json, got {cfg.format}")
    model = instantiate(cfg.model)
    if not isinstance(model, Cascade):
        raise UserError(
            f"facegeo-profile counts cascades, got {type(model).__name__} from model._target_="
            f"{cfg.model.get('_target_')}; choose a cascade, such as model=ccnn"
        )
    if cfg.format == "json":
        print(json.dumps(profile_cascade(model), indent=2))
        return
    console = Console()
    for table in profile_tables(model):
        console.print(table.rich())


def main() -> None:
    """Print what a model costs, from the command line."""
    launch(
        _profile,
        "profile",
        "Count the weights, multiply-accumulates and megabytes of a model, layer by layer: the "
        "paper's Tables 2 and 3. Needs no data and no trained weights.",
        [
            "facegeo-profile experiment=ccnn/paper",
            "facegeo-profile experiment=ccnn/paper format=json",
            "facegeo-profile model.stages.stage2.net.hidden=40",
        ],
    )
