"""Two backends at one place: what the caller's credentials open is shown by the one alone that
forwards them."""

from pathlib import Path
from typing import Any

import pytest
import strawberry

from plait import Backend, Graph, by_ids, this
from plait.settings import Settings
from plait.testing import GraphTest, Sent
from tests.query.test_compile import sights

PLACE = "http://b.test"
everyone = Backend("everyone", PLACE)
personal = Backend("personal", PLACE, forward=("authorization",))
BATCH = by_ids("/notes")


@strawberry.type
class Note:
    id: int
    text: str


@strawberry.type
class Me:
    name: str
    shown: Note = everyone.get("/notes/{id}", batch=BATCH)(id=this.note)
    own: Note = personal.get("/notes/{id}", batch=BATCH)(id=this.note)


@strawberry.type
class Query:
    open: Me = everyone.get("/me")()
    mine: Me = personal.get("/me")()


def me(sent: Sent) -> Any:
    """Tells who asks."""
    return {"name": sent.headers.get("authorization", "nobody"), "note": 1}


def note(sent: Sent) -> Any:
    """Tells whom it was opened for."""
    return {"id": 1, "text": f"for {sent.headers.get('authorization', 'nobody')}"}


SCRIPT = {"GET /me": me, "GET /notes/1": note}


@pytest.mark.parametrize("seen_before", [0, 1_000])
@pytest.mark.parametrize(
    "document",
    [
        "{ open { name } mine { name } }",
        "{ mine { name } open { name } }",
        "{ mine { shown { text } own { text } } open { own { text } shown { text } } }",
        "{ open { own { text } shown { text } } mine { shown { text } own { text } } }",
    ],
)
def test_what_is_forwarded_opens_what_it_was_forwarded_for(document: str, seen_before: int) -> None:
    one: Any = {"url": PLACE}
    settings = Settings(backends={"everyone": one, "personal": one}, ledger_path=Path(":memory:"))
    made = GraphTest(Graph(query=Query), settings=settings, everyone=SCRIPT, personal=SCRIPT)
    with sights(seen_before), made as test:
        data = test.ask(document, authorization="me")["data"]
    for field, who in (("open", "nobody"), ("mine", "me")):
        told = {"name": who, "shown": {"text": "for nobody"}, "own": {"text": "for me"}}
        assert data[field].items() <= told.items()
        assert data[field]
