"""A video and a server for the checks."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.agent.servers import Api, History, running_api


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("video") / "grey.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 15, (160, 120))
    for _ in range(15):
        writer.write(np.full((120, 160, 3), 127, np.uint8))
    writer.release()
    return path


@pytest.fixture
def api() -> Iterator[Api]:
    with running_api(History()) as running:
        yield running
