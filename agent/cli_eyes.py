"""How the parts that look are joined: as `cli_parts`, and only for the commands that measure."""

from agent import __version__, models
from agent.capture import Camera, open_camera
from agent.clock import Clock
from agent.config import AgentConfig
from agent.landmarks import FaceTracker
from agent.manifest import read_manifest
from agent.recording import Recording, Tracker


def camera(settings: AgentConfig) -> Camera:
    """The camera that is configured."""
    wish = settings.camera
    return open_camera(
        wish.source,
        device=wish.device,
        file=wish.file,
        loop=wish.loop,
        width=wish.width,
        height=wish.height,
        fps=wish.fps,
    )


def tracker(settings: AgentConfig) -> FaceTracker:
    """Both models, loaded and tried."""
    cache, threads = settings.model.cache or models.default_cache(), settings.model.threads
    return FaceTracker(
        models.load("face_detection", cache, threads), models.load("face_landmark", cache, threads)
    )


def recording(eyes: Tracker, clock: Clock, source: Camera, session_id: str | None) -> Recording:
    """A session that begins now."""
    mesh = read_manifest()["face_landmark"]
    return Recording(
        eyes,
        clock,
        camera={"source": source.source, "width": source.width, "height": source.height},
        agent={"version": __version__, "model": f"{mesh.name}@{mesh.sha256[:8]}"},
        session_id=session_id,
    )
