"""The device's disk, kernel, initrd and device tree: made once, kept by a hash of their inputs."""

import hashlib
import json
import lzma
import re
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.device import host, packages, rootfs

HERE = Path(__file__).resolve().parent
GUEST = HERE / "guest"
STANDIN = HERE.parent / "standins" / "nmcli"
NMCLI = (
    "usr/local/lib/test-nmcli"  # guest/etc/tmpfiles.d copies it to where blinklog-join may write
)
NETWORKS = {"Anna;s home": "correct horse battery"}  # the Wi-Fi in the device's air
# With the packages that they need. `virtual` is libcamera's camera without hardware.
LIBCAMERA = ["python3-libcamera", "python3-prctl"]
OLD_S = 24 * 3600
DISK_SIZE = "6G"  # sparse; what is written of it is what it takes
BOARD, REVISION = "Raspberry Pi 4 Model B Rev 1.4", 0xC03114
MACHINE = ["-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "2048"]

# What the initrd needs to mount the disk; the rest udev loads.
BOOT_MODULES = ["virtio_mmio", "virtio_blk", "crc32c_generic", "ext4"]
# The kernel's modules that emulated hardware can use; the others are left out for size.
KEPT_MODULES = re.compile(
    r"kernel/(lib|crypto|arch|fs/(ext4|jbd2|mbcache|autofs|fuse|nls)|net/(core|ipv6|packet|unix)"
    r"|drivers/(virtio|block/virtio|net/(virtio_net|net_failover)|char/(virtio|hw_random)|input"
    r"|gpio|rtc|watchdog|firmware"
    r"|media/(mc|cec|rc/rc-core|v4l2-core|common/(v4l2-tpg|videobuf2)|test-drivers/vivid)"
    r"))|kernel/net/core|kernel/fs/mbcache"
)
# Nothing of these is looked at here, and each costs seconds of a start.
MASKED = [
    "serial-getty@ttyAMA0.service",
    "getty@tty1.service",
    "getty.target",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
    "e2scrub_reap.service",
    "systemd-pcrphase.service",
    "ldconfig.service",
    "systemd-hwdb-update.service",
    "systemd-update-utmp.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-firstboot.service",
    "systemd-networkd-wait-online.service",
    "systemd-networkd-persistent-storage.service",
    "systemd-logind.service",
    "systemd-user-sessions.service",
    "systemd-creds.socket",
    "systemd-sysext.socket",
    "systemd-ask-password-console.path",
    "systemd-ask-password-wall.path",
    "modprobe@configfs.service",
    "modprobe@drm.service",
    "modprobe@efi_pstore.service",
    "modprobe@fuse.service",
    "modprobe@dm_mod.service",
    "modprobe@loop.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "sys-kernel-config.mount",
    "sys-fs-fuse-connections.mount",
    "proc-sys-fs-binfmt_misc.automount",
]
ENABLED = {
    "systemd-networkd.service": "multi-user.target.wants",
    "systemd-timesyncd.service": "sysinit.target.wants",
    "test-channel.service": "multi-user.target.wants",
}


@dataclass(frozen=True, slots=True)
class Image:
    """What qemu boots. `disk` is never written to: each run takes a copy."""

    folder: Path

    @property
    def disk(self) -> Path:
        """The root file system, without a partition table."""
        return self.folder / "disk.img"

    @property
    def kernel(self) -> Path:
        """Debian's kernel."""
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """What mounts the disk."""
        return self.folder / "initrd.img"

    @property
    def device_tree(self) -> Path:
        """The machine's, with a Raspberry Pi's name."""
        return self.folder / "device.dtb"


def image(cache: Path) -> Image:
    """The image, made if it isn't in `cache` yet: minutes the first time."""
    cache.mkdir(parents=True, exist_ok=True)
    packed = rootfs.packed(cache)
    made = cache / f"device-{_key(packed)}"
    if not made.exists():
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            _build(packed, Path(folder))
            (Path(folder) / "image").rename(made)
        _forget_old(cache)
    return Image(made)


def _forget_old(cache: Path) -> None:
    """Images of other inputs; not those of today, which another run may be using."""
    for each in cache.glob("device-*"):
        if time.time() - each.stat().st_mtime > OLD_S:
            shutil.rmtree(each)


def _key(packed: Path) -> str:
    found = hashlib.sha256(packed.name.encode())
    inputs = [HERE / "image.py", HERE / "packages.py", STANDIN, *sorted(GUEST.rglob("*"))]
    for each in inputs:
        if each.is_file():
            found.update(str(each.relative_to(HERE.parent)).encode() + each.read_bytes())
    return found.hexdigest()[:16]


def _build(packed: Path, folder: Path) -> None:
    host.register_qemu()
    made, root = folder / "image", folder / "root"
    for each in (made, root, folder / "debs"):
        each.mkdir()
    host.run("tar", "--extract", "--file", packed, "-C", root)
    wanted = ["linux-image-arm64", "busybox-static", "libpython3.13-dev"]
    kernel, busybox, headers = packages.fetch(wanted, folder / "debs")
    _install_extras(root, folder, packages.unpack(headers, folder / "headers"))
    modules = _install_kernel(packages.unpack(kernel, folder / "kernel"), root, made)
    _configure(root)
    _write_initrd(made / "initrd.img", packages.unpack(busybox, folder / "busybox"), modules)
    _write_device_tree(made)
    host.run("truncate", "-s", DISK_SIZE, made / "disk.img")
    host.run("mkfs.ext4", "-q", "-d", root, made / "disk.img")


def _install_extras(root: Path, folder: Path, headers: Path) -> None:
    """What Raspberry Pi OS has beyond Debian: lgpio, picamera2, and a stand-in of nmcli."""
    built, libcamera = folder / "built", folder / "libcamera"
    for each in (built, libcamera):
        each.mkdir()
    found = [
        packages.build_lgpio(headers, built),
        packages.build_picamera2(built),
        *packages.fetch_missing(LIBCAMERA, root, libcamera),
    ]
    for package in found:
        shutil.copy(package, root / "root")
    host.run("chroot", root, "sh", "-c", "dpkg --install /root/*.deb && rm /root/*.deb")
    network = root / NMCLI
    (network / "disk").mkdir(parents=True)
    shutil.copy(STANDIN, network / "nmcli")
    (network / "networks.json").write_text(json.dumps(NETWORKS))
    (root / "usr/local/bin/nmcli").symlink_to("/run/NetworkManager/stand-in/nmcli")


def _install_kernel(unpacked: Path, root: Path, made: Path) -> list[Path]:
    """Puts its modules where the device has them; returns those of the initrd, in their order."""
    shutil.copy(next(unpacked.glob("boot/vmlinuz-*")), made / "vmlinuz")
    # Relative to the package: a merged /usr has no /lib of its own.
    all_modules = next(each for each in unpacked.glob("**/modules/*") if (each / "kernel").is_dir())
    for each in all_modules.rglob("*.ko*"):
        if not KEPT_MODULES.match(str(each.relative_to(all_modules))):
            each.unlink()
    version = all_modules.name
    there = root / "usr/lib/modules" / version
    shutil.copytree(all_modules, there, symlinks=True)
    host.run("depmod", "-b", root / "usr", version)
    return _with_dependencies(there)


def _with_dependencies(modules: Path) -> list[Path]:
    lines = (modules / "modules.dep").read_text().splitlines()
    needs = dict(line.split(":", 1) for line in lines)
    by_name = {Path(path).name.split(".")[0].replace("-", "_"): path for path in needs}
    order: list[str] = []
    for name in BOOT_MODULES:
        if name in by_name:  # else it is part of the kernel
            path = by_name[name]
            order += [*reversed(needs[path].split()), path]
    return [modules / each for each in dict.fromkeys(order)]


def _configure(root: Path) -> None:
    """Files and links alone: `systemctl` in the tree would be emulated."""
    shutil.copytree(GUEST, root, dirs_exist_ok=True, ignore=lambda *_: ["init"])
    host.run("chroot", root, "groupadd", "--system", "gpio")
    units = root / "etc/systemd/system"
    for name in MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")
    for name, target in ENABLED.items():
        (units / target).mkdir(exist_ok=True)
        where = "/etc" if (units / name).exists() else "/usr/lib"
        (units / target / name).unlink(missing_ok=True)
        (units / target / name).symlink_to(f"{where}/systemd/system/{name}")
    (units / "default.target").unlink(missing_ok=True)
    (units / "default.target").symlink_to("/usr/lib/systemd/system/multi-user.target")
    (root / "etc/localtime").unlink(missing_ok=True)
    (root / "etc/localtime").symlink_to("/usr/share/zoneinfo/Europe/Berlin")
    (root / "etc/hostname").write_text("device\n")
    (root / "etc/hosts").write_text("127.0.0.1 localhost device\n10.0.2.2 server.blinklog.test\n")
    (root / "etc/machine-id").write_text(hashlib.md5(b"the emulated device").hexdigest() + "\n")
    for each in ("etc/.updated", "var/.updated"):
        (root / each).touch()


def _write_initrd(initrd: Path, busybox: Path, modules: list[Path]) -> None:
    files = {"init": (GUEST / "init").read_bytes()}
    files["bin/busybox"] = next(busybox.glob("**/bin/busybox")).read_bytes()
    for number, each in enumerate(modules):
        content = each.read_bytes()
        content = lzma.decompress(content) if each.suffix == ".xz" else content
        files[f"modules/{number:02}"] = content
    folders = ["bin", "modules", "root"]
    entries = [(name, 0o040755, b"") for name in folders]
    entries += [(name, 0o100755, content) for name, content in files.items()]
    entries.append(("TRAILER!!!", 0, b""))
    initrd.write_bytes(b"".join(_archived(n, *each) for n, each in enumerate(entries, 1)))


def _archived(number: int, name: str, mode: int, content: bytes) -> bytes:
    """An entry of a cpio archive, "new ASCII" format (cpio(5))."""
    size, length = len(content), len(name) + 1
    fields = (number, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, length, 0)
    head = b"070701" + b"".join(b"%08X" % each for each in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-size % 4)


def _write_device_tree(made: Path) -> None:
    """Says which board it is, which gpiozero asks; without the buttons of the machine's own."""
    binary, source = made / "device.dtb", made / "device.dts"
    dump = ["-machine", f"dumpdtb={binary}", "-display", "none", "-nic", "none"]
    host.run("qemu-system-aarch64", *MACHINE, *dump)
    host.run("dtc", "-q", "-I", "dtb", "-O", "dts", "-o", source, binary)
    text = re.sub(r"\tgpio-keys \{.*?\n\t\};\n", "", source.read_text(), flags=re.DOTALL)
    text = re.sub(r'\tmodel = "[^"]*";\n', "", text)
    board = f'\tmodel = "{BOARD}";\n\tsystem {{\n\t\tlinux,revision = <{REVISION:#x}>;\n\t}};\n'
    # Properties come before nodes: the model at the beginning, the node at the end.
    model, node = board.split("\n", 1)
    text = text.replace("/ {\n", f"/ {{\n{model}\n", 1)
    end = text.rindex("};")
    source.write_text(text[:end] + node + text[end:])
    host.run("dtc", "-q", "-I", "dts", "-O", "dtb", "-o", binary, source)
    source.unlink()
