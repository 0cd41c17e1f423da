"""Random graphs over random backends, and random documents over them: the same for the same
seed."""

import asyncio
import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import strawberry
from graphql import GraphQLError
from strawberry.permission import BasePermission
from strawberry.scalars import JSON

from plait import (
    Backend,
    Connection,
    Graph,
    arg,
    by_ids,
    cursor_pages,
    discriminator,
    grouped,
    prop,
    this,
)
from plait.testing import Answer, Sent, reply

FAULTS = ("missing", "failing", "other key", "null key")
"""What may be wrong with a row, and makes no other call."""
MALFORMED = "malformed"


@strawberry.enum
class Mood(Enum):
    """What some rows are in."""

    GOOD = "good"
    BAD = "bad"


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _leaves(pick: int, *, salted: int) -> dict[str, Any]:
    """Values of each kind, some of them as they are seldom written."""
    row: dict[str, Any] = {
        "price": [19, 0.1, "12.50", 1e22][salted % 4],
        "at": ["2024-05-06T07:08:09Z", "2024-05-06T07:08:09.123456+02:00"][salted % 2],
        "day": "2024-05-06",
        "uid": "6f1f5a1e-6a3b-4c55-9a3b-0d8c2b6a7f10",
        "mood": ["good", "bad", "GOOD"][salted % 3],
        "extra": [{"a": [1, 2.50]}, [], "x", 3][salted % 4],
        "counts": [[], [1, 2], [1, None]][salted % 3],
        "rates": [[], [0.5, 2.0]][salted % 2],
        "moods": [[], ["good", "BAD"]][salted % 2],
        "codes": [[1, "b"], []][salted % 2],
        "longName" if salted % 2 else "long_name": f"long {pick}",
        "other_size" if salted % 3 else "otherSize": salted % 5,
        "colour": ["green", None][salted % 7 == 0],
    }
    for number, name in enumerate(list(row)):
        match (salted + number) % 23:
            case 0:
                row[name] = None
            case 1:
                del row[name]
    return row


@strawberry.interface
class Noted:
    """What some of the types are."""

    note: str | None


class Forbidden(BasePermission):
    """Refuses by what the row says."""

    message = "Not for you."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        return getattr(source, "size", None) != 1


class ForbiddenSlowly(Forbidden):
    """As `Forbidden`, after a turn of the loop."""

    async def has_permission(  # type: ignore[override]  # as Strawberry has it
        self, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> bool:
        await asyncio.sleep(0)
        return super().has_permission(source, info, **kwargs)


class ForbiddenThere(Forbidden):
    """Refuses by what the row says, in every other place of a list."""

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        place = next((one for one in reversed(info.path.as_list()) if type(one) is int), 0)
        return place % 2 == 0 or super().has_permission(source, info, **kwargs)


class Allowed(BasePermission):
    """Lets everybody, and looks at what it may be told."""

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        told = (info.field_name, info.python_name, info.context.caller, info.variable_values)
        return None not in told and bool(info.schema) and info.return_type is not None


OF_ROWS = (Forbidden, Allowed, Allowed, ForbiddenSlowly, ForbiddenThere)
"""Permissions of fields of rows."""
RUNS: Counter[str] = Counter()
"""How often each resolver and permission of a root has run."""


class Asked(BasePermission):
    """Refuses one key, at once."""

    message = "Not that one."

    def has_permission(self, source: Any, info: strawberry.Info, **kwargs: Any) -> bool:
        RUNS[f"{type(self).__name__} {info.path.key}"] += 1
        return kwargs.get("id") != "2"


class AskedSlowly(Asked):
    """As `Asked`, after some turns of the loop."""

    async def has_permission(  # type: ignore[override]  # as Strawberry has it
        self, source: Any, info: strawberry.Info, **kwargs: Any
    ) -> bool:
        for _ in range(len(str(info.path.key)) % 3):
            await asyncio.sleep(0)
        return super().has_permission(source, info, **kwargs)


@dataclass(kw_only=True)
class World:
    """A graph, its backend's script, and a document with variables."""

    graph: Graph
    script: Mapping[str, Answer]
    document: str
    variables: dict[str, Any]


def world(seed: int, *, faults: tuple[str, ...] = (), plain: bool = False) -> World:
    """Everything that follows from `seed`. A `plain` one is made of nothing but declared fields,
    with many kinds of values."""
    made = _Maker(random.Random(seed), faults, plain=plain)
    graph = made.graph()
    return World(
        graph=graph,
        script=_Script(made.answers),
        document=made.document(),
        variables={"id": made.choice(["1", "2", "7", "99"]), "yes": True, "no": False, "n": 2},
    )


class _Script(dict[str, Answer]):
    """Answers whatever is asked."""

    def __init__(self, answers: Any) -> None:
        super().__init__()
        self._answers = answers

    def get(self, key: str, default: Any = None) -> Any:
        return lambda sent: self._answers(sent)


class _Maker:
    def __init__(self, chance: random.Random, faults: tuple[str, ...], *, plain: bool) -> None:
        self._chance = chance
        self._plain = plain
        self._faults = faults
        self._salt = chance.random()
        self._is_kept = chance.random() < 0.3
        self._keys = chance.choice(["texts", "numbers", "both"])
        """What rows say as keys."""
        self._types: dict[str, dict[str, Any]] = {}
        """Type -> field -> (kind, type below)."""
        self._groups: dict[str, str] = {}
        self._noted: set[str] = set()
        self.choice = chance.choice

    # --- the graph

    def graph(self) -> Graph:
        chance = self._chance
        strict = chance.random() < 0.15
        is_spelled = self._plain and chance.random() < 0.2
        names = chance.choice(["snake", "camel"]) if is_spelled else None
        options: Any = {"names": names} if names else {}
        self._backend = Backend("b", "http://b.test", strict=strict, **options)
        classes: list[tuple[str, Any]] = []
        for number in reversed(range(chance.randint(2, 5))):
            classes.append((f"T{number}", self._type(f"T{number}", list(classes))))
            if len(classes) > 1 and chance.random() < 0.3:
                classes.append(self._union(f"U{number}", classes))
        noted = [(name, cls) for name, cls in classes if name in self._noted]
        if noted:
            self._groups["Noted"] = " ".join(name for name, _ in noted)
            classes.append(("Noted", Noted))
        query, types = self._query(classes), [cls for _, cls in noted]
        return Graph(query=query, mutation=self._mutation(classes), types=types)

    def _type(self, name: str, below: list[tuple[str, Any]]) -> Any:
        chance, annotations, values = self._chance, {}, {}
        annotations["id"] = chance.choice([strawberry.ID, int, strawberry.ID | None])
        fields: dict[str, Any] = {"id": ("leaf", None)}
        for leaf, type_ in (("name", str), ("size", int), ("rate", float), ("flag", bool)):
            if chance.random() < 0.7:
                annotations[leaf] = type_ if chance.random() < 0.5 else type_ | None
                fields[leaf] = ("leaf", None)
        if self._plain:
            self._values(annotations, values, fields)
        if chance.random() < 0.3:
            annotations["tags"], fields["tags"] = list[str], ("leaf", None)
        if chance.random() < 0.2:
            annotations["label"], values["label"] = str | None, prop("inner.name")
            fields["label"] = ("leaf", None)
        if chance.random() < 0.15:
            asked = [chance.choice(OF_ROWS)]
            annotations["hidden"] = chance.choice([str, str | None, int | None])
            values["hidden"] = strawberry.field(permission_classes=asked)
            fields["hidden"] = ("leaf", None)
        for number in range(chance.randint(1, 3) if below else 0):
            type_name, cls = chance.choice(below)
            self._relation(f"r{number}", type_name, cls, annotations, values, fields)
        self._resolvers(annotations, values, fields)
        bases: tuple[type, ...] = ()
        if chance.random() < 0.4:
            bases, fields["note"] = (Noted,), ("leaf", None)
            self._noted.add(name)
        self._types[name] = fields
        made = type(name, bases, {"__annotations__": annotations, "__module__": __name__, **values})
        return strawberry.type(discriminator("kind", name)(made))

    def _values(self, annotations: Any, values: Any, fields: Any) -> None:
        """Leaves of every kind that there is a way of its own for."""
        chance = self._chance
        kinds: list[tuple[str, Any]] = [
            ("price", Decimal),
            ("at", datetime),
            ("day", date),
            ("uid", UUID),
            ("mood", Mood),
            ("extra", JSON),
            ("counts", list[int | None]),
            ("rates", list[float]),
            ("moods", list[Mood]),
            ("long_name", str),
            ("other_size", int),
            ("codes", list[strawberry.ID]),
        ]
        for name, type_ in chance.sample(kinds, chance.randint(0, 5)):
            nullable = chance.random() < 0.5
            annotations[name] = type_ | None if nullable else type_
            fields[_camel(name)] = ("leaf", None)
        if chance.random() < 0.2:
            annotations["colour"], fields["colour"] = str, ("leaf", None)
            values["colour"] = chance.choice(["red", strawberry.field(default="blue")])

    def _relation(
        self, key: str, type_name: str, cls: Any, annotations: Any, values: Any, fields: Any
    ) -> None:
        chance = self._chance
        kind = chance.choice(["one", "one", "group", "group", "many", "object", "objects", "fixed"])
        nullable = chance.random() < 0.6
        if kind in ("object", "objects"):
            of = cls if kind == "object" else list[cls | None if nullable else cls]
            annotations[key] = of | None if nullable else of
        else:
            annotations[key], values[key] = self._fetch(kind, key, type_name, cls, nullable)
        fields[key] = (kind, type_name)

    def _fetch(self, kind: str, key: str, type_name: str, cls: Any, nullable: bool) -> Any:
        chance = self._chance
        own = chance.choice([this.id, this.id, this.key, getattr(this, f"k{key[1]}")])
        options: dict[str, Any] = {}
        if chance.random() < (0.1 if self._plain else 0.2):
            options["permission_classes"] = (chance.choice(OF_ROWS),)
        if kind == "group":
            if chance.random() < 0.2:
                options["fallback"] = chance.choice([[], [self._instead(type_name)] * 2])
            return list[cls], self._grouped(type_name)(owner=own, **options)
        if kind == "one" and self._plain and chance.random() < 0.4:
            part = getattr(this, f"k{chance.randrange(3)}")
            return (cls | None if nullable else cls), self._pair(type_name)(id=own, part=part)
        one = self._one(type_name)
        if kind == "many":
            return list[cls | None if nullable else cls], one.many(id=this.ks, **options)
        if chance.random() < (0.2 if nullable else 0.3):
            instead = self._instead(type_name)
            options["fallback"] = chance.choice([None, instead]) if nullable else instead
        value = own if kind == "one" else "3"
        return (cls | None if nullable else cls), one(id=value, **options)

    def _instead(self, type_name: str) -> dict[str, Any]:
        """What a graph's author would show in place of a row."""
        kinds = self._groups.get(type_name, type_name).split()
        said = {"id": 1, "name": "none", "size": 0, "key": 2, "k1": 1, "kind": kinds[0]}
        return dict(self._chance.sample(sorted(said.items()), self._chance.randint(3, 6)))

    def _one(self, type_name: str) -> Any:
        chance = self._chance
        rest: dict[str, Any] = {"keyed_by": "id"} if chance.random() < 0.5 else {}
        rest["early"] = chance.random() < 0.9
        if chance.random() < 0.4:
            return self._backend.get(f"/one/{type_name}/{{id}}", **rest)
        # A batch finds its rows by "key", which is always right; "id" may say something else.
        size = chance.choice([2, 100])
        if chance.random() < 0.2:
            posted = by_ids(f"/posted/{type_name}", key="key", body="ids", size=size)
            return self._backend.get(f"/{type_name}/{{id}}", batch=posted, **rest)
        batch = by_ids(f"/{type_name}", key="key", ids="id", size=size)
        return self._backend.get(f"/{type_name}/{{id}}", batch=batch, **rest)

    def _pair(self, type_name: str) -> Any:
        """Rows that two values tell apart."""
        batch = by_ids(
            f"/pairs/{type_name}",
            ids="ids",
            key={"id": "key", "part": "part"},
            joined=self._chance.random() < 0.5,
            size=self._chance.choice([2, 100]),
        )
        path = f"/pair/{type_name}/{{id}}/{{part}}"
        return self._backend.get(path, batch=batch if self._chance.random() < 0.8 else None)

    def _grouped(self, type_name: str) -> Any:
        if self._chance.random() < 0.4:
            return self._backend.get(f"/each/{{owner}}/{type_name}")
        batch = grouped(f"/of/{type_name}", key="owner")
        return self._backend.get(f"/of/{{owner}}/{type_name}", batch=batch)

    def _resolvers(self, annotations: Any, values: Any, fields: Any) -> None:
        chance = self._chance

        def loud(self: Any) -> str:
            return f"{self.id}!"

        async def later(self: Any) -> str:
            return f"{self.id}?"

        for name, resolver in (("loud", loud), ("later", later)):
            if chance.random() < 0.15 and not self._plain:
                asked = [chance.choice(OF_ROWS)] if chance.random() < 0.3 else []
                values[name] = strawberry.field(resolver=resolver, permission_classes=asked)
                fields[name] = ("leaf", None)

    def _union(self, name: str, classes: list[tuple[str, Any]]) -> tuple[str, Any]:
        members = [(type_name, cls) for type_name, cls in classes if type_name[0] == "T"]
        chosen = self._chance.sample(members, min(2, len(members)))
        self._groups[name] = " ".join(type_name for type_name, _ in chosen)
        joined: Any = chosen[0][1]
        for _, cls in chosen[1:]:
            joined |= cls
        return name, Annotated[joined, strawberry.union(name)]

    def _query(self, classes: list[tuple[str, Any]]) -> Any:
        annotations, values, fields = {}, {}, {}
        self._waiting(classes, values, fields)
        for type_name, cls in classes:
            lower = type_name.lower()
            annotations[lower] = cls | None
            values[lower] = self._one(type_name)(id=arg(strawberry.ID), **self._asked_first())
            fields[lower] = ("given", type_name)
            annotations[f"{lower}s"] = list[cls | None]
            values[f"{lower}s"] = self._one(type_name).many(
                id=arg(list[strawberry.ID], name="ids"), **self._asked_first()
            )
            fields[f"{lower}s"] = ("listed", type_name)
            annotations[f"{lower}all"] = list[cls]
            values[f"{lower}all"] = self._backend.get(f"/all/{type_name}")(**self._asked_first())
            fields[f"{lower}all"] = ("all", type_name)
            if type_name[0] == "T" and not self._plain:
                annotations[f"{lower}paged"] = Connection[cls]
                pages = cursor_pages(items="items", next="next")
                listed = self._backend.get(f"/paged/{type_name}", pages=pages)
                values[f"{lower}paged"] = listed.connection()
                fields[f"{lower}paged"] = ("paged", type_name)
        self._types["Query"] = fields
        made = type("Query", (), {"__annotations__": annotations, "__module__": __name__, **values})
        return strawberry.type(made)

    def _asked_first(self) -> dict[str, Any]:
        """The permissions of a field of the root."""
        if self._chance.random() < 0.8:
            return {}
        return {"permission_classes": [self._chance.choice([Asked, AskedSlowly])]}

    def _waiting(self, classes: list[tuple[str, Any]], values: Any, fields: Any) -> None:
        """Resolvers of the root that wait."""
        chance = self._chance
        type_name, cls = chance.choice([one for one in classes if one[0][0] == "T"])
        endpoint, turns, fails = self._one(type_name), chance.randrange(9), chance.random() < 0.2

        async def told(info: strawberry.Info) -> str | None:
            RUNS[f"told {info.path.key}"] += 1
            for _ in range(turns):
                await asyncio.sleep(0)
            if fails:
                raise GraphQLError("It is not told.")
            return "it is told"

        async def found(info: strawberry.Info) -> Any:
            RUNS[f"found {info.path.key}"] += 1
            return await endpoint.load(info, id="3")

        async def several(info: strawberry.Info) -> Any:
            RUNS[f"several {info.path.key}"] += 1
            loads = [endpoint.load(info, id=id) for id in ("1", "4", "1")]
            return await asyncio.gather(*loads)

        if chance.random() < 0.2:
            several.__annotations__["return"] = list[cls | None]
            values["several"] = strawberry.field(resolver=several)
            fields["several"] = ("made", type_name)
        if chance.random() < 0.3:
            values["told"], fields["told"] = strawberry.field(resolver=told), ("leaf", None)
        if chance.random() < 0.3:
            found.__annotations__["return"] = cls | None
            values["found"], fields["found"] = strawberry.field(resolver=found), ("made", type_name)

    def _mutation(self, classes: list[tuple[str, Any]]) -> Any:
        """A field that reads, writes or not, and returns what it reads then."""
        chance = self._chance
        type_name, cls = chance.choice([one for one in classes if one[0][0] == "T"])
        endpoint = self._one(type_name)
        reads, writes, turns = chance.random() < 0.5, chance.random() < 0.7, chance.randrange(3)

        async def change(info: strawberry.Info) -> Any:
            RUNS[f"change {info.path.key}"] += 1
            if reads:
                await endpoint.load(info, id="3")
            if writes:
                info.context.loaders.forget()  # as writes do, which the stock executor knows not
            for _ in range(turns):
                await asyncio.sleep(0)
            return await endpoint.load(info, id=then)

        then = chance.choice(["1", "3", "4"])
        change.__annotations__["return"] = cls | None
        self._types["Mutation"] = {"change": ("made", type_name)}
        made = type("Mutation", (), {"change": strawberry.mutation(resolver=change)})
        return strawberry.type(made)

    # --- what the backend says

    def answers(self, sent: Sent) -> Any:
        """What it says, and for some for how long."""
        said = self._answers(sent)
        is_kept = self._is_kept and self._hash("kept", f"{sent.target} {sent.body}") % 3
        if is_kept and type(said) in (dict, list):
            return reply(said, headers={"cache-control": "max-age=60"})
        return said

    def _answers(self, sent: Sent) -> Any:
        url = urlsplit(sent.target)
        parts = url.path.strip("/").split("/")
        asked = [value for _, value in parse_qsl(url.query)]
        match parts:
            case ["all", type_name]:
                return [self._row(type_name, str(number)) for number in range(1, 5)]
            case ["each", owner, type_name]:
                if self._fault(f"of{type_name}", owner) == "failing":
                    return reply(status=500)
                return self._rows_of(type_name, owner)
            case ["paged", type_name]:
                rows = [self._row(type_name, str(number)) for number in range(1, 4)]
                return {"items": rows, "next": "n"}
            case ["of", owner, type_name]:
                return self._rows_of(type_name, owner)
            case ["posted", type_name]:
                return self._listed(type_name, map(str, sent.body["ids"]))
            case ["of", type_name]:
                return [row for owner in asked for row in self._rows_of(type_name, owner)]
            case ["one", type_name, id]:
                match self._fault(type_name, id):
                    case "missing":
                        return reply(status=404)
                    case "failing":
                        return reply(status=503)
                return self._row(type_name, id)
            case ["pair", type_name, id, part]:
                if self._fault(type_name, id) in ("missing", "failing"):
                    return reply(status=404)
                return {**self._row(type_name, id), "part": part}
            case ["pairs", type_name]:
                ids = [text for one in asked for text in one.split(",")]
                return [
                    {**row, "part": int(part) if int(part) % 2 else part}
                    for id, part in dict.fromkeys(tuple(one.split(":")) for one in ids)
                    for row in self._listed(type_name, [id])
                ]
            case [type_name, id]:  # as its batch would have it
                if self._fault(type_name, id) in ("missing", "failing"):
                    return reply(status=404)
                return self._row(type_name, id)
            case [type_name]:
                return self._listed(type_name, asked)
        raise AssertionError(sent.target)

    def _listed(self, type_name: str, ids: Iterable[str]) -> list[Any]:
        faults = {id: self._fault(type_name, id) for id in ids}
        return [
            self._row(type_name, id)
            for id, fault in faults.items()
            if fault not in ("missing", "failing")
        ]

    def _rows_of(self, type_name: str, owner: str) -> list[Any]:
        number = self._hash("of", type_name, owner) % 4
        return [
            {
                **self._row(type_name, str(10 * (index + 1) + number)),
                "owner": self._as_key(owner, index),
            }
            for index in range(number)
        ]

    def _row(self, type_name: str, id: str) -> dict[str, Any]:
        pick = self._hash(type_name, id)
        kind = type_name
        if type_name in self._groups:
            names = self._groups[type_name].split()
            kind = names[pick % len(names)]
        fault = self._fault(type_name, id)
        row: dict[str, Any] = {
            "id": int(id) if id.isdigit() and pick % 2 else id,
            "key": self._as_key(id, pick),
            "note": f"about {id}" if pick % 3 else None,
            "kind": kind,
            "name": f"n{id}",
            "size": pick % 3,
            "rate": pick % 7 / 2,
            "flag": pick % 2 == 0,
            "tags": ["a", "b"][: pick % 3],
            "inner": {"name": "in"} if pick % 3 else None,
            "hidden": f"hidden {id}" if pick % 4 else None,
        }
        if self._plain:
            row |= _leaves(pick, salted=self._hash("leaves", type_name, id))
        for number in range(3):
            row[f"k{number}"] = None if (pick + number) % 5 == 0 else (pick + number) % 9
            if self._keys == "both" and pick % 5:
                row[f"k{number}"] = self._as_key(str(pick % 3), pick)
        row["ks"] = [1 + pick % 5, "2", 1 + pick % 3]
        if fault == "other key":
            row["id"] = 900 + pick % 9
        if fault == "null key":
            row["id"] = None
        if fault == MALFORMED:
            named = ("name", "size", "flag", "tags")
            if self._plain:
                named += ("price", "at", "mood", "counts", "longName", "rate", "codes", "id")
            strange: list[Any] = [{"x": 1}, None]
            if self._plain:
                strange += [1.0, "7", True, 2**53 + 1, [], 3, [None], 1.5, "high"]
            row[named[pick % len(named)]] = strange[pick % len(strange)]
        for name, (below_kind, below) in self._types.get(kind, {}).items():
            if below_kind == "object":
                row[name] = None if pick % 4 == 0 else self._row(below, str(pick % 6))
            elif below_kind == "objects":
                row[name] = [self._row(below, str(number)) for number in range(pick % 3)]
        return row

    def _as_key(self, text: str, pick: int) -> int | str:
        """What a row says as its key: a text, a number, or one here and the other there."""
        is_text = self._keys == "texts" or (self._keys == "both" and pick % 2)
        return text if is_text or not text.isdigit() else int(text)

    def _fault(self, type_name: str, id: str) -> str | None:
        if not self._faults or self._hash("fault", type_name, id) % 4:
            return None
        return self._faults[self._hash("which", type_name, id) % len(self._faults)]

    def _hash(self, *parts: str) -> int:
        return random.Random(f"{self._salt}{parts}").randrange(1_000_000)

    # --- the document

    def document(self) -> str:
        self._fragments: list[str] = []
        kind = "mutation" if self._chance.random() < 0.1 else "query"
        body = self._selection(kind.title(), 0)
        given = "$id: ID!, " if "$id" in f"{body} {self._fragments}" else ""
        head = f"{kind} Q({given}$yes: Boolean!, $no: Boolean!)"
        used = "".join(f"v{name}: __typename @skip(if: ${name}) " for name in ("yes", "no"))
        ids = "vid: __typename @include(if: $yes) "
        return f"{head} {{ {used}{ids}{body} }} {' '.join(self._fragments)}".replace(
            "$unused", "$id"
        )

    def _selection(self, type_name: str, depth: int, *, of_group: bool = False) -> str:
        """`of_group`: members of a group may not show different things under one key."""
        outer = getattr(self, "_bare", set())
        self._bare = set(self._types[type_name]) if of_group else set[str]()
        try:
            return self._selected(type_name, depth)
        finally:
            self._bare = outer

    def _selected(self, type_name: str, depth: int) -> str:
        if type_name in self._groups:
            return ("note " if type_name == "Noted" else "__typename ") + " ".join(
                f"... on {one} {{ {self._selection(one, depth, of_group=True)} }}"
                for one in self._groups[type_name].split()
            )
        chance, found = self._chance, ["__typename"]
        fields = list(self._types[type_name].items())
        for name, (kind, below) in chance.sample(fields, min(len(fields), chance.randint(1, 5))):
            if kind != "leaf" and depth > 3:
                continue
            found.append(self._asked(type_name, name, kind, below, depth))
        if type_name == "Query":
            found.append("idUsed: t0(id: $id) { __typename }")
        return " ".join(found)

    def _asked(self, type_name: str, name: str, kind: str, below: str, depth: int) -> str:
        chance = self._chance
        arguments = {"given": "(id: $id)", "listed": '(ids: ["1", "2", "5", "1"])'}.get(kind, "")
        if kind == "given" and chance.random() < 0.5:
            arguments = f'(id: "{chance.choice([1, 2, 3, 42])}")'
        condition = chance.choice([""] * 6 + ["@include(if: $yes)", "@skip(if: $yes)"])
        selected = f"{{ {self._selection(below, depth + 1)} }}" if below else ""
        if kind == "paged":
            edges = f"edges {{ cursor node {{ {self._selection(below, depth + 1)} }} }}"
            selected = f"{{ nodes {selected} pageInfo {{ hasNextPage }} {edges} }}"
        made = ""
        if self._plain and chance.random() < 0.6 and not below and name not in self._bare:
            self._bare.add(name)  # most documents have no aliases
            return f"{name} {condition}"
        for alias in self._aliases(type_name, name):
            made += f"{alias}: {name}{arguments} {condition} {selected} "
        if below and chance.random() < 0.2:
            fragment = f"F{len(self._fragments)}"
            self._fragments.append(f"fragment {fragment} on {type_name} {{ {made} }}")
            return f"...{fragment}"
        return f"... {{ {made} }}" if chance.random() < 0.1 else made

    def _aliases(self, type_name: str, name: str) -> Iterator[str]:
        self._count = getattr(self, "_count", 0) + 1
        yield f"a{self._count}{name}"
        if self._chance.random() < 0.1:
            yield f"b{self._count}{name}"
