"""The graph of `bench.kills`: one mutation that writes to two APIs, of which one honours keys."""

import strawberry

from plait import Backend, Graph, write_together

keyed = Backend("keyed", idempotency_key="Idempotency-Key", timeout_s=2)
plain = Backend("plain", timeout_s=2)
do_keyed = keyed.post("/effects")
do_plain = plain.post("/effects")


@strawberry.type
class Query:
    ok: bool = True


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def do(self, info: strawberry.Info, n: int) -> str:
        outcomes = await write_together(info, do_keyed(body={"n": n}), do_plain(body={"n": n}))
        return " ".join(type(one).__name__ for one in outcomes)


graph = Graph(query=Query, mutation=Mutation, require_idempotency_key=True)
