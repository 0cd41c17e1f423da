"""What came for the keys of a compiled operation's joins, read row by row, where it cannot be taken
as it is: something failed, is not there, is stale, or is a page.

Raises `Unusual` for what graphql-core is to tell.
"""

from collections.abc import Collection, Mapping
from functools import partial
from typing import Any

from plait.backend.keys import Key
from plait.backend.loads import Fetched
from plait.backend.numbers import encode
from plait.errors import PlaitError
from plait.graph.absent import Watch
from plait.graph.execution import ERRORS_MAX
from plait.graph.load import not_found_of
from plait.query.arguments import Variables
from plait.query.asked import Asked, LoadBatch
from plait.query.failed import FailedRow, Instead, Told
from plait.query.joins import Join
from plait.query.leaves import Unusual, completed
from plait.query.prepared import Prepared
from plait.query.resolved import Resolver
from plait.query.shown import Shown
from plait.query.telling import told_of


def wants_fallback(join: Join, asked: Asked) -> bool:
    """Whether something else is to be shown in place of a row that is not there."""
    if join.may_be_absent or not join.step.fetch.options.has_fallback:
        return False
    absent = [value for value, row in asked.rows.items() if row is None]
    return bool([value for value in absent if asked.keys[value] is not None])


class Outcomes:
    """The rows of joins that were read one by one, and what there is to tell of them."""

    __slots__ = ("_failed", "_instead", "_prepared", "_variables")

    def __init__(self, prepared: Prepared, variables: Variables) -> None:
        self._prepared = prepared
        self._variables = variables
        self._failed: set[int] = set()
        """The joins of which something failed, with a fallback or without."""
        self._instead: dict[int, dict[Any, Instead]] = {}
        """The joins that show something else than was asked for just now: what it is of, by the
        values of their parameters."""

    @property
    def are_told(self) -> bool:
        """Whether there is anything to tell of them."""
        return bool(self._failed or self._instead)

    def told(self, data: dict[str, Any], shown: Shown, computed: Collection[Resolver]) -> Told:
        """What there is to tell in an answer; `computed` are the resolvers of which something
        failed."""
        joins = self._prepared.compiled.joins
        instead = {
            joins[index]: {id(shown.of[index][value]): one for value, one in ones.items()}
            for index, ones in self._instead.items()
        }
        failed = self._failed | shown.absent | self._instead.keys()
        fields: list[Join | Resolver] = [*computed]
        fields += [joins[index] for index in sorted(failed)]
        told = told_of(data, fields, instead)
        if len(told.errors) > ERRORS_MAX:
            raise Unusual
        return told

    def read(self, join: Join, watch: Watch, asked: Asked) -> None:
        """Find the rows of a join, each by its key."""
        asked.is_typed = False
        asked_in = {key: batch for batch in asked.batches for key in batch.keys.values}
        row = partial(self._row, join, watch, asked, asked_in)
        for value, key in asked.keys.items():
            if type(key) is list:
                items = [row(value, one) for one in key]
                asked.rows[value] = self._many(join, items)
            else:
                asked.rows[value] = None if key is None else row(value, key)

    def _many(self, join: Join, items: list[Any]) -> Any:
        """What came for a list of keys; what stands in for all of it, where one of them failed."""
        options = join.step.fetch.options
        failed = next((one for one in items if type(one) is FailedRow), None)
        if failed is None or not options.has_fallback:
            return items
        return self._fallback(join, failed.error)

    def _fallback(self, join: Join, error: Exception) -> FailedRow:
        """What is shown in place of what failed, where no row of it need be made."""
        given = join.step.fetch.options.fallback
        if given and join.build is not None:
            raise Unusual
        self._failed.add(join.index)
        shown = completed(join.step.definition.type, given)
        return FailedRow(error, join, has_fallback=True, fallback=shown)

    def _row(
        self,
        join: Join,
        watch: Watch,
        asked: Asked,
        asked_in: Mapping[Key, LoadBatch],
        value: Any,
        key: Key | None,
    ) -> Any:
        """What came for one key of a value, or what stands in for it."""
        fetch = join.step.fetch
        if key is None:
            if fetch.form != "many" or join.may_be_absent:
                return None
            return self._instead_of(join, asked, value, not_found_of(fetch.endpoint, None))
        source = asked_in[key].known or asked_in[key].fetching
        assert source is not None
        outcome = source.outcome(key)
        if not isinstance(outcome, Fetched):
            return self._instead_of(join, asked, value, outcome)
        row = outcome.row
        if outcome.stale_because is not None:
            self._note(join, asked, value, Instead("stale", outcome.stale_because), row)
        if row is None and not join.may_be_absent:
            absent = not_found_of(fetch.endpoint, outcome.status)
            return self._instead_of(join, asked, value, absent)
        if fetch.form == "connection":
            return None if row is None else self._page(join, asked, row, watch)
        if watch.is_open:
            watch.see(row)
        return row

    def _instead_of(self, join: Join, asked: Asked, value: Any, error: PlaitError) -> Any:
        """What stands in for the row of a key that failed."""
        fetch = join.step.fetch
        options = fetch.options
        if options.has_fallback and fetch.form != "many":
            given = options.fallback
            if given is None or join.build is None:
                return self._fallback(join, error)
            self._note(join, asked, value, Instead("value", error), given)
            return given
        self._failed.add(join.index)
        return FailedRow(error, join)

    def _note(self, join: Join, asked: Asked, value: Any, instead: Instead, row: Any) -> None:
        """Tell, where it will be shown, that a row is not what was asked for just now. Raises
        `Unusual` where it could not be found there."""
        is_found = type(row) is dict or (type(row) is list and {*map(type, row)} <= {dict})
        if join.build is None or join.step.fetch.form != "one" or not is_found:
            raise Unusual
        self._instead.setdefault(join.index, {})[value] = instead
        asked.added += len(encode(row))  # which no reply has brought

    def _page(self, join: Join, asked: Asked, page: Any, watch: Watch) -> Any:
        """A page as a row of its connection."""
        pages = join.step.fetch.pages
        assert pages is not None
        window = self._prepared.window(join, self._variables)
        row = pages.row(window, page["body"], page["headers"])
        if row is None:
            raise Unusual
        if watch.is_open:
            watch.see(row["nodes"])
        asked.added += sum([len(edge["cursor"]) for edge in row["edges"]])
        return row
