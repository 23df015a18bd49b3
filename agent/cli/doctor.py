"""What `blink-agent doctor` looks at, joined to this device's configuration."""

from agent.camera.pi import OPEN_TIMEOUT_S, STOP_TIMEOUT_S
from agent.cli import delivery, measuring
from agent.clock import Clock
from agent.config import AgentConfig
from agent.config import settings as every_key
from agent.face import models
from agent.health import check_camera, check_controls, check_disk, check_network, check_services
from agent.health.doctor import Check, Finding, ok
from agent.sync import Transport
from agent.system.process_lock import lock_owner
from agent.system.systemd import units

QUICK_S = 10.0
INFERENCE_S = 60.0  # an emulated machine takes a third of a second for each
STORE_S = 60.0  # every page is read, from a card
NETWORK_S = 30.0  # a name, a connection, TLS, an answer


def checks(settings: AgentConfig) -> list[Check]:
    """All of them, in the order of the device: what sees, what is touched, what keeps, what sends.

    Each is given what it needs when it is its turn: what is configured wrongly is its finding.
    """
    return [
        configuration(_understood(settings)),
        *_eyes(settings),
        *_hands(settings),
        *_kept(settings),
        Check("credentials", QUICK_S, lambda: check_network.credentials(settings)),
        *contact(settings),
        Check("services", QUICK_S, lambda: check_services.services(units())),
    ]


def _eyes(settings: AgentConfig) -> list[Check]:
    wish, cache = settings.camera, settings.model.cache or models.default_cache()
    return [
        Check(
            "camera",
            2 * OPEN_TIMEOUT_S + STOP_TIMEOUT_S + wish.timeout_s + INFERENCE_S,
            lambda: check_camera.camera(
                wish,
                lambda: measuring.camera(settings),
                _watching(settings),
                lambda: measuring.tracker(settings),
            ),
            "switch it off and look at the camera's cable",
        ),
        Check(
            "model",
            INFERENCE_S,
            lambda: check_camera.model(cache, settings.model.threads, wish.fps),
            check_camera.MODELS,
        ),
    ]


def _hands(settings: AgentConfig) -> list[Check]:
    wish = settings.controls
    return [
        Check("button", QUICK_S, lambda: check_controls.button(wish, _watching(settings))),
        Check("light", QUICK_S, lambda: check_controls.light(wish, _watching(settings))),
        Check("usb button", QUICK_S, lambda: check_controls.input_button(wish.input_device)),
    ]


def _kept(settings: AgentConfig) -> list[Check]:
    path = settings.store_path
    return [
        Check(
            "store",
            STORE_S,
            lambda: check_disk.store(path, lambda: delivery.open_store(settings)),
        ),
        Check("disk", QUICK_S, lambda: check_disk.disk(path)),
        Check("clock", QUICK_S, lambda: check_disk.clock(Clock())),
    ]


def _watching(settings: AgentConfig) -> int | None:
    """Who has camera and pins now."""
    return lock_owner(settings.store_path, "watch")


def configuration(finding: Finding) -> Check:
    """What became of reading it."""
    return Check("settings", QUICK_S, lambda: finding)


def _understood(settings: AgentConfig) -> Finding:
    keys = ((getattr(settings, section), key, default) for section, key, default, _ in every_key())
    count = sum(getattr(section, key) != default for section, key, default in keys)
    where = settings.file if settings.file.exists() else "no file"
    return ok(f"{where}: understood, {count} keys set")


def contact(settings: AgentConfig) -> list[Check]:
    """The two that reach beyond this device."""

    def broker_ways() -> list[Transport]:
        way = delivery.mqtt(settings, lasting=False)
        return [] if way is None else [way]

    return [
        Check(
            "broker",
            NETWORK_S,
            lambda: check_network.broker(settings, broker_ways()),
            check_network.AGAIN,
        ),
        Check(
            "server",
            NETWORK_S + settings.server.timeout_s,
            lambda: check_network.server(settings),
            check_network.AGAIN,
        ),
    ]
