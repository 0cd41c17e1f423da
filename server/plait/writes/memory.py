"""The ledger in this process's memory: it is forgotten when the process ends, and no other process
sees it."""

from collections.abc import Iterator
from itertools import islice

from msgspec.structs import replace

from plait.errors import LedgerUnavailable
from plait.writes.ledger import Decision, Entry, Wanted, WriteRecord, begun, settled

MEMORY = ":memory:"
"""What stands for it where a path is asked for."""
EXPIRED_KEPT_S = 30 * 86_400.0
"""How long a ledger remembers that a key expired: longer than backends remember what it did."""
ENTRIES_MAX = 200_000
"""Some 300 MB. Beyond, what was finished longest ago is forgotten before its time: a request that
comes again then has its writes made again, under the keys that they had, which backends know."""
_LOOKED_AT = 1_000
_HOLDER = "this process"


class MemoryLedger:
    """A `Ledger`. Its time only moves forward: it is never behind what an earlier entry was made
    at."""

    def __init__(self, *, entries_max: int = ENTRIES_MAX) -> None:
        self._entries_max = entries_max
        self._entries: dict[str, Entry] = {}
        """Those that were driven longest ago first."""
        self._of_request: dict[str, dict[str, None]] = {}
        """The ids of the entries that have it in common."""
        self._expired: dict[str, tuple[int, float]] = {}
        """The generation that comes next, and until when that is remembered, by entry."""
        self._latest = 0.0
        self._ahead_s = 0.0
        self._is_closed = False

    async def open(self) -> None:
        """There is nothing to be opened."""

    async def begin(self, wanted: Wanted) -> Decision:
        """See `Ledger`."""
        self._check_open()
        wanted = replace(wanted, now=self._time(wanted.now))
        self._latest = wanted.now
        return begun(self, wanted, holder=_HOLDER, is_dead=lambda _: False)

    async def settle(self, entry_id: str, position: int, record: WriteRecord) -> None:
        """See `Ledger`."""
        self._check_open()
        entry = self._entries.get(entry_id)
        if entry is None or position >= len(entry.writes):
            return
        writes = list(entry.writes)
        kept = settled(writes[position], record)
        if kept is not None:
            writes[position] = kept
            self._entries[entry_id] = replace(entry, writes=tuple(writes))

    async def recall(self, entry_id: str, now: float) -> bytes | None:
        """See `Ledger`."""
        self._check_open()
        entry = self._entries.get(entry_id)
        return None if entry is None or entry.is_over(self._time(now)) else entry.reads

    async def sweep(self, now: float, entries_max: int) -> int:
        """See `Ledger`."""
        self._check_open()
        now = self._time(now)
        for id_ in list(self._remembered_until(now)):
            del self._expired[id_]
        over = list(islice(self._over(now), entries_max))
        for entry in over:
            self._expired[entry.id] = entry.generation + 1, now + EXPIRED_KEPT_S
            self._drop(entry)
        return len(over)

    async def unfinished(self) -> int:
        """See `Ledger`."""
        self._check_open()
        return sum(not entry.is_finished for entry in self._entries.values())

    async def check(self) -> None:
        """See `Ledger`."""
        self._check_open()

    async def close(self) -> None:
        """Forget everything. It cannot be used again."""
        self._is_closed = True
        self._entries.clear()
        self._of_request.clear()
        self._expired.clear()

    # --- see `Entries`

    def load(self, entry_id: str) -> Entry | None:
        """The entry of that id."""
        return self._entries.get(entry_id)

    def of_request(self, request: str) -> Iterator[Entry]:
        """The entries that have it in common."""
        for id_ in self._of_request.get(request, ()):
            yield self._entries[id_]

    def generation(self, entry_id: str) -> int:
        """How often its key expired, where its entry is gone."""
        return self._expired.get(entry_id, (0, 0.0))[0]

    def save(self, entry: Entry) -> None:
        """Keep it, in place of what was kept under its id."""
        self._entries.pop(entry.id, None)  # it was driven last, and goes to the end
        if len(self._entries) >= self._entries_max:
            self._make_room()
        self._entries[entry.id] = entry
        if entry.request:
            self._of_request.setdefault(entry.request, {})[entry.id] = None

    def _make_room(self) -> None:
        for entry in islice(self._entries.values(), _LOOKED_AT):
            if entry.is_finished:
                self._drop(entry)
                return
        raise LedgerUnavailable(
            "The ledger of writes in memory is full of writes whose outcome is not known. Keep it "
            "in a file, where they can be looked into: PLAIT_LEDGER_PATH."
        )

    def _over(self, now: float) -> Iterator[Entry]:
        """What may be forgotten, the oldest first. All live equally long: behind one that has not
        expired stands none that has."""
        for entry in self._entries.values():
            if entry.expires_at > now:
                return
            if entry.is_finished:
                yield entry

    def _remembered_until(self, now: float) -> Iterator[str]:
        for id_, (_, forget_at) in self._expired.items():
            if forget_at > now:
                return
            yield id_

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry.id]
        alike = self._of_request.get(entry.request)
        if alike is not None:
            alike.pop(entry.id, None)
            if not alike:
                del self._of_request[entry.request]

    def _time(self, now: float) -> float:
        self._ahead_s = max(self._ahead_s, self._latest - now)
        return now + self._ahead_s

    def _check_open(self) -> None:
        if self._is_closed:
            raise LedgerUnavailable("The ledger of writes is closed.")
