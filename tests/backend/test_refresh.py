"""A stale row is shown at once, and refreshed behind (RFC 5861), for the caller that it is of."""

import asyncio

import strawberry

from plait import Backend, Graph
from plait.testing import GraphTest, Sent


def test_a_row_that_is_stale_is_shown_at_once_and_refreshed_behind() -> None:
    tenant = Backend("tenant", "http://tenant.test", forward=["x-tenant"])
    endpoint = tenant.get("/rows/{id}", ttl_s=0.0, stale_while_revalidate_s=60)

    @strawberry.type
    class Row:
        n: int

    @strawberry.type
    class Query:
        row: Row | None = endpoint(id="1")

    sent: list[Sent] = []

    async def main() -> None:

        def answer(call: Sent) -> dict[str, int]:
            sent.append(call)
            return {"n": len(sent)}

        async with GraphTest(Graph(query=Query), tenant={"GET /rows/1": answer}) as test:

            async def shown(**headers: str) -> int:
                told = await test.ask_async("{ row { n } }", **headers)
                return int(told["data"]["row"]["n"])

            assert await shown(x_tenant="a", x_request_id="r1") == 1
            assert await shown(x_tenant="a", x_request_id="r2") == 1  # and another call leaves
            for _ in range(50):
                await asyncio.sleep(0.01)
                if len(sent) == 2:
                    break
            await asyncio.sleep(0.05)
            assert await shown(x_tenant="a") == 2
            assert await shown(x_tenant="b") == len(sent)  # nobody else's row

    asyncio.run(main())
    assert [call.headers["x-tenant"] for call in sent[:2]] == ["a", "a"]
    assert sent[1].headers["x-request-id"] == "r2"
    assert sent[1].headers["traceparent"][3:35] != sent[0].headers["traceparent"][3:35]


def test_a_row_that_is_refreshed_already_is_not_asked_for_again() -> None:
    endpoint = Backend("b", "http://b.test").get("/rows", ttl_s=0.0, stale_while_revalidate_s=60)

    @strawberry.type
    class Row:
        n: int

    @strawberry.type
    class Query:
        row: Row | None = endpoint()

    calls: list[int] = []

    async def main() -> None:
        async with GraphTest(
            Graph(query=Query), b={"GET /rows": lambda _: calls.append(1) or {"n": len(calls)}}
        ) as test:
            await test.ask_async("{ row { n } }")
            both = await asyncio.gather(*(test.ask_async("{ row { n } }") for _ in range(5)))
            assert [one["data"]["row"]["n"] for one in both] == [1] * 5
            await asyncio.sleep(0.1)

    asyncio.run(main())
    assert len(calls) == 2
