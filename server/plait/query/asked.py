"""What one step of a compiled operation has asked for, and the rows that came of it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

from plait.backend.decode import comparable, grouped
from plait.backend.fetch import Fetching
from plait.backend.flight import Brought
from plait.backend.freshness import CacheEntry
from plait.backend.keys import Key, Keys
from plait.backend.loader import KeyBatch
from plait.backend.loads import Fetched, LoadOutcome
from plait.backend.numbers import decode, encode
from plait.backend.spec import Batch
from plait.query.failed import FailedRow
from plait.query.joins import Join, Typed

REFUSED_MAX: Final = 3
"""After so many replies in a row that structs refused, a step's rows are read as plain JSON."""
_NO_VALUE: Final = object()
OBJECT_MARK: Final = b"{"
"""What JSON has for every object: how many there are at most can be counted without reading it."""


def items_in(body: bytes, *, has_lists: bool) -> int:
    """How many objects and list items an answer has at most: every object has a brace, every list
    a bracket, and every value of it but one a comma; so may texts."""
    objects = body.count(OBJECT_MARK)
    return objects + body.count(b",") + body.count(b"[") if has_lists else objects


class Known:
    """Keys of which it is known what came, for somebody else has asked: as `Fetching`."""

    def __init__(self, outcomes: Mapping[Key, LoadOutcome]) -> None:
        self._outcomes = outcomes

    def outcome(self, key: Key) -> LoadOutcome:
        """See `Fetching`."""
        return self._outcomes[key]

    def bodies(self) -> list[bytes]:
        """See `Fetching`."""
        rows = [one.row for one in self._outcomes.values() if isinstance(one, Fetched)]
        return [encode(row) for row in rows]


class LoadBatch:
    """Keys of one endpoint that leave together."""

    __slots__ = (
        "_size",
        "endpoint",
        "fetching",
        "guests",
        "is_shared",
        "joins",
        "keys",
        "known",
    )

    def __init__(self, keys: Keys) -> None:
        self.endpoint = keys.endpoint
        self.keys = keys
        self.joins: list[int] = []
        """Those that have something in it, whether it is there or not."""
        self.fetching: Fetching | None = None
        self.guests: list[KeyBatch] = []
        """What resolvers have leave with them."""
        self.known: Known | None = None
        """In place of `fetching`."""
        self.is_shared = False
        self._size = -1

    def all_keys(self) -> Keys:
        """Those of guests too."""
        if not self.guests:
            return self.keys
        every = Keys(self.endpoint)
        for key in self.keys.values:
            every.take(key, self.keys)
        for guest in self.guests:
            for key in guest.keys.values:
                every.take(key, guest.keys)
        return every

    def tell_guests(self) -> None:
        """Tell guests what has come."""
        fetching = self.fetching
        assert fetching is not None
        for guest in self.guests:
            try:
                if fetching.defect is not None:
                    raise fetching.defect
                guest.land({key: fetching.outcome(key) for key in guest.keys.values})
                guest.hand_out()
            except Exception as defect:
                guest.fail(defect)

    @property
    def is_over(self) -> bool:
        return self.known is not None or (self.fetching is not None and self.fetching.is_over)

    def size(self) -> int:
        """How many bytes it brought."""
        if self._size < 0:
            whole = None if self.fetching is None else self.fetching.plain()
            if whole is not None and whole.body is not None:
                self._size = len(whole.body)
            else:
                self._size = sum([len(body) for body in self.bodies()])
        return self._size

    def bodies(self) -> list[bytes]:
        """What it brought, as JSON."""
        source = self.known or self.fetching
        return source.bodies() if source is not None else []


class Asked:
    """What one join has asked for."""

    __slots__ = ("added", "batches", "is_typed", "keys", "left", "rows", "values")

    def __init__(self, values: list[Any]) -> None:
        self.values = values
        """The value of each row of the join above."""
        self.keys: dict[Any, Any] = {}
        """By these: the key, `None` where there is nothing to ask for, or a list of both."""
        self.batches: list[LoadBatch] = []
        """Where it comes from."""
        self.left = 0
        """How many of these are still to come."""
        self.rows: dict[Any, Any] = {}
        self.added = 0
        """How many bytes its rows have beside what came: the cursors of pages."""
        self.is_typed = False
        """Whether these are structs."""


def taken(join: Join, asked: Asked, refused: list[int]) -> bool:
    """Take the rows of plain replies, and those that the cache has. Whether that could be done.
    `refused` counts, by join, how many times in a row structs refused them."""
    if len(asked.batches) != 1:
        return False
    (batch,) = asked.batches
    fetching, typed = batch.fetching, join.typed
    if fetching is None or (len(batch.joins) != 1 and not fetching.kept()):
        return False
    if typed is not None and refused[join.index] < REFUSED_MAX:
        try:
            asked.is_typed = _taken_as_structs(typed, join, asked, fetching)
            refused[join.index] = 0
        except ValueError:  # msgspec's errors, and those of texts
            refused[join.index] += 1
        if asked.is_typed:
            return True
    brought = fetching.plain() if len(batch.joins) == 1 else None
    if brought is None or join.row_key is None or not brought.is_batch:
        return False
    body, endpoint = brought.body, join.step.fetch.endpoint
    assert body is not None
    assert endpoint.batch is not None
    found: Any = decode(body)
    unwrap = endpoint.batch.unwrap
    for name in endpoint.unwrap if unwrap is None else unwrap:
        found = found[name]
    by_key = grouped(join.row_key, found) if type(found) is list else None
    if by_key is None:
        return False
    if not endpoint.batch.many:
        if len(by_key) < len(found):
            return False  # several for one key
        by_key = {key: rows[0] for key, rows in by_key.items()}
    return _matched(endpoint.batch, asked.keys, by_key, asked.rows)


def _taken_as_structs(typed: Typed, join: Join, asked: Asked, fetching: Fetching) -> bool:
    """Take rows as structs, where they can be. Raises `ValueError` for what is not as declared."""
    kept, keys = fetching.kept(), asked.keys
    whole = None if kept else fetching.rest()
    if whole is not None:
        return _read(typed, join, keys, whole, asked.rows)
    asked.rows = dict.fromkeys(keys)
    here = dict(zip(kept, _read_kept(typed, list(kept.values())), strict=True)) if kept else {}
    parts: dict[int, tuple[Brought, dict[Any, Any]]] = {}
    for value, key in keys.items():
        if key is None:
            continue
        if key in here:
            asked.rows[value] = here[key]
            continue
        brought = fetching.brought(key)
        if brought is None or brought.body is None:
            return False
        parts.setdefault(id(brought), (brought, {}))[1][value] = key
    return all(_read(typed, join, own, brought, asked.rows) for brought, own in parts.values())


def _read_kept(typed: Typed, kept: Sequence[CacheEntry]) -> list[Any]:
    rows: list[Any] = typed.decode_kept(b"[%b]" % b",".join([one.row for one in kept]))
    return rows


def _read(
    typed: Typed, join: Join, keys: Mapping[Any, Any], brought: Brought, rows: dict[Any, Any]
) -> bool:
    """Put what one reply brings for `keys` into `rows`, by their values. Whether that is all that
    there is to tell of it."""
    body = brought.body
    assert body is not None
    if not brought.is_batch:
        for value, key in keys.items():
            rows[value] = None if key is None else typed.decode(body)
        return True
    batch = join.step.fetch.endpoint.batch
    assert batch is not None
    if typed.decode_batch is None or typed.row_keys is None:
        return False
    came = typed.decode_batch(body)
    told = typed.row_keys(came)
    if not batch.many:
        by_key: dict[Any, Any] = dict(zip(told, came, strict=True))
        return len(by_key) == len(came) and _matched(batch, keys, by_key, rows)
    return _matched(batch, keys, _groups(told, came), rows)


def _groups(told: list[Any], rows: list[Any]) -> dict[Any, list[Any]]:
    """Rows by the values that tell them apart. Those of one value mostly stand together."""
    groups: dict[Any, list[Any]] = {}
    last: Any = _NO_VALUE
    group: list[Any] = []
    for place in range(len(rows)):
        own, row = told[place], rows[place]
        if own != last:
            last, known = own, groups.get(own)
            if known is None:
                known = groups[own] = []
            group = known
        group.append(row)
    return groups


def _matched(
    batch: Batch, values: Collection[Any], by_key: dict[Any, Any], rows: dict[Any, Any]
) -> bool:
    """Put a batch's rows into `rows`, where the key of each is one of `values`. Whether that was
    so: what is not is told by who reads all of it."""
    if None in by_key or not _are_apart(batch, values):
        return False
    left, many = len(by_key), batch.many
    for value in values:
        found = by_key.get(value)
        if found is not None:
            left -= 1
        rows[value] = [] if found is None and many and value is not None else found
    return not left


def _are_apart(batch: Batch, values: Collection[Any]) -> bool:
    """Whether no two values are one key, as 7 and "7" are."""
    if all(value is None or type(value) is int for value in values):
        return True
    texts = [comparable(batch, str(value)) for value in values if value is not None]
    return len({*texts}) == len(texts)


def present(rows: Iterable[Any]) -> list[Any]:
    """All rows that are there, of lists too."""
    found: list[Any] = []
    for one in rows:
        if type(one) is list:
            found += [row for row in one if row is not None and type(row) is not FailedRow]
        elif one is not None and type(one) is not FailedRow:
            found.append(one)
    return found
