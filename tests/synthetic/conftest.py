"""One studio for all tests: making it reads the head model and loads the kernels."""

import pytest

from facegeo.synthetic.sample import Sample, Studio


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio("anny")


@pytest.fixture(scope="session")
def sample(studio: Studio) -> Sample:
    return studio.photograph((3, 0, 0), 128)
