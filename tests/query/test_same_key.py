"""Values that differ to Python and are one key to a backend: compiled code shows for each what
graphql-core does."""

import json
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, arg, by_ids, grouped, this
from plait.testing import GraphTest
from tests.query.test_compile import asked, sights, unwatched

b = Backend("b", "http://b.test")
get_post = b.get("/posts")
EXACT, FOLDED = (
    {
        "one": b.get("/users/{id}", batch=by_ids("/users", key_matches=matches)),
        "many": b.get("/notes/{id}", batch=grouped("/notes", key="of", key_matches=matches)),
    }
    for matches in ("exact", "ignore_case")
)


@strawberry.type
class Note:
    text: str


@strawberry.type
class User:
    name: str


@strawberry.type
class Post:
    title: str
    user: User | None = EXACT["one"](id=this.of)
    notes: list[Note] = EXACT["many"](id=this.of)
    folded_user: User | None = FOLDED["one"](id=this.of)
    folded_notes: list[Note] = FOLDED["many"](id=this.of)


@strawberry.type
class Query:
    posts: list[Post] = get_post()


UPPER = "AAAAAAAA-0000-0000-0000-00000000000A"


class Script(dict[str, Any]):
    """Posts of some keys, and rows whose keys are what `said` makes of these."""

    def __init__(self, keys: list[Any], said: dict[Any, Any]) -> None:
        self.keys_of_posts = keys
        self.said = said

    def get(self, call: str, default: Any = None) -> Any:
        path, _, query = call.removeprefix("GET ").partition("?")
        if path == "/posts":
            return [{"title": f"t{key}", "of": key} for key in self.keys_of_posts]
        asked = [one.partition("=")[2] for one in query.split("&")] if query else [path[7:]]
        keys = dict.fromkeys(self.said[one] for one in asked)
        if not query:
            key = self.said[asked[0]]
            return {"name": f"n{key}"} if "users" in path else [{"text": f"x{key}"}]
        if "users" in path:
            return [{"id": key, "name": f"n{key}"} for key in keys]
        return [{"of": key, "text": f"x{key}"} for key in keys]


@pytest.mark.parametrize("field", ["user { name }", "notes { text }"])
@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ([7, "7", 8], {"7": 7, "8": 8}),
        ([7, "7", 8], {"7": "7", "8": 8}),
        ([7, None, "8", "7"], {"7": "7", "8": "8"}),
        ([UPPER, UPPER.lower(), "b"], {UPPER: UPPER, UPPER.lower(): UPPER, "b": "b"}),
    ],
)
def test_each_shows_the_row_of_its_key(field: str, keys: list[Any], said: Any) -> None:
    told = shown(f"{{ posts {{ title {field} }} }}", keys, said)
    (name,) = {*told["data"]["posts"][0]} - {"title"}
    of = [one[name] for one in told["data"]["posts"]]
    for key, one in zip(keys, of, strict=True):
        if key is not None:
            assert one, told
            assert one == of[0] or str(key).lower() != str(keys[0]).lower()


@pytest.mark.parametrize("field", ["foldedUser { name }", "foldedNotes { text }"])
def test_so_do_those_that_differ_in_case_alone_where_that_is_the_same(field: str) -> None:
    document = f"{{ posts {{ title {field} }} }}"
    told = shown(document, ["A", "a", "b"], {"A": "a", "a": "a", "b": "b"})
    (name,) = {*told["data"]["posts"][0]} - {"title"}
    first, second, third = (one[name] for one in told["data"]["posts"])
    assert first == second != third
    assert first
    assert third


def test_rows_of_one_key_need_not_stand_together() -> None:
    calls = {
        "GET /posts": [{"title": f"t{key}", "of": key} for key in (7, 8)],
        "GET /notes?id=7&id=8": [{"of": of, "text": text} for of, text in ROWS],
    }
    expected, found, way, _ = asked(calls, "{ posts { notes { text } } }", graph=Graph(query=Query))
    assert (found, way) == (expected, "code")
    of = [[one["text"] for one in post["notes"]] for post in found["data"]["posts"]]
    assert of == [["a", "c", "d"], ["b", "e"]]


ROWS = [(7, "a"), (8, "b"), (7, "c"), (7, "d"), (8, "e")]


def shown(document: str, keys: list[Any], said: Any) -> Any:
    """The answer, which is the same both ways."""
    graph = Graph(query=Query)
    answers = []
    for count in (0, 1_000):
        with pytest.MonkeyPatch.context() as patch, sights(count):
            unwatched(patch, graph)
            with GraphTest(graph, b=Script(keys, said)) as test:
                answers.append(test.ask(document))
    assert answers[0] == answers[1], json.dumps(answers, indent=1)
    return answers[0]


@strawberry.type
class Member:
    name: str


@strawberry.type
class Team:
    name: str
    members: list[Member] = b.get("/teams/{id}/members")(id=this.id)


@strawberry.type
class Teams:
    team: Team | None = b.get("/teams/{id}", batch=by_ids("/teams"))(id=arg(int))


@pytest.mark.parametrize("said", [True, 1.0, "1", 1, 2, None])
def test_what_was_asked_for_early_is_shown_where_the_row_says_the_same(said: Any) -> None:
    """Python's true is its 1, and so is 1.0."""
    calls = {
        "GET /teams/1": {"id": said, "name": "t"},
        **{f"GET /teams/{one}/members": [{"name": f"m{one}"}] for one in ("1", "true", "2")},
    }
    document = "{ team(id: 1) { name members { name } } }"
    expected, found, _, _ = asked(calls, document, graph=Graph(query=Teams))
    assert found == expected
    members = (found["data"]["team"] or {}).get("members")
    assert said not in (1, 2) or type(said) is bool or members == [{"name": f"m{said:.0f}"}]
