"""A rate limit on wrong codes of all kinds, shared by pages and API."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.http import HttpRequest

from server.care import attempts
from server.common.codes import NotACodeError, digest

# The API's error. It deliberately doesn't say what is wrong with the code.
NO_SUCH_CODE = "the code is unknown, expired or already used"

# Maximum number of different wrong codes of one network within `attempts.WINDOW`. A household
# mistypes a few.
MOST_BY_NETWORK = 20
# If there are more wrong codes than this of all networks, each network has fewer. With a hundred
# valid codes of 40 bits, an attacker with ten thousand addresses then finds one with a probability
# of three in a million per window. Nobody is ever refused because of other networks alone.
MANY = 1000
MOST_WHEN_MANY = 3


@contextmanager
def attempt(request: HttpRequest | None, code: str) -> Iterator[None]:
    """Count an attempt at a code before the block checks it, which raises `NotACodeError`.

    The attempt is forgotten unless the block raises that. A network's repeated attempts at the same
    code count once. Raises `TooManyError`.
    """
    network = attempts.network_of(request)
    same = f"code\0{network}\0{digest(code)}"
    if attempts.too_many({same: 1}):
        yield
        return
    counted = attempts.begin(_limits(request) | {same: None, "code\0": None})
    try:
        yield
    except NotACodeError:
        raise
    except BaseException:
        counted.forget()
        raise
    counted.forget()


def _limits(request: HttpRequest | None) -> dict[str, int | None]:
    many = attempts.too_many({"code\0": MANY})
    return attempts.by_network("code", request, MOST_WHEN_MANY if many else MOST_BY_NETWORK)
