"""Networks of Linux namespaces, clients in them, and a tracker in one of them. Needs root rights and iproute2."""
import contextlib, http.client, os, signal, socket, struct, subprocess, sys, tempfile, time
from pathlib import Path

from checks import Failed

PORT = 6969
PATIENCE_SECONDS = 20
INFO_HASH = "%cc" * 20
LAN_V6, NEW_V6, WAN_V6 = "2001:db8:2::", "2001:db8:3::", "2001:db8:1::"


def run(*command):
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


class Network:
    """Namespaces with a common prefix, and the links between them."""

    def __init__(self, prefix):
        self.prefix, self.names = f"{prefix}{os.getpid()}", []

    def add(self, *names):
        for name in names:
            run("ip", "netns", "add", self.name(name))
            self.names.append(name)
            self.ip(name, "link", "set", "lo", "up")

    def name(self, name):
        return f"{self.prefix}-{name}"

    def ip(self, name, *arguments):
        run("ip", "-n", self.name(name), *arguments)

    def link(self, one, device, other, other_device):
        run("ip", "link", "add", device, "netns", self.name(one), "type", "veth",
            "peer", "name", other_device, "netns", self.name(other))
        for name, end in ((one, device), (other, other_device)):
            self.ip(name, "link", "set", end, "up")

    def address(self, name, device, *addresses):
        for address in addresses:
            self.ip(name, "address", "add", address, "dev", device, *(["nodad"] if ":" in address else []))

    def command(self, name, *command):
        return ["ip", "netns", "exec", self.name(name), *command]

    def announce(self, name, transport, address, *headers, port=PORT):
        """Announce from a namespace; return "in", or the reason of the refusal."""
        done = subprocess.run(self.command(name, sys.executable, __file__, transport, address, str(port), *headers),
                              capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        if done.returncode != 0:
            raise Failed(f"{name} gets no answer from {address} over {transport}: {done.stderr.splitlines()[-1:]}")
        return done.stdout.strip()

    def announce_both(self, name, address):
        """Announce over UDP and over HTTP; return both answers."""
        return [self.announce(name, transport, address) for transport in ("udp", "http")]

    def announce_when_up(self, *arguments, **options):
        """Announce as soon as a server that was just started answers."""
        for _ in range(50):
            with contextlib.suppress(Failed):
                return self.announce(*arguments, **options)
            time.sleep(0.1)
        return self.announce(*arguments, **options)

    def link_local(self, name, device):
        for _ in range(50):
            shown = subprocess.run(["ip", "-n", self.name(name), "-6", "-o", "address", "show", "dev", device, "scope",
                                    "link"], capture_output=True, text=True, check=True).stdout.split()
            if shown and "tentative" not in shown:
                return shown[3].split("/")[0]
            time.sleep(0.1)
        raise Failed(f"{name}: {device} has no link-local address")

    def remove(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", self.name(name)], check=False)


def announce_over_http(address, port, headers):
    connection = http.client.HTTPConnection(address.replace("%25", "%"), port, timeout=5)
    connection.putrequest("GET", f"/announce?info_hash={INFO_HASH}&port=6881&left=1")
    for header in headers:
        connection.putheader(*header.split(": ", 1))
    connection.endheaders()
    body = connection.getresponse().read()
    if body.startswith(b"d14:failure reason"):
        length, _, rest = body[len(b"d14:failure reason"):].partition(b":")
        return rest[:int(length)].decode()
    return "in" if b"5:peers" in body else repr(body)


def announce_over_udp(address, port, client_ports=(6881,)):
    """Announce peers with these ports, and return the last answer."""
    family, kind, _, _, where = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, kind) as client:
        client.settimeout(3)
        client.connect(where)
        client.send(struct.pack(">QII", 0x41727101980, 0, 7))
        connection_id = client.recv(100)[8:16]
        for client_port in client_ports:
            client.send(connection_id + struct.pack(">II20s20sQQQIIIiH", 1, 8, b"\xcc" * 20, b"p" * 20, 0, 1, 0, 2, 0, 0,
                                                    -1, client_port))
            reply = client.recv(2000)
    return "in" if reply[3] == 1 else reply[8:].decode()


def announce(transport, address, port, *arguments):
    match transport:
        case "http": return announce_over_http(address, int(port), arguments)
        case "udp": return announce_over_udp(address, int(port))
        case "many": return announce_over_udp(address, int(port), range(7000, 7000 + int(arguments[0])))


class Tracker:
    def __init__(self, binary, network, name, configuration):
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "nakodo.toml"
        self.configure(configuration)
        self.log = tempfile.TemporaryFile("w+")
        command = network.command(name, binary, "serve", "--config", str(self.file))
        self.child = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=self.log)
        if not self.child.stdout.readline():
            raise Failed(f"the tracker does not start: {self.logged()}")

    def configure(self, configuration):
        self.file.write_text(f'data_dir = "{self.folder.name}/data"\n[network]\n{configuration}\n')

    def logged(self):
        self.log.seek(0)
        return self.log.read()

    def reload(self):
        before = self.logged().count("was read again")
        self.child.send_signal(signal.SIGHUP)
        for _ in range(100):
            if self.logged().count("was read again") > before:
                return
            time.sleep(0.1)
        raise Failed(f"the tracker does not reload: {self.logged()}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.terminate()
        self.child.stdout.close()
        self.child.wait(PATIENCE_SECONDS)
        self.folder.cleanup()


def gateway(network):
    network.add("gw", "home", "near", "lte")
    network.link("gw", "br-lan", "home", "eth0")
    network.link("gw", "wan0", "near", "eth0")
    network.link("gw", "lte0", "lte", "eth0")
    network.address("gw", "br-lan", "192.168.1.1/24", f"{LAN_V6}1/64", "fd00:1::1/64")
    network.address("home", "eth0", "192.168.1.5/24", f"{LAN_V6}5/64", "fd00:1::5/64")
    network.address("gw", "wan0", "203.0.113.9/24", f"{WAN_V6}9/64")
    network.address("near", "eth0", "203.0.113.77/24", f"{WAN_V6}77/64")
    network.ip("near", "route", "add", "192.168.1.0/24", "via", "203.0.113.9")
    network.ip("gw", "route", "add", "default", "via", "203.0.113.77", "dev", "wan0")
    network.ip("gw", "-6", "route", "add", "default", "via", f"{WAN_V6}77", "dev", "wan0")
    network.address("near", "lo", "198.51.100.7/32", "2001:db8:99::7/128")


if __name__ == "__main__":
    print(announce(*sys.argv[1:]))
