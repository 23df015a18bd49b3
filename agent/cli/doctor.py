"""The checks of `blink-agent doctor`, set up for this device's configuration."""

import contextlib
from collections.abc import Callable

from agent import config
from agent.camera.pi import OPEN_TIMEOUT_S, STOP_TIMEOUT_S
from agent.cli import delivery, measuring
from agent.clock import Clock
from agent.config import AgentConfig
from agent.errors import StoreError
from agent.face import models
from agent.health import check_camera, check_controls, check_network, check_system
from agent.health.doctor import Check, Finding, ok
from agent.sync import Transport
from agent.system.process_lock import lock_owner
from agent.system.systemd import units

QUICK_S = 10.0
INFERENCE_S = 60.0  # an emulated machine takes a third of a second per inference
STORE_S = 60.0  # every page is read from a card
NETWORK_S = 30.0  # DNS, connection, TLS, response


def checks(settings: AgentConfig) -> list[Check]:
    """Return all checks: camera and models, controls, storage, network, services.

    Each check reads the configuration only when it runs, so that an error there is its own finding.
    """
    return [
        configuration(_valid(settings)),
        *_measuring_checks(settings),
        *_control_checks(settings),
        *_storage_checks(settings),
        Check("credentials", QUICK_S, lambda: check_network.credentials(settings)),
        *network_checks(settings, lambda: _delivery_problem(settings)),
        Check("services", QUICK_S, lambda: check_system.services(units())),
    ]


def _measuring_checks(settings: AgentConfig) -> list[Check]:
    cache = settings.model.cache or models.default_cache()
    return [
        Check(
            "camera",
            2 * OPEN_TIMEOUT_S + STOP_TIMEOUT_S + settings.camera.timeout_s + INFERENCE_S,
            lambda: check_camera.camera(
                settings.camera,
                lambda: measuring.camera(settings),
                _watch_process(settings),
                lambda: measuring.tracker(settings),
            ),
            "switch the device off and check the camera's cable",
        ),
        Check(
            "model",
            INFERENCE_S,
            lambda: check_camera.model(cache, settings.model.threads, settings.camera.fps),
            check_camera.MODELS,
        ),
    ]


def _control_checks(settings: AgentConfig) -> list[Check]:
    controls = settings.controls
    return [
        Check("button", QUICK_S, lambda: check_controls.button(controls, _watch_process(settings))),
        Check(
            "second button",
            QUICK_S,
            lambda: check_controls.second_button(controls, _watch_process(settings)),
        ),
        Check("light", QUICK_S, lambda: check_controls.light(controls, _watch_process(settings))),
        Check("usb button", QUICK_S, lambda: check_controls.input_button(controls.input_device)),
    ]


def _storage_checks(settings: AgentConfig) -> list[Check]:
    path = settings.store_path
    return [
        Check(
            "store",
            STORE_S,
            lambda: check_system.store(path, lambda: delivery.open_store(settings)),
        ),
        Check("disk", QUICK_S, lambda: check_system.disk(path)),
        Check("clock", QUICK_S, lambda: check_system.clock(Clock())),
    ]


def _watch_process(settings: AgentConfig) -> int | None:
    """Return the id of the `watch` process, which has camera and pins open, or None."""
    return lock_owner(settings.store_path, "watch")


def configuration(finding: Finding) -> Check:
    """Return a check with the result of reading the configuration."""
    return Check("settings", QUICK_S, lambda: finding)


def _valid(settings: AgentConfig) -> Finding:
    keys = (
        (getattr(settings, section), key, default) for section, key, default, _ in config.settings()
    )
    count = sum(getattr(section, key) != default for section, key, default in keys)
    where = settings.file if settings.file.exists() else "no file"
    return ok(f"{where}: valid, {count} keys set")


def _delivery_problem(settings: AgentConfig) -> str | None:
    """Return the problem that sync last reported, or None if there is none or it can't be read."""
    with contextlib.suppress(StoreError, OSError):
        if settings.store_path.exists():
            with delivery.open_store(settings) as store:
                return (store.noted("delivery") or {}).get("problem")
    return None


def network_checks(
    settings: AgentConfig, noted: Callable[[], str | None] = lambda: None
) -> list[Check]:
    """Return the checks of the broker and the server.

    `noted` returns the problem that sync last reported. It is left out right after enrolling.
    """

    def broker_transports() -> list[Transport]:
        transport = delivery.mqtt(settings, lasting=False)
        return [] if transport is None else [transport]

    return [
        Check(
            "broker",
            NETWORK_S,
            lambda: check_network.broker(settings, broker_transports(), noted()),
            check_network.AGAIN,
        ),
        Check(
            "server",
            NETWORK_S + settings.server.timeout_s,
            lambda: check_network.server(settings),
            check_network.AGAIN,
        ),
    ]
