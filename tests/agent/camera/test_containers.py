"""What a file says about itself: its container, whether it is whole, when its pictures end."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.camera.containers import FileFacts, Kind, read_facts
from agent.errors import CameraError

INPUTS = Path(__file__).parents[1] / "inputs"


def facts_of(content: bytes, tmp_path: Path) -> FileFacts:
    path = tmp_path / "file"
    path.write_bytes(content)
    return read_facts(path)


def box(name: bytes, content: bytes = b"") -> bytes:
    return struct.pack(">I4s", 8 + len(content), name) + content


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (box(b"ftyp", b"isom"), "iso"),
        (box(b"wide") + box(b"mdat"), "iso"),
        (b"RIFF\x10\0\0\0AVI LIST", "avi"),
        (b"\x1aE\xdf\xa3\x80", "matroska"),
        (b"FLV\x01\x05", "other"),
        (b"OggS\0\x02", "other"),
        (b"GIF89a", "other"),
        (b"\0\0\x01\xba\x44", "other"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "other"),
        ((b"\x47" + bytes(187)) * 8, "other"),
        (bytes(100) + (b"\x47" + bytes(187)) * 8, "other"),
        (bytes(4) + (b"\x47" + bytes(191)) * 8, "other"),
        (b"\0\0\0\x01\x67\x64\0\x1e", None),  # H.264
        (b"\0\0\0\x01\x40\x01\x0c\x01", None),  # H.265
        (b"\xff\xd8\xff\xe0\0\x10JFIF", None),
        (b"--boundary\r\nContent-type: image/jpeg\r\n\r\n\xff\xd8", None),
        (b"RIFF\x10\0\0\0WAVEfmt ", None),
        (b"\x47" * 3 + bytes(2000), None),
    ],
)
def test_only_containers_that_keep_times_are_known(
    tmp_path: Path, head: bytes, kind: Kind | None
) -> None:
    assert facts_of(head, tmp_path).kind == kind


@pytest.mark.parametrize(
    ("name", "last_picture_s"),
    [("trimmed.mp4", 0.76), ("stays.mp4", 0.76), ("later.mkv", None), ("sound.mkv", None)],
)
def test_a_whole_file_says_when_its_last_picture_begins_if_it_can(
    name: str, last_picture_s: float | None
) -> None:
    facts = read_facts(INPUTS / name)
    assert facts.size == facts.claimed == (INPUTS / name).stat().st_size
    assert facts.broken_at is None
    # Trimmed: B-frames put the first picture two frames after its turn in the file.
    assert facts.last_picture_s == (last_picture_s and pytest.approx(last_picture_s, abs=0.081))


@pytest.mark.parametrize("name", ["trimmed.mp4", "stays.mp4", "later.mkv", "sound.mkv"])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_was_cut_says_how_much_there_should_be(
    tmp_path: Path, name: str, share: float
) -> None:
    content = (INPUTS / name).read_bytes()
    facts = facts_of(content[: int(share * len(content))], tmp_path)
    assert facts.size < facts.claimed <= len(content)


def moov(*tables: bytes, scale: int = 1000, movie_scale: int = 600) -> bytes:
    """An index of one video track."""
    handler = box(b"hdlr", bytes(8) + b"vide" + bytes(12))
    clock = box(b"mdhd", struct.pack(">12xI", scale))
    pictures = box(b"minf", box(b"stbl", tables[0]))
    track = box(b"trak", b"".join(tables[1:]) + box(b"mdia", handler + clock + pictures))
    return box(b"moov", box(b"mvhd", struct.pack(">12xI", movie_scale)) + track)


def stts(*runs: tuple[int, int]) -> bytes:
    entries = b"".join(struct.pack(">II", *run) for run in runs)
    return box(b"stts", struct.pack(">II", 0, len(runs)) + entries)


def edits(*entries: tuple[int, int], version: int = 0) -> bytes:
    form = ">QqI" if version else ">IiI"
    packed = b"".join(struct.pack(form, length, start, 1 << 16) for length, start in entries)
    return box(b"edts", box(b"elst", struct.pack(">B3xI", version, len(entries)) + packed))


@pytest.mark.parametrize(
    ("tables", "last_picture_s"),
    [
        ([stts((100, 40))], 3.96),
        ([stts((99, 40), (1, 3000))], 3.96),
        ([stts((100, 40)), edits((2400, 0))], 3.96),  # 4 s from the first on
        ([stts((100, 40)), edits((1200, 1000))], 2.0),  # 2 s of it, from the first second on
        ([stts((100, 40)), edits((0, 1000))], 2.96),  # the rest of it
        ([stts((100, 40)), edits((9999, 1000))], 2.96),
        ([stts((100, 40)), edits((600, -1), (1200, 1000))], 2.0),  # it begins a second later
        ([stts((100, 40)), edits((1200, 1000), version=1)], 2.0),
        ([stts((100, 40)), edits((600, 0), (600, 2000))], None),  # two stretches
        ([stts()], None),  # in fragments
        ([box(b"stts", bytes(7))], None),
        ([stts((100, 40)), box(b"edts", box(b"elst", b"\0\0\0\0\0\0\0\x09"))], None),
    ],
)
def test_edit_lists_say_which_pictures_are_shown(
    tmp_path: Path, tables: list[bytes], last_picture_s: float | None
) -> None:
    facts = facts_of(box(b"ftyp", b"isom") + moov(*tables), tmp_path)
    assert facts.last_picture_s == (last_picture_s and pytest.approx(last_picture_s))


def test_two_video_tracks_promise_nothing(tmp_path: Path) -> None:
    one = moov(stts((100, 40)))
    track = one[8 + 24 :]
    assert facts_of(box(b"moov", one[8:] + track), tmp_path).last_picture_s is None
    assert facts_of(box(b"moov", one[8:]), tmp_path).last_picture_s == pytest.approx(3.96)


def test_no_clock_promises_nothing(tmp_path: Path) -> None:
    assert facts_of(moov(stts((100, 40)), scale=0), tmp_path).last_picture_s is None


def test_fragments_that_end_in_zeros_are_broken_there(tmp_path: Path) -> None:
    whole = box(b"ftyp", b"isom") + box(b"moof", b"12345678") + box(b"mdat", bytes(50))
    assert facts_of(whole, tmp_path).broken_at is None
    assert facts_of(whole + bytes(99), tmp_path).broken_at == len(whole)


def test_what_writers_append_is_no_damage(tmp_path: Path) -> None:
    whole = moov(stts((100, 40))) + box(b"mdat", bytes(50))
    for appended in (bytes(99), b"\xff" * 99, bytes(3)):
        facts = facts_of(whole + appended, tmp_path)
        assert (facts.claimed, facts.broken_at) == (len(whole) + len(appended), None)


def test_a_box_to_the_end_of_the_file_and_one_of_64_bits(tmp_path: Path) -> None:
    open_ended = box(b"ftyp", b"isom") + struct.pack(">I4s", 0, b"mdat") + bytes(70)
    assert facts_of(open_ended, tmp_path).claimed == len(open_ended)
    large = box(b"ftyp", b"isom") + struct.pack(">I4sQ", 1, b"mdat", 1 << 40) + bytes(70)
    assert facts_of(large, tmp_path).claimed == 12 + (1 << 40)


def avi(length: int, scale: int = 1, rate: int = 25, pictures: int = 100) -> bytes:
    header = struct.pack("<4s4s12x5I", b"vids", b"MJPG", scale, rate, 0, pictures, 0)
    content = b"AVI LIST\0\0\0\0hdrlstrh" + struct.pack("<I", len(header)) + header
    return struct.pack("<4sI", b"RIFF", length) + content


@pytest.mark.parametrize(
    ("scale", "rate", "pictures", "last_picture_s"),
    [
        (1, 25, 100, 3.96),
        (1001, 30000, 301, 10.01),
        (1, 25, 0, None),  # the writer never came back
        (1, 30, 1 << 30, None),
        (1, 0, 100, None),
    ],
)
def test_an_avi_says_how_many_pictures_it_has(
    tmp_path: Path, scale: int, rate: int, pictures: int, last_picture_s: float | None
) -> None:
    facts = facts_of(avi(0, scale, rate, pictures), tmp_path)
    assert facts.last_picture_s == (last_picture_s and pytest.approx(last_picture_s))


@pytest.mark.parametrize(
    ("length", "claimed"), [(0, None), (0xFFFFFFFF, None), (70, None), (5000, 5008)]
)
def test_an_avi_s_length_is_believed_if_its_writer_came_back(
    tmp_path: Path, length: int, claimed: int | None
) -> None:
    content = avi(length)
    assert facts_of(content, tmp_path).claimed == (claimed or len(content))


def test_a_live_recording_is_as_long_as_its_last_whole_cluster(tmp_path: Path) -> None:
    head = b"\x1aE\xdf\xa3\x80" + b"\x18\x53\x80\x67\x01" + b"\xff" * 7  # of unknown length
    cluster = b"\x1f\x43\xb6\x75\x8a" + bytes(10)
    assert facts_of(head + 2 * cluster, tmp_path).claimed == len(head + 2 * cluster)
    assert facts_of(head + cluster + bytes(99), tmp_path).broken_at == len(head + cluster)
    cut = facts_of(head + cluster + cluster[:-3], tmp_path)
    assert (cut.claimed, cut.size) == (len(head + 2 * cluster), len(head + 2 * cluster) - 3)
    endless = b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7 + bytes(20)
    assert facts_of(head + endless, tmp_path).claimed == len(head + endless)


@given(
    head=st.sampled_from(
        [b"\0\0\0\x18ftyp", b"RIFF\0\0\0\0AVI ", b"\x1aE\xdf\xa3\x80", moov(stts((100, 40)))[:60]]
    ),
    rest=st.binary(max_size=200),
)
def test_nonsense_is_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, head: bytes, rest: bytes
) -> None:
    facts = facts_of(head + rest, tmp_path_factory.mktemp("nonsense"))
    assert facts.claimed >= facts.size == len(head + rest)


@given(changed=st.integers(0, 2000), value=st.integers(0, 255))
def test_a_changed_byte_is_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, changed: int, value: int
) -> None:
    content = bytearray((INPUTS / "stays.mp4").read_bytes())
    content[changed % len(content)] = value
    read = facts_of(bytes(content), tmp_path_factory.mktemp("changed"))
    assert read.last_picture_s is None or read.last_picture_s < 1e12


def test_what_can_not_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CameraError, match="can't be read: No such file"):
        read_facts(tmp_path / "none.mp4")
    (tmp_path / "empty.mp4").write_bytes(b"")
    with pytest.raises(CameraError, match="found an empty file"):
        read_facts(tmp_path / "empty.mp4")
