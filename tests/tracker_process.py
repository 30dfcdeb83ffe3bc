"""A running tracker, its log and its administration API, for tests that are separate programs."""
import contextlib, http.client, json, os, re, signal, socket, subprocess, tempfile
from pathlib import Path

from checks import Failed

PATIENCE_SECONDS = 30
CONFIGURATION = 'data_dir = "data"\nlisten = ["127.0.0.1:0"]\n'


class OverUnixSocket(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("nakodo", timeout=PATIENCE_SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_SECONDS)
        self.sock.connect(str(self.path))


class Tracker:
    """A tracker in `folder`, with the configuration `nakodo.toml` and the data in `data`. `wrapper` starts it."""

    def __init__(self, binary, folder, wrapper=(), socket=None):
        self.folder, self.socket = folder, socket or folder / "data/nakodo.sock"
        self.log = tempfile.TemporaryFile("w+")
        self.child = subprocess.Popen([*wrapper, binary, "serve", "--config", "nakodo.toml"], cwd=folder, text=True,
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log)
        greeting = self.child.stdout.readline()
        if not greeting:
            code = self.child.wait(PATIENCE_SECONDS)
            raise Failed(f"the tracker does not start, and exits with {code}: {self.logged()}")
        self.port = int(re.search(r":(\d+)/announce", self.child.stdout.readline())[1])
        self.pid = self.child.pid
        if wrapper:
            self.pid = int(Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()[0])

    def logged(self):
        self.log.seek(0)
        return self.log.read()

    def ask(self, method, path, body=None):
        connection = OverUnixSocket(self.socket)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body else None)
            response = connection.getresponse()
            return response.status, json.loads(response.read())

    def listed(self):
        return {entry["prefix"]: entry["user"] for entry in self.ask("GET", "/v1/whitelist")[1]["entries"]}

    def end(self, number=signal.SIGTERM):
        os.kill(self.pid, number)
        self.child.stdout.close()
        return self.child.wait(PATIENCE_SECONDS)
