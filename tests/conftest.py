"""For all tests.

BLINKLOG_REQUIRE_ALL=1: a test that skips because something is missing here fails instead.
`--all`: the tests that are marked `slow`, too.
HYPOTHESIS_PROFILE=exploring: properties are tried on new examples in each run; without it a check
that passed passes again.
"""

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.register_profile("exploring", deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))

MISSING = (
    "is not installed",
    "needs Chromium",
    "no environment with tflite-runtime",
    "can't be fetched",
    "needs root",
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="the slow tests, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the slow tests out, unless they are asked for by `--all`, by name or by `-m`."""
    named = any("::" in each for each in config.args)
    if config.getoption("--all") or config.getoption("-m") or named:
        return
    slow = [item for item in items if item.get_closest_marker("slow")]
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]


@pytest.fixture(autouse=True)
def same_umask() -> Iterator[None]:
    """blink-server sets its own, and some tests call it in this process."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: pytest.TestReport = yield
    reason = str(report.longrepr).replace("\\", "") if report.skipped else ""  # of a quoted quote
    if os.environ.get("BLINKLOG_REQUIRE_ALL") == "1" and any(each in reason for each in MISSING):
        report.outcome = "failed"
        report.longrepr = f"BLINKLOG_REQUIRE_ALL=1, but: {reason}"
    return report
