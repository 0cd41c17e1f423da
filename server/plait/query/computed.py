"""What resolvers of the root compute in a compiled operation. Each runs once, whoever makes the
answer in the end."""

from collections.abc import Sequence
from typing import Any

from plait.backend.budget import Budget
from plait.backend.numbers import encode
from plait.graph.ran import Ran
from plait.query.arguments import Variables
from plait.query.asked import items_in
from plait.query.compile import Compiled, completed
from plait.query.resolved import Resolver


class Computed:
    """One request's run of them."""

    __slots__ = ("_resolvers", "_variables", "ran")

    def __init__(self, resolvers: Sequence[Resolver], variables: Variables) -> None:
        self._resolvers = resolvers
        self._variables = variables
        self.ran: dict[str, Ran] = {}
        """What they returned, by their keys in the answer."""

    def values(self) -> dict[str, Any]:
        """What is shown of it. Raises, whatever it may be, where graphql-core is to say so."""
        values: dict[str, Any] = {}
        for one in self._resolvers:
            ran = self.ran[one.key] = one.run(self._variables)
            values[one.key] = completed(one.type, ran.told())
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
