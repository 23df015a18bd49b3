"""A rate limit on wrong codes of all kinds, shared by pages and API."""

from django.http import HttpRequest

from server.care import guesses

# The API's error. It deliberately doesn't say what is wrong with the code.
NO_SUCH_CODE = "the code is unknown, expired or already used"

# Maximum number of wrong codes within `guesses.WINDOW`. A household mistypes a few. With a hundred
# valid codes of 40 bits, an attacker with ten thousand addresses finds one with a probability of
# one in ten million per window.
MOST_BY_ADDRESS = 20
MOST_OF_ALL = 1000


def too_many_wrong(request: HttpRequest | None) -> bool:
    """Return whether the rate limit is reached."""
    return guesses.too_many(_limits(request))


def note_wrong(request: HttpRequest | None) -> None:
    """Count one wrong code."""
    guesses.note(_limits(request))


def _limits(request: HttpRequest | None) -> guesses.Limits:
    address = guesses.client_address(request)
    return {f"code\0address\0{address}": MOST_BY_ADDRESS, "code\0": MOST_OF_ALL}
