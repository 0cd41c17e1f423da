"""What resolvers compute in a compiled operation, and what permissions of rows say. Each runs once,
for a row or at the root, whoever makes the answer in the end."""

from collections.abc import Callable, Sequence
from typing import Any

from graphql import GraphQLNonNull

from plait.backend.budget import Budget
from plait.backend.numbers import encode
from plait.clock import Pace
from plait.graph.ran import Ran, RowsRan
from plait.graph.sizes import size_of
from plait.query.arguments import Variables
from plait.query.asked import items_in
from plait.query.failed import FailedRow
from plait.query.joins import Compiled
from plait.query.leaves import Unusual
from plait.query.resolved import Execution, Resolver, RowInfo


class Computed:
    """One request's run of them."""

    __slots__ = (
        "_left",
        "_pace",
        "_ran",
        "_resolvers",
        "_selves",
        "_times",
        "_variables",
        "execution",
        "failed",
        "ran",
    )

    def __init__(
        self,
        resolvers: Sequence[Resolver],
        variables: Variables | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace
        self._resolvers = resolvers
        self._variables = variables
        self.ran: dict[str, Ran] = {}
        """What they returned, by their keys in the answer."""
        self._ran: dict[int, dict[int, Ran]] = {}
        """What they returned for rows, by the identities of nodes and of rows: their selves keep
        these."""
        self._selves: dict[str, dict[int, Any]] = {}
        """By the places of rows, and their identities."""
        self._left = 0
        self._times = 1
        self.failed: dict[Resolver, None] = {}
        """Those of rows of which one raised an error, or whose permissions have refused one. Two
        types may share a node."""
        self.execution: Execution | None = None
        """What permissions are told of the request."""

    def begin(self, size: int) -> None:
        """From now on rows may be given values of so many bytes in all, for one turn of the
        loop."""
        self._left = size
        if self._pace is not None:
            self._pace.begin()

    def shown(self, times: int) -> None:
        """From now on a row's value may be shown so many times."""
        self._times = times

    def of_rows(self, resolver: Resolver) -> Callable[[dict[str, Any]], Any]:
        """What shows what a resolver returns for a row; or that it failed there, and of a field
        with an endpoint nothing where it did not. Raises as `values`."""
        run, show = self._run_for(resolver), resolver.shown
        if resolver.is_asked_elsewhere:
            return lambda row: self._refusal(resolver, run(row))

        def of_row(row: dict[str, Any]) -> Any:
            ran = run(row)
            if ran.error is not None:
                return self._failure(resolver, ran.error)
            shown = show(ran.value)
            size = len(shown) + 2 if type(shown) is str else size_of(shown)
            self._left -= size * self._times
            if self._left < 0:
                raise Unusual
            return shown

        return of_row

    def permit(self, resolver: Resolver) -> Callable[[dict[str, Any]], bool]:
        """What says whether the permissions of a field let it be asked for, for a row. Raises
        `Unusual` where they have something else shown: graphql-core shows it."""
        if self._pace is not None:
            self._pace.begin()
        run = self._run_for(resolver)
        return lambda row: self._refusal(resolver, run(row)) is None

    def _refusal(self, resolver: Resolver, ran: Ran) -> FailedRow | None:
        if ran.error is not None:
            return self._failure(resolver, ran.error)
        if not ran.is_granted:
            raise Unusual
        return None

    def _failure(self, resolver: Resolver, error: Exception) -> FailedRow:
        if isinstance(resolver.types[-1], GraphQLNonNull):
            raise Unusual  # null goes up, and graphql-core runs no more of what is below
        self.failed[resolver] = None
        return FailedRow(error, resolver)

    def _run_for(self, resolver: Resolver) -> Callable[[dict[str, Any]], Ran]:
        """What runs a resolver for a row, if it has not run. Raises as `Resolver.run`."""
        ran = self._ran.setdefault(id(resolver.node), {})
        selves = self._selves.setdefault(resolver.place, {})
        pace, variables = self._pace, self._variables
        assert variables is not None
        self_of, run = resolver.self_of, resolver.run
        info: RowInfo | None = None
        if resolver.asks_permissions:
            assert self.execution is not None
            info = RowInfo(resolver, self.execution)

        def run_for(row: dict[str, Any]) -> Ran:
            at = id(row)
            came = ran.get(at)
            if came is None:
                own = selves.get(at)
                if own is None:
                    own = selves[at] = self_of(row)
                came = ran[at] = run(own, variables, info)
                if pace is not None and pace.is_over():
                    raise Unusual  # the executor runs the others, and lets somebody in meanwhile
            return came

        return run_for

    def ran_of_rows(self) -> RowsRan:
        """What they returned for rows, whoever asks for it now."""
        return {(row, node): one for node, ran in self._ran.items() for row, one in ran.items()}

    def values(self) -> dict[str, Any]:
        """What is shown of it. Raises, whatever it may be, where graphql-core is to say so."""
        values: dict[str, Any] = {}
        for one in self._resolvers:
            assert self._variables is not None
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
