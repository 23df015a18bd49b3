"""One installation for a module's tests; each leaves it settled, and counts its own sessions."""

import random
from collections.abc import Iterator

import pytest

from tests.faults.harness import Site


@pytest.fixture(scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("faults") / "site") as site:
        yield site


@pytest.fixture
def site(_site: Site) -> Site:
    """Broker, server, consumer and the device's sync run; both ways to the server are open."""
    _site.heal()
    _site.start(watch=False)
    _site.tally()
    return _site


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """The same for the same test: what timing does with it is not."""
    return random.Random(request.node.name)
