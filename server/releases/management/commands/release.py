"""`blink-server release`."""

import argparse
import json
import tempfile
from pathlib import Path

from django.core.management.base import CommandError

from server.common.commands import Options, ServerCommand


class Command(ServerCommand):
    """Sign releases for devices, and offer them."""

    help = "Sign releases for devices, and offer them."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the actions and their options."""
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        self._add_signing(actions)
        listed = actions.add_parser("list", help="list the releases on offer")
        removed = actions.add_parser("remove", help="offer a release no longer")
        removed.add_argument("version", metavar="VERSION")
        key = actions.add_parser("key", help="show, make or change the key that signs releases")
        key.add_argument(
            "--make", type=Path, metavar="FILE", help="make a private key, on any machine"
        )
        key.add_argument(
            "--trust", type=Path, metavar="FILE", help="make a public key that of this server"
        )
        key.add_argument(
            "--succeed",
            type=Path,
            metavar="FILE",
            help="sign the public key in FILE with the private --key, which it replaces",
        )
        key.add_argument("--key", type=Path, metavar="KEY", help="for --succeed")
        key.add_argument(
            "--follow", type=Path, metavar="FILE", help="take the new key that --succeed printed"
        )
        for each in (listed, removed, key):
            each.add_argument("--json", action="store_true")
        # Else the help of the command would show no option of its actions.
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.epilog = "".join(each.format_usage() for each in actions.choices.values())

    def _add_signing(self, actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
        for name, text in {
            "sign": "sign a wheel house, or a tar file of one, on any machine",
            "add": "offer a signed release; with --key, sign it first",
        }.items():
            made = actions.add_parser(name, help=text)
            made.add_argument("release", type=Path, metavar="FOLDER|ARCHIVE")
            made.add_argument(
                "--key", type=Path, metavar="KEY", required=name == "sign", help="the private key"
            )
            made.add_argument(
                "--from",
                dest="least",
                default="0",
                metavar="VERSION",
                help="devices take it from this version on (default: from any)",
            )
            made.add_argument(
                "--back-from",
                nargs="+",
                default=[],
                metavar="VERSION",
                help="devices that run one of these versions take it although it is older",
            )
            made.add_argument("--json", action="store_true")

    def run(self, options: Options) -> None:
        """Run the action."""
        from server.releases.manifest import ManifestError
        from server.releases.packing import PackingError
        from server.releases.shelf import ShelfError
        from server.releases.signing import SigningError

        try:
            getattr(self, f"_{options.action}")(options)
        except (ManifestError, PackingError, ShelfError, SigningError) as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(f"{error.filename}: {error.strerror}") from None

    def _sign(self, options: Options) -> None:
        from server.releases.packing import pack

        archive: Path = options.release
        if archive.is_dir():
            archive = archive.with_name(f"{archive.name}.tar")
            pack(options.release, archive)
        signed = _signed(archive, options)
        file = _beside(archive)
        file.write_text(json.dumps(signed, indent=1))
        told = {"archive": str(archive), "signed": str(file)}
        self.tell(options, told, f"{file} signs {archive}: bring both to the server")

    def _add(self, options: Options) -> None:
        from server.releases import shelf
        from server.releases.packing import pack

        with tempfile.TemporaryDirectory(dir=_roomy(), prefix="blinklog-") as folder:
            archive: Path = options.release
            if archive.is_dir():
                archive = Path(folder) / "release.tar"
                pack(options.release, archive)
            file = _beside(options.release)
            if options.key is not None:
                file = Path(folder) / "signed.json"
                file.write_text(json.dumps(_signed(archive, options)))
            release = shelf.read_signed(file)
            if release is None:
                raise CommandError(f"{file}: expected what `release sign` has written")
            shelf.add(archive, release)
        told = {"version": release.manifest.version, "machine": release.manifest.machine}
        self.tell(options, told, f"{told['version']} for {told['machine']} is offered")

    def _list(self, options: Options) -> None:
        from server.releases import shelf

        offered = {each.manifest.sha256 for each in shelf.releases()}
        for each in shelf.everything():
            found = each.manifest
            told = {
                "version": found.version,
                "machine": found.machine,
                "pythons": list(found.pythons),
                "size": found.size,
                "sha256": found.sha256,
                "from": found.least,
                "back_from": list(found.back_from),
                "offered": found.sha256 in offered,
            }
            state = "" if told["offered"] else ", signed by a former key: sign it again"
            size = f"{found.size / 1e6:.0f} MB"
            self.tell(options, told, f"{found.version}  {found.machine}, {size}{state}")

    def _remove(self, options: Options) -> None:
        from server.releases import shelf

        if not shelf.remove(options.version):
            raise CommandError(f"there is no release {options.version}")
        self.tell(options, {"removed": options.version}, f"{options.version} is offered no longer")

    def _key(self, options: Options) -> None:
        from server.releases import shelf, signing

        if options.make is not None:
            signing.make_key(options.make)
            public = Path(f"{options.make}.pub")
            public.write_text(signing.public_key(options.make))
            self._tell_key(options, public.read_text(), f"{public}: ")
            return
        if options.succeed is not None:
            self._succeed(options)
            return
        if options.trust is not None:
            shelf.trust(options.trust.read_text())
        if options.follow is not None:
            _follow(options.follow)
        pem = shelf.key()
        if pem is None:
            raise CommandError("there is no key yet: see --make and --trust")
        self._tell_key(options, pem, "devices trust ")

    def _tell_key(self, options: Options, pem: str, before: str) -> None:
        from server.releases.signing import fingerprint

        found = fingerprint(pem)
        self.tell(options, {"fingerprint": found, "key": pem}, f"{before}{found}")

    def _succeed(self, options: Options) -> None:
        from server.releases import manifest, signing

        if options.key is None:
            raise CommandError("expected --key with --succeed: the private key that is replaced")
        new = signing.checked_key(options.succeed.read_text())
        old = signing.fingerprint(signing.public_key(options.key))
        statement = manifest.key_statement(new, old)
        self.say(json.dumps(
            {"statement": statement, "signature": signing.sign(options.key, statement)}
        ))  # fmt: skip


def _signed(archive: Path, options: Options) -> dict[str, str]:
    """Return the manifest of the archive and its signature."""
    from server.releases import manifest, packing, signing

    house = packing.examine(archive)
    text = manifest.manifest_text(
        {
            "version": house.version,
            "machine": house.machine,
            "pythons": list(house.pythons),
            "size": house.size,
            "sha256": house.sha256,
            "least": options.least,
            "back_from": options.back_from,
            "key": signing.fingerprint(signing.public_key(options.key)),
        }
    )
    return {"manifest": text, "signature": signing.sign(options.key, text)}


def _follow(file: Path) -> None:
    from server.releases import shelf

    try:
        found = json.loads(file.read_text())
        shelf.succeed(str(found["statement"]), str(found["signature"]))
    except (ValueError, KeyError, TypeError):
        raise CommandError(f"{file}: expected what --succeed has printed") from None


def _beside(archive: Path) -> Path:
    return Path(f"{archive}.json")


def _roomy() -> Path | None:
    """Return a folder on a disk: an archive may be too large for a /tmp in memory."""
    from server.releases import shelf

    return shelf.folder() if shelf.folder().is_dir() else None
