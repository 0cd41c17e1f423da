"""What a client gets for requests that are not as they should be."""

import asyncio
from typing import Any

import pytest

from tests.conftest import Wire, gateway
from tests.graph.test_reads import graph, orders_answer, users_answer

JSON = {"content-type": "application/json"}
STRICT = {**JSON, "accept": "application/graphql-response+json"}


def send(method: str, content: bytes = b"", url: str = "/graphql", **headers: str) -> Any:
    async def main() -> Any:
        async with gateway(
            graph, {"users": Wire(users_answer), "orders": Wire(orders_answer)}
        ) as ask:
            return await ask.client.request(method, url, content=content, headers=headers)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"query": "{ nope }"}', "GRAPHQL_VALIDATION_FAILED"),
        (b'{"query": "{ user(id: "}', "GRAPHQL_PARSE_FAILED"),
        (b'{"query": "query ($id: ID!) { user(id: $id) { id } }"}', "BAD_USER_INPUT"),
        (b'{"query": "{ a: __typename } query B { b: __typename }"}', "GRAPHQL_VALIDATION_FAILED"),
        (b'{"query": "query A { __typename } query B { __typename }"}', "BAD_USER_INPUT"),
        (
            b'{"query": "' + b"{ user { mentor" * 2 + b"{ mentor " * 30 + b'"}',
            "GRAPHQL_PARSE_FAILED",
        ),
        (
            b'{"query": "{ user(id: 1) ' + b"{ mentor " * 25 + b"{ id }" + b"}" * 26 + b'"}',
            "OPERATION_TOO_COSTLY",
        ),
        (b'{"query": "' + b"{ a" * 4_000 + b'"}', "GRAPHQL_PARSE_FAILED"),
    ],
)
def test_an_operation_that_cannot_run_is_200_or_400_by_media_type(body: bytes, code: str) -> None:
    for headers, status in ((JSON, 200), (STRICT, 400)):
        answer = send("POST", body, **headers)
        assert answer.status_code == status
        assert answer.json()["errors"][0]["extensions"]["code"] == code
        assert "data" not in answer.json()


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b'{"query": 5}', JSON, 400),
        (b'{"query": "{ a }", "variables": []}', JSON, 400),
        (b"\xff\xfe", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b"query={a}", {"content-type": "application/x-www-form-urlencoded"}, 415),
        (b"{}", {**JSON, "content-encoding": "gzip"}, 415),
        (b" " * 1_100_000, JSON, 413),
        (b'{"query": "{ __typename }"}', {**JSON, "accept": "image/png"}, 406),
    ],
)
def test_what_is_no_graphql_request_has_a_status_and_says_why(
    body: bytes, headers: dict[str, str], status: int
) -> None:
    answer = send("POST", body, **headers)
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"]


def test_a_get_may_query_and_nothing_else() -> None:
    assert send("GET", url="/graphql?query={__typename}").json() == {
        "data": {"__typename": "Query"}
    }
    assert send("PUT").status_code == 405
    assert send("GET", url="/graphql?query=").status_code == 400


def test_doubled_fragments_are_measured_in_linear_time() -> None:
    fragments = "".join(
        f"fragment F{n} on User {{ ...F{n + 1} mentor {{ ...F{n + 1} }} }} " for n in range(40)
    )
    text = f"{{ user(id: 1) {{ ...F0 }} }} {fragments} fragment F40 on User {{ id }}"
    answer = send("POST", f'{{"query": "{text}"}}'.encode(), **JSON)
    assert answer.json()["errors"][0]["extensions"]["code"] == "OPERATION_TOO_COSTLY"
