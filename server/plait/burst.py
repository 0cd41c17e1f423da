"""What is written to connections in one turn of the event loop, sent together at its end.

Each write is a system call that wakes whoever waits for it, and on one machine that is half of its
cost. A burst of them wakes once. What is read in a turn is worked on before anything is sent, so
nothing leaves later than the turn would have taken anyway.
"""

import asyncio
import logging
from typing import Final

BYTES_MAX: Final = 256 * 1024
"""How much may wait: beyond, it is written at once, so that a transport can say that it is full."""

_log = logging.getLogger("plait")


class Burst:
    """The writes to connections of one event loop; first in, first out."""

    def __init__(self) -> None:
        self._due: list[tuple[asyncio.WriteTransport, bytes]] = []
        self._bytes = 0

    def write(
        self, loop: asyncio.AbstractEventLoop, transport: asyncio.WriteTransport, data: bytes
    ) -> None:
        """Write `data` before `loop` waits for anything again. Nothing is written to a transport
        that is closed by then: flush before closing one."""
        if not self._due:
            loop.call_soon(self.flush)
        self._due.append((transport, data))
        self._bytes += len(data)
        if self._bytes > BYTES_MAX:
            self.flush()

    def flush(self) -> None:
        """Write all that waits."""
        due, self._due, self._bytes = self._due, [], 0
        for transport, data in due:
            if transport.is_closing():
                continue
            try:
                transport.write(data)
            except Exception:  # one connection's failure is not the others'
                _log.exception("A connection took nothing any more.")
                transport.abort()
