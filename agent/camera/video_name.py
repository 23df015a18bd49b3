"""A file's name as OpenCV's FFmpeg takes it."""

from pathlib import Path

from agent.errors import CameraError


def ffmpeg_name(path: Path) -> str:
    """Return the absolute path: FFmpeg takes `10:15.mp4` for a protocol called `10`.

    Raises CameraError for a name that is not UTF-8: OpenCV crashes on it.
    """
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise CameraError(f"{path}: expected a name in UTF-8: rename the file") from error
    return name
