"""What a write makes out of date."""

from typing import Any

import pytest

from plait import Backend, by_ids
from plait.backend.forget import linked_uris, stale_after

b, other = Backend("b", "http://b.test"), Backend("other", "http://o.test")
get_row = b.get("/rows/{id}", batch=by_ids("/rows/batch", ids="ids"))
get_same = b.get("/rows/{key}")
list_rows = b.get("/rows")
filtered = b.get("/rows/{id}", query=("lang",))
batch_only = b.lookup(by_ids("/rows", ids="ids"))
get_team = b.get("/teams/{team}/rows/{id}")
elsewhere = other.get("/rows/{id}")
ALL = [one.spec for one in (get_row, get_same, list_rows, filtered, batch_only, get_team)]
NAMES = {
    id(get_row.spec): "row",
    id(get_same.spec): "same",
    id(list_rows.spec): "list",
    id(filtered.spec): "filtered",
    id(batch_only.spec): "batch",
    id(get_team.spec): "team",
    id(elsewhere.spec): "elsewhere",
}


def stale(write: Any, paths: list[str], values: Any, endpoints: Any = None) -> list[Any]:
    """(endpoint, the load's key; None for all its rows)"""
    found = stale_after(write.spec, paths, values, ALL if endpoints is None else endpoints)
    return [(NAMES[id(one.endpoint)], one.key[1:] if one.key else None) for one in found]


put = b.put("/rows/{id}")


@pytest.mark.parametrize(
    ("template", "paths", "found"),
    [
        ("/rows/{id}", ["/rows/7"], [("row", ("7",)), ("same", ("7",)), ("filtered", None)]),
        ("/rows/7", ["/rows/7"], [("row", ("7",)), ("same", ("7",)), ("filtered", None)]),
        ("/{kind}/7", ["/rows/7"], [("row", ("7",)), ("same", ("7",)), ("filtered", None)]),
        ("/{at:path}", ["/rows/7"], [("row", ("7",)), ("same", ("7",)), ("filtered", None)]),
        ("/rows", ["/rows"], [("list", ()), ("batch", None)]),
        (
            "/rows/{id}",
            ["/rows/batch"],
            [("row", ("batch",)), ("same", ("batch",)), ("filtered", None)],
        ),
        ("/teams/{team}/rows/{id}", ["/teams/a%20b/rows/1"], [("team", ("a b", "1"))]),
        ("/other", ["/other"], []),
        (
            "/rows",
            ["/rows", "/teams/t/rows/2"],
            [("list", ()), ("batch", None), ("team", ("t", "2"))],
        ),
    ],
)
def test_what_reads_at_the_paths_that_were_written(
    template: str, paths: list[str], found: Any
) -> None:
    assert stale(b.put(template), paths, {"id": 7}) == found


def test_another_backend_reads_elsewhere() -> None:
    assert stale(put, ["/rows/7"], {}, [elsewhere.spec]) == []


def test_what_is_declared_goes_by_key_where_the_write_tells_one() -> None:
    declared = b.put("/all/{id}", purges=[get_row, list_rows, get_team, elsewhere])
    assert stale(declared, ["/all/7"], {"id": 7, "body": {}}) == [
        ("row", ("7",)),
        ("list", ()),
        ("team", None),
    ]
    assert stale(declared, ["/all/7"], {"id": 7}, [*ALL, elsewhere.spec])[-1] == (
        "elsewhere",
        ("7",),
    )
    assert stale(declared, ["/all/7"], {})[0] == ("row", None)
    # A value that no call could be made of tells no row.
    assert stale(declared, ["/all/7"], {"id": "\n"})[0] == ("row", None)


@pytest.mark.parametrize(
    ("base", "path", "headers", "found"),
    [
        ("http://b.test", "/rows", {"location": "/rows/1"}, ["/rows/1"]),
        ("http://b.test", "/rows", {"location": "http://b.test/rows/1?x=1"}, ["/rows/1"]),
        ("http://b.test/v1", "/rows", {"location": "/v1/rows/1"}, ["/rows/1"]),
        ("http://b.test/v1/", "/rows", {"location": "/v1/rows/1"}, ["/rows/1"]),
        ("http://b.test/v1", "/rows", {"location": "/v2/rows/1"}, []),
        ("http://b.test/v1", "/rows", {"location": "/v1"}, []),
        ("http://b.test", "/rows/", {"location": "1"}, ["/rows/1"]),
        ("http://b.test", "/rows", {"content-location": "/rows/2"}, ["/rows/2"]),
        (
            "http://b.test",
            "/rows",
            {"location": "/rows/1", "content-location": "/rows/2"},
            ["/rows/1", "/rows/2"],
        ),
        ("http://b.test", "/rows", {"location": "https://b.test/rows/1"}, []),
        ("http://b.test", "/rows", {"location": "http://c.test/rows/1"}, []),
        ("http://b.test", "/rows", {"location": "http://b.test:81/rows/1"}, []),
        ("http://b.test", "/rows", {"location": "http://[b/rows"}, []),
        (
            "http://b.test",
            "/rows",
            {"location": "http://[b", "content-location": "/rows/2"},
            ["/rows/2"],
        ),
        ("http://b.test", "/rows", {}, []),
    ],
)
def test_what_a_reply_says_it_wrote(base: str, path: str, headers: Any, found: list[str]) -> None:
    assert list(linked_uris(base, path, headers)) == found
