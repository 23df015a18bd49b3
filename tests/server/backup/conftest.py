"""Pairs of installations, on the database whose turn it is."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.postgres import Postgres, needs_postgres
from tests.server.backup.places import Place, on_postgres, on_sqlite


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=on_sqlite),
        pytest.param("postgres", marks=[needs_postgres, pytest.mark.needs_postgres, on_postgres]),
    ]
)
def places(request, tmp_path) -> Iterator[tuple[Place, Place]]:
    """One to back up and one to restore to."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    if request.param == "sqlite":
        yield tuple(Place(folder) for folder in folders)
        return
    postgres = Postgres()
    try:
        postgres.start()
        with psycopg.connect(postgres.url, autocommit=True) as line:
            line.execute("CREATE DATABASE two")
        urls = (postgres.url, postgres.url.removesuffix("postgres") + "two")
        yield tuple(Place(folder, url) for folder, url in zip(folders, urls, strict=True))
    finally:
        postgres.remove()
