import pytest

from facegeo.rendering.studio import Sample, Studio


@pytest.fixture(scope="session")
def studio() -> Studio:
    return Studio("anny")


@pytest.fixture(scope="session")
def sample(studio: Studio) -> Sample:
    return studio.photograph((3, 0, 0), 128)
