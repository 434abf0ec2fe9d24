"""The words of a command line as Hydra's overrides: paths may hold any character.

Hydra reads ``=``, commas, brackets, spaces and ``$`` in a value as its own grammar. The keys below
take a path, so their values are quoted where Hydra would read something else.
"""

import re
from collections.abc import Sequence
from pathlib import Path

PATHS = {
    *("input", "output", "checkpoint", "normals", "out", "name", "study", "compare", "root"),
    *("reference", "points", "cascade", "lights", "sheet", "runs", "studies", "wandb"),
    *("detector.model", "ccnn.model", "casfne.model", "procedure.weights"),
}
"""Keys that take a path, a name of a model or of a folder."""
PATHS_ANYWHERE = {
    *("root", "path", "head_path", "cache_dir", "reference", "train_list", "test_list"),
}
"""The same with any prefix: ``data.root``, ``also_on.strangers.root``."""
LISTS = {"runs", "studies"}
"""Keys that take one path or a list of them, ``[A,B]``."""
MULTIRUN = ("-m", "--multirun")
VALUED = {
    *("--cfg", "-c", "--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"),
    *("--package", "-p"),
}
"""Hydra's options that are followed by a value."""
READ_AS_TYPED = re.compile(
    r"(?!([+-]?[\d_.]*(e[+-]?\d+)?|[+-]?(inf|nan)|true|false)$)[\w./:@%+*?-]+", re.I | re.A
)
"""Values that Hydra reads as the same text; it would make numbers of the first ones."""


def overrides(words: Sequence[str], bare: str | None = None) -> list[str]:
    """Return the arguments for Hydra: paths quoted, words without a key given one.

    Args:
        words: As typed behind the command's name.
        bare: Key of words without a key: of all of them for a key of ``LISTS``, else of the
            first.

    >>> overrides(["input=Me (1), 2.jpg", "output=found", "smooth=true", "normals=null"])
    ["input='Me (1), 2.jpg'", 'output=found', 'smooth=true', 'normals=null']
    >>> overrides(["runs/a study", "split=val", "runs/b"], bare="studies")
    ["studies=['runs/a study',runs/b]", 'split=val']
    >>> overrides(["seed=1,2", "-m", "checkpoint=a b,c"])
    ['-m', 'seed=1,2', "checkpoint='a b',c"]
    """
    several = not {*MULTIRUN}.isdisjoint(words)
    options, values, loose = list[str](), list[str](), list[str]()
    for before, word in zip(["", *words], words, strict=False):
        if word in MULTIRUN:  # argparse wants it before the overrides
            options.append(word)
        elif "=" in word and not word.startswith("-") and before not in VALUED:
            values.append(_override(word, several))
        elif re.match(r"-|~[^/]", word) or before in VALUED or bare is None:
            values.append(word)
        else:
            loose.append(word)
    if bare in LISTS and loose:
        return [*options, f"{bare}=[{','.join(map(quoted, loose))}]", *values]
    return [*options, *(f"{bare}={quoted(word)}" for word in loose[:1]), *loose[1:], *values]


def _override(word: str, several: bool) -> str:
    """One ``key=value``, its value quoted if the key takes a path."""
    key, _, value = word.partition("=")
    name = key.lstrip("+")
    if name not in PATHS and name.rpartition(".")[2] not in PATHS_ANYWHERE:
        return word
    if name in LISTS and value[:1] == "[" and value[-1:] == "]" and not Path(value).exists():
        return f"{key}=[{_each(value[1:-1])}]"
    if several and "," in value and not Path(value).exists():
        return f"{key}={_each(value)}"
    return f"{key}={quoted(value)}"


def _each(values: str) -> str:
    """Paths between commas, each quoted; quotes and functions are left to Hydra."""
    if re.search(r"['\"]|^\w+\(.*\)$", values):
        return values
    return ",".join(quoted(value.strip()) for value in values.split(","))


def quoted(path: str) -> str:
    """Return a path so that Hydra reads it as typed; ``~`` becomes the home folder.

    Null, ``???`` and quoted values stay; ``${KEY}`` is Hydra's unless such a file exists.
    """
    if path in ("", "null", "???") or (len(path) > 1 and path[0] == path[-1] and path[0] in "'\""):
        return path
    if path == "~" or path.startswith("~/"):
        path = str(Path(path).expanduser())
    if READ_AS_TYPED.fullmatch(path):
        return path
    if Path(path).exists():
        path = path.replace("${", "\\${")
    inside = re.sub(r"(\\*)('|$)", lambda end: end[1] * 2 + "\\'" * bool(end[2]), path)
    return f"'{inside}'"
