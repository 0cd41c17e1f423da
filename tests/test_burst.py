"""What is written in one turn of the loop leaves together at its end, in order, and whatever one
connection does."""

import asyncio
import logging
from collections.abc import Callable

import pytest

from plait.burst import BYTES_MAX, Burst


class Wire(asyncio.Transport):
    """Notes what is written to it, with its name."""

    def __init__(self, name: str, written: list[tuple[str, bytes]]) -> None:
        super().__init__()
        self.name, self.written = name, written
        self.is_closed = self.is_broken = self.was_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self.is_broken:
            raise RuntimeError("the handler is closed")
        self.written.append((self.name, bytes(data)))

    def is_closing(self) -> bool:
        return self.is_closed

    def abort(self) -> None:
        self.was_aborted = True


Wires = Callable[[str], Wire]


def in_one_turn(work: Callable[[Callable[[Wire, bytes], None], Wires], None]) -> tuple[list, list]:
    """What `work` has written when it ends, and what is at the end of the turn."""

    async def main() -> tuple[list, list]:
        burst, written = Burst(), []
        loop = asyncio.get_running_loop()
        work(
            lambda wire, data: burst.write(loop, wire, data),
            lambda name: Wire(name, written),
        )
        at_once = list(written)
        await asyncio.sleep(0)
        return at_once, written

    return asyncio.run(main())


def test_it_is_written_at_the_end_of_the_turn_in_order() -> None:
    def work(write: Callable[[Wire, bytes], None], wire: Wires) -> None:
        a, b = wire("a"), wire("b")
        for to, data in ((a, b"1"), (b, b"2"), (a, b"3")):
            write(to, data)

    assert in_one_turn(work) == ([], [("a", b"1"), ("b", b"2"), ("a", b"3")])


def test_what_is_much_does_not_wait() -> None:
    """So that a transport can say that it is full, and who fills it stops."""
    much = b"x" * BYTES_MAX

    def work(write: Callable[[Wire, bytes], None], wire: Wires) -> None:
        a = wire("a")
        for data in (b"1", much, b"3"):
            write(a, data)

    at_once, written = in_one_turn(work)
    assert at_once == [("a", b"1"), ("a", much)]
    assert written[2:] == [("a", b"3")]


def test_nothing_is_written_to_what_is_closed() -> None:
    def work(write: Callable[[Wire, bytes], None], wire: Wires) -> None:
        a = wire("a")
        write(a, b"1")
        a.is_closed = True

    assert in_one_turn(work) == ([], [])


def test_what_breaks_is_closed_and_the_others_are_written_to(
    caplog: pytest.LogCaptureFixture,
) -> None:
    a: list[Wire] = []

    def work(write: Callable[[Wire, bytes], None], wire: Wires) -> None:
        a.append(wire("a"))
        a[0].is_broken = True
        write(a[0], b"secret")
        write(wire("b"), b"2")

    with caplog.at_level(logging.ERROR, "plait"):
        assert in_one_turn(work) == ([], [("b", b"2")])
    assert a[0].was_aborted
    assert "the handler is closed" in caplog.text
    assert "secret" not in caplog.text


def test_each_turn_has_its_own() -> None:
    async def main() -> None:
        burst, written = Burst(), []
        loop = asyncio.get_running_loop()
        a = Wire("a", written)
        for turn in range(3):
            burst.write(loop, a, b"%d" % turn)
            assert len(written) == turn
            await asyncio.sleep(0)
        assert [data for _, data in written] == [b"0", b"1", b"2"]

    asyncio.run(main())
