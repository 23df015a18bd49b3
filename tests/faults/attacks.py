"""What is done to an installation, each as often as wanted, by the tests and by `bench.faults`."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults.crash_points import POINTS
from tests.faults.harness import Site
from tests.faults.launcher import until
from tests.faults.parts import Program
from tests.faults.proxy import Harm

EVERYTHING = ("broker", "server", "consumer", "sync", "watch")
PUBACK = 0x40  # MQTT 5, section 2.1.2: the first byte of a PUBACK
PASSES = 4  # a crash point is passed up to so many times before it kills

Round = Callable[[Site, random.Random], None]


@dataclass(frozen=True, slots=True)
class Attack:
    """A fault by its name, and one round of it, while sessions are being made."""

    name: str
    round: Round


# Kills


def storm(site: Site, chance: random.Random, kills: int, victims: Sequence[str]) -> None:
    """Kills one of `victims` at a random moment, and starts it again at another, `kills` times."""
    for _ in range(kills):
        kill_one(site, chance, victims)


def kill_one(site: Site, chance: random.Random, victims: Sequence[str]) -> None:
    """kill -9 of one of `victims`. What comes back at once meets what the dead one left behind."""
    time.sleep(chance.uniform(0, 0.15))
    part = site.parts()[chance.choice(victims)]
    part.kill()
    time.sleep(chance.choice((0, 0, 0.05, 0.2)) * chance.random())
    part.start()


def die_at(site: Site, point: str, passes: int) -> None:
    """Lets the process die at a crash point of its own, over the way that leads there."""
    part = site.parts()[point.partition(":")[0]]
    assert isinstance(part, Program)
    if point.startswith("server"):
        site.device.mqtt.harm = Harm(refuse=True)
    if point.startswith("consumer"):
        site.device.http.harm = Harm(refuse=True)
    part.start(dies=(point, passes))
    if part is site.device.watch:  # it makes its sessions itself, and no other may beside it
        until(lambda: not part.alive(), f"it passes {point}")
    for _ in range(100):
        site.feed(1)
        if not part.alive():
            break
    else:
        raise AssertionError(f"it never passes this point: {point}")
    site.heal()
    part.start()


def broker_dies_after_puback(site: Site) -> None:
    """The broker has taken a document, and the consumer not read it, when both are killed."""
    site.device.watch.kill()
    site.device.http.harm = Harm(refuse=True)
    site.feed(1)
    until(site.all_delivered, "the consumer listens")
    site.consumer.pause()
    site.device.mqtt.answers.clear()
    site.feed(1)
    until(lambda: PUBACK in {said[0] for said in site.device.mqtt.answers}, "the broker's PUBACK")
    site.broker.kill()
    site.consumer.kill()
    assert not site.all_delivered(), "the device does not take the broker's word for the server's"


# The network


def http_answer(status: str, body: bytes, *headers: str) -> bytes:
    """As a server, or somebody in its place, says it."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


PORTAL = b"<html><title>Welcome to Hotel Wi-Fi</title><form>Please log in</form></html>"

NETWORKS: dict[str, Harm] = {
    "refuses connections": Harm(refuse=True),
    "drops everything": Harm(drop=True),
    "delays everything by 2 s": Harm(delay_s=2.0),
    "cuts in the middle of a request": Harm(cut_after=1500),
    "loses every answer": Harm(hold_answers=True),
}
ANSWERS: dict[str, Harm] = {
    "500": Harm(answer=http_answer("500 Internal Server Error", b"oops")),
    "429 with Retry-After": Harm(
        answer=http_answer("429 Too Many Requests", b"{}", "Retry-After: 1")
    ),
    "a login page with 200": Harm(answer=http_answer("200 OK", PORTAL, "Content-Type: text/html")),
    "a redirect to a login page": Harm(
        answer=http_answer("302 Found", b"", "Location: http://127.0.0.1:9/login")
    ),
}
WAYS = ("mqtt", "http")


def trouble(site: Site, harm: Harm, ways: Sequence[str], seconds: float) -> None:
    """The network does `harm` on these ways for a while."""
    for way in ways:
        getattr(site.device, way).harm = harm
    time.sleep(seconds)
    site.heal()


def bad_answer(site: Site, harm: Harm, seconds: float) -> None:
    """There is no broker to be reached, and this is what HTTP requests meet."""
    site.device.mqtt.harm = Harm(refuse=True)
    trouble(site, harm, ["http"], seconds)


def alternate(site: Site, chance: random.Random) -> None:
    """One way works while the other does not, and the other way round."""
    for way in WAYS:
        trouble(site, Harm(refuse=True), [way], chance.uniform(0.1, 0.5))


# All of them


def attacks() -> list[Attack]:
    """Every fault that is done over and over."""
    return [*_kills(), *_crashes(), *_networks()]


def _kills() -> list[Attack]:
    rows: list[tuple[str, Sequence[str]]] = [("kill -9 of any of them", EVERYTHING)]
    rows += [(f"kill -9 of {name}", (name,)) for name in EVERYTHING]
    return [
        Attack(name, lambda site, chance, victims=victims: kill_one(site, chance, victims))  # type: ignore[misc]
        for name, victims in rows
    ]


def _crashes() -> list[Attack]:
    dying = [
        Attack(
            point,
            lambda site, chance, point=point: die_at(site, point, chance.randrange(PASSES)),  # type: ignore[misc]
        )
        for point in POINTS
    ]
    name = "broker: killed after its PUBACK, before the server has read"
    return [*dying, Attack(name, lambda site, _: broker_dies_after_puback(site))]


def _networks() -> list[Attack]:
    broken = [
        Attack(
            f"network {name}",
            lambda site, chance, harm=harm: trouble(site, harm, WAYS, chance.uniform(0.2, 2)),  # type: ignore[misc]
        )
        for name, harm in NETWORKS.items()
    ]
    answered = [
        Attack(
            f"HTTP answers {name}",
            lambda site, chance, harm=harm: bad_answer(site, harm, chance.uniform(0.2, 2)),  # type: ignore[misc]
        )
        for name, harm in ANSWERS.items()
    ]
    return [*broken, *answered, Attack("one way broken, then the other", alternate)]
