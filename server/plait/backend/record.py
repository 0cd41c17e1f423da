"""Keeps the first replies of each endpoint in files, so that a graph can be held against them.

For development: what is kept is what backends said, people's data included. One JSON object a
line, in a file for each backend, which its owner alone may read.
"""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from plait.backend.call import Call, Handler, Layer, Reply
from plait.backend.numbers import decode, encode
from plait.errors import SettingsError

REPLIES_MAX = 20
"""How many replies of one endpoint, in one form, a process keeps."""
BODY_BYTES_MAX = 1024 * 1024
FILE_BYTES_MAX = 50 * 1024 * 1024
_HEADERS = ("content-type", "link")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One reply as a file has it."""

    backend: str
    endpoint: str
    """Method and path template."""
    is_batch: bool
    reply: Reply


class Recorder:
    """Writes replies into `folder`, which is made where it is missing."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: Counter[tuple[str, str]] = Counter()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingsError(
                f"PLAIT_RECORD_REPLIES: the folder cannot be made: {error.strerror}."
            ) from None

    def layer(self, inner: Handler) -> Handler:
        """See `Layer`."""

        async def handle(call: Call) -> Reply:
            reply = await inner(call)
            self.keep(call, reply)
            return reply

        return handle

    def keep(self, call: Call, reply: Reply) -> None:
        """Write a reply down, if it is one of the first and is JSON."""
        key = call.endpoint.backend.name, call.template or call.endpoint.label
        if self._kept[key] >= REPLIES_MAX or len(reply.body) > BODY_BYTES_MAX or not reply.body:
            return
        try:
            body = decode(reply.body)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            return
        self._kept[key] += 1
        line = {
            "endpoint": call.endpoint.label,
            "batch": bool(call.template),
            "status": reply.status,
            "headers": {name: reply.headers[name] for name in _HEADERS if name in reply.headers},
            "body": body,
        }
        self._append(self._folder / f"{call.endpoint.backend.name}.jsonl", encode(line) + b"\n")

    def _append(self, path: Path, line: bytes) -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(descriptor).st_size + len(line) <= FILE_BYTES_MAX:
                os.write(descriptor, line)
        finally:
            os.close(descriptor)


def layers_of(recorder: Recorder | None) -> tuple[Layer, ...]:
    """The layer that keeps replies, where they are to be kept."""
    return (recorder.layer,) if recorder else ()


def recorded(folder: Path) -> Iterator[Recorded]:
    """What was kept in `folder`. Raises `SettingsError`, naming file and line, for what cannot be
    read."""
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise SettingsError(f"{folder} holds no recorded replies (<backend>.jsonl).")
    for path in files:
        for number, line in enumerate(path.read_bytes().splitlines(), start=1):
            try:
                yield _recorded(path.stem, decode(line))
            except (msgspec.DecodeError, ValueError, KeyError, TypeError, AttributeError):
                raise SettingsError(f"{path}:{number}: it is no recorded reply.") from None


def _recorded(backend: str, line: Any) -> Recorded:
    return Recorded(
        backend=backend,
        endpoint=str(line["endpoint"]),
        is_batch=bool(line.get("batch", False)),
        reply=Reply(
            status=int(line.get("status", 200)),
            headers=dict(line.get("headers", {})),
            body=encode(line["body"]),
        ),
    )
