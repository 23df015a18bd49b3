"""BLINKLOG_REQUIRE_ALL=1: a test that skips because something is missing here fails instead."""

import os
from collections.abc import Iterator

import pytest

MISSING = (
    "is not installed",
    "needs Chromium",
    "no environment with tflite-runtime",
    "can't be fetched",
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report: pytest.TestReport = yield
    reason = str(report.longrepr) if report.skipped else ""
    if os.environ.get("BLINKLOG_REQUIRE_ALL") == "1" and any(each in reason for each in MISSING):
        report.outcome = "failed"
        report.longrepr = f"BLINKLOG_REQUIRE_ALL=1, but: {reason}"
    return report
