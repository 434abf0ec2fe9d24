"""Any key that takes a path takes any path; other arguments reach Hydra as typed."""

import os
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from facegeo.cli.arguments import LISTS, PATHS, PATHS_ANYWHERE, overrides
from facegeo.files.shipped import conf_dir

ODD = [
    *("a=b", "Me (1), [2].jpg", "[x]", "it's = ü {x} $y", "'q.jpg", "\\'", "back\\", "5", "1e3"),
    *("true", "~x", "a~b", "a/b-c.d", "C:\\x y", "2026-01/v1.2", " x ", "%a+b@c?*.png", "-1"),
]


def read(word: str) -> object:
    """The value that a config gets from an override."""
    return OverridesParser.create().parse_override(word).value()


@pytest.mark.parametrize("path", ODD)
@pytest.mark.parametrize("key", ["data.root", "input", "+also_on.x.root", "detector.model"])
def test_a_path_arrives_as_typed(key: str, path: str) -> None:
    (word,) = overrides([f"{key}={path}"])
    name, _, value = word.partition("=")
    assert name == key
    assert read(f"x={value}") == path


@pytest.mark.parametrize(
    "path", [path for path in ODD if path not in ("-1", "~x") and "=" not in path]
)
def test_a_word_without_a_key_arrives_as_typed(path: str) -> None:
    (word,) = overrides([path], bare="studies")
    assert read(word) == [path]


def test_plain_paths_stay_as_typed() -> None:
    words = ["data.root=/data/LFPW-2", "out=runs/v1.2", "name=null", "output='a b'", "root=???"]
    assert overrides(words) == words


def test_other_keys_are_left_to_hydra() -> None:
    words = ["seed=[1,2]", "~data.x", "model.stages={a: 1}", "--cfg", "job", "+x.y='a,b'"]
    assert overrides(words, bare="studies") == words


def test_tilde_means_the_home_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert overrides(["data.root=~/faces", "out=~"]) == [
        f"data.root={tmp_path}/faces",
        f"out={tmp_path}",
    ]


def test_interpolations_are_left_to_hydra_unless_such_a_file_exists(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    def resolved(path: str) -> object:
        _, _, value = overrides([f"input={path}"])[0].partition("=")
        return OmegaConf.create({"seed": 3, "input": read(f"x={value}")}).input

    assert resolved("${seed} b") == "3 b"
    Path("${seed}\\'.jpg").touch()
    assert resolved("${seed}\\'.jpg") == "${seed}\\'.jpg"


def test_commas_separate_values_of_a_multirun_unless_there_is_such_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["checkpoint=a b,c", "-m", "seed=1,2"]
    assert overrides(words) == ["-m", "checkpoint='a b',c", "seed=1,2"]
    assert overrides(["-m", "out=choice(a,b)"]) == ["-m", "out=choice(a,b)"]
    Path("a b,c").touch()
    assert overrides(words) == ["-m", "checkpoint='a b,c'", "seed=1,2"]


def test_lists_of_paths_are_quoted_one_by_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert overrides(["runs=[a b,c]"]) == ["runs=['a b',c]"]
    assert overrides(["runs=['a, b',c]"]) == ["runs=['a, b',c]"]
    Path("[a]").mkdir()
    assert overrides(["runs=[a]"]) == ["runs='[a]'"]


def test_words_without_a_key_get_one() -> None:
    assert overrides(["photoface", "root=x"], bare="layout") == ["layout=photoface", "root=x"]
    assert overrides(["split=val", "a", "it's"], bare="studies") == [
        "studies=[a,'it\\'s']",
        "split=val",
    ]
    assert overrides(["a", "root=x"]) == ["a", "root=x"]


def test_the_keys_of_paths_are_in_the_configs() -> None:
    text = os.linesep.join(path.read_text() for path in conf_dir().rglob("*.yaml"))
    for key in PATHS | PATHS_ANYWHERE | LISTS:
        assert f"{key.rpartition('.')[2]}:" in text, key
