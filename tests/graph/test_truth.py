"""A field shows what its backend said to this caller, and nothing else."""

from collections.abc import Mapping
from typing import Any

import msgspec
import strawberry

from plait import Backend, Graph, arg, by_ids, grouped, this
from plait.testing import GraphTest, Sent, reply

shop = Backend("shop")
session = Backend("session")

get_item = shop.get("/items/{id}", batch=by_ids("/items", ids="ids", joined=True), ttl_s=60)
open_items = shop.get("/tickets", constants={"state": "open"}, ttl_s=60)
closed_items = shop.get("/tickets", constants={"state": "closed"}, ttl_s=60)
by_user = shop.get("/pays", query={"user_id": "userId"}, ttl_s=60)
by_order = shop.get("/pays", query={"order_id": "orderId"}, ttl_s=60)
search = shop.get("/search", query=("tag",))
pays_of = shop.get("/users/{id}/pays", batch=grouped("/pays", ids="user", key="userId"))
update_item = shop.put("/items/{id}")
me = session.get("/me")


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
    async def renamed(self, info: strawberry.Info) -> str:
        row = await get_item.load(info, id=self.id)
        row["name"] = "changed"
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
    find_all: list[Pay] = search(tag=arg(list[str], empty_is_all=True))
    me: Me | None = me()


@strawberry.type
class Mutation:
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
    assert asked("{ findAll(tag: []) { id } }", script)[0] == {"data": {"findAll": [{"id": 1}]}}


def test_a_resolver_that_changes_a_row_changes_it_for_nobody_else() -> None:
    script = {"GET /items/1": {"id": 1, "name": "n"}}
    answer, _ = asked("{ a: item(id: 1) { renamed } b: item(id: 1) { renamed name } }", script)
    assert answer["data"]["b"] == {"renamed": "changed", "name": "n"}


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


def test_a_reply_in_another_charset_and_an_empty_one_are_read() -> None:
    script = {"GET /items/1": reply(status=204)}
    assert asked("{ item(id: 1) { name } }", script)[0] == {"data": {"item": None}}


def test_the_clients_error_says_when_to_ask_again() -> None:
    script = {"GET /items/1": reply(status=503, headers={"retry-after": "7"})}
    answer, _ = asked("{ item(id: 1) { name } }", script)
    assert answer["errors"][0]["extensions"]["retry_after_s"] == 7


def test_a_number_is_shown_as_it_was_written() -> None:
    written = b'{"id": 1, "price": {"amount": 19.10}, "name": null}'

    def script(_: Sent) -> Any:
        return reply(msgspec.Raw(written))

    with GraphTest(graph, shop={"GET /items/1": script}) as test:
        found = test.ask("{ item(id: 1) { price } }")
        assert "errors" not in found
        assert found["data"]["item"]["price"]["amount"] == 19.1
