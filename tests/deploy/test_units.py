"""The units as systemd understands them, and the configuration of what stands beside them."""

import http.client
import http.server
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.deploy.house import ROOT

DEPLOY = ROOT / "deploy"
UNITS = sorted(
    each
    for folder in ("systemd", "server/systemd")
    for each in (DEPLOY / folder).iterdir()
    if each.suffix in (".service", ".timer", ".path")
)
SERVICES = [each for each in UNITS if each.suffix == ".service"]
INSTALLER = "blinklog-upgrade.service"
"""Not closed in: it is the installer that a person runs with sudo. Only root can start it."""
EXPOSURE = 2.0
"""Of 10, by `systemd-analyze security`; a service that says nothing has 9.2."""

SEARCH = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/bin"


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        shutil.which(program, path=SEARCH) is None, reason=f"{program} is not installed"
    )


def said(*command: str | Path) -> str:
    """Both outputs of a program that must succeed."""
    done = subprocess.run(
        command,
        env={"PATH": SEARCH, "HOME": "/nonexistent"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs("systemd-analyze")
def test_systemd_has_nothing_to_say_against_any_unit(tmp_path: Path) -> None:
    """On a copy whose programs exist: what is looked at is the unit."""
    for unit in UNITS:
        text = re.sub(r"^(ExecStart=)/opt/\S+", r"\1/bin/true", unit.read_text(), flags=re.M)
        (tmp_path / unit.name).write_text(text)
    copies = [tmp_path / unit.name for unit in UNITS]
    told = said("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *copies)
    ours = [line for line in told.splitlines() if "blinklog" in line]
    assert [line for line in ours if "postgresql" not in line and "mosquitto" not in line] == []


CLOSED_IN = [each for each in SERVICES if each.name != INSTALLER]


def test_the_installer_runs_only_what_was_verified_and_nothing_starts_it_by_itself() -> None:
    text = (DEPLOY / "systemd" / INSTALLER).read_text()
    house = "/var/lib/blinklog-release/work/house/blinklog-device/install.sh"
    assert f"ConditionPathExists={house}" in text
    assert re.findall(r"^Exec\w*=(.*)", text, re.M) == [f"/bin/bash {house} --unattended"]
    assert "[Install]" not in text
    for other in UNITS:
        assert other.name == INSTALLER or "blinklog-upgrade" not in "".join(
            line for line in other.read_text().splitlines() if not line.startswith("#")
        )


@needs("systemd-analyze")
@pytest.mark.parametrize("unit", CLOSED_IN, ids=lambda each: each.name)
def test_a_service_that_is_broken_into_can_do_little(unit: Path) -> None:
    told = said("systemd-analyze", "security", "--offline=yes", "--no-pager", unit)
    found = re.search(r"Overall exposure level for \S+: (\S+)", told)
    assert found is not None, told
    assert float(found[1]) <= EXPOSURE


@pytest.mark.parametrize("unit", SERVICES, ids=lambda each: each.name)
def test_a_service_comes_back_or_ends_in_bounded_time(unit: Path) -> None:
    text = unit.read_text()
    if "Type=oneshot" in text:
        assert "TimeoutStartSec=" in text
    else:
        assert "Restart=always" in text
        assert "StartLimitIntervalSec=0" in text


def test_neither_network_nor_time_is_waited_for_on_the_device() -> None:
    for unit in (DEPLOY / "systemd").iterdir():
        assert not re.search(r"online\.target|time-sync|network\.target", unit.read_text())


@needs("caddy")
def test_caddy_takes_its_configuration() -> None:
    file = DEPLOY / "server" / "Caddyfile"
    said("caddy", "validate", "--adapter", "caddyfile", "--config", file)


@needs("nginx")
@needs("openssl")
def test_nginx_takes_its_configuration(tmp_path: Path) -> None:
    file = nginx_file(tmp_path, nginx_text(tmp_path))
    said("nginx", "-t", "-q", "-p", tmp_path, "-c", file)


def nginx_text(folder: Path) -> str:
    """The configuration that is shipped, with a certificate in the folder."""
    key, certificate = folder / "privkey.pem", folder / "fullchain.pem"
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    said("openssl", "req", "-x509", *new, "-subj", "/CN=x", "-keyout", key, "-out", certificate)
    text = (DEPLOY / "server" / "nginx.conf").read_text()
    text = text.replace("/etc/letsencrypt/live/blinklog.example.org", str(folder))
    return text.replace("listen [::]:", "#")  # not every machine has IPv6


def nginx_file(folder: Path, text: str) -> Path:
    """The file of a whole configuration that includes this one."""
    (folder / "blinklog.conf").write_text(text)
    file = folder / "nginx.conf"
    file.write_text(
        f"pid {folder}/pid; error_log stderr; events {{}} http {{ include blinklog.conf; }}"
    )
    return file


@needs("nginx")
@needs("openssl")
def test_nginx_hands_on_the_host_with_the_port_that_the_browser_uses(tmp_path: Path) -> None:
    """Else Django refuses every form on another port than 443."""
    with asked_hosts() as (upstream, hosts), socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        text = nginx_text(tmp_path).replace("127.0.0.1:8000", f"127.0.0.1:{upstream}")
        text = re.sub(r"listen 443\b", f"listen 127.0.0.1:{port}", text)
        text = re.sub(r"server \{\s+listen 80;.*?\n\}", "", text, flags=re.DOTALL)
        with nginx(tmp_path, text):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            line = http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context)
            name = f"blinklog.example.org:{port}"
            line.request("GET", "/login/", headers={"Host": name})
            assert line.getresponse().status == 204
            line.close()
    assert hosts == [name]


@contextmanager
def asked_hosts() -> Iterator[tuple[int, list[str]]]:
    """A server behind the proxy: its port, and the hosts that it is asked for."""
    hosts: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            hosts.append(self.headers["Host"])
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_address[1], hosts
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def nginx(folder: Path, text: str) -> Iterator[None]:
    """Nginx with this configuration, once it takes connections."""
    arguments = ["-p", str(folder), "-c", str(nginx_file(folder, text))]
    with subprocess.Popen(
        [shutil.which("nginx", path=SEARCH) or "", *arguments, "-g", "daemon off;"]
    ) as process:
        try:
            deadline = time.monotonic() + 10
            while not (folder / "pid").exists():
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            yield
        finally:
            process.terminate()


@needs("shellcheck")
def test_shellcheck_has_nothing_to_say_against_the_scripts() -> None:
    scripts = [each for each in DEPLOY.rglob("*") if each.is_file() and _is_shell(each)]
    assert len(scripts) > 4
    said("shellcheck", "--external-sources", *scripts, ROOT / "check", ROOT / "demo")


@pytest.mark.parametrize("answers", ["ActiveState", "ActiveState ActiveExitTimestampMonotonic"])
def test_the_last_resort_restarts_nothing_where_systemd_can_t_be_asked(
    tmp_path: Path, answers: str
) -> None:
    systemctl = tmp_path / "systemctl"
    said = {"ActiveState": "activating", "ActiveExitTimestampMonotonic": "0"}
    cases = "".join(f"{name}) echo {text} ;; " for name, text in said.items() if name in answers)
    systemctl.write_text(f"#!/bin/sh\ncase $3 in {cases}*) exit 1 ;; esac\n")
    systemctl.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:{SEARCH}", "STATE_DIRECTORY": str(tmp_path)}
    environ |= {"BLINKLOG_PATIENCE_S": "0", "BLINKLOG_REBOOT": "echo restarted"}
    run = subprocess.run(
        [DEPLOY / "last-resort"], env=environ, capture_output=True, text=True, check=True
    )
    assert ("restarted" in run.stdout) is (len(answers.split()) == 2)


STOPS_READING = re.compile(r"\|&?\s*(?:grep (?:-\w*[qlm]|--quiet|--max)|head\b|sed [^|]*\bq\b)")


@pytest.mark.parametrize("folder", ["deploy", "scripts", "tests/device", "."])
def test_no_script_decides_by_a_pipe_whose_reader_stops_early(folder: str) -> None:
    """What still writes then fails, and under pipefail the answer with it: yes reads as no."""
    found = (ROOT / folder).rglob("*") if folder != "." else ROOT.glob("*")
    scripts = [each for each in found if each.is_file() and _is_shell_text(each)]
    assert scripts
    for each in scripts:
        joined = re.sub(r"\|\s*\n\s*", "| ", each.read_text())
        for line in (it for it in joined.splitlines() if not it.lstrip().startswith("#")):
            assert not STOPS_READING.search(line), f"{each}: {line}"


def _is_shell_text(path: Path) -> bool:
    if path.suffix == ".sh":
        return True
    with path.open("rb") as file:
        return bool(re.match(rb"#!\S+[ /](ba)?sh\b", file.read(64)))


def _is_shell(path: Path) -> bool:
    return bool(re.match(rb"#!\S+( |/)bash", path.read_bytes())) and os.access(path, os.X_OK)
