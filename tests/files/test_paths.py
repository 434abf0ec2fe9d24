"""Files that travel with the package are found, or missed by name."""

from pathlib import Path

import pytest

from facegeo.files import shipped as paths


@pytest.mark.parametrize("inside", [True, False], ids=["wheel", "checkout"])
def test_a_folder_is_found_inside_the_package_or_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, inside: bool
) -> None:
    package = tmp_path / "facegeo"
    folder = (package if inside else tmp_path) / "conf"
    folder.mkdir(parents=True)
    monkeypatch.setattr(paths, "PACKAGE", package)
    assert paths.conf_dir() == folder


def test_a_missing_folder_is_named_with_the_places_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "facegeo")
    with pytest.raises(FileNotFoundError, match=r"'conf' .*facegeo/conf and .*/conf,"):
        paths.conf_dir()
