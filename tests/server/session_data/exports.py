"""Sessions to export, and readers of the files."""

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

from django.utils import timezone

from server.session_data.accept import Writer, accept_many
from tests.server.conftest import Document, golden

EXPORT = "/api/session/export/"
CODEBOOK = "/api/session/export/codebook/"


def session(days_ago: float = 1, name: str = "final_eyes", **changes: Any) -> Document:
    """A golden document that began so many days ago, and lasted five minutes."""
    began = timezone.now() - timedelta(days=days_ago)
    document = golden(name, started_at=began.isoformat())
    if document["ended_at"]:
        document["ended_at"] = (began + timedelta(minutes=5)).isoformat()
    return document | changes


def store(person: Any, device: Any, *documents: Document) -> list[str]:
    """Store the documents as the device's; their ids."""
    answers = accept_many([(Writer(person, device), document) for document in documents])
    assert {answer.outcome for answer in answers} == {"stored"}, answers
    return [document["session_id"] for document in documents]


def exported(client: Any, **query: str) -> bytes:
    """The file, from the API's or a browser's client."""
    answer = client.get(EXPORT, **query)
    assert answer.status_code == 200, answer.content
    assert answer.streaming
    return b"".join(answer)


def lines_of(file: bytes, separator: str = ",") -> list[dict[str, str]]:
    """The lines of a CSV."""
    text = io.StringIO(file.decode(), newline="")
    return list(csv.DictReader(text, delimiter=separator))


def table_of(file: bytes) -> Any:
    """The table of a Parquet file."""
    from pyarrow import parquet

    return parquet.read_table(io.BytesIO(file))


def moment(text: str) -> datetime:
    """A time out of a document or a file, in UTC."""
    return datetime.fromisoformat(text).astimezone(UTC)
