"""The table of fields says of each field what it does."""

import strawberry
from strawberry.permission import BasePermission

from plait import Backend, Graph, arg, by_ids, prop, this
from plait.graph.fields import Constant, Custom, Fetch, Given, Object, Property, Row

b = Backend("b", "http://b.test")
get_row = b.get("/rows/{id}", batch=by_ids("/rows"))
list_rows = b.get("/rows", query=("state", "tag"))
create_row = b.post("/rows")


class Nobody(BasePermission):
    def has_permission(self, source: object, info: strawberry.Info, **_: object) -> bool:
        return False


@strawberry.type
class Thing:
    id: strawberry.ID
    label: str = prop("texts.label")
    hidden: str | None = prop("x", permission_classes=(Nobody,))
    parts: list["Thing"]
    parent: "Thing | None" = get_row(id=this.parentId)
    others: "list[Thing | None]" = get_row.many(id=this.otherIds)
    secret: "Thing | None" = get_row(id=this.parentId, permission_classes=(Nobody,))

    @strawberry.field
    def shout(self) -> str:
        return self.label.upper()

    @strawberry.field
    def told(self, info: strawberry.Info) -> str:
        return ""

    @strawberry.field
    async def later(self) -> str:
        return ""


@strawberry.type
class Query:
    things: list[Thing] = list_rows(state="open", tag=arg(str | None, None, name="label"))
    some: list[Thing] = get_row.many(id=arg(list[strawberry.ID], name="ids"))


@strawberry.type
class Mutation:
    create: Thing = create_row.field(body={"label": arg(str), "meta": {"from": "plait"}})


fields = Graph(query=Query, mutation=Mutation).fields


def fetch(type_name: str, name: str) -> Fetch:
    found = fields[type_name][name]
    assert isinstance(found, Fetch)
    return found


def test_where_each_parameter_comes_from() -> None:
    assert fetch("Thing", "parent").bindings == {"id": Row(path=("parentId",))}
    assert fetch("Query", "things").bindings == {
        "state": Constant(written="open"),
        "tag": Given(name="label", null_is_nothing=True),
    }
    assert fetch("Query", "some").bindings == {"id": Given(name="ids", is_list=True)}
    assert fetch("Mutation", "create").bindings == {
        "body": Object(
            parts={
                "label": Given(name="label"),
                "meta": Object(parts={"from": Constant(written="plait")}),
            }
        )
    }


def test_which_endpoint_in_which_form() -> None:
    told = {
        name: (one.endpoint.label, one.form, one.list_parameter, one.type_name, one.is_guarded)
        for name in ("parent", "others", "secret")
        for one in (fetch("Thing", name),)
    }
    assert told == {
        "parent": ("GET /rows/{id}", "one", None, "Thing", False),
        "others": ("GET /rows/{id}", "many", "id", "Thing", False),
        "secret": ("GET /rows/{id}", "one", None, "Thing", True),
    }
    assert fetch("Query", "some").list_parameter == "id"
    assert fetch("Mutation", "create").form == "write"


def test_what_reads_the_row() -> None:
    label, hidden, parts = (fields["Thing"][name] for name in ("label", "hidden", "parts"))
    assert isinstance(label, Property)
    assert isinstance(hidden, Property)
    assert isinstance(parts, Property)
    assert label.reader.paths == (("texts", "label"),)
    assert (label.below, parts.below, parts.is_list) == (None, "Thing", True)
    assert (label.is_guarded, hidden.is_guarded) == (False, True)


def test_what_its_author_decides() -> None:
    told = {name: fields["Thing"][name] for name in ("shout", "told", "later")}
    assert all(isinstance(one, Custom) for one in told.values())
    assert {name: getattr(one, "may_load", None) for name, one in told.items()} == {
        "shout": False,  # it is not async, and has nothing to load with
        "told": True,
        "later": True,
    }
