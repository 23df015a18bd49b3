"""What tests of the eye need: the real models, a face whose truth is known, and recordings."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.errors import ModelError
from agent.face import models
from agent.face.tracker import FaceTracker, open_tracker
from scripts.portrait import Portrait, load_portrait

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def model_cache() -> Path:
    """A cache with the real models, fetched if need be."""
    cache = models.default_cache()
    try:
        models.fetch(cache)
    except ModelError as error:
        pytest.skip(f"the models are not here and can't be fetched: {error}")
    return cache


@pytest.fixture
def new_tracker(model_cache: Path) -> Callable[[], FaceTracker]:
    """Makes trackers with models of their own."""
    return lambda: open_tracker(model_cache)


@pytest.fixture
def tracker(new_tracker: Callable[[], FaceTracker]) -> FaceTracker:
    """The real thing."""
    return new_tracker()


@pytest.fixture(scope="module")  # not longer: its noise goes on from test to test
def portrait() -> Portrait:
    """The portrait that blinks as it is told."""
    try:
        return load_portrait()
    except ModelError as error:
        pytest.skip(f"the portrait is not here and can't be fetched: {error}")


@pytest.fixture(scope="session")
def clips() -> Path:
    """The folder of recorded clips, which are not part of the repository."""
    data = Path(os.environ.get("BLINKLOG_DATA", ROOT.parent / "shared" / "data"))
    if not (data / "clips").is_dir():
        pytest.skip(f"no recordings at {data}; BLINKLOG_DATA says where they are")
    return data / "clips"
