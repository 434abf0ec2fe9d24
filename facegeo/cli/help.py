"""The text of ``--help``, read from a top-level config and the comments in it.

Read as lines, not composed: composing takes longer than help may, and drops the comments.
"""

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

WIDTH = 96
DEFAULT_LINE = re.compile(
    r"\s*- (?:override )?/?(?P<name>[\w/]+): *(?P<value>[^\s#]*) *(?:#(?P<note>.*))?"
)
KEY_LINE = re.compile(r"(?P<indent> *)(?P<name>\w+): *(?P<value>.*?) *(?:(?<!\S)#(?P<note>.*))?")

MORE = """\
More:
  --cfg job          print the composed config and stop: every key, with its value
  -m, --multirun     run once for each combination of comma-separated values: seed=0,1,2
  --version          print the version
  --hydra-help       the flags that Hydra adds, such as --config-dir
  FACEGEO_DEBUG=1    in the environment: show the traceback of an error"""


class Group(NamedTuple):
    """A config group that a command lets the user choose from."""

    name: str
    default: str
    note: str
    options: list[str]


class Key(NamedTuple):
    """A key that a top-level config sets itself; dotted, with its value as written."""

    name: str
    value: str
    note: str


def help_text(program: str, about: str, examples: Sequence[str], config: Path) -> str:
    """Return what ``--help`` prints.

    Args:
        program: Name of the command.
        about: What it does, in one paragraph.
        examples: Command lines worth copying.
        config: The command's top-level config file.
    """
    choices = list(_group_lines(config))
    parts = [
        textwrap.fill(" ".join(about.split()), WIDTH),
        f"Usage: {program} [GROUP=OPTION ...] [KEY=VALUE ...] [-m] [--cfg job]",
        "\n".join(["Examples:", *(f"  {line}" for line in examples)]),
        "\n".join(["Groups, GROUP=OPTION (the default is starred):", *choices]) if choices else "",
        "\n".join(
            [f"Keys, KEY=VALUE (those of {config.name}; groups add theirs):", *_key_lines(config)]
        ),
        MORE,
    ]
    return "\n\n".join(part for part in parts if part)


def groups(config: Path) -> list[Group]:
    """Return the groups in a top-level config's defaults list; Hydra's own are left out."""
    found = []
    for line in _blocks(config).get("defaults", []):
        match = DEFAULT_LINE.fullmatch(line)
        if match and match["name"].split("/")[0] != "hydra":
            name = match["name"]
            found.append(Group(name, match["value"], _clean(match["note"]), _options(config, name)))
    return found


def keys(config: Path) -> list[Key]:
    """Return the keys that a top-level config sets, without ``defaults`` and ``hydra``."""
    found = []
    for block, lines in _blocks(config).items():
        if block not in ("defaults", "hydra"):
            found += list(_keys_of_block(lines))
    return found


def _keys_of_block(lines: list[str]) -> Iterator[Key]:
    """Yield the keys of one top-level block; a mapping is named only if it has a comment."""
    parents: list[tuple[int, str]] = []
    for line in lines:
        match = KEY_LINE.fullmatch(line)
        if match is None:
            continue
        depth, note = len(match["indent"]), _clean(match["note"])
        parents = [parent for parent in parents if parent[0] < depth]
        parents.append((depth, match["name"]))
        if match["value"] or note:
            yield Key(".".join(name for _, name in parents), match["value"], note)


def _blocks(config: Path) -> dict[str, list[str]]:
    """Split a YAML file at its top-level keys; the first line of a block holds the key."""
    blocks: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in config.read_text(encoding="utf-8").splitlines():
        if start := re.match(r"(\w+):", line):
            lines = blocks.setdefault(start[1], [])
        if line.strip() and not line.lstrip().startswith("#"):
            lines.append(line)
    return blocks


def _options(config: Path, group: str) -> list[str]:
    """Return the names of the configs of a group, ``ccnn/paper`` for one in a sub-folder."""
    folder = config.parent / group
    return sorted(
        file.relative_to(folder).with_suffix("").as_posix() for file in folder.rglob("*.yaml")
    )


def _group_lines(config: Path) -> Iterator[str]:
    for group in groups(config):
        starred = [f"*{name}" if name == group.default else name for name in group.options]
        yield from _columns(group.name, group.note)
        yield from textwrap.wrap(
            ", ".join(starred), WIDTH, initial_indent=" " * 6, subsequent_indent=" " * 6
        )


def _key_lines(config: Path) -> Iterator[str]:
    for key in keys(config):
        yield from _columns(f"{key.name}={key.value}" if key.value else key.name, key.note)


def _columns(left: str, right: str, indent: int = 2, tab: int = 34) -> list[str]:
    """Set a note beside a word, or below it where the word is too long."""
    first = f"{' ' * indent}{left}".ljust(tab)
    if not right:
        return [first.rstrip()]
    beside = len(first) == tab and not first[-1].strip()
    wrapped = textwrap.wrap(right, WIDTH - tab)
    head = [first + wrapped[0]] if beside else [first, " " * tab + wrapped[0]]
    return head + [" " * tab + line for line in wrapped[1:]]


def _clean(note: str | None) -> str:
    return (note or "").strip()
