"""A limit on wrong codes, of whatever kind, at all doors together."""

from django.http import HttpRequest

from server.care import guesses

# What a program is told: one and the same, whatever is wrong with it.
NO_SUCH_CODE = "expected a code that was made lately and not used yet"

# Wrong codes in `guesses.WINDOW`. A household mistypes a few. A stranger with ten thousand
# addresses has, against a hundred live codes of 40 bits, a chance of one in ten million a window.
MOST_BY_ADDRESS = 20
MOST_OF_ALL = 1000


def too_many_wrong(request: HttpRequest | None) -> bool:
    """Whether whoever asks must wait before the next code is looked at."""
    return guesses.too_many(_limits(request))


def note_wrong(request: HttpRequest | None) -> None:
    """Count one code that was wrong."""
    guesses.note(_limits(request))


def _limits(request: HttpRequest | None) -> guesses.Limits:
    address = guesses.client_address(request)
    return {f"code\0address\0{address}": MOST_BY_ADDRESS, "code\0": MOST_OF_ALL}
