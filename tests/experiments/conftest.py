"""Scripts of ``experiments/`` as modules."""

import sys
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def script() -> Callable[[str], ModuleType]:
    """Import a script by its path."""

    def load(path: str) -> ModuleType:
        spec = spec_from_file_location(Path(path).stem + "_script", path)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[spec.name] = module  # dataclasses look their module up
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "dont_write_bytecode", True)  # nothing is left in experiments/
            patch.syspath_prepend(str(Path(path).parent))  # as Python does with a script's folder
            spec.loader.exec_module(module)
        return module

    return load
