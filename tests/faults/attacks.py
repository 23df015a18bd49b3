"""Attacks on an installation, for the tests and for `bench.faults`.

An attack waits for what it needs (a session delivered, a fault met, a process dead), however slow
the machine is, and fails if that doesn't happen within `BOUND_S`. It never counts on a number of
sessions or on a time to be enough. The random delays only choose the moment of a fault.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tests.faults.crash_points import POINTS
from tests.faults.harness import Site
from tests.faults.launcher import until
from tests.faults.parts import Program
from tests.faults.proxy import Harm, Proxy

EVERYTHING = ("broker", "server", "consumer", "sync", "watch")
PUBACK = 0x40  # MQTT 5, section 2.1.2: the first byte of a PUBACK
PASSES = 4  # a crash point is passed up to so many times before it kills
BOUND_S = 400.0  # longer than the longest delay between two attempts of sync, 300 s

Round = Callable[[Site, random.Random], None]


@dataclass(frozen=True, slots=True)
class Attack:
    """A fault by its name, and one round of it, while sessions are being made."""

    name: str
    round: Round


# Kills


def storm(
    site: Site, chance: random.Random, kills: int, victims: Sequence[str], sessions: int
) -> None:
    """Kill one of `victims` at a random moment and start it again at another, `kills` times.

    Go on until the store has `sessions` sessions: kills that meet none show nothing.
    """

    def enough() -> bool:
        kill_one(site, chance, victims)
        return site.device.counts()["sessions"] >= sessions

    for _ in range(kills):
        kill_one(site, chance, victims)
    until(enough, f"{sessions} sessions among the kills", BOUND_S)


def kill_one(site: Site, chance: random.Random, victims: Sequence[str]) -> None:
    """kill -9 of one of `victims`. What comes back at once meets what the dead one left behind."""
    time.sleep(chance.uniform(0, 0.15))
    part = site.parts()[chance.choice(victims)]
    part.kill()
    time.sleep(chance.choice((0, 0, 0.05, 0.2)) * chance.random())
    part.start()


def die_at(site: Site, point: str, passes: int) -> None:
    """Let the process die at a crash point of its own, with only the transport open that leads to
    it.

    Sessions are fed until it dies. A session may not pass the point: several that wait while the
    process starts go in one batch, by other code.
    """
    part = site.parts()[point.partition(":")[0]]
    assert isinstance(part, Program)
    if "batch" in point:
        die_in_a_batch(site, part, point, passes)
        return
    if point.startswith("server"):
        site.device.mqtt.harm = Harm(refuse=True)
    if point.startswith("consumer"):
        site.device.http.harm = Harm(refuse=True)
    site.device.sync.start()  # forget the delay after an earlier attack, up to five minutes
    part.start(dies=(point, passes))
    if part is site.device.watch:  # which makes sessions until it dies
        until(lambda: not part.alive(), f"it passes {point}", BOUND_S)
    else:
        until(lambda: _is_dead_after_a_session(site, part), f"it passes {point}", BOUND_S)
    site.heal()
    site.feed(1)  # what comes next meets what the dead process left
    part.start()


def _is_dead_after_a_session(site: Site, part: Program) -> bool:
    site.feed(1)
    until(lambda: not part.alive() or site.all_delivered(), "a delivery", BOUND_S)
    return not part.alive()


def die_in_a_batch(site: Site, part: Program, point: str, passes: int) -> None:
    """The same at a point that is passed once for each document of a batch, over HTTP alone.

    While the server starts, sync fails and begins again with one document, then 2, 4 and so on. So
    twice as many sessions as passes are enough.
    """
    site.device.mqtt.harm = Harm(refuse=True)
    site.device.sync.kill()
    site.feed(2 * passes + 4)
    part.start(dies=(point, passes))
    if part is not site.device.sync:
        site.device.sync.start()
    until(lambda: not part.alive(), f"it passes {point}", BOUND_S)
    site.heal()
    site.feed(1)
    part.start()


def broker_dies_after_puback(site: Site) -> None:
    """The broker has taken a document, and the consumer not read it, when both are killed."""
    site.device.http.harm = Harm(refuse=True)
    site.device.sync.start()
    site.feed(1)
    until(site.all_delivered, "the consumer listens", BOUND_S)
    site.consumer.pause()
    site.device.mqtt.answers.clear()
    site.feed(1)
    until(lambda: PUBACK in packets(site.device.mqtt.answers), "the broker's PUBACK", BOUND_S)
    site.broker.kill()
    site.consumer.kill()
    assert not site.all_delivered(), "the device does not take the broker's word for the server's"


def packets(answers: Iterable[bytes]) -> list[int]:
    """The first byte of each MQTT packet in what a broker sent. Several may come in one read."""
    said, found, at = b"".join(list(answers)), [], 0
    while at < len(said):
        found.append(said[at])
        length, digits = 0, 0
        while (at := at + 1) < len(said):  # MQTT 5, section 1.5.5: seven bits a byte
            length |= (said[at] & 0x7F) << (7 * digits)
            digits += 1
            if said[at] < 0x80:
                break
        at += 1 + length
    return found


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
    """The network does `harm` on these ways for a while, and until something has met it.

    There have to be sessions to deliver: `watch` runs, or the store has some.
    """
    proxies: list[Proxy] = [getattr(site.device, way) for way in ways]
    met = sum(proxy.harmed for proxy in proxies)
    for proxy in proxies:
        proxy.harm = harm
    time.sleep(seconds)
    until(lambda: sum(proxy.harmed for proxy in proxies) > met, f"met by {harm}", BOUND_S)
    site.heal()


def trouble_without_broker(site: Site, harm: Harm, seconds: float) -> None:
    """There is no broker to be reached, and this is what HTTP requests meet."""
    site.device.mqtt.harm = Harm(refuse=True)
    trouble(site, harm, ["http"], seconds)


def alternate(site: Site, chance: random.Random) -> None:
    """One way is cut while the other works, and the other way round."""
    for way in WAYS:
        getattr(site.device, way).harm = Harm(refuse=True)
        time.sleep(chance.uniform(0.1, 0.5))
        site.heal()


# All of them


def attacks() -> list[Attack]:
    """Every fault that is done over and over."""
    return [*_kills(), *_crashes(), *_networks()]


def _kills() -> list[Attack]:
    rows: list[tuple[str, Sequence[str]]] = [("kill -9 of a random process", EVERYTHING)]
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
            lambda site, chance, harm=harm: trouble_without_broker(  # type: ignore[misc]
                site, harm, chance.uniform(0.2, 2)
            ),
        )
        for name, harm in ANSWERS.items()
    ]
    return [*broken, *answered, Attack("MQTT broken, then HTTP", alternate)]
