"""The text of ``--help``: the command's configuration files as they are, comments and all."""

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

WIDTH = 96
MORE = """\
More:
  GROUP=OPTION --help  print that option's keys too
  --cfg job            print the composed config and stop: every key, with its value
  -m, --multirun       run once for each combination of comma-separated values: seed=0,1,2
  --version            print the version
  --hydra-help         the flags that Hydra adds, such as --config-dir
  FACEGEO_DEBUG=1      in the environment: show the traceback of an error"""


class Group(NamedTuple):
    """A config group that a command lets the user choose from."""

    name: str
    default: str | None
    options: list[str]


def help_text(
    program: str, about: str, examples: Sequence[str], config: Path, words: Sequence[str] = ()
) -> str:
    """Return what ``--help`` prints.

    Args:
        program: Name of the command.
        about: What it does, in one paragraph.
        examples: Command lines worth copying.
        config: The command's top-level config file.
        words: As typed; the files of the options that they choose are printed too.
    """
    listed = groups(config)
    parts = [
        textwrap.fill(" ".join(about.split()), WIDTH),
        f"Usage: {program} [GROUP=OPTION ...] [KEY=VALUE ...] [-m] [--cfg job]",
        "\n".join(["Examples:", *(f"  {line}" for line in examples)]),
        _file(config, f"Keys, KEY=VALUE, and the groups' defaults ({config.name}):"),
        *_chosen_files(config, listed, words),
    ]
    lines = ["Groups, GROUP=OPTION (the default is starred):"]
    for group in listed:
        starred = [f"*{name}" if name == group.default else name for name in group.options]
        start = f"  {group.name}: ".ljust(14)
        wrap = textwrap.TextWrapper(WIDTH, start, " " * 14, break_on_hyphens=False)
        lines.append(wrap.fill(", ".join(starred)))
    parts += ["\n".join(lines)] if listed else []
    return "\n\n".join([*parts, MORE])


def groups(config: Path) -> list[Group]:
    """Return the groups in a top-level config's defaults list, without Hydra's own."""
    from omegaconf import OmegaConf  # a quarter of a second, which --version need not wait for

    found = []
    for entry in OmegaConf.select(OmegaConf.load(config), "defaults", default=[]):
        for name, default in entry.items() if hasattr(entry, "items") else ():
            if name.split("/")[0] != "hydra":
                folder = config.parent / name
                files = (path.relative_to(folder) for path in folder.rglob("*.yaml"))
                options = sorted(path.with_suffix("").as_posix() for path in files)
                found.append(Group(name, default, options))
    return found


def _chosen_files(config: Path, listed: Sequence[Group], words: Sequence[str]) -> Iterator[str]:
    """The files of all options that differ from the defaults, also those an experiment chose."""
    names = {group.name for group in listed}
    chosen = {word.partition("=")[0].lstrip("+"): word for word in words}
    chosen = {name: word for name, word in chosen.items() if name in names}
    if not chosen:
        return
    from hydra import compose, initialize_config_dir

    with initialize_config_dir(str(config.parent), version_base="1.3"):
        composed = compose(config.stem, [*chosen.values()], return_hydra_config=True)
    choices = composed.hydra.runtime.choices
    for group in listed:
        option = choices.get(group.name)
        if option and (option != group.default or group.name in chosen):
            where = f"{group.name}/{option}.yaml"
            text = (config.parent / where).read_text(encoding="utf-8")
            keys = "" if "@package _global_" in text else f", {group.name}.KEY=VALUE"
            yield _file(config.parent / where, f"{group.name}={option}{keys} ({where}):")


def _file(path: Path, title: str) -> str:
    """A file as it is, below a title."""
    return f"{title}\n\n{path.read_text(encoding='utf-8').rstrip()}"
