"""A reply whose head is known is the reply that the parser would have made of it."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from plait.backend import http11
from plait.backend.exchanged import ExchangeError, RawReply, ReplyLimits
from plait.backend.http11 import DRAINED_BYTES_MAX, HEADS_KEPT, Peer
from plait.backend.said import Said
from plait.heads import CHANGES_MAX, HEAD_BYTES_MAX, head_of, joined
from tests.backend.test_http11 import Wire, origin

WANTED = ReplyLimits(bytes_max=90, error_bytes_max=20, error_type=None)
OF_TYPE = ReplyLimits(bytes_max=90, error_bytes_max=20, error_type=b"text/problem")
"""Of an error, a body of this type alone is of use."""


def facts(said: Said) -> tuple[bool, ...]:
    kept = said.speaks_of_keeping, said.forbids_keeping
    return said.is_encoded, said.is_utf8, said.has_link, *kept


def answered(of: Peer, pieces: list[bytes], wanted: ReplyLimits = WANTED) -> tuple[Any, bool]:
    """What one exchange brings, and whether its connection is kept. To be called in a loop."""
    connection, wire = http11._Connection(of, 10), Wire()
    connection.connection_made(wire)
    found: list[Any] = []
    connection.start(b"", wanted, found.append)
    for piece in pieces:
        if not wire.is_aborted:
            connection.data_received(piece)
    is_kept = connection in of._idle
    of._idle.clear()
    connection.abort()
    told: Any = found[0] if found else None
    if isinstance(told, ExchangeError):
        told = told.failure
    elif isinstance(told, RawReply):
        headers = joined(told.headers)
        assert told.joined in (None, headers)
        if told.said is not None:
            assert facts(told.said) == facts(Said(headers))
        told = (told.status, list(told.headers), told.body)
    return told, is_kept


def compared(replies: list[list[bytes]], wanted: Sequence[ReplyLimits] = ()) -> int:
    """How many of several replies were of a known head; each is as who knows none has it."""

    async def main() -> int:
        of, known = origin(1), 0
        for pieces, limits in zip(replies, wanted or [WANTED] * len(replies), strict=True):
            of.changes = 1
            found = answered(of, pieces, limits)
            known += of.changes == 0
            assert found == answered(origin(1), pieces, limits)
            assert len(of.heads) <= HEADS_KEPT
        return known

    return asyncio.run(main())


def reply(body: bytes = b"{}", *lines: bytes, status: bytes = b"200 OK") -> bytes:
    said = lines or (b"Content-Type: application/json", b"Content-Length: %d" % len(body))
    return b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, b"\r\n".join(said), body)


MUCH_SAID = (
    b"link: </x>; rel=next",
    b"cache-control: no-store",
    b"content-type: text/plain; charset=latin-1",
    b"content-encoding: br",
)


@pytest.mark.parametrize(
    ("replies", "known"),
    [
        ([reply(), reply(), reply()], 2),
        ([reply(), reply(b'{"a": "longer"}'), reply(b"")], 2),
        ([reply(), reply(b"x" * 91)], 0),  # more than is wanted
        ([reply(b"{}", b"content-length: 2"), reply(b"{}", b"content-length: 2")], 1),
        ([reply(b"{}", b"CONTENT-LENGTH: 2"), reply(b"{}", b"CONTENT-LENGTH: 2")], 0),
        ([reply(b"{}", b"content-length:2")] * 2, 0),
        ([reply(b"{}", b"content-length: 02")] * 2, 0),
        ([reply(b"{}", b"content-length: +2")] * 2, 0),
        ([reply(b"{}", b"content-length: 2", b"connection: close")] * 2, 0),
        ([reply(b"{}", b"content-length: 2", b"content-length: 2")] * 2, 0),
        ([reply(b"{}", b"content-length: 2", b"transfer-encoding: chunked")] * 2, 0),
        ([reply(b"2\r\n{}\r\n0\r\n\r\n", b"transfer-encoding: chunked")] * 2, 0),
        ([reply(b"", b"content-length: 0", status=b"204 No Content")] * 2, 0),
        ([reply(b"", b"content-length: 0", status=b"304 Not Modified")] * 2, 0),
        ([reply(b"{}", *MUCH_SAID, b"content-length: 2")] * 2, 1),
        ([reply(status=b"503 Busy")] * 2, 1),
        ([reply(), reply(status=b"503 Busy")] * 2, 2),
        ([reply(status=b"503 Busy"), reply(b"x" * 20, status=b"503 Busy")], 1),
        ([reply(status=b"503 Busy"), reply(b"x" * 21, status=b"503 Busy")], 0),
        ([reply(status=b"302 Found")] * 2, 0),
        ([reply(status=b"201 Created")] * 2, 1),
        ([reply(b"{}", b"content-length: 2"), reply(b"{}", b"content-length: +2")], 0),
        ([reply(b"{}", b"content-length: 2"), reply(b"x" * 10, b"content-length: 1_0")], 0),
        (
            [
                reply(b"{}", b"content-length: 2", b"date: now"),
                reply(b"{}", b"content-length: 2", b"date: old"),
                reply(b"{}", b"content-length: 2", b"date: olden"),
            ],
            0,
        ),
        ([reply() + b"more"] * 2, 0),
        ([reply(), reply() + b"more"], 0),
        ([reply(), reply()[:-1]], 0),
        ([reply(), reply(b"{}", b"Content-Type: text/plain", b"Content-Length: 2"), reply()], 1),
        ([reply(b"{}", b"a: " + b"x" * HEAD_BYTES_MAX, b"content-length: 2")] * 2, 0),
        ([reply(b"{}", b"x: y\r\n content-length: 2", b"content-length: 2")] * 2, 0),
        ([reply(b"{}", b"x: content-length: 7", b"content-length: 2")] * 2, 1),
        ([b"HTTP/1.1 100 Continue\r\n\r\n" + reply()] * 2, 0),
    ],
)
def test_what_is_known_again(replies: list[bytes], known: int) -> None:
    assert compared([[one] for one in replies]) == known


BUSY = (b"503 Busy", b"text/html")
PROBLEM = (b"503 Busy", b"Text/Problem; charset=utf-8")


@pytest.mark.parametrize(
    ("said", "size", "known"),
    [
        (BUSY, 20, 1),
        (BUSY, 21, 1),  # it is left out, however large
        (BUSY, DRAINED_BYTES_MAX, 1),
        (BUSY, DRAINED_BYTES_MAX + 1, 0),
        (PROBLEM, 20, 1),
        (PROBLEM, 21, 0),
        ((b"503 Busy", b"text/problems"), 21, 1),
        ((b"200 OK", b"text/problem"), 90, 1),
        ((b"200 OK", b"text/problem"), 91, 0),
    ],
)
def test_errors_are_known_again_with_as_much_of_them_as_is_wanted(
    said: tuple[bytes, bytes], size: int, known: int
) -> None:
    def told(size: int) -> list[bytes]:
        lines = b"Content-Type: " + said[1], b"Content-Length: %d" % size
        return [reply(b"x" * size, *lines, status=said[0])]

    assert compared([told(2), told(size)], [OF_TYPE] * 2) == known


def test_what_comes_in_pieces_is_parsed() -> None:
    one = reply()
    assert compared([[one], [one[:30], one[30:]], [one[:-1], one[-1:]], [one]]) == 1
    in_it = reply(one)  # a body that looks like a reply, and comes by itself
    assert compared([[one], [in_it[: -len(one)], one], [one]]) == 1


LINES = st.sampled_from(
    [
        b"Content-Length: 2",
        b"content-length: 2",
        b"Content-Length: 3",
        b"content-length:  2",
        b"Content-Type: application/json",
        b"content-type: Text/Problem",
        b"Date: now",
        b"Date: then",
        b"Connection: keep-alive",
        b"Connection: close",
        b"Transfer-Encoding: chunked",
        b"x: Content-Length: 2",
        b"\r\n",
        b"no header",
    ]
)
REPLIES = st.builds(
    lambda status, lines, body, more: reply(body, *lines, status=status) + more,
    st.sampled_from([b"200 OK"] * 6 + [b"204 None", b"304 Same", b"100 Go on"] + [b"500 No"] * 3),
    st.lists(LINES, min_size=1, max_size=4),
    st.sampled_from([b"{}", b"[1]", b"", b"2\r\n{}\r\n0\r\n\r\n"]),
    st.sampled_from([b""] * 4 + [b"x", b"\r\n"]),
)


@given(
    st.lists(REPLIES, min_size=1, max_size=3),
    st.lists(st.integers(0, 2), max_size=6),
    st.lists(st.sampled_from([WANTED, OF_TYPE]), min_size=9, max_size=9),
)
@example([reply()], [0, 0, 0], [WANTED] * 9)
@settings(max_examples=400)
def test_whatever_is_said_again_means_the_same(
    few: list[bytes], again: list[int], wanted: list[ReplyLimits]
) -> None:
    replies = [[one] for one in [*few, *(few[at % len(few)] for at in again)]]
    compared(replies, wanted[: len(replies)])


def test_who_says_another_head_each_time_is_not_listened_to_each_time() -> None:
    async def main() -> None:
        of = origin(1)
        heard = []
        for number in range(3 * CHANGES_MAX):
            before = of.heads
            answered(of, [reply(b"{}", b"Date: %d" % number, b"Content-Length: 2")])
            heard += [number] if of.heads is not before else []
        assert heard == [*range(CHANGES_MAX), 2 * CHANGES_MAX - 1, 3 * CHANGES_MAX - 1]
        assert len(of.heads) == HEADS_KEPT
        answered(of, [reply(b"{}", b"Date: %d" % (3 * CHANGES_MAX - 1), b"Content-Length: 2")])
        assert of.changes == 0

    asyncio.run(main())


def test_no_head_is_made_of_what_says_nothing_of_its_length() -> None:
    assert head_of(reply(), [(b"content-type", b"x")], 2) is None
    assert head_of(reply(), [(b"content-length", b"2")], 2) is not None
    assert head_of(reply(), [(b"content-length", b"3")], 3) is None
