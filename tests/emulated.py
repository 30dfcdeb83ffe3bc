"""An emulated machine: a real kernel from Debian, a RAM disk, drives, a network, and a console that runs commands."""
import contextlib, os, random, re, select, shutil, signal, subprocess, tempfile, time
from dataclasses import dataclass
from pathlib import Path

from checks import Failed, check, free_port
from tracker_client import Http, Udp

HERE = Path(__file__).resolve().parent
BUILT = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")).resolve()
CACHE = BUILT / "boards"
# Kernel modules in load order; some of them are built into some kernels.
MODULES = """virtio_ring virtio failover net_failover virtio_mmio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci
             virtio_blk virtio_net crc16 crc32c_generic mbcache jbd2 ext4""".split()
# They take much memory, so they are loaded only where they are tested.
F2FS = "crc32_generic lz4_compress lz4hc_compress zstd_compress f2fs".split()
TROUBLE = (Failed, OSError, ValueError)  # the last two: a client got no answer, or a wrong one


@dataclass
class Kind:
    """Kind of emulated machine."""
    arch: str  # Debian's name
    kernel: str  # Debian's package
    emulator: list[str]
    megabytes: int
    clock: str = "utc"  # the machine's time at power-on
    bus: str = "device"  # of its virtio devices
    console: str = "ttyAMA0"


def fetch_system(kind):
    """Return the folder with kernel, modules and busybox; get them from Debian's packages the first time."""
    cache = CACHE / kind.arch
    complete = cache / "complete"
    if not complete.exists() or complete.read_text() != " ".join(MODULES + F2FS):
        shutil.rmtree(cache, ignore_errors=True)
        (cache / "modules").mkdir(parents=True)
        with tempfile.TemporaryDirectory() as unpacked:
            debs = [HERE.parent / "boards/foreign-debs", kind.arch, unpacked, kind.kernel, "busybox-static"]
            check(subprocess.run(debs).returncode == 0, f"no kernel for {kind.arch}")
            top = Path(unpacked)
            shutil.copy(next(top.glob("boot/vmlinuz-*")), cache / "vmlinuz")
            shutil.copy(next(top.glob("*bin/busybox"), None) or next(top.glob("usr/bin/busybox")), cache / "busybox")
            found = {path.name: path for path in top.glob("lib/modules/*/kernel/**/*.ko")}
            for name in MODULES + F2FS:
                if f"{name}.ko" in found:
                    shutil.copy(found[f"{name}.ko"], cache / "modules")
        complete.write_text(" ".join(MODULES + F2FS))
    return cache


def make_ram_disk(system, init, root, folders, modules=MODULES):
    """Fill the folder `root` with busybox, modules of the kernel and `init`, the program that the kernel starts."""
    for folder in ("bin", "proc", "sys", "dev", "modules", *folders):
        (root / folder).mkdir(parents=True)
    shutil.copy(system / "busybox", root / "bin/busybox")
    order = [f"{name}.ko" for name in modules if (system / f"modules/{name}.ko").exists()]
    for name in order:
        shutil.copy(system / "modules" / name, root / "modules")
    (root / "modules/order").write_text("\n".join(order) + "\n")
    shutil.copy(init, root / "init")
    for program in ("bin/busybox", "init"):
        (root / program).chmod(0o755)


def pack_ram_disk(root):
    packed = root.with_suffix(".gz")
    subprocess.run(f"find . | cpio --quiet -o -H newc | gzip -1 >{packed}", shell=True, check=True, cwd=root)
    return packed


class Emulated:
    """A running machine. `run` types a line on its console and returns the output. Port 6969 is forwarded."""

    def __init__(self, kind, system, ram_disk, command_line, drives, blockdevs=(), **process):
        """`drives`: {name: options of the image}. `blockdevs`: [(name, options of `-blockdev`)]."""
        self.port, self.unread, self.seen = free_port(), b"", b""
        forwards = ",".join(f"hostfwd={p}:127.0.0.1:{self.port}-:6969" for p in ("tcp", "udp"))
        attached = [word for name, options in drives.items() for word in (
            "-drive", f"format=raw,if=none,id={name},{options}",
            "-device", f"virtio-blk-{kind.bus},drive={name},serial={name}")]
        attached += [word for name, options in blockdevs for word in (
            "-blockdev", f"node-name={name},{options}", "-device", f"virtio-blk-{kind.bus},drive={name}")]
        self.emulator = subprocess.Popen([
            *kind.emulator, "-m", f"{kind.megabytes}M", "-rtc", f"base={kind.clock}", "-no-reboot",
            "-display", "none", "-monitor", "none", "-serial", "stdio", "-kernel", system / "vmlinuz",
            "-initrd", ram_disk, "-append", f"console={kind.console} quiet loglevel=1 panic=1 {command_line}",
            *attached,
            "-netdev", f"user,id=net,{forwards}", "-device", f"virtio-net-{kind.bus},netdev=net",
        ], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, **process)

    def read_until(self, pattern, seconds):
        """Return the console's output before the pattern; keep the rest for the next call."""
        end = time.monotonic() + seconds
        while not (match := re.search(pattern, self.unread)):
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.emulator.stdout], [], [], left)[0]:
                raise Failed(f"the board did not print {pattern!r} within {seconds} s; its output:\n{self.tail()}")
            data = os.read(self.emulator.stdout.fileno(), 65536)
            check(data, f"the emulator ended; the board's output:\n{self.tail()}")
            self.unread += data
            self.seen = (self.seen + data)[-8192:]
        before, self.unread = self.unread[:match.start()], self.unread[match.end():]
        self.code = match.group(1) if match.groups() else None
        return before.decode(errors="replace").replace("\r", "")

    def tail(self):
        return self.seen.decode(errors="replace").replace("\r", "")

    def run(self, line, seconds=60):
        self.emulator.stdin.write(line.encode() + b"\n")
        self.emulator.stdin.flush()
        output = self.read_until(rb"board: done (\d+)\r?\n", seconds)
        check(self.code == b"0", f"`{line}` ended with {self.code.decode()} on the board:\n{output}")
        return output.strip()

    def cut_power(self):
        """Kill the emulator: data that the board's kernel has not written to its disk is lost."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.emulator.pid, signal.SIGKILL)
        self.emulator.wait()


def introduce_peers(port):
    """Announce two peers per transport in one swarm: each must receive the others and not itself."""
    info_hash = random.randbytes(20)
    clients = [(Http("127.0.0.1", port), 7001, 0), (Udp("127.0.0.1", port), 7002, 99),
               (Http("127.0.0.1", port), 7003, 99), (Udp("127.0.0.1", port), 7004, 99)]
    for client, peer_port, left in clients:
        client.announce(info_hash, peer_port, left, "started")
    for client, peer_port, left in clients:
        got = {port for _, port in client.announce(info_hash, peer_port, left)}
        wanted = {other for _, other, _ in clients} - {peer_port}
        check(got == wanted or left == 0 and got <= wanted, f"peer {peer_port} received {got} instead of {wanted}")
    for client, *_ in clients[:2]:
        check(client.scrape(info_hash) == (1, 3), f"{client.__class__.__name__} scrape: {client.scrape(info_hash)}")
    clients[1][0].announce(info_hash, 7002, 99, "stopped")
    check(clients[0][0].scrape(info_hash) == (1, 2), "a stopped peer is still counted")
