"""The help text, read from a config and its comments."""

from pathlib import Path

from facegeo.cli.help import Group, Key, groups, help_text, keys


def test_groups_are_those_of_the_defaults_list_with_all_their_options(config: Path) -> None:
    assert groups(config) == [
        Group("data", "generated", "which faces", ["generated", "lfpw"]),
        Group("experiment", "null", "a paper's setting", ["ccnn/paper"]),
    ]


def test_keys_carry_the_comment_beside_them(config: Path) -> None:
    assert keys(config) == [
        Key("seed", "0", "weights and order"),
        Key("color", '"#fff"', "of the points"),
        Key("trainer", "", "how long"),
        Key("trainer.max_epochs", "3", "passes over the data"),
        Key("trainer.lr", "0.1", ""),
        Key("points", "???", ""),
    ]


def test_help_says_it_all_in_lines_that_fit(config: Path) -> None:
    text = help_text("facegeo-toy", "Train a toy. " * 20, ["facegeo-toy seed=1"], config)
    for part in (
        "Train a toy.",
        "  facegeo-toy seed=1",
        "*generated, lfpw",
        "trainer.max_epochs=3",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 96


def test_a_long_key_puts_its_comment_on_the_next_line(config: Path) -> None:
    config.write_text(f"{'a' * 40}: 1  # why\n")
    assert f"  {'a' * 40}=1\n{' ' * 34}why\n" in help_text("facegeo-toy", "", [], config)
