"""An emulated ARM board with the tracker in its RAM disk, and with disks."""
import contextlib, re, tarfile, time

from arm_clock import clock_setter
from checks import Failed
from emulated import HERE, MODULES, Emulated, Kind, make_ram_disk, pack_ram_disk
from tracker_client import Udp

IN_2040 = 2_214_000_000
# An emulated machine for each class of home gateway.
KINDS = {
    "armv7-unknown-linux-musleabihf": Kind(
        "armhf", "linux-image-armmp", ["qemu-system-arm", "-M", "virt", "-cpu", "cortex-a7"], 64,
        "1970-01-01"),  # like a router, whose clock has no battery
    "aarch64-unknown-linux-musl": Kind(
        "arm64", "linux-image-arm64", ["qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a53"], 128),
}


def pack_root(system, archive, into, modules=MODULES):
    """Build the initial RAM disk: the unpacked archive, and an init that runs commands from the console."""
    root = into / "root"
    make_ram_disk(system, HERE / "board-init", root, ("etc", "tmp", "var/lib/nakodo", "var/run/nakodo"), modules)
    with tarfile.open(archive) as files:
        files.extractall(root)
    (root / "bin/set-clock").write_bytes(clock_setter(IN_2040))
    (root / "bin/set-clock").chmod(0o755)
    (root / "etc/passwd").write_text("root::0:0::/:/bin/sh\nnakodo:*:101:101::/:/bin/false\n")
    return pack_ram_disk(root)


class Board(Emulated):
    """A board with disks; the first is mounted at the tracker's data, unless `mounts` is False. With `log`, a file, it
    records all writes to the only disk."""

    def __init__(self, kind, system, ram_disk, *disks, mounts=True, log=None):
        command_line = "" if mounts else "nakodo.mount=no"
        if log:
            [disk] = disks
            super().__init__(kind, system, ram_disk, command_line, {}, [("disk", (
                f"driver=blklogwrites,log-super-update-interval=1,file.driver=file,file.filename={disk},"
                f"log.driver=file,log.filename={log}"))])
            return
        # unsafe: flushes may skip the host's disk, because only the emulated machine loses its power
        super().__init__(kind, system, ram_disk, command_line, {
            f"disk{number}": f"file={disk},cache=unsafe" for number, disk in enumerate(disks)})

    def boot(self):
        self.read_until(rb"board: ready\r?\n", 120)

    def start_tracker(self):
        """Return the seconds from exec to the first answered announce."""
        self.greet_network()
        self.run("{ sleep 0.3; echo board: exec; exec nakodo >/tmp/log 2>&1; } & pid=$!")
        self.read_until(rb"board: exec\r?\n", 30)
        return self.first_answer()

    def greet_network(self):
        self.run("ping -c 1 10.0.2.2 >/dev/null")  # both ends of the network learn each other's hardware address

    def first_answer(self):
        """Return the seconds from now to the first answer."""
        begin = time.monotonic()
        client = Udp("127.0.0.1", self.port, timeout=0.005)
        while client.connection is None:
            if time.monotonic() - begin > 30:
                raise Failed("no answer from the tracker within 30 s")
            with contextlib.suppress(TimeoutError, ConnectionError):
                client.ask_to_connect()
                client.take_connection()
        client.socket.settimeout(5)
        client.announce(bytes(20), 1, 1, "started")
        return time.monotonic() - begin

    def resident(self):
        """Return the (total, anonymous) resident memory of the tracker in KiB. smaps_rollup reads the page tables and
        is exact; VmRSS in `status` is kept per thread and summed late, which is wrong by hundreds of KiB here."""
        sizes = dict(re.findall(r"(\w+):\s+(\d+) kB", self.run("cat /proc/$pid/smaps_rollup")))
        return int(sizes["Rss"]), int(sizes["Anonymous"])
