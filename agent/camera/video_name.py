"""File names in the form that OpenCV's FFmpeg accepts."""

from pathlib import Path

from agent.errors import CameraError


def ffmpeg_name(path: Path) -> str:
    """Return the absolute path, because FFmpeg takes `10:15.mp4` for a protocol called `10`.

    Raises CameraError for a name that is not UTF-8: OpenCV crashes on it.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise CameraError(f"{path}: expected a name in UTF-8: rename the file") from error
    return name
