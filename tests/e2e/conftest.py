"""One seeded database for all browser tests of a run."""

import pytest

from tests.e2e import home


@pytest.fixture(scope="session", autouse=True)
def seeds_are_shared(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> None:
    """Let `serving` copy what this run, with all its workers, has seeded before."""
    base = tmp_path_factory.getbasetemp()
    home.SEEDS = (base if worker_id == "master" else base.parent) / "seeded"
