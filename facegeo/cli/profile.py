"""``facegeo-profile``."""

from facegeo.cli.app import DictConfig, launch


def _profile(cfg: DictConfig) -> None:
    import json

    from hydra.utils import instantiate
    from rich.console import Console

    from facegeo.errors import UserError
    from facegeo.normals.cost import other_tables, profile_other

    if cfg.format not in ("table", "json"):
        raise UserError(f"format must be table or json, got {cfg.format}")
    model = instantiate(cfg.model)
    if hasattr(model, "profile"):
        counts, tables = model.profile()
    elif hasattr(model, "t"):  # another generator of normals
        counts, tables = profile_other(model), other_tables(model)
    else:
        raise UserError(
            f"facegeo-profile counts CCNN and generators of normals, which have a number of "
            f"refinements t; got {type(model).__name__} from model._target_="
            f"{cfg.model.get('_target_')}; choose model=ccnn, casfne, carn or restormer"
        )
    if cfg.format == "json":
        print(json.dumps(counts, indent=2))
        return
    console = Console()
    for table in tables:
        console.print(table.rich())


def main() -> None:
    """Print the cost of a model from the command line."""
    launch(
        _profile,
        "profile",
        "Count the weights, multiply-accumulates and megabytes of a model: CCNN layer by layer, "
        "its paper's Tables 2 and 3; Cas-FNE by number of refinements, as it is and as its paper's "
        "Table IV counts; another generator of normals as a whole. Needs no data and no trained "
        "weights.",
        [
            "facegeo-profile experiment=ccnn/paper",
            "facegeo-profile experiment=ccnn/sun",
            "facegeo-profile experiment=casfne/paper format=json",
            "facegeo-profile model=restormer model.dim=24",
            "facegeo-profile model.stages.stage2.net.hidden=40",
        ],
    )
