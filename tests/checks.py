"""Shared functions of the tests that are separate programs."""
import contextlib, socket


class Failed(Exception):
    """A failed check, with its description."""


def check(condition, what):
    if not condition:
        raise Failed(what)


def free_port(address="127.0.0.1"):
    """Return a port that is free for TCP and UDP."""
    for _ in range(100):
        with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            tcp.bind((address, 0))
            with contextlib.suppress(OSError):
                udp.bind(tcp.getsockname())
                return tcp.getsockname()[1]
    raise Failed("no port is free for both TCP and UDP")
