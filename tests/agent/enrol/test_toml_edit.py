"""Editing one key of a person's TOML file leaves everything else in it unchanged."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.enrol.toml_edit import with_keys
from agent.errors import ConfigError

WRITTEN = """\
# Kitchen, by the window

[camera]
source = "usb"   # the old webcam
fps = 15

[server]  # at home
  url = "http://old.example"  # moved in May
timeout_s = 20

[mqtt]
host = 'old.example'
"""


def test_only_the_key_changes_and_comments_stay() -> None:
    edited = with_keys(WRITTEN, {"server": {"url": "https://new.example", "device": "d"}})
    assert edited == WRITTEN.replace('"http://old.example"', '"https://new.example"').replace(
        "timeout_s = 20\n", 'timeout_s = 20\ndevice = "d"\n'
    )


def test_a_key_is_removed() -> None:
    assert with_keys(WRITTEN, {"mqtt": {"host": None}}) == WRITTEN.replace(
        "host = 'old.example'\n", ""
    )
    assert with_keys(WRITTEN, {"model": {"threads": None}}) == WRITTEN


def test_a_section_is_added_to_a_file_without_a_final_newline() -> None:
    edited = with_keys("[camera]\nfps = 15", {"mqtt": {"port": 8883, "tls": True}})
    assert edited == "[camera]\nfps = 15\n\n[mqtt]\nport = 8883\ntls = true\n"
    assert with_keys("", {"server": {"url": "x"}}) == '[server]\nurl = "x"\n'


@pytest.mark.parametrize(
    "text",
    [
        'server = { url = "http://old.example" }\n',
        'server.url = "http://old.example"\n',
        '["server"]\nurl = "http://old.example"\n',
        '[server]\n"url" = "http://old.example"\n',
        '[server]\nurl = """\nhttp://old.example"""\n',
        '[camera]\nfile = """\n[server]\n"""\n',
        "[server.proxy]\nport = 3128\n\n[camera]\nfps = 15\n",
    ],
)
def test_an_unusual_spelling_is_edited_and_every_other_value_stays(text: str) -> None:
    edited = tomllib.loads(with_keys(text, {"server": {"url": "https://new.example"}}))
    before = tomllib.loads(text)
    assert edited == {
        **before,
        "server": {**before.get("server", {}), "url": "https://new.example"},
    }


@pytest.mark.parametrize("text", ["server = 3\n", "[[server]]\nport = 1\n"])
def test_a_section_that_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected a section"):
        with_keys(text, {"server": {"url": "https://new.example"}})


def test_an_edit_that_changes_another_value_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomlkit.dumps", lambda document: '[server]\nurl = "x"\n')
    with pytest.raises(ConfigError, match="safely"):
        with_keys(WRITTEN, {"server": {"url": "x"}})


def test_an_edit_that_breaks_the_file_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tomlkit.dumps", lambda document: "[server\n")
    with pytest.raises(ConfigError, match="safely"):
        with_keys(WRITTEN, {"server": {"url": "x"}})


@given(
    st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=30),
    st.sampled_from(["", WRITTEN, WRITTEN.replace("\n", "\r\n"), "[server]\n", "[server]\nurl=1"]),
)
def test_any_text_reads_back_unchanged(value: str, text: str) -> None:
    edited = tomllib.loads(with_keys(text, {"server": {"url": value}}))
    before = tomllib.loads(text)
    assert edited == {**before, "server": {**before.get("server", {}), "url": value}}
