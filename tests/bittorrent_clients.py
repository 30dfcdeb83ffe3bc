"""Real BitTorrent clients, as child processes: aria2 and Transmission."""
import hashlib, json, os, signal, subprocess, time, urllib.error, urllib.request

from checks import Failed, free_port

PIECE_OCTETS = 256 << 10
UPLOAD_KILOBYTES_PER_SECOND = 3000  # slow enough to observe a seeder and a leecher at the tracker
PATIENCE_SECONDS = 90


def wait_for(what, condition):
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        if result := condition():
            return result
        time.sleep(0.05)
    raise Failed(f"{PATIENCE_SECONDS} s passed without {what}")


def bencode(value):
    match value:
        case int(): return b"i%de" % value
        case str(): return bencode(value.encode())
        case bytes(): return b"%d:%s" % (len(value), value)
        case dict(): return b"d" + b"".join(bencode(k) + bencode(value[k]) for k in sorted(value)) + b"e"
    raise TypeError(value)


def write_torrent(path, name, content, announce):
    """Write a torrent file and return its info-hash."""
    pieces = (content[i:i + PIECE_OCTETS] for i in range(0, len(content), PIECE_OCTETS))
    info = {"name": name, "length": len(content), "piece length": PIECE_OCTETS,
            "private": 1, "pieces": b"".join(hashlib.sha1(p).digest() for p in pieces)}
    path.write_bytes(bencode({"announce": announce, "info": info}))
    return hashlib.sha1(bencode(info)).digest()


class Process:
    """A child with its log."""

    def __init__(self, name, command, directory):
        self.name, self.log = name, directory / f"{name}.log"
        environment = os.environ | {"HOME": str(directory)}  # so that clients do not read the user's settings
        with self.log.open("wb") as log:
            self.child = subprocess.Popen(command, cwd=directory, stdin=subprocess.DEVNULL, stdout=log,
                                          stderr=subprocess.STDOUT, env=environment, start_new_session=True)

    def kill(self):
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()

    def tail(self):
        text = self.log.read_text(errors="replace").replace("\r", "\n").splitlines()
        return "\n".join([f"--- {self.name} (exit {self.child.poll()}), last lines of its log", *text[-25:]])


class Aria2(Process):
    def __init__(self, name, directory, torrent, address, port):
        # aria2 supports UDP trackers only while its DHT is on. It does not use the DHT here: the torrent is private
        # (BEP 27), and aria2 gets no entry node.
        super().__init__(name, [
            "aria2c", "--no-conf=true", f"--dir={directory}", f"--listen-port={port}", f"--dht-listen-port={port}",
            "--enable-dht=true", "--enable-dht6=false", "--enable-peer-exchange=false", "--bt-enable-lpd=false",
            "--check-integrity=true", "--seed-ratio=0", "--file-allocation=none", "--summary-interval=0",
            f"--max-overall-upload-limit={UPLOAD_KILOBYTES_PER_SECOND}K", "--console-log-level=info",
            f"--dht-file-path={directory}/dht.dat", "--show-console-readout=false", str(torrent)], directory)

    def leave(self):
        self.child.send_signal(signal.SIGINT)


class Transmission(Process):
    """The daemon, used over its control port: after a signal it often ends before an HTTP tracker gets its stop."""

    def __init__(self, name, directory, torrent, address, port, address_v6="::1"):
        settings = directory / "settings"
        settings.mkdir()
        rpc_port = free_port("127.0.0.1")
        (settings / "settings.json").write_text(json.dumps({
            "bind-address-ipv4": address, "bind-address-ipv6": address_v6, "peer-port": port, "download-dir": str(directory),
            "dht-enabled": False, "lpd-enabled": False, "pex-enabled": False, "utp-enabled": False,
            "port-forwarding-enabled": False, "speed-limit-up-enabled": True, "speed-limit-up": UPLOAD_KILOBYTES_PER_SECOND,
            "rpc-bind-address": "127.0.0.1", "rpc-port": rpc_port, "rpc-authentication-required": False}))
        super().__init__(name, ["transmission-daemon", "--foreground", "--config-dir", str(settings)], directory)
        self.url, self.session = f"http://127.0.0.1:{rpc_port}/transmission/rpc", ""
        wait_for(f"{name}'s control port", lambda: self.rpc("session-get"))
        self.rpc("torrent-add", filename=str(torrent))

    def rpc(self, method, **arguments):
        body = json.dumps({"method": method, "arguments": arguments}).encode()
        try:
            request = urllib.request.Request(self.url, body, {"X-Transmission-Session-Id": self.session})
            return json.load(urllib.request.urlopen(request, timeout=10))
        except urllib.error.HTTPError as error:
            if error.code != 409:  # the reply has a session id; repeat the request with it
                raise
            self.session = error.headers["X-Transmission-Session-Id"]
            return self.rpc(method, **arguments)
        except urllib.error.URLError:
            return None

    def leave(self):
        self.rpc("torrent-stop")


CLIENTS = {"aria2": Aria2, "transmission": Transmission}
