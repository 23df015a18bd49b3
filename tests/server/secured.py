"""The broker of an installation: what deploy/mosquitto/broker.conf.example says, word for word but
for its paths, with a private certificate authority made for the occasion."""

import getpass
import ssl
import subprocess
from pathlib import Path

from tests.broker import DEPLOY, Broker

ADMIN, SERVER = "blinklog-admin", "blinklog-server"
SECRETS = {ADMIN: "the administrator's", SERVER: "the server's"}


class SecuredBroker(Broker):
    """Mosquitto with TLS and the dynamic-security plugin, its files in `directory`."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.directory = directory
        self.ca_file = make_certificates(directory)
        text = (DEPLOY / "broker.conf.example").read_text()
        for there, here in {
            "/etc/mosquitto/blinklog/common": str(DEPLOY),
            "/etc/mosquitto/blinklog": str(directory),
            "/var/lib/mosquitto": str(directory),
            "listener 8883": f"listener {self.port} {self.host}",
            "log_dest syslog": f"log_dest file {directory / 'broker.log'}",
        }.items():
            assert there in text
            text = text.replace(there, here)
        (directory / "broker.conf").write_text(f"user {getpass.getuser()}\n{text}")
        for name, secret in SECRETS.items():
            (directory / name).write_text(secret + "\n")

    def environment(self) -> dict[str, str]:
        """What the server is told of it."""
        where = f"{self.host}:{self.port}"
        return {
            "BLINKLOG_MQTT_URL": f"mqtts://{SERVER}@{where}",
            "BLINKLOG_MQTT_PASSWORD_FILE": str(self.directory / SERVER),
            "BLINKLOG_MQTT_ADMIN_URL": f"mqtts://{ADMIN}@{where}",
            "BLINKLOG_MQTT_ADMIN_PASSWORD_FILE": str(self.directory / ADMIN),
            "BLINKLOG_MQTT_CA_FILE": str(self.ca_file),
        }

    def trust(self) -> ssl.SSLContext:
        """What a device trusts: this authority alone."""
        return ssl.create_default_context(cafile=self.ca_file)


def make_certificates(directory: Path) -> Path:
    """`server.crt` for 127.0.0.1 with its key, signed by `ca.crt`, which is returned."""
    key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    authority = "-subj /CN=Blinklog-test-CA -addext keyUsage=critical,keyCertSign"
    openssl(f"req -x509 {key} {authority} -keyout ca.key -out ca.crt", directory)
    openssl(f"req {key} -subj /CN=broker -keyout server.key -out server.csr", directory)
    # What Python 3.13 asks of a certificate, beside the name.
    extensions = "subjectAltName=IP:127.0.0.1\nauthorityKeyIdentifier=keyid\n"
    (directory / "extensions").write_text(extensions)
    openssl(
        "x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2"
        " -extfile extensions -out server.crt",
        directory,
    )
    return directory / "ca.crt"


def openssl(arguments: str, directory: Path) -> None:
    """Runs it there."""
    subprocess.run(
        ["openssl", *arguments.split()], cwd=directory, check=True, capture_output=True, timeout=30
    )
