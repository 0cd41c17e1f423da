"""What resolvers compute in a compiled operation. Each runs once, for a row or at the root, whoever
makes the answer in the end."""

from collections.abc import Sequence
from typing import Any

from plait.backend.budget import Budget
from plait.backend.numbers import encode
from plait.clock import Pace
from plait.graph.ran import Ran
from plait.graph.sizes import size_of
from plait.query.arguments import Variables
from plait.query.asked import items_in
from plait.query.compile import Compiled
from plait.query.leaves import Unusual
from plait.query.resolved import Resolver


class Computed:
    """One request's run of them."""

    __slots__ = (
        "_left",
        "_pace",
        "_resolvers",
        "_selves",
        "_times",
        "_variables",
        "ran",
        "ran_of_rows",
    )

    def __init__(
        self, resolvers: Sequence[Resolver], variables: Variables, pace: Pace | None = None
    ) -> None:
        self._pace = pace
        self._resolvers = resolvers
        self._variables = variables
        self.ran: dict[str, Ran] = {}
        """What they returned, by their keys in the answer."""
        self.ran_of_rows: dict[tuple[int, int], Ran] = {}
        """See `RowsRan`."""
        self._selves: dict[tuple[int, str], tuple[dict[str, Any], Any]] = {}
        """By the identities of their rows, which are kept with them, and the places of these."""
        self._left = 0
        self._times = 1

    def begin(self, size: int) -> None:
        """From now on rows may be given values of so many bytes in all, for one turn of the
        loop."""
        self._left = size
        if self._pace is not None:
            self._pace.begin()

    def shown(self, times: int) -> None:
        """From now on a row's value may be shown so many times."""
        self._times = times

    def of_row(self, resolver: Resolver, row: dict[str, Any]) -> Any:
        """What is shown of what a row's resolver returns. Raises as `values`."""
        key = id(row), id(resolver.node)
        ran = self.ran_of_rows.get(key)
        if ran is None:
            at = id(row), resolver.place
            known = self._selves.get(at)
            if known is None:
                known = self._selves[at] = row, resolver.self_of(row)
            ran = self.ran_of_rows[key] = resolver.run(known[1], self._variables)
            if self._pace is not None and self._pace.is_over():
                raise Unusual  # the executor runs the others, and lets somebody in meanwhile
        shown = resolver.shown(ran.told())
        self._left -= size_of(shown) * self._times
        if self._left < 0:
            raise Unusual
        return shown

    def values(self) -> dict[str, Any]:
        """What is shown of it. Raises, whatever it may be, where graphql-core is to say so."""
        values: dict[str, Any] = {}
        for one in self._resolvers:
            ran = self.ran[one.key] = one.run(None, self._variables)
            values[one.key] = one.shown(ran.told())
        return values

    def body(self, compiled: Compiled, budget: Budget) -> bytes | None:
        """The whole answer of an operation that asks no backend; `None` where graphql-core is to
        make it."""
        try:
            values = self.values()
            body = encode({"data": {key: values.get(key, of) for key, of in compiled.root}})
        except Exception:  # it is told by who makes the answer instead
            return None
        items = items_in(body, has_lists=compiled.has_lists)
        return body if budget.has_room(items, len(body)) else None
