"""Read a video container's own information about its length, without decoding any picture.

OpenCV reports neither the container nor whether a file is complete, and its frame count is a guess
for most containers: it also counts pictures hidden by an edit list and sound that outlasts the
pictures. This module therefore reads the few fields that answer these questions: ISO 14496-12 (MP4,
QuickTime), RIFF (AVI) and EBML (Matroska, WebM; RFC 8794). Streams such as MPEG-TS don't record
their end.
"""

import math
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from agent.errors import CameraError

Kind = Literal["iso", "avi", "matroska", "other"]

_PREFIXES: tuple[tuple[bytes, Kind], ...] = (
    (rb"....(ftyp|styp|moov|moof|mdat|free|skip|wide|pnot|sidx|uuid)", "iso"),
    (rb"RIFF....AVI ", "avi"),
    (rb"\x1aE\xdf\xa3", "matroska"),
    (rb"FLV\x01|OggS|GIF8|DKIF|\.RMF|nut/multimedia container\x00", "other"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11|\x06\x0e\x2b\x34\x02\x05\x01\x01", "other"),  # ASF, MXF
    (rb"\x00\x00\x01\xba", "other"),  # MPEG program stream
)
"""First bytes of the containers that store a time for each picture or (AVI) one rate for all."""

_TS_PACKETS = (188, 192, 204)
_TS_REPEATS = 5
"""Packet lengths of MPEG-TS in bytes, and how many packets in a row must begin with 0x47 to rule
out chance."""

_HEAD = 64 * 1024
_MOOV_BYTES = 32 * 1024 * 1024
"""Largest index to read. The index of a day of video is half as large."""

_RIFF_SLACK = 16  # some writers count the header, or omit a padding byte
_DAY_S = 24 * 3600.0
"""Upper limit for a believable length. Writers that never fill it in leave 2**30 pictures."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file's container says about the file.

    - kind: the container; None for a raw stream of pictures, which has no timestamps.
    - size: size of the file in bytes.
    - claimed: size the file should have, in bytes; `size` if the container doesn't say.
    - broken_at: offset in bytes at which the structure becomes invalid, or None.
    - last_picture_s: start of the last picture, in seconds after the first, or None.
    """

    kind: Kind | None
    size: int
    claimed: int
    broken_at: int | None = None
    last_picture_s: float | None = None


def read_facts(path: Path) -> FileFacts:
    """Read the facts about a file. Raises CameraError if it can't be read or is empty."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            facts = _facts(file, size)
    except OSError as error:
        raise CameraError(f"{path}: can't be read: {error.strerror}") from error
    if size == 0:
        raise CameraError(f"{path}: expected a video, found an empty file")
    return facts


def _facts(file: BinaryIO, size: int) -> FileFacts:
    head = file.read(_HEAD)
    kind = _kind(head)
    if kind == "iso":
        return _iso_facts(file, size)
    if kind == "avi":
        return _avi_facts(head, size)
    if kind == "matroska":
        return _matroska_facts(file, size)
    return FileFacts(kind, size, size)


def _kind(head: bytes) -> Kind | None:
    for prefix, kind in _PREFIXES:
        if re.match(prefix, head, re.DOTALL):
            return kind
    return "other" if _is_transport_stream(head) else None


def _is_transport_stream(head: bytes) -> bool:
    """Return whether this is MPEG-TS. Recordings may start in the middle of a packet."""
    return any(
        head[first : first + length * _TS_REPEATS : length] == b"\x47" * _TS_REPEATS
        for length in _TS_PACKETS
        for first in range(length)
    )


# MP4 and QuickTime


def _iso_facts(file: BinaryIO, size: int) -> FileFacts:
    end, fragments, last_picture_s = 0, False, None
    while end < size:
        file.seek(end)
        start = file.read(16)
        box = _iso_header(start)
        if box is None:
            end += 8 if len(start) < 8 and any(start) else 0  # truncated inside a header
            break
        name, header, length = box
        length = length or size - end  # 0 means "to the end of the file"
        fragments = fragments or name == b"moof"
        if name == b"moov" and end + length <= size and length <= _MOOV_BYTES:
            file.seek(end + header)
            last_picture_s = _iso_last_picture_s(file.read(length - header))
        end += length
    broken = fragments and end < size  # without fragments, writers may pad or append private data
    claimed = max(size, end)
    return FileFacts("iso", size, claimed, end if broken else None, last_picture_s)


def _iso_header(data: bytes) -> tuple[bytes, int, int] | None:
    """Return a box's name, the length of its header and its total length; None if it is no box."""
    name, header = data[4:8], 8
    if not re.fullmatch(rb"[\x20-\x7e\xa9]{4}", name):
        return None
    (length,) = struct.unpack(">I", data[:4])
    if length == 1 and len(data) == 16:
        header, (length,) = 16, struct.unpack(">Q", data[8:])
    return None if 0 < length < header else (name, header, length)


def _iso_last_picture_s(moov: bytes) -> float | None:
    """Read it from the tables of the only video track; None if they are missing or invalid."""
    try:
        tracks = [box for name, box in _iso_boxes(moov) if name == b"trak"]
        videos = [track for track in tracks if _iso_find(track, b"mdia", b"hdlr")[8:12] == b"vide"]
        if len(videos) != 1:
            return None
        ticks_per_s = _iso_timescale(_iso_find(moov, b"mvhd"))
        return _iso_track_s(videos[0], ticks_per_s)
    except (struct.error, IndexError, ValueError, ZeroDivisionError):
        return None


def _iso_track_s(track: bytes, movie_scale: int) -> float | None:
    """Return the start of the track's last picture, in seconds after the first, or None.

    Times in the track are in its own ticks; lengths in the edit list are in the movie's ticks.
    """
    scale = _iso_timescale(_iso_find(track, b"mdia", b"mdhd"))
    table = _iso_find(track, b"mdia", b"minf", b"stbl", b"stts")
    runs = np.frombuffer(table, ">u4", offset=8).reshape(-1, 2).astype(np.int64)
    if not runs[:, 0].any():  # fragments hold the pictures
        return None
    last = int(runs.prod(axis=1).sum() - runs[-1, 1])
    edits = [edit for edit in _iso_edits(track) if edit[1] >= 0]  # -1 is an initial pause
    if len(edits) > 1:
        return None
    if edits:
        length, start = edits[0]
        end = start + (length * scale / movie_scale or math.inf)
        return (min(last, end) - start) / scale
    return last / scale


def _iso_edits(track: bytes) -> list[tuple[int, int]]:
    """Return each edit's length, in the movie's ticks, and its start, in the track's ticks."""
    table = _iso_find(track, b"edts", b"elst")
    if not table:
        return []
    (count,) = struct.unpack(">I", table[4:8])
    entry = struct.Struct(">QqI" if table[0] else ">IiI")
    return [entry.unpack_from(table, 8 + entry.size * number)[:2] for number in range(count)]


def _iso_timescale(header: bytes) -> int:
    """Return the ticks per second from an `mvhd` or `mdhd` box."""
    return int(struct.unpack_from(">I", header, 20 if header[0] else 12)[0])


def _iso_find(data: bytes, *names: bytes) -> bytes:
    """Return the content of the first box at a path of names; b"" if there is none."""
    for name in names:
        data = next((box for found, box in _iso_boxes(data) if found == name), b"")
    return data


def _iso_boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while (box := _iso_header(data[at : at + 16])) is not None and box[2]:
        name, header, length = box
        yield name, data[at + header : at + length]
        at += length


# AVI


def _avi_facts(head: bytes, size: int) -> FileFacts:
    (length,) = struct.unpack("<I", head[4:8])
    claimed = length + 8 if length < 0xFFFFFFFF - 8 else size
    claimed = claimed if claimed > size + _RIFF_SLACK else size
    return FileFacts("avi", size, claimed, None, _avi_last_picture_s(head))


def _avi_last_picture_s(head: bytes) -> float | None:
    """Read it from the video stream's header: the number of pictures and their rate."""
    at = head.find(b"vids")
    if at < 8 or head[at - 8 : at - 4] != b"strh" or len(head) < at + 36:
        return None
    scale, rate, _, pictures = struct.unpack_from("<4I", head, at + 20)
    last_s = (pictures - 1) * scale / rate if rate and pictures else math.inf
    return last_s if last_s < _DAY_S else None


# Matroska and WebM

_SEGMENT = 0x18538067


def _matroska_facts(file: BinaryIO, size: int) -> FileFacts:
    """Walk over the segment's elements: a handful, plus one for every few seconds of video."""
    end = 0
    while end < size:
        file.seek(end)
        element = _matroska_element(file.read(12))
        if element is None:
            return FileFacts("matroska", size, size, end)
        name, header, length = element
        if name == _SEGMENT:
            if length is not None and end + header + length > size:
                return FileFacts("matroska", size, end + header + length)
            length = 0  # continue with its children
        if length is None:  # a live recording: its length was never filled in
            break
        end += header + length
    return FileFacts("matroska", size, max(size, end))


def _matroska_element(data: bytes) -> tuple[int, int, int | None] | None:
    """Return an element's id, the length of its header, and the length of its content.

    The latter is None if unknown. Returns None if there is no valid element.
    """
    if not data or not data[0] & 0xF0:
        return None
    ids = 9 - data[0].bit_length()
    if len(data) <= ids or not data[ids]:
        return None
    lengths = 9 - data[ids].bit_length()
    length = int.from_bytes(data[ids : ids + lengths], "big") & (1 << 7 * lengths) - 1
    unknown = length == (1 << 7 * lengths) - 1
    return int.from_bytes(data[:ids], "big"), ids + lengths, None if unknown else length
