"""The content of an .ipk or .apk, read without opkg and apk, and checks of it."""
import gzip, hashlib, io, json, os, re, shutil, subprocess, tarfile
from pathlib import Path

from checks import check

BOARDS = Path(__file__).resolve().parents[2] / "boards"
# Files that a package installs on the router, with their modes.
FILES = {
    "usr/bin/nakodo": 0o755, "etc/init.d/nakodo": 0o755, "etc/config/nakodo": 0o600,
    "etc/uci-defaults/40-nakodo": 0o755, "etc/capabilities/nakodo.json": 0o644,
    "lib/upgrade/keep.d/nakodo": 0o644, "lib/upgrade/nakodo.sh": 0o644,
}
APK_NOTES = [f"lib/apk/packages/nakodo.{what}" for what in ("rusers", "list", "conffiles", "conffiles_static")]
# e_machine in an ELF header and the emulator, by the prefix of OpenWrt's architecture name.
MACHINES = {"arm_": (40, "arm"), "aarch64_": (183, "aarch64"), "x86_64": (62, "x86_64")}


class Package:
    """A package file: {path: TarInfo} and {path: bytes} of its content, and the same of its control files."""

    def __init__(self, path):
        self.path, self.kind = path, path.suffix[1:]
        match = re.fullmatch(r"nakodo_([^_]+)_(.+)\.(ipk|apk)", path.name)
        check(match, "the file name is not nakodo_VERSION_ARCHITECTURE.ipk or .apk")
        self.version, self.architecture, _ = match.groups()
        unpacked = read_ipk(path) if self.kind == "ipk" else read_apk(path)
        self.entries, self.octets, self.control_entries, self.control = unpacked
        self.binary = self.octets["usr/bin/nakodo"]

    def machine(self):
        """Return (e_machine in an ELF header, the emulator) of the architecture."""
        found = [machine for begin, machine in MACHINES.items() if self.architecture.startswith(begin)]
        check(found, f"the test does not know the architecture {self.architecture}")
        return found[0]

    def install(self, root):
        """Install the files, and keep an existing configuration."""
        for name, entry in self.entries.items():
            path = root / name
            if entry.isdir():
                path.mkdir(parents=True, exist_ok=True)
            elif name != "etc/config/nakodo" or not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.write_bytes(self.octets[name])
                path.chmod(entry.mode)


def members(archive):
    """Return ({path: TarInfo}, {path: bytes}) of an open tar, without "./"."""
    entries, octets = {}, {}
    for entry in archive:
        name = entry.name.removeprefix("./").rstrip("/")
        if name in ("", "."):
            continue
        check(name not in entries, f"{name} occurs twice")
        entries[name] = entry
        if entry.isfile():
            octets[name] = archive.extractfile(entry).read()
    return entries, octets


def read_ipk(path):
    _, parts = members(tarfile.open(path, "r:gz"))
    check(list(parts) == ["debian-binary", "data.tar.gz", "control.tar.gz"], f"the members are {list(parts)}")
    check(parts["debian-binary"] == b"2.0\n", "debian-binary is not 2.0")
    data, control = (io.BytesIO(parts[f"{part}.tar.gz"]) for part in ("data", "control"))
    return *members(tarfile.open(fileobj=data, mode="r:gz")), *members(tarfile.open(fileobj=control, mode="r:gz"))


def read_apk(path):
    """Read apk's second format: two tars, compressed separately, the first without an end marker."""
    plain = io.BytesIO(gzip.decompress(path.read_bytes()))
    entries, octets = members(tarfile.open(fileobj=plain, ignore_zeros=True))
    steers = [name for name in entries if name.startswith(".")]
    return (entries, octets, {name: entries.pop(name) for name in steers}, {name: octets.pop(name) for name in steers})


# The checks.


def check_contents(package):
    expected = {**FILES, **(dict.fromkeys(APK_NOTES, 0o644) if package.kind == "apk" else {})}
    files = {name: entry.mode & 0o7777 for name, entry in package.entries.items() if not entry.isdir()}
    check(files == expected, f"the files are {files} instead of {expected}")
    for name, entry in package.entries.items():
        check((entry.uid, entry.gid) == (0, 0), f"{name} belongs to {entry.uid}:{entry.gid}")
        check(entry.isfile() or entry.isdir() and entry.mode & 0o7777 == 0o755, f"{name} has the mode {entry.mode:o}")
    check("etc/nakodo" in package.entries, "/etc/nakodo is missing")
    check_binary(package)
    capabilities = json.loads(package.octets["etc/capabilities/nakodo.json"])
    kinds = {"bounding", "effective", "ambient", "permitted", "inheritable"}
    check(capabilities == dict.fromkeys(kinds, []), f"the capabilities are {capabilities}")
    (check_ipk if package.kind == "ipk" else check_apk)(package)


def check_binary(package):
    """Check that the binary is static and for the package's architecture."""
    binary = package.binary
    check(binary[:4] == b"\x7fELF" and int.from_bytes(binary[18:20], "little") == package.machine()[0],
          f"the binary is not for {package.architecture}")
    wide = binary[4] == 2
    offset = int.from_bytes(binary[32:40] if wide else binary[28:32], "little")
    size, count = (int.from_bytes(binary[at:at + 2], "little") for at in ((54, 56) if wide else (42, 44)))
    kinds = {int.from_bytes(binary[at:at + 4], "little") for at in range(offset, offset + size * count, size)}
    check(kinds and 3 not in kinds, "the binary needs an interpreter (PT_INTERP): it is not static")


def check_ipk(package):
    fields = dict(line.split(": ", 1) for line in package.control["control"].decode().splitlines())
    for field, value in {"Package": "nakodo", "Version": package.version, "Architecture": package.architecture,
                         "Require-User": "nakodo=6969:nakodo=6969"}.items():
        check(fields.get(field) == value, f"{field} is {fields.get(field)}, not {value}")
    octets = sum(map(len, package.octets.values()))
    check(octets < int(fields["Installed-Size"]) < octets + 65536, f"Installed-Size does not match {octets} bytes")
    check("Depends" not in fields, "a static binary depends on nothing")
    check(package.control["conffiles"] == b"/etc/config/nakodo\n", "the configuration is not a conffile")
    modes = {name: entry.mode & 0o7777 for name, entry in package.control_entries.items()}
    check(modes == {"control": 0o644, "conffiles": 0o644, "postinst": 0o755, "prerm": 0o755}, f"control has {modes}")


def check_apk(package):
    fields = dict(line.split(" = ", 1) for line in package.control[".PKGINFO"].decode().splitlines() if " = " in line)
    for field, value in {"pkgname": "nakodo", "pkgver": package.version, "arch": package.architecture}.items():
        check(fields.get(field) == value, f"{field} is {fields.get(field)}, not {value}")
    check("depend" not in fields, "a static binary depends on nothing")
    scripts = {".post-install", ".pre-upgrade", ".post-upgrade", ".pre-deinstall"}
    check(set(package.control) == {".PKGINFO", *scripts}, f"the scripts are {set(package.control)}")
    check(all(package.control_entries[name].mode & 0o7777 == 0o755 for name in scripts), "a script is not executable")
    notes = {name.rpartition(".")[2]: package.octets[name].decode() for name in APK_NOTES}
    digest = hashlib.sha256(package.octets["etc/config/nakodo"]).hexdigest()
    check(notes["rusers"] == "nakodo=6969:nakodo=6969\n", "the required user is wrong")
    check(notes["conffiles"] == "/etc/config/nakodo\n", "the configuration is not a conffile")
    check(notes["conffiles_static"] == f"/etc/config/nakodo {digest}\n", "the conffile's digest is wrong")
    check(set(notes["list"].split()) == {f"/{name}" for name in (*FILES, "lib/apk/packages/nakodo.rusers")},
          f"the list of files is {notes['list']}")


def check_same_bytes_again(package, work):
    """Build the package again, at another time and place: it must have the same bytes."""
    again = work / "again"
    again.mkdir()
    for name in ("usr/bin/nakodo", "etc/config/nakodo"):
        (again / Path(name).parent.name).mkdir()
        (again / Path(name).parent.name / "nakodo").write_bytes(package.octets[name])
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(int(package.entries["etc/init.d/nakodo"].mtime))}
    inputs = [again / "bin/nakodo", again / "config/nakodo", package.architecture, package.version]
    made = subprocess.run([BOARDS / "openwrt/package", *inputs, again], env=environment, capture_output=True, text=True)
    check(made.returncode == 0, f"boards/openwrt/package failed:\n{made.stderr}")
    check((again / package.path.name).read_bytes() == package.path.read_bytes(), "the rebuilt package has other bytes")
    shutil.rmtree(again)


def check_feed(package, top):
    """The feed's Makefile must install the same files as our packages, except the binary."""
    for file in ("include/package.mk", "feeds/packages/lang/rust/rust-package.mk", "installed/bin/nakodo"):
        (top / file).parent.mkdir(parents=True)
        (top / file).touch()
    shutil.copy(Path(__file__).parent / "rules.mk", top)
    low_memory = package.octets["etc/config/nakodo"] == (BOARDS / "openwrt-64mb/nakodo.uci").read_bytes()
    made = subprocess.run(["make", "-C", BOARDS / "openwrt/feed/nakodo", f"TOPDIR={top}",
                           f"CONFIG_LOW_MEMORY_FOOTPRINT={'y' if low_memory else ''}"], capture_output=True, text=True)
    check(made.returncode == 0, f"the feed's Makefile failed:\n{made.stdout}{made.stderr}")
    files = {str(path.relative_to(top / "root")): path for path in (top / "root").rglob("*") if path.is_file()}
    modes = {name: path.stat().st_mode & 0o7777 for name, path in files.items()}
    check(modes == FILES, f"the feed installs {modes}, not {FILES}")
    other = [name for name in files if name != "usr/bin/nakodo" and files[name].read_bytes() != package.octets[name]]
    check(not other, f"the feed installs other contents for {other}")
    check("nakodo=6969:nakodo=6969" in (top / "fields").read_text(), "the feed requires another user")
    check((top / "conffiles").read_text() == "/etc/config/nakodo\n", "the feed's conffiles are wrong")
    check("/etc/init.d/nakodo stop" in (top / "preinst").read_text(), "the feed's upgrade does not stop the tracker")
    check("uci -q delete firewall.nakodo" in (top / "prerm").read_text(), "the feed's package keeps its firewall rule")
    cargo = subprocess.run(["cargo", "metadata", "--no-deps", "--offline", "--format-version=1", "--manifest-path",
                            top / "build/Cargo.toml"], capture_output=True, text=True)
    check(cargo.returncode == 0, f"the feed does not copy all files that cargo needs:\n{cargo.stderr}")


def check_scripts(package, work):
    scripts = {**{name: package.octets[name] for name in ("etc/init.d/nakodo", "etc/uci-defaults/40-nakodo",
                                                          "lib/upgrade/nakodo.sh")},
               **{name: octets for name, octets in package.control.items() if octets.startswith(b"#!/bin/sh")}}
    for name, octets in scripts.items():
        script = work / "script"
        script.write_bytes(octets)
        for linter in (["shellcheck", "--shell=dash", script], ["busybox", "ash", "-n", script]):
            found = subprocess.run(linter, capture_output=True, text=True)
            check(found.returncode == 0, f"{linter[0]} on {name}:\n{found.stdout}{found.stderr}")
