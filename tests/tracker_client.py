"""A minimal tracker client: announces and scrapes over HTTP and UDP (BEP 3, 15, 23, 48), IPv4."""
import http.client, random, socket, struct
from urllib.parse import quote

EVENTS = {"": 0, "completed": 1, "started": 2, "stopped": 3}
CONNECT_ID = 0x41727101980
TRIES = 4


def bdecode(data):
    """Return the value of a bencoded reply; raise ValueError if it is invalid."""
    value, rest = _bdecode(data)
    if rest:
        raise ValueError(f"bytes after the end: {rest[:20]!r}")
    return value


def _bdecode(data):
    kind = data[:1]
    if kind == b"i":
        number, _, rest = data[1:].partition(b"e")
        return int(number), rest
    if kind in (b"l", b"d"):
        items, rest = [], data[1:]
        while rest[:1] != b"e":
            item, rest = _bdecode(rest)
            items.append(item)
        return (items if kind == b"l" else dict(zip(items[::2], items[1::2]))), rest[1:]
    length, _, rest = data.partition(b":")
    if len(rest) < int(length):
        raise ValueError(f"{length!r} bytes promised, {len(rest)} left")
    return rest[:int(length)], rest[int(length):]


def peers_of(compact):
    """Return [(address, port)] of a compact list (BEP 23)."""
    return [(socket.inet_ntoa(compact[i:i + 4]), struct.unpack_from(">H", compact, i + 4)[0])
            for i in range(0, len(compact), 6)]


class Http:
    def __init__(self, address, port, timeout=20):
        self.where, self.timeout = (address, port), timeout

    def _get(self, path):
        connection = http.client.HTTPConnection(*self.where, timeout=self.timeout)
        try:
            connection.request("GET", path)
            return bdecode(connection.getresponse().read())
        finally:
            connection.close()

    def announce(self, info_hash, port, left, event=""):
        reply = self._get(f"/announce?info_hash={quote(info_hash, safe='')}&peer_id={'-NK0000-%012d' % port}&port={port}"
                          f"&uploaded=0&downloaded=0&left={left}&compact=1&event={event}")
        if b"failure reason" in reply:
            raise ValueError(reply[b"failure reason"].decode())
        return peers_of(reply[b"peers"])

    def scrape(self, info_hash):
        """(seeders, leechers)"""
        files = self._get(f"/scrape?info_hash={quote(info_hash, safe='')}")[b"files"]
        swarm = files.get(info_hash, {b"complete": 0, b"incomplete": 0})  # BEP 48: unknown swarms may be omitted
        return swarm[b"complete"], swarm[b"incomplete"]


class Udp:
    def __init__(self, address, port, timeout=5):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(timeout)
        self.socket.connect((address, port))
        self.connection = None

    def _ask(self, connection, action, body=b""):
        """Send a request; repeat it if no answer arrives (BEP 15, "Time outs"), because datagrams get lost."""
        for tries_left in reversed(range(TRIES)):
            try:
                return self._ask_once(connection, action, body)
            except TimeoutError:
                if tries_left == 0:
                    raise

    def _ask_once(self, connection, action, body):
        transaction = random.randbytes(4)
        self.socket.send(struct.pack(">QI", connection, action) + transaction + body)
        while True:
            reply = self.socket.recv(65536)
            if reply[4:8] != transaction:
                continue  # a late answer to an earlier request
            if reply[:4] == struct.pack(">I", 3):
                raise ValueError(reply[8:].decode())
            if reply[:4] != struct.pack(">I", action):
                raise ValueError(f"an answer to another request: {reply[:16].hex()}")
            return reply[8:]

    def ask_to_connect(self):
        self.socket.send(struct.pack(">QII", CONNECT_ID, 0, 0))

    def take_connection(self):
        """Accept any answer to `ask_to_connect`, a late one too."""
        self.connection, = struct.unpack_from(">Q", self.socket.recv(65536), 8)

    def connect(self):
        self.connection, = struct.unpack(">Q", self._ask(CONNECT_ID, 0))

    def announce_body(self, info_hash, port, left, event=""):
        return info_hash + b"-NK0000-%012d" % port + struct.pack(
            ">QQQIIIiH", 0, left, 0, EVENTS[event], 0, 0, -1, port)

    def announce(self, info_hash, port, left, event=""):
        if self.connection is None:
            self.connect()
        return peers_of(self._ask(self.connection, 1, self.announce_body(info_hash, port, left, event))[12:])

    def scrape(self, info_hash):
        """(seeders, leechers)"""
        if self.connection is None:
            self.connect()
        seeders, _, leechers = struct.unpack(">III", self._ask(self.connection, 2, info_hash))
        return seeders, leechers
