"""The help text: the config files as they are, and the groups with their options."""

from pathlib import Path

import pytest

from facegeo.cli.help import Group, groups, help_text
from facegeo.files.shipped import conf_dir

COMMANDS = ("train", "eval", "predict", "prepare", "render", "report", "export", "profile", "bench")


def test_groups_are_those_of_the_defaults_list_with_all_their_options(config: Path) -> None:
    assert groups(config) == [
        Group("data", "generated", ["generated", "lfpw"]),
        Group("experiment", None, ["ccnn/paper"]),
    ]


def test_help_prints_the_config_and_the_groups(config: Path) -> None:
    text = help_text("facegeo-toy", "Train a toy. " * 20, ["facegeo-toy seed=1"], config)
    for part in ("Train a toy.", "  facegeo-toy seed=1", config.read_text(), "*generated, lfpw"):
        assert part in text
    assert "root:" not in text


def test_help_prints_the_files_of_chosen_options(config: Path) -> None:
    def shown(*words: str) -> str:
        return help_text("facegeo-toy", "About.", [], config, words)

    assert "data=lfpw, data.KEY=VALUE (data/lfpw.yaml):\n\nroot: ???" in shown("data=lfpw")
    assert "(data/generated.yaml):\n\ncount: 8" in shown("data=generated", "seed=1")
    (config.parent / "experiment/ccnn/paper.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /data: lfpw\nseed: 7\n"
    )
    text = shown("experiment=ccnn/paper")
    assert "experiment=ccnn/paper (experiment/ccnn/paper.yaml):\n\n# @package" in text
    assert "data=lfpw, data.KEY=VALUE (data/lfpw.yaml):\n\nroot: ???" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    config = conf_dir() / f"{command}.yaml"
    assert config.read_text().rstrip() in help_text(f"facegeo-{command}", "About.", [], config)
