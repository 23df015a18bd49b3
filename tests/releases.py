"""Small releases with a real signature, for the tests of server and device."""

import io
import json
import platform
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from server.releases import manifest, packing, signing
from tests.deploy.house import seal

INSTALLER = "#!/bin/bash\nexit 0\n"


def key_pair(folder: Path, name: str = "key") -> tuple[Path, str]:
    """A private key's file, and the public key."""
    private = folder / name
    signing.make_key(private)
    return private, signing.public_key(private)


def house(folder: Path, version: str, files: Mapping[str, str] | None = None, **told: str) -> Path:
    """A wheel house with next to nothing in it."""
    where = folder / f"house-{version}"
    where.mkdir(parents=True)
    lines = {"role": "device", "version": version, "machine": platform.machine()}
    lines |= {"pythons": "3.11 3.13", **told}
    (where / "release").write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    for name, text in {"install.sh": INSTALLER, **(files or {})}.items():
        (where / name).parent.mkdir(exist_ok=True)
        (where / name).write_text(text)
    seal(where)
    return where


def archive(folder: Path, version: str, **told: Any) -> Path:
    """The same in a tar file."""
    made = folder / f"release-{version}.tar"
    packing.pack(house(folder, version, **told), made)
    return made


def signed(file: Path, private: Path, **changes: Any) -> dict[str, str]:
    """The manifest of an archive with its signature; `changes` are made before it is signed."""
    found = packing.examine(file)
    fields: dict[str, Any] = {
        "version": found.version, "machine": found.machine, "pythons": list(found.pythons),
        "size": found.size, "sha256": found.sha256, "least": "0", "back_from": [],
        "key": signing.fingerprint(signing.public_key(private)),
    }  # fmt: skip
    fields |= {"kind": manifest.KIND, "format": manifest.FORMAT, "name": manifest.NAME, **changes}
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"))
    return {"manifest": text, "signature": signing.sign(private, text)}


def tar_of(file: Path, members: Mapping[str, bytes | tarfile.TarInfo]) -> Path:
    """A tar file with anything in it."""
    with tarfile.open(file, "w") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                content.name = name
                tar.addfile(content)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return file
