"""``facegeo-profile``."""

from typing import TYPE_CHECKING, cast

from facegeo.cli.app import launch

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from facegeo.files.tables import Table


def _profile(cfg: "DictConfig") -> None:
    import json

    from rich.console import Console

    from facegeo.errors import UserError

    if cfg.format not in ("table", "json"):
        raise UserError(f"format must be table or json, got {cfg.format}")
    counts, tables = _count(cfg)
    if cfg.format == "json":
        print(json.dumps(counts, indent=2))
        return
    console = Console()
    for table in tables:
        console.print(table.rich())


def _count(cfg: "DictConfig") -> "tuple[dict[str, object], list[Table]]":
    """Cost of the config's model, as plain values and as tables."""
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    from facegeo.errors import UserError
    from facegeo.files.shipped import experiments_dir
    from facegeo.landmarks.cost import profile_cascade, profile_tables
    from facegeo.landmarks.nets import Cascade
    from facegeo.normals.cost import (
        generator_tables,
        other_tables,
        profile_generator,
        profile_other,
    )
    from facegeo.normals.generator import CasFNE

    model = instantiate(cfg.model)
    values = OmegaConf.load(experiments_dir() / "paper_values.yaml")
    if isinstance(model, Cascade):
        table_3 = _plain(values.ccnn.table3_size_speed)
        return profile_cascade(model), profile_tables(model, table_3)
    if isinstance(model, CasFNE):
        table_4 = _plain(values.casfne.table4_cost)
        return profile_generator(model), generator_tables(model, table_4)
    if hasattr(model, "t"):
        return profile_other(model), other_tables(model)
    raise UserError(
        f"facegeo-profile counts CCNN and generators of normals, which have a number of "
        f"refinements t; got {type(model).__name__} from model._target_="
        f"{cfg.model.get('_target_')}; choose model=ccnn, casfne, carn or restormer"
    )


def _plain(cells: object) -> "dict[str, dict[str, float]]":
    from omegaconf import OmegaConf

    return cast("dict[str, dict[str, float]]", OmegaConf.to_container(cells))


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
