"""Listening sockets, taken before any process starts so that a conflict shows at once."""

import socket
from collections.abc import Iterable, Mapping
from random import SystemRandom
from typing import Final

from demo.ports import HOST, PORTS

Sockets = Mapping[str, socket.socket]

_TRIES: Final = 50
# Below the range from which the system takes ports for outgoing connections.
_FREE_RANGE: Final = (20_000, 30_000)
_BACKLOG: Final = 512


class PortInUse(Exception):
    """Something else listens on the port of a service."""

    def __init__(self, name: str, port: int, reason: str, *, host: str = HOST) -> None:
        super().__init__(f"cannot start {name}: port {port} on {host} is not free ({reason})")
        self.name = name
        self.port = port


def listen(base_port: int, names: Iterable[str]) -> tuple[int, Sockets]:
    """The base port and a listening socket for each service; base port 0 picks a free one."""
    wanted = tuple(names)
    if base_port:
        return base_port, _listen_all(base_port, wanted)
    for _ in range(_TRIES):
        candidate = SystemRandom().randint(*_FREE_RANGE)
        try:
            return candidate, _listen_all(candidate, wanted)
        except PortInUse as error:
            last = error
    raise last


def close_all(sockets: Sockets) -> None:
    """Let go of the ports, as far as this process is concerned."""
    for listener in sockets.values():
        listener.close()


def _listen_all(base_port: int, names: tuple[str, ...]) -> Sockets:
    sockets: dict[str, socket.socket] = {}
    try:
        for name in names:
            sockets[name] = listener(name, HOST, base_port + PORTS[name])
    except BaseException:
        close_all(sockets)
        raise
    return sockets


def listener(name: str, host: str, port: int) -> socket.socket:
    """A socket that listens there for `name`. Raises `PortInUse`."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        # Two sockets may bind the same port with SO_REUSEADDR, but only one may listen.
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        raise PortInUse(name, port, (error.strerror or str(error)).lower(), host=host) from None
    return made
