"""A field shows what its backend said to this caller, and nothing else."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import httpx
import msgspec
import pytest
import strawberry

from plait import (
    Backend,
    Connection,
    Graph,
    GraphError,
    SettingsError,
    arg,
    by_ids,
    create_app,
    cursor_pages,
    discriminator,
    grouped,
    this,
)
from plait.backend.asking import SPLIT_CALLS_MAX
from plait.backend.transport import scripted
from plait.settings import Settings
from plait.testing import GraphTest, Sent, _settings, reply

shop = Backend("shop")
session = Backend("session")

get_item = shop.get("/items/{id}", batch=by_ids("/items", ids="ids", joined=True), ttl_s=60)
open_items = shop.get("/tickets", constants={"state": "open"}, ttl_s=60)
closed_items = shop.get("/tickets", constants={"state": "closed"}, ttl_s=60)
by_user = shop.get("/pays", query={"user_id": "userId"}, ttl_s=60)
by_order = shop.get("/pays", query={"order_id": "orderId"}, ttl_s=60)
search = shop.get("/search", query=("tag",))
pays_of = shop.get("/users/{id}/pays", batch=grouped("/pays", ids="user", key="userId"))
get_named = shop.get("/named/{slug}", ttl_s=60)
post_named = shop.post("/named")
update_item = shop.put("/items/{id}")
create_item = shop.post("/items", purges=[closed_items, get_named])
me = session.get("/me")
first_of = shop.get("/pair", unwrap="first", ttl_s=60)
second_of = shop.get("/pair", unwrap="second", ttl_s=60)
list_paged = shop.get("/paged", pages=cursor_pages(items="data", next="next"))


@strawberry.type
class Pay:
    id: int


@strawberry.type
class Item:
    id: strawberry.ID
    name: str | None
    price: strawberry.scalars.JSON | None
    pays: list[Pay] = by_user(user_id=this.userId)
    own_pays: list[Pay] = pays_of(id=this.id)

    @strawberry.field
    def dearer(self) -> strawberry.scalars.JSON:
        self.price["amount"] += 1  # type: ignore[call-overload, index, operator]
        return self.price

    @strawberry.field
    async def renamed(self, info: strawberry.Info) -> str:
        row = await get_item.load(info, id=self.id)
        (same,) = await get_item.load_many(info, id=[self.id])
        row["name"] = same["name"] = "changed"
        return str(row["name"])


@strawberry.type
class Me:
    id: int


@strawberry.type
class Query:
    item: Item | None = get_item(id=arg(strawberry.ID))
    items: list[Item | None] = get_item.many(id=arg(list[strawberry.ID], name="ids"))
    opened: list[Pay] = open_items()
    closed: list[Pay] = closed_items()
    of_user: list[Pay] = by_user(user_id=arg(str))
    of_order: list[Pay] = by_order(order_id=arg(str))
    find: list[Pay] = search(tag=arg(list[str] | None))
    found: list[Pay] = search(tag=arg(str | None, None))
    find_all: list[Pay] = search(tag=arg(list[str], empty_is_all=True))
    me: Me | None = me()
    first: Pay | None = first_of()
    second: Pay | None = second_of()
    named: Pay | None = get_named(slug=arg(str))
    paged: Connection[Pay] = list_paged.connection()


@strawberry.type
class Mutation:
    create: Item | None = create_item.field(body=arg(strawberry.scalars.JSON))
    create_named: Pay | None = post_named.field(body=arg(strawberry.scalars.JSON))
    update: Item | None = update_item.field(
        id=arg(strawberry.ID), body={"name": arg(str, name="name")}
    )


graph = Graph(query=Query, mutation=Mutation)


def asked(query: str, shop: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    with GraphTest(graph, shop=shop) as test:
        return test.ask(query), test.calls.get("shop", [])


def test_a_cookie_of_one_reply_goes_along_with_no_other_call() -> None:
    script = {"GET /me": reply({"id": 1}, headers={"set-cookie": "sid=secret; Path=/"})}
    with GraphTest(graph, session=script) as test:
        test.ask("{ me { id } }")
        test.ask("{ me { id } }")
        assert [sent.headers.get("cookie") for _, sent in test.sent] == [None, None]


def test_constants_tell_cached_rows_apart() -> None:
    script = {"GET /tickets?state=open": [{"id": 1}], "GET /tickets?state=closed": [{"id": 2}]}
    answer, _ = asked("{ opened { id } closed { id } }", script)
    assert answer["data"] == {"opened": [{"id": 1}], "closed": [{"id": 2}]}


def test_parameters_tell_cached_rows_apart() -> None:
    script = {"GET /pays?userId=7": [{"id": 1}], "GET /pays?orderId=7": [{"id": 2}]}
    answer, _ = asked('{ ofUser(userId: "7") { id } ofOrder(orderId: "7") { id } }', script)
    assert answer["data"] == {"ofUser": [{"id": 1}], "ofOrder": [{"id": 2}]}


def test_how_a_reply_is_read_tells_cached_rows_apart() -> None:
    script = {"GET /pair": {"first": {"id": 1}, "second": {"id": 2}}}
    answer, _ = asked("{ first { id } second { id } }", script)
    assert answer["data"] == {"first": {"id": 1}, "second": {"id": 2}}


def test_a_null_of_the_row_asks_for_nothing() -> None:
    script = {"GET /items/1": {"id": 1, "userId": None}}
    answer, calls = asked("{ item(id: 1) { pays { id } } }", script)
    assert answer == {"data": {"item": {"pays": []}}}
    assert calls == ["GET /items/1"]


def test_an_empty_list_asks_for_nothing_unless_the_author_says_otherwise() -> None:
    script = {"GET /search": [{"id": 1}]}
    assert asked("{ find(tag: []) { id } }", script) == ({"data": {"find": []}}, [])
    assert asked("{ find(tag: null) { id } }", script) == ({"data": {"find": []}}, [])
    assert asked("{ find { id } }", script)[0] == {"data": {"find": [{"id": 1}]}}
    # Null as the default says what null means: nothing given.
    assert asked("{ found(tag: null) { id } }", script)[0] == {"data": {"found": [{"id": 1}]}}
    assert asked("{ found { id } }", script)[0] == {"data": {"found": [{"id": 1}]}}
    assert asked("{ findAll(tag: []) { id } }", script)[0] == {"data": {"findAll": [{"id": 1}]}}


def test_a_resolver_that_changes_a_row_changes_it_for_nobody_else() -> None:
    script = {"GET /items/1": {"id": 1, "name": "n"}}
    answer, _ = asked("{ a: item(id: 1) { renamed } b: item(id: 1) { renamed name } }", script)
    assert answer["data"]["b"] == {"renamed": "changed", "name": "n"}


def test_a_resolver_that_changes_a_value_of_its_object_changes_no_row() -> None:
    script = {"GET /items/1": {"id": 1, "price": {"amount": 1}}}
    answer, _ = asked("{ a: item(id: 1) { dearer } b: item(id: 1) { dearer price } }", script)
    two = {"dearer": {"amount": 2}}
    assert answer["data"] == {"a": two, "b": {**two, "price": {"amount": 1}}}


def test_a_bad_key_fails_its_own_field_alone() -> None:
    def rows(sent: Sent) -> Any:
        ids = sent.target.partition("ids=")[2].split(",")
        return reply(status=400) if "bad" in ids else [{"id": id} for id in ids]

    class Script(dict[str, Any]):
        def get(self, name: str, default: Any = None) -> Any:
            if name.startswith("GET /items/"):
                id = name.rpartition("/")[2]
                return reply(status=400) if id == "bad" else {"id": id}
            return rows

    answer, calls = asked('{ items(ids: ["1", "2", "bad", "3"]) { id } }', Script())
    assert answer["data"] == {"items": [{"id": "1"}, {"id": "2"}, None, {"id": "3"}]}
    assert [error["path"] for error in answer["errors"]] == [["items", 2]]
    assert len(calls) == 5


class AlwaysBad(dict[str, Any]):
    def get(self, name: str, default: Any = None) -> Any:
        return reply(status=400)


ALL_BAD = "{ items(ids: %s) { id } }" % [f"{n}" for n in range(60)]


def test_a_batch_that_is_refused_whatever_is_asked_ends_somewhere() -> None:
    answer, calls = asked(ALL_BAD.replace("'", '"'), AlwaysBad())
    assert len(calls) == 1 + SPLIT_CALLS_MAX
    assert {error["extensions"]["http"]["status"] for error in answer["errors"]} == {400}
    assert answer["data"] == {"items": [None] * 60}


def test_the_halves_of_a_batch_are_calls_of_the_operation_too() -> None:
    settings = _settings(graph).model_copy(update={"request_calls_max": 5})
    with GraphTest(graph, settings=settings, shop=AlwaysBad()) as test:
        test.ask(ALL_BAD.replace("'", '"'))
        assert len(test.calls["shop"]) == 5


def test_a_key_that_no_batch_can_carry_goes_alone() -> None:
    script = {
        "GET /items/a,b": {"id": "a,b"},
        "GET /items?ids=1,2": [{"id": 1}, {"id": 2}],
    }
    answer, _ = asked('{ items(ids: ["1", "a,b", "2"]) { id } }', script)
    assert answer == {"data": {"items": [{"id": "1"}, {"id": "a,b"}, {"id": "2"}]}}


def test_null_at_a_rows_place_is_a_missing_row() -> None:
    answer, _ = asked("{ items(ids: [1, 2]) { id } }", {"GET /items?ids=1,2": [{"id": 1}, None]})
    assert answer == {"data": {"items": [{"id": "1"}, None]}}


def test_a_row_of_no_known_kind_is_its_backends_fault() -> None:
    b = Backend("b", "http://b.test")

    @strawberry.type
    @discriminator("kind", 1)
    class One:
        id: int

    @strawberry.type
    @discriminator("kind", True)
    class Yes:
        id: int

    either = Annotated[One | Yes, strawberry.union("Either")]
    get_kinds = b.get("/kinds")

    @strawberry.type(name="Query")
    class Root:
        kinds: list[either | None] = get_kinds()  # type: ignore[valid-type]

    rows = [{"kind": kind, "id": 1} for kind in (1, True, 2, [1])]
    with GraphTest(Graph(query=Root), b={"GET /kinds": rows}) as test:
        answer = test.ask("{ kinds { __typename } }")
    one, yes = {"__typename": "One"}, {"__typename": "Yes"}
    assert answer["data"] == {"kinds": [one, yes, None, None]}
    for error in answer["errors"]:
        assert "is of no kind that Either has" in error["message"]
        assert error["extensions"]["code"] == "BAD_BACKEND_RESPONSE"
        assert error["extensions"]["backend"] == "b"


def test_kinds_may_be_told_by_properties_of_different_names() -> None:
    b = Backend("b", "http://b.test")

    @strawberry.type
    @discriminator("kind", "a")
    class One:
        id: int

    @strawberry.type
    @discriminator("type", "b")
    class Other:
        id: int

    either = Annotated[One | Other, strawberry.union("Either")]
    get_kinds = b.get("/kinds")

    @strawberry.type(name="Query")
    class Root:
        kinds: list[either | None] = get_kinds()  # type: ignore[valid-type]

    rows = [{"kind": "a"}, {"type": "b"}, {"kind": "b"}, {"type": "a"}, {"kind": "x", "type": "b"}]
    with GraphTest(Graph(query=Root), b={"GET /kinds": rows}) as test:
        for _ in range(3):
            answer = test.ask("{ kinds { __typename } }")
            names = [one and one["__typename"] for one in answer["data"]["kinds"]]
            assert names == ["One", "Other", None, None, "Other"]


def test_a_parent_without_rows_has_an_empty_list() -> None:
    script = {"GET /items/1": {"id": 1}, "GET /users/1/pays": reply(status=404)}
    answer, _ = asked("{ item(id: 1) { ownPays { id } } }", script)
    assert answer == {"data": {"item": {"ownPays": []}}}


def test_keys_are_compared_as_what_they_are() -> None:
    upper, lower = "AAAAAAAA-0000-4000-8000-00000000000F", "aaaaaaaa-0000-4000-8000-00000000000f"
    rows = [{"id": lower}, {"id": 2.0}]
    answer, _ = asked(
        f'{{ items(ids: ["{upper}", "2"]) {{ id }} }}', {f"GET /items?ids={upper},2": rows}
    )
    assert answer["data"]["items"][0] == {"id": lower}
    assert answer["data"]["items"][1] is not None


def test_case_counts_in_keys_unless_the_author_says_otherwise() -> None:
    b = Backend("b", "http://b.test")
    exact = b.get("/x/{id}", batch=by_ids("/x"))
    loose = b.get("/y/{id}", batch=by_ids("/y", key_matches="ignore_case"))

    @strawberry.type(name="Query")
    class Root:
        x: list[Me | None] = exact.many(id=arg(list[str]))
        y: list[Me | None] = loose.many(id=arg(list[str]))

    rows = [{"id": "AB"}, {"id": "c"}]
    script = {"GET /x?id=ab&id=c": rows, "GET /y?id=ab&id=c": rows}
    with GraphTest(Graph(query=Root), b=script) as test:
        answer = test.ask('{ x(id: ["ab", "c"]) { __typename } y(id: ["ab", "c"]) { __typename } }')
    me = {"__typename": "Me"}
    assert answer == {"data": {"x": [None, me], "y": [me, me]}}


def test_rows_that_all_have_other_keys_are_an_error_and_not_missing() -> None:
    script = {"GET /items?ids=1,2": [{"id": "x-1"}, {"id": "x-2"}]}
    answer, _ = asked("{ items(ids: [1, 2]) { id } }", script)
    codes = {error["extensions"]["code"] for error in answer["errors"]}
    assert codes == {"BAD_BACKEND_RESPONSE"}


def test_a_list_in_several_pages_is_read_to_its_end() -> None:
    script = {
        "GET /search": reply([{"id": 1}], headers={"link": '</search?page=2>; rel="next"'}),
        "GET /search?page=2": [{"id": 2}],
    }
    assert asked("{ find { id } }", script)[0] == {"data": {"find": [{"id": 1}, {"id": 2}]}}


def test_a_list_without_end_fails() -> None:
    script = {
        "GET /search": reply([{"id": 1}], headers={"link": '</search>; rel="next"'}),
    }
    answer, calls = asked("{ find { id } }", script)
    assert answer["errors"][0]["extensions"]["code"] == "BAD_BACKEND_RESPONSE"
    assert len(calls) == 10


def test_the_next_page_is_asked_for_at_the_same_place_alone() -> None:
    elsewhere = {"link": "<http://other.test/search?page=2>; rel=next"}
    answer, calls = asked("{ find { id } }", {"GET /search": reply([{"id": 1}], headers=elsewhere)})
    assert answer["errors"][0]["extensions"]["code"] == "BAD_BACKEND_RESPONSE"
    assert calls == ["GET /search"]


def test_what_is_read_after_a_write_is_not_older_than_it() -> None:
    names = iter(["old", "new"])
    script = {
        "GET /items/1": lambda _: {"id": 1, "name": next(names)},
        "PUT /items/1": {"id": 1, "name": "new"},
    }
    with GraphTest(graph, shop=script) as test:
        read = "{ item(id: 1) { name } }"
        assert test.ask(read) == test.ask(read) == {"data": {"item": {"name": "old"}}}
        test.ask('mutation { update(id: 1, name: "new") { name } }')
        assert test.ask(read) == {"data": {"item": {"name": "new"}}}


def test_an_empty_reply_is_a_missing_row() -> None:
    script = {"GET /items/1": reply(status=204)}
    assert asked("{ item(id: 1) { name } }", script)[0] == {"data": {"item": None}}


def test_the_clients_error_says_when_to_ask_again() -> None:
    script = {"GET /items/1": reply(status=503, headers={"retry-after": "7"})}
    answer, _ = asked("{ item(id: 1) { name } }", script)
    assert answer["errors"][0]["extensions"]["retry_after_s"] == 7


def raw(body: bytes) -> Any:
    return reply(msgspec.Raw(body))


def test_a_number_is_shown_as_it_was_written() -> None:
    row = b'{"id": 1, "price": {"amount": 19.10, "long": 1234567890.12345678901234567890}}'
    body, _ = bytes_of("{ item(id: 1) { price } }", {"GET /items/1": raw(row)})
    assert b'{"amount":19.10,"long":1234567890.12345678901234567890}' in body


def test_a_number_that_nobody_asked_for_fails_nothing() -> None:
    script = {"GET /items/1": raw(b'{"id": 1, "name": "n", "price": 1e400}')}
    assert asked("{ item(id: 1) { name } }", script)[0] == {"data": {"item": {"name": "n"}}}


def test_a_number_goes_to_the_backend_as_the_client_wrote_it() -> None:
    seen: list[bytes] = []

    def note(method: str, target: str, headers: Mapping[str, str], body: bytes) -> Any:
        seen.append(body)
        return 200, {}, b'{"id": 1}'

    query = "mutation ($b: JSON!) { create(body: $b) { id } }"
    text = msgspec.json.encode(query).decode()
    posted(f'{{"query": {text}, "variables": {{"b": {{"price": 19.10}}}}}}'.encode(), note)
    assert seen == [b'{"price":19.10}']


def test_what_a_write_is_declared_to_change_is_asked_for_anew() -> None:
    rows = iter([[{"id": 1}], [{"id": 2}]])
    script = {
        "GET /tickets?state=closed": lambda _: next(rows),
        "GET /tickets?state=open": [{"id": 9}],
        "POST /items": {"id": 5},
    }
    with GraphTest(graph, shop=script) as test:
        read = "{ closed { id } opened { id } }"
        test.ask(read)
        test.ask("mutation { create(body: {}) { id } }")
        assert test.ask(read)["data"] == {"closed": [{"id": 2}], "opened": [{"id": 9}]}
        assert test.calls["shop"].count("GET /tickets?state=open") == 1


NAMED = '{ named(slug: "a") { id } }'


@pytest.mark.parametrize("name", ["location", "content-location"])
@pytest.mark.parametrize(
    ("target", "is_ours"),
    [
        ("/named/a", True),
        ("http://shop.test/named/a", True),
        ("named/a", True),
        ("http://other.test/named/a", False),
        ("https://shop.test/named/a", False),
        ("http://shop.test:81/named/a", False),
        ("/named/b", False),
        ("//[", False),
    ],
)
def test_what_a_writes_reply_names_is_asked_for_anew(name: str, target: str, is_ours: bool) -> None:
    ids = iter([1, 2])
    script = {
        "GET /named/a": lambda _: {"id": next(ids)},
        "POST /named": reply({"id": 7}, headers={name: target}),
    }
    with GraphTest(graph, shop=script) as test:
        test.ask(NAMED)
        test.ask("mutation { createNamed(body: {}) { id } }")
        assert test.ask(NAMED) == {"data": {"named": {"id": 2 if is_ours else 1}}}


def test_all_rows_of_an_endpoint_are_asked_for_anew_where_the_write_does_not_tell_which() -> None:
    ids = iter([1, 2])
    script = {"GET /named/a": lambda _: {"id": next(ids)}, "POST /items": {"id": 5}}
    with GraphTest(graph, shop=script) as test:
        test.ask('{ named(slug: "a") { id } }')
        test.ask("mutation { create(body: {}) { id } }")
        assert test.ask('{ named(slug: "a") { id } }') == {"data": {"named": {"id": 2}}}


def test_a_failed_write_makes_nothing_out_of_date() -> None:
    script = {"GET /items/1": {"id": 1, "name": "n"}, "PUT /items/1": reply(status=422)}
    with GraphTest(graph, shop=script) as test:
        for _ in range(2):
            test.ask("{ item(id: 1) { name } }")
            test.ask('mutation { update(id: 1, name: "x") { name } }')
        assert test.calls["shop"].count("GET /items/1") == 1


def test_a_write_whose_end_is_unknown_makes_out_of_date_too() -> None:
    script = {"GET /items/1": {"id": 1, "name": "n"}, "PUT /items/1": reply(status=500)}
    with GraphTest(graph, shop=script) as test:
        test.ask("{ item(id: 1) { name } }")
        test.ask('mutation { update(id: 1, name: "x") { name } }')
        test.ask("{ item(id: 1) { name } }")
        assert test.calls["shop"].count("GET /items/1") == 2


@pytest.mark.parametrize("end", [b'""', b"false", b"null"])
def test_the_last_page_says_so_in_several_ways(end: bytes) -> None:
    body = b'{"data": [{"id": 1}], "next": %s}' % end
    answer, _ = asked("{ paged { pageInfo { hasNextPage } } }", {"GET /paged?limit=20": raw(body)})
    assert answer == {"data": {"paged": {"pageInfo": {"hasNextPage": False}}}}


def test_an_empty_page_can_be_continued() -> None:
    script = {
        "GET /paged?limit=20": {"data": [], "next": "c2"},
        "GET /paged?cursor=c2&limit=20": {"data": [{"id": 1}], "next": "c2"},
    }
    shown = "{ nodes { id } pageInfo { hasNextPage endCursor } }"
    with GraphTest(graph, shop=script) as test:
        page = test.ask(f"{{ paged {shown} }}")["data"]["paged"]
        assert page["nodes"] == []
        assert page["pageInfo"]["hasNextPage"]
        after = page["pageInfo"]["endCursor"]
        answer = test.ask(f'{{ paged(after: "{after}") {shown} }}')
    # The second page names itself as the next one: paging on would never end.
    assert answer["errors"][0]["extensions"]["code"] == "BAD_BACKEND_RESPONSE"


def test_a_caller_without_credentials_is_not_given_the_gateways() -> None:
    both = Backend("both", "http://x", forward=("authorization",), headers={"Authorization": "s"})
    get = both.get("/x")

    @strawberry.type
    class Both:
        x: Pay | None = get()

    with pytest.raises(GraphError, match="'authorization' is forwarded"):
        Graph(query=strawberry.type(type("Query", (Both,), {})))


def test_nor_where_a_setting_fixes_them() -> None:
    one = Backend("one", "http://x", forward=("authorization",))

    @strawberry.type(name="Query")
    class Root:
        x: Pay | None = one.get("/x")()

    settings = Settings(backends={"one": {"token": "secret"}})  # type: ignore[dict-item]
    with pytest.raises(SettingsError, match="forwards the client's 'authorization'") as caught:
        create_app(Graph(query=Root), settings)
    assert "secret" not in str(caught.value)


def test_which_parameter_is_a_batchs_key_is_not_guessed() -> None:
    b = Backend("b", "http://x")
    form = grouped("/todos", ids="ids", key="owner")
    unclear = b.get("/todos", query=("userId", "completed"), batch=form)
    clear = b.get(
        "/todos", query=("userId", "completed"), batch=grouped("/todos", ids="userId", key="userId")
    )
    assert clear.spec.batch is not None
    assert list(clear.spec.batch.keys) == ["userId"]

    @strawberry.type(name="Query")
    class Root:
        x: list[Pay] = unclear(userId=arg(str), completed=arg(bool))

    with pytest.raises(GraphError, match="Which of userId, completed is the batch's key"):
        Graph(query=Root)


def bytes_of(query: str, script: Mapping[str, Any]) -> tuple[bytes, GraphTest]:
    """The answer's own bytes."""
    with GraphTest(graph, shop=script) as test:
        assert test._runner is not None
        return test._runner.run(_posted(test._app, {"query": query})), test


async def _posted(app: Any, body: Any) -> bytes:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        headers = {"content-type": "application/json"}
        return (await client.post("/graphql", content=content, headers=headers)).content


def posted(body: bytes, script: Any) -> bytes:
    """The answer to the body as it is, with `script` behind the backend `shop`."""

    async def main() -> bytes:
        settings = Settings(
            backends={name: {"url": "http://x"} for name in ("shop", "session")},  # type: ignore[misc]
            ledger_path=Path(":memory:"),
        )
        app = create_app(graph, settings, transports={"shop": scripted(script)})
        async with app.lifespan():
            return await _posted(app, body)

    return asyncio.run(main())


OPTIONS = ("name", "description", "fallback", "extensions")
find = shop.get("/find", query=(*OPTIONS, "page"))
find_all = shop.get("/find", query=OPTIONS)


@strawberry.type
class Found:
    name: str
    same: list["Found"] = find_all({"name": this.name, "fallback": True}, fallback=[], name="alike")


@strawberry.type
class Finding:
    found: list[Found] = find(
        {"name": arg(str), "description": arg(str, name="text"), "fallback": 1},
        page=arg(int, default=2),
        description="What is found.",
        fallback=[],
    )

    @strawberry.field
    async def loaded(self, info: strawberry.Info) -> list[Found]:
        return await find.load(info, name="n", extensions="e")  # type: ignore[no-any-return]


def test_a_parameter_may_have_the_name_of_an_option() -> None:
    made = Graph(query=Finding)
    script = {
        "GET /find?name=n&description=d&fallback=1&page=2": [{"name": "m"}],
        "GET /find?name=m&fallback=true": reply(status=500),
        "GET /find?name=n&extensions=e": [{"name": "l"}],
    }
    with GraphTest(made, shop=script) as test:
        answer = test.ask('{ found(name: "n", text: "d") { name alike { name } } loaded { name } }')
    assert answer["data"] == {
        "found": [{"name": "m", "alike": []}],
        "loaded": [{"name": "l"}],
    }
    assert answer["extensions"]["plait"]["fallbacks"][0]["path"] == ["found", 0, "alike"]
    assert '"""What is found."""' in made.sdl


def test_a_parameter_is_bound_once() -> None:
    find({"name": 1, "page": 2}, name="alike")  # the option is no second binding
    with pytest.raises(TypeError, match="The parameter 'page' is bound twice"):
        find({"name": 1, "page": 2}, page=3)
