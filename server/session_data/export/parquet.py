"""Write Parquet in pieces, with typed columns. Needs pyarrow, an optional dependency.

Times are timestamps in UTC. Each column's metadata has its meaning and unit, in English.
"""

import io
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from django.utils import translation

from server.common.batches import batched
from server.session_data.export.column_types import Column, Kind, Table

MISSING = (
    "Parquet needs pyarrow, which this server does not have. To install it: "
    "pip install 'blinklog[research]'"
)
# Rows that are held in memory and then compressed together: a few megabytes.
ROW_GROUP = 10_000


def available() -> bool:
    """Return whether pyarrow is installed."""
    return find_spec("pyarrow") is not None


def as_parquet(
    table: Table, rows: Iterable[Mapping[str, Any]], about: Mapping[str, str]
) -> Iterator[bytes]:
    """Return the file in pieces. `about` is added to the file's metadata."""
    with translation.override("en"):
        return _pieces(table.columns, _schema(table.columns, about), rows)


class _Pipe(io.RawIOBase):
    """A buffer between the Parquet writer and the response."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._written = 0

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._written

    def write(self, data: Any) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._written += len(part)
        return len(part)

    def take(self) -> bytes:
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken


def _pieces(
    columns: tuple[Column, ...], schema: Any, rows: Iterable[Mapping[str, Any]]
) -> Iterator[bytes]:
    from pyarrow import parquet

    pipe = _Pipe()
    with parquet.ParquetWriter(pipe, schema, compression="zstd") as writer:
        for some in batched(rows, ROW_GROUP):
            writer.write_table(_group(columns, schema, some))
            yield pipe.take()
    yield pipe.take()


def _group(columns: tuple[Column, ...], schema: Any, rows: list[Mapping[str, Any]]) -> Any:
    import pyarrow as arrow

    arrays = [
        arrow.array([row[column.name] for row in rows], field.type)
        for column, field in zip(columns, schema, strict=True)
    ]
    return arrow.Table.from_arrays(arrays, schema=schema)


def _schema(columns: tuple[Column, ...], about: Mapping[str, str]) -> Any:
    import pyarrow as arrow

    types = {
        Kind.TEXT: arrow.string(),
        Kind.WORDS: arrow.list_(arrow.string()),
        Kind.ID: arrow.string(),
        Kind.INTEGER: arrow.int32(),
        Kind.NUMBER: arrow.float64(),
        Kind.FLAG: arrow.bool_(),
        Kind.INSTANT: arrow.timestamp("us", tz="UTC"),
        Kind.DAY: arrow.date32(),
    }
    fields = [
        arrow.field(
            column.name,
            types[column.kind],
            metadata={"description": str(column.meaning), "unit": column.unit},
        )
        for column in columns
    ]
    return arrow.schema(fields, metadata=dict(about))
