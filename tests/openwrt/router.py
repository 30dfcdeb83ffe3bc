"""A router in a folder: busybox, stand-ins for OpenWrt's own programs, and a simulated procd."""
import contextlib, hashlib, json, os, re, resource, shutil, subprocess, time
from pathlib import Path

from checks import check
from tracker_client import Udp

HERE = Path(__file__).resolve().parent
CONFIG = "var/etc/nakodo/nakodo.toml"


class Process:
    """A procd instance, without the jail that ujail would create."""

    def __init__(self, root, instance):
        users = {line.split(":")[0]: line.split(":") for line in (root / "etc/passwd").read_text().splitlines()}
        user, group = int(users[instance["user"]][2]), int(users[instance["user"]][3])
        soft, hard = map(int, instance["limits"]["nofile"].split())

        def become():
            os.chroot(root)
            os.chdir("/")
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)

        with open(root / "tmp/output", "ab") as output:
            self.process = subprocess.Popen(instance["command"], stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            preexec_fn=become, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})
        self.pid, self.instance = self.process.pid, instance
        self.digests = self.read_files(root)

    def read_files(self, root):
        return {file: hashlib.md5((root / file[1:]).read_bytes()).digest() for file in self.instance.get("file", [])}

    def stop(self):
        self.process.terminate()
        self.process.wait(self.instance.get("term_timeout", 5))


class Router:
    def __init__(self, root, overlay=None):
        self.root, self.process, self.service = root, None, None
        for folder in "bin sbin dev proc etc/config etc/rc.d lib/functions usr/bin usr/sbin tmp/run tmp/lock".split():
            (root / folder).mkdir(parents=True)
        (root / "var").symlink_to("tmp")
        os.mknod(root / "dev/null", 0o20666, os.makedev(1, 3))
        (root / "dev/null").chmod(0o666)
        shutil.copy(shutil.which("busybox"), root / "bin/busybox")
        subprocess.run(["chroot", root, "/bin/busybox", "--install", "-s"], check=True)
        for name, place in {"functions.sh": "lib", "procd.sh": "lib/functions", "rc.common": "etc", "uci": "sbin",
                            "ubus": "bin", "logger": "usr/bin"}.items():
            (root / place / name).unlink(missing_ok=True)
            shutil.copy(HERE / name, root / place / name)
        if overlay:
            subprocess.run(["cp", "-a", f"{overlay}/.", root], check=True)
        shutil.copy(HERE / "network.sh", root / "lib/functions/network.sh")  # OpenWrt's own asks netifd by ubus
        (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/ash\n")
        (root / "etc/group").write_text("root:x:0:\n")
        (root / "etc/shadow").write_text("root:::0:99999:7:::\n")
        (root / "etc/config/firewall").write_text("config zone\n\toption name 'wan'\n")

    def run(self, *command, code=0, **variables):
        """Run a command on the router and let procd process its requests. Return its output; keep its log in `log`."""
        for name in ("tmp/ubus", "tmp/logged"):
            (self.root / name).unlink(missing_ok=True)
        done = subprocess.run(["chroot", self.root, *command], capture_output=True, text=True, errors="replace",
                              env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **variables})
        output = done.stdout + done.stderr
        check(code is None or done.returncode == code, f"{command} ended with {done.returncode}:\n{output}")
        log = self.root / "tmp/logged"
        self.log = log.read_text(errors="replace") if log.exists() else ""
        calls = (self.root / "tmp/ubus").read_text().splitlines() if (self.root / "tmp/ubus").exists() else []
        self.calls = list(zip(calls[::2], map(json.loads, calls[1::2])))
        for method, message in self.calls:
            self.procd(method, message)
        return output

    def init(self, action, code=0):
        return self.run("/bin/sh", "/etc/rc.common", "/etc/init.d/nakodo", action, code=code)

    def procd(self, method, message):
        """Act like procd's service/instance.c: signal a changed instance, or restart it if it has no reload signal."""
        if message.get("name") != "nakodo" or method not in ("set", "delete"):
            return
        self.service = message if method == "set" else None
        instance = next(iter(message.get("instances", {}).values()), None)
        running = self.process and self.process.process.poll() is None
        if not instance:
            if running:
                self.process.stop()
            self.process = None
        elif not running:
            self.process = Process(self.root, instance)
        else:
            old = self.process.instance
            self.process.instance = instance
            digests = self.process.read_files(self.root)
            unchanged = {**old, "data": None} == {**instance, "data": None} and digests == self.process.digests
            self.process.digests = digests
            if not unchanged and "reload_signal" in old:
                os.kill(self.process.pid, old["reload_signal"])
            elif not unchanged:
                self.process.stop()
                self.process = Process(self.root, instance)

    def stop(self):
        if self.process:
            self.process.stop()
            self.process = None

    def pid(self):
        check(self.process and self.process.process.poll() is None, f"the tracker does not run:\n{self.output()}")
        return self.process.pid

    def output(self):
        return (self.root / "tmp/output").read_text() if (self.root / "tmp/output").exists() else ""

    def options(self, values, base=None):
        """Write /etc/config/nakodo from keys as written in TOML."""
        sections = {}
        for key, value in {**(base or {}), **values}.items():
            section, _, leaf = key.rpartition(".")
            sections.setdefault(section, []).append((leaf, value))
        text = ""
        for section, lines in sections.items():
            text += f"config {section or 'nakodo'} {uci_quoted(section or 'main')}\n"
            for leaf, value in lines:
                many = isinstance(value, list)
                text += "".join(f"\t{'list' if many else 'option'} {leaf} {uci_quoted(str(item))}\n"
                                for item in (value if many else [value]))
        (self.root / "etc/config/nakodo").write_text(text)

    def resolved(self):
        """Return {key: value} of the tracker's configuration, as printed by `nakodo check`."""
        output = self.run("/usr/bin/nakodo", "check", "--config", f"/{CONFIG}")
        return {key: toml_value(value) for key, value in re.findall(r"^([a-z0-9_.]+) = (.*)$", output, re.M)}

    def client(self, port, seconds=20):
        end = time.monotonic() + seconds
        while True:
            with contextlib.suppress(OSError):
                client = Udp("127.0.0.1", port, timeout=0.3)
                client.connect()
                client.socket.settimeout(5)
                return client
            self.pid()
            check(time.monotonic() < end, f"no answer within {seconds} s:\n{self.output()}")
            time.sleep(0.05)


def uci_quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def toml_value(text):
    """Parse a value from `nakodo check`: strings, lists of them and integers have the same form in JSON."""
    return json.loads(text)
