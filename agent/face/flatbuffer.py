"""Read and write flatbuffers, given the schema of their tables.

tflite-runtime brings no flatbuffer library, so this uses only the standard library. The format:
https://flatbuffers.dev/internals/. A table begins with the offset of its slots, which contain the
offsets of its fields. A field without a fixed size is an offset to data further on.
"""

import struct
from typing import Any

Schema = dict[Any, Any]
"""A table's fields in the order of their slots, each with its kind.

    "b", "B", "?", "i", "I"    a number, by its code in `struct`
    "ints", "text", "data"     a vector of int32; a string; a vector of bytes
    [schema]                   a vector of tables
    (field, {number: schema})  a table; the number in an earlier field selects its schema
    "dropped"                  not read
    "refused"                  an error if present, like every slot missing from the schema
"""

Table = dict[Any, Any]
"""The fields that a table contains, by their names in the schema: int, list of int, bytes or
tables."""

_DATA_ALIGNMENT = 16
"""In bytes. TFLite's schema requires it for the data of its tensors."""

_NUMBERS = frozenset("bB?iI")


def read(buffer: bytes, schema: Schema) -> Table:
    """Return the root table.

    Raises struct.error, LookupError or ValueError for an invalid buffer or a field that is missing
    from `schema`.
    """
    return _read_table(buffer, _followed(buffer, 0), schema)


def write(table: Table, schema: Schema, identifier: bytes) -> bytes:
    """Return a flatbuffer with `table` as its root. The same table always gives the same bytes.

    `identifier` is the file identifier of the format: four bytes.
    """
    writer = _Writer(identifier)
    writer.point(0, writer.table(table, schema))
    return bytes(writer.out)


def _followed(buffer: bytes, at: int) -> int:
    """Return the position that the offset at `at` points to."""
    return at + int(struct.unpack_from("<I", buffer, at)[0])


def _read_table(buffer: bytes, at: int, schema: Schema) -> Table:
    slots_at = at - struct.unpack_from("<i", buffer, at)[0]
    size = struct.unpack_from("<H", buffer, slots_at)[0]
    offsets = struct.unpack_from(f"<{size // 2 - 2}H", buffer, slots_at + 4)
    names = list(schema)
    table: Table = {}
    for slot, offset in enumerate(offsets):
        name = names[slot] if slot < len(names) else f"slot {slot}"
        kind = _chosen(schema.get(name, "refused"), table) if offset else "dropped"
        if kind == "refused":
            raise LookupError(f"{name} of a table with {', '.join(map(str, names))}")
        if kind != "dropped":
            table[name] = _read_value(buffer, at + offset, kind)
    return table


def _chosen(kind: Any, table: Table) -> Any:
    """Return the schema that another field of `table` selects, or any other kind unchanged."""
    if not isinstance(kind, tuple):
        return kind
    field, schemas = kind
    if table.get(field) not in schemas:
        raise LookupError(f"{field} {table.get(field)}, expected one of {sorted(schemas)}")
    return schemas[table[field]]


def _read_value(buffer: bytes, at: int, kind: Any) -> Any:
    if _is_number(kind):
        return struct.unpack_from(f"<{kind}", buffer, at)[0]
    at = _followed(buffer, at)
    if isinstance(kind, dict):
        return _read_table(buffer, at, kind)
    count, at = struct.unpack_from("<I", buffer, at)[0], at + 4
    if isinstance(kind, list):
        places = range(at, at + 4 * count, 4)
        return [_read_table(buffer, _followed(buffer, place), kind[0]) for place in places]
    if kind == "ints":
        return list(struct.unpack_from(f"<{count}i", buffer, at))
    return struct.unpack_from(f"{count}s", buffer, at)[0]


def _is_number(kind: Any) -> bool:
    return isinstance(kind, str) and kind in _NUMBERS


class _Writer:
    """Writes front to back, because the format requires all offsets to point forward."""

    def __init__(self, identifier: bytes) -> None:
        self.out = bytearray(4) + identifier

    def point(self, at: int, to: int) -> None:
        """Make the offset at `at` point to `to`."""
        struct.pack_into("<I", self.out, at, to - at)

    def table(self, table: Table, schema: Schema) -> int:
        """Write a table and everything it points to. Return its position."""
        body, offsets, further = bytearray(4), [], []
        for name, declared in schema.items():
            if name not in table:
                offsets.append(0)
                continue
            kind, value = _chosen(declared, table), table[name]
            code = kind if _is_number(kind) else "I"
            body += bytes(-len(body) % struct.calcsize(code))
            offsets.append(len(body))
            body += struct.pack(f"<{code}", value if _is_number(kind) else 0)
            if not _is_number(kind):
                further.append((offsets[-1], value, kind))
        slots = struct.pack(f"<{len(offsets) + 2}H", 2 * len(offsets) + 4, len(body), *offsets)
        struct.pack_into("<i", body, 0, len(slots))
        self._align(4, after=len(slots))
        at = len(self.out) + len(slots)
        self.out += slots + body
        for offset, value, kind in further:
            self.point(at + offset, self._value(value, kind))
        return at

    def _value(self, value: Any, kind: Any) -> int:
        """Write a value without a fixed size. Return its position."""
        if isinstance(kind, dict):
            return self.table(value, kind)
        self._align(_DATA_ALIGNMENT if kind == "data" else 4, after=4)
        at = len(self.out)
        self.out += struct.pack("<I", len(value))
        if isinstance(kind, list):
            self.out += bytes(4 * len(value))
            for place, each in enumerate(value):
                self.point(at + 4 + 4 * place, self.table(each, kind[0]))
        elif kind == "ints":
            self.out += struct.pack(f"<{len(value)}i", *value)
        else:
            self.out += value + (b"\0" if kind == "text" else b"")
        return at

    def _align(self, alignment: int, after: int) -> None:
        """Pad so that the data after the next `after` bytes is aligned."""
        self.out += bytes(-(len(self.out) + after) % alignment)
