"""From the rows of all steps to the answer's data, which is never larger than it may be."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from plait.backend.budget import Budget
from plait.backend.numbers import encode
from plait.graph.fields import Fetch
from plait.graph.load import not_found_of
from plait.query.asked import OBJECT_MARK, Asked
from plait.query.computed import Computed
from plait.query.failed import FailedRow
from plait.query.joins import Join
from plait.query.leaves import Show, Unusual, completer
from plait.query.prepared import Prepared


class Shown:
    """Makes one answer. `asked` are the steps, by their joins."""

    def __init__(
        self,
        prepared: Prepared,
        asked: Sequence[Asked | None],
        computed: Computed,
        budget: Budget,
    ) -> None:
        self._prepared = prepared
        self._compiled = prepared.compiled
        self._asked = asked
        self._computed = computed
        self._times = [1] * len(asked)
        """How often a row of each join may be shown."""
        self.budget = budget
        self.of: list[Any] = [None] * len(asked)
        """By joins: what each shows, by the values of its parameters."""
        self.absent: set[int] = set()
        """The joins of which a row is not there that must be."""

    def data(self) -> dict[str, Any]:
        """The whole answer's data. Raises, whatever it may be, where graphql-core is to make it."""
        values: Mapping[str, Any] = {}
        if self._compiled.computes:
            self._computed.begin(self.budget.bytes_left)
            values = self._computed.values()
        shown = self.of
        sizes: dict[int, Mapping[Any, int]] | None = None if self._fits() else {}
        for join in reversed(self._compiled.joins):
            asked = self._asked[join.index]
            shown[join.index] = {} if asked is None else self._shown(join, asked, shown)
            if sizes is not None and asked is not None:
                sizes[join.index] = self._sizes(join, asked, shown[join.index], sizes)
        if sizes is not None:
            self._check_held(sizes)
        return {
            key: (None if self._asked[of] is None else shown[of][()])
            if type(of) is int
            else values.get(key, of)
            for key, of in self._compiled.root
        }

    def _shown(self, join: Join, asked: Asked, shown: Sequence[Any]) -> dict[Any, Any]:
        """What a join shows, by the values of its parameters."""
        fetch, build = join.step.fetch, join.build
        if asked.is_typed:
            assert join.typed is not None
            build = join.typed.build
        if build is None:
            show = completer(join.step.definition.type)
            return {value: self._plain(join, row, show) for value, row in asked.rows.items()}
        below = [shown[index] for index in join.below]
        if join.computes:
            self._computed.shown(self._times[join.index])
            below.append(self._computed.of_rows)
        made: dict[Any, Any] = {}
        if fetch.form == "many":
            for value, rows in asked.rows.items():
                if rows is None:
                    made[value] = _nothing(fetch)
                elif type(rows) is FailedRow:
                    made[value] = rows
                else:
                    made[value] = _many(build, rows, below)
        elif fetch.is_list:
            flat: list[Any] = []  # rows of all lists are made at once
            for rows in asked.rows.values():
                if type(rows) is list:
                    flat += rows
                elif rows is not None and type(rows) is not FailedRow:
                    raise Unusual
            objects = build(flat, *below)
            at = 0
            for value, rows in asked.rows.items():
                if type(rows) is list:
                    made[value] = objects[at : at + len(rows)]
                    at += len(rows)
                else:
                    made[value] = [] if rows is None else rows
        else:
            present = [
                value
                for value, row in asked.rows.items()
                if row is not None and type(row) is not FailedRow
            ]
            if len(present) < len(asked.rows):
                made = dict(asked.rows)
                if not fetch.nullable:
                    made = {value: self._absent(join, asked, value) for value in made}
            objects = build([asked.rows[value] for value in present], *below)
            if len(objects) != len(present):
                raise Unusual
            for place in range(len(present)):
                made[present[place]] = objects[place]
        return made

    def _absent(self, join: Join, asked: Asked, value: Any) -> Any:
        """What stands for a row that must be there and is not."""
        row, fetch = asked.rows[value], join.step.fetch
        if row is not None:
            return row
        if asked.keys[value] is None:
            raise Unusual  # it was not asked for
        self.absent.add(join.index)
        return FailedRow(not_found_of(fetch.endpoint, None), join)

    def _plain(self, join: Join, row: Any, show: Show) -> Any:
        """A step that shows values."""
        if type(row) is FailedRow:
            return row
        if row is None or join.step.fetch.form == "many":
            raise Unusual
        return show(self._prepared.bounds[join.index].convert(row))

    def _fits(self) -> bool:
        """Whether the answer cannot be larger than it may be, as far as can be told at once: a row
        that has come once may be shown a thousand times."""
        times, total, at_most = self._times, 0, 0
        for join in self._compiled.joins:
            asked = self._asked[join.index]
            if asked is None:
                continue
            if join.above is not None or join.is_held:
                above = 1 if join.above is None else times[join.above]
                times[join.index] = above * max(1, len(asked.values))
            # No object is shorter than its braces, so there are no more of them than that.
            came = asked.added
            for batch in asked.batches:
                came += batch.size()
            total += times[join.index] * came * (_LONGER + join.names)
        if self.budget.has_room(0, total):
            return True
        for join in self._compiled.joins:  # a closer look: objects are counted
            asked = self._asked[join.index]
            if asked is not None:
                at_most += times[join.index] * _bytes_of(asked, join)
        return self.budget.has_room(0, at_most)

    def _sizes(
        self,
        join: Join,
        asked: Asked,
        shown: Mapping[Any, Any],
        below: Mapping[int, Mapping[Any, int]],
    ) -> dict[Any, int]:
        """How large what a join shows is, by the values of its parameters. Raises `Unusual` where
        all of it together would be more than an answer may be, before it is made."""
        total = _bytes_of(asked, join)
        for index in join.below:
            one = self._asked[index]
            if one is not None:
                total += sum(map(below[index].__getitem__, one.values))
        if not self.budget.has_room(0, total):
            raise Unusual
        return {value: len(encode(one)) for value, one in shown.items()}

    def _check_held(self, sizes: Mapping[int, Mapping[Any, int]]) -> None:
        """Raises `Unusual` where what hangs on objects that resolvers returned would be more than
        an answer may be."""
        total = 0
        for index in self._compiled.held:
            asked = self._asked[index]
            if asked is not None:
                total += sum(map(sizes[index].__getitem__, asked.values))
        if not self.budget.has_room(0, total):
            raise Unusual

    def items(self) -> int:
        """List items that may be no objects."""
        found = 0
        for join in self._compiled.joins:
            asked = self._asked[join.index]
            if asked is not None and join.step.fetch.form == "many":
                found += sum(len(rows) for rows in asked.rows.values() if type(rows) is list)
        return found


_LONGER: Final = 2
"""By how much values may be longer in the answer than in the reply."""


def _bytes_of(asked: Asked, join: Join) -> int:
    """How much of the answer what came for a join can be, at most, shown once."""
    total = asked.added
    is_flat = asked.is_typed and join.typed is not None and join.typed.is_flat
    if is_flat:
        total += _rows_in(asked) * join.names
    for batch in asked.batches:
        total += batch.size() * _LONGER
        if not is_flat:  # a row may hold objects: their braces are counted
            objects = sum([one.count(OBJECT_MARK) + 1 for one in batch.bodies()])
            total += objects * join.names
    return total * join.repeats


def _rows_in(asked: Asked) -> int:
    """How many rows came for a join."""
    return sum([len(rows) if type(rows) is list else 1 for rows in asked.rows.values()])


def _nothing(fetch: Fetch) -> list[Any] | None:
    return None if fetch.nullable else []


def _many(build: Any, rows: list[Any], below: Sequence[Mapping[Any, Any]]) -> Any:
    """What is shown of rows that were asked for one by one; what failed, in its place."""
    present = [row for row in rows if row is not None and type(row) is not FailedRow]
    objects = iter(build(present, *below))
    return [row if row is None or type(row) is FailedRow else next(objects) for row in rows]
