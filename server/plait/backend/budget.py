"""What one operation may take: calls, keys, and what its answer may hold.

Everything that an operation makes the gateway do is paid from here, where it is done: a call when
it leaves, a key when it is asked for, an object when a row becomes one. So a limit holds on every
path of execution, whatever the document looks like.

What is spent on the answer ends the operation: rows turn into objects by the thousand between two
looks at anything else. What is spent on keys and calls fails the field that asked for too much, and
leaves the others.
"""

from collections.abc import Callable
from dataclasses import dataclass

from plait.errors import OperationTooCostly


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """The most that one operation may take."""

    calls: int = 2_000
    """Calls that leave for backends, writes too. What the cache answers is no call, and neither is
    what joins a call of another request."""
    keys: int = 10_000
    """Different keys asked for."""
    objects: int = 10_000
    """Objects and list items in the answer; an object in a list counts once."""
    bytes: int = 10 * 1024 * 1024
    """Size of the answer."""


class Budget:
    """One operation's allowance, and what is left of it. `calls` is how many have left."""

    __slots__ = (
        "_allowance",
        "_bytes_left",
        "_keys_left",
        "_objects_left",
        "calls",
        "refused",
        "stop",
    )

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._keys_left = allowance.keys
        self._objects_left = allowance.objects
        self._bytes_left = allowance.bytes
        self.calls = 0
        self.refused: OperationTooCostly | None = None
        """Why the whole operation is refused, once it is."""
        self.stop: Callable[[], object] = _nothing
        """Called when the operation is refused, to give up what is still under way."""

    def check_calls(self, count: int) -> None:
        """Raises `OperationTooCostly` when so many more calls may not leave."""
        if not self.may_call(count):
            limit = self._allowance.calls
            raise _too_costly("needs more calls to backends", "request_calls_max", limit)

    def may_call(self, count: int) -> bool:
        """Whether so many more calls may leave."""
        return self.calls + count <= self._allowance.calls

    def spend_calls(self, count: int) -> None:
        """Count calls that leave. Raises `OperationTooCostly`, and then counts none."""
        self.check_calls(count)
        self.calls += count

    @property
    def bytes_left(self) -> int:
        """How many bytes an answer may still hold."""
        return self._bytes_left

    def has_room(self, objects: int, size: int) -> bool:
        """Whether an answer may still hold so many objects and list items, and so many bytes."""
        return objects <= self._objects_left and size <= self._bytes_left

    def spend_key(self) -> None:
        """Raises `OperationTooCostly`."""
        self.spend_keys(1)

    def spend_keys(self, count: int) -> None:
        """So many different keys. Raises `OperationTooCostly`."""
        self._keys_left -= count
        if self._keys_left < 0:
            self._keys_left += count
            limit = self._allowance.keys
            raise _too_costly("asks for more different keys", "request_keys_max", limit)

    def give_back_keys(self, count: int) -> None:
        """So many keys were not asked for after all."""
        self._keys_left += count

    def spend_object(self, size: int) -> None:
        """One object or list item of the answer, and what its names take. Raises
        `OperationTooCostly`."""
        self._objects_left -= 1
        self._bytes_left -= size
        if self._objects_left < 0:
            limit = self._allowance.objects
            self._refuse("more objects and list items in its answer", "answer_objects_max", limit)
        if self._bytes_left < 0:
            self._too_large()

    def spend_bytes(self, size: int) -> None:
        """A value of the answer. Raises `OperationTooCostly`."""
        self._bytes_left -= size
        if self._bytes_left < 0:
            self._too_large()

    def check_size(self, size: int) -> OperationTooCostly | None:
        """Why an answer of `size` bytes may not be sent, if it may not."""
        if size > self._allowance.bytes and self.refused is None:
            self.refused = self._size_error()
        return self.refused

    def _too_large(self) -> None:
        self._refuse_with(self._size_error())

    def _size_error(self) -> OperationTooCostly:
        return _too_costly("has an answer of more bytes", "answer_bytes_max", self._allowance.bytes)

    def _refuse(self, what: str, setting: str, limit: int) -> None:
        self._refuse_with(_too_costly(f"has {what}", setting, limit))

    def _refuse_with(self, error: OperationTooCostly) -> None:
        if self.refused is None:
            self.refused = error
            self.stop()
        raise self.refused.with_traceback(None)


def _too_costly(what: str, setting: str, limit: int) -> OperationTooCostly:
    return OperationTooCostly(
        f"This operation {what} than the {limit} that are allowed. Ask for less at once.",
        limit=setting,
        value=limit,
    )


def _nothing() -> None:
    pass
