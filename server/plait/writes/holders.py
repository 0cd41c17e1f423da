"""Who of those that share a ledger is alive: each holds a lock on a file of its own, beside the
ledger, which the operating system lets go of when the process ends, however it ends."""

import os
import socket
from pathlib import Path
from uuid import uuid4

try:
    import fcntl
except ImportError:  # Windows: there, only leases tell
    fcntl = None  # type: ignore[assignment]


class Holder:
    """This process among those that share the ledger at `path`. `None`: nobody shares it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._host = socket.gethostname()
        self._own = uuid4().hex
        self._descriptor: int | None = None

    @property
    def name(self) -> str:
        """What entries call it."""
        return f"{self._host}/{self._own}"

    def open(self) -> None:
        """Take the lock, and clear away what dead processes left. Raises `OSError`."""
        if self._path is None or fcntl is None or self._descriptor is not None:
            return
        self._clear()
        descriptor = os.open(self._file(self._own), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._descriptor = descriptor

    def is_dead(self, name: str) -> bool:
        """Whether the process of that name is known to be gone. Those of other hosts, and of
        releases before this one, are not known."""
        host, _, own = name.partition("/")
        if self._path is None or fcntl is None or not own or host != self._host:
            return False
        return own != self._own and not self._is_locked(self._file(own))

    def close(self) -> None:
        """Let go of the lock."""
        if self._descriptor is not None:
            self._file(self._own).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None

    def _file(self, own: str) -> Path:
        assert self._path is not None
        return self._path.with_name(f"{self._path.name}-held-{own}")

    def _clear(self) -> None:
        assert self._path is not None
        for file in self._path.parent.glob(f"{self._path.name}-held-*"):
            if not self._is_locked(file):
                file.unlink(missing_ok=True)

    def _is_locked(self, file: Path) -> bool:
        try:
            descriptor = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            return False
        except OSError:
            return True  # not known: the lease decides
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False
