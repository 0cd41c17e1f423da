"""RFC 9111 and RFC 5861, as tables of cases."""

import pytest
from msgspec.structs import replace

from plait.backend.call import Reply
from plait.backend.freshness import (
    CacheEntry,
    Use,
    cache_control,
    conditional_headers,
    lifetime_of,
    renewed,
    usable_on_error,
    use_of,
)
from plait.backend.spec import CachePolicy

NOW = 1_000_000.0


def seconds(headers: dict[str, str], *, personal: bool = False, **policy: float) -> object:
    """(fresh, revalidate, error) in seconds from now; None where nothing may be kept."""
    lifetime = lifetime_of(
        Reply(status=200, headers=headers, body=b""),
        CachePolicy(**policy),
        now=NOW,
        personal=personal,
        varies_with=frozenset({"x-tenant"}),
    )
    if lifetime is None:
        return None
    return (
        lifetime.fresh_until - NOW,
        lifetime.revalidate_until - NOW,
        lifetime.error_until - NOW,
    )


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, None),
        ({"cache-control": "max-age=60"}, (60, 60, 60)),
        ({"cache-control": "MAX-AGE=60"}, (60, 60, 60)),
        ({"cache-control": 'max-age="60"'}, (60, 60, 60)),
        ({"cache-control": "max-age=60, max-age=5"}, (5, 5, 5)),
        ({"cache-control": "max-age=60, s-maxage=10"}, (10, 10, 10)),
        ({"cache-control": "max-age=nonsense"}, None),
        ({"cache-control": "max-age=60, no-store"}, None),
        ({"cache-control": "max-age=60, private"}, None),
        ({"cache-control": "no-cache, max-age=60"}, None),
        ({"cache-control": "max-age=60", "age": "20"}, (40, 40, 40)),
        ({"cache-control": "max-age=60", "age": "90"}, None),
        ({"expires": "0"}, None),
        (
            {
                "date": "Mon, 12 Jan 1970 13:46:40 GMT",
                "expires": "Mon, 12 Jan 1970 13:47:10 GMT",
            },
            (30, 30, 30),
        ),
        ({"cache-control": "max-age=9, stale-while-revalidate=5"}, (9, 14, 9)),
        ({"cache-control": "max-age=9, stale-if-error=5"}, (9, 9, 14)),
        ({"cache-control": "max-age=9, stale-if-error=5, must-revalidate"}, (9, 9, 9)),
        ({"cache-control": "max-age=9", "vary": "*"}, None),
        ({"cache-control": "max-age=9", "vary": "cookie"}, None),
        ({"cache-control": "max-age=9", "vary": "Accept-Encoding, X-Tenant"}, (9, 9, 9)),
    ],
)
def test_a_reply_says_how_long_its_rows_may_be_used(
    headers: dict[str, str], expected: object
) -> None:
    assert seconds(headers) == expected


def test_private_may_be_kept_under_the_callers_own_key() -> None:
    assert seconds({"cache-control": "private, max-age=5"}, personal=True) == (5, 5, 5)


def test_the_endpoints_own_ttl_replaces_max_age_and_never_no_store() -> None:
    assert seconds({"cache-control": "max-age=60"}, ttl_s=5) == (5, 5, 5)
    assert seconds({}, ttl_s=5, stale_if_error_s=9) == (5, 5, 14)
    assert seconds({"cache-control": "no-store"}, ttl_s=5) is None


@pytest.mark.parametrize(
    ("age_s", "use", "on_error"),
    [
        (0, Use.FRESH, True),
        (10, Use.STALE_REVALIDATE, True),
        (20, Use.STALE, True),
        (30, Use.EXPIRED, False),
    ],
)
def test_a_row_goes_from_fresh_to_stale_to_expired(age_s: float, use: Use, on_error: bool) -> None:
    entry = CacheEntry(
        row=b"1",
        asked_at=NOW,
        fresh_until=NOW + 10,
        revalidate_until=NOW + 20,
        error_until=NOW + 30,
    )
    assert use_of(entry, NOW + age_s) is use
    assert usable_on_error(entry, NOW + age_s) is on_error


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        # Date and Age: what another cache spent already, and clocks that differ a little.
        ({"cache-control": "max-age=60", "age": "20, 5"}, (40, 40, 40)),
        ({"cache-control": "max-age=60", "age": "-5"}, (60, 60, 60)),
        ({"cache-control": "max-age=60", "age": "x"}, (60, 60, 60)),
        ({"cache-control": "max-age=60", "date": "Mon, 12 Jan 1970 13:46:10 GMT"}, (30, 30, 30)),
        ({"cache-control": "max-age=60", "date": "Mon, 12 Jan 1970 13:46:38 GMT"}, (58, 58, 58)),
        ({"cache-control": "max-age=60", "date": "Mon, 12 Jan 1970 13:46:39 GMT"}, (60, 60, 60)),
        ({"cache-control": "max-age=60", "date": "Mon, 12 Jan 1970 14:00:00 GMT"}, (60, 60, 60)),
        ({"cache-control": "max-age=60", "date": "yesterday"}, (60, 60, 60)),
        (
            {
                "cache-control": "max-age=60",
                "date": "Mon, 12 Jan 1970 13:46:10 GMT",
                "age": "40",
            },
            (20, 20, 20),
        ),
        ({"expires": "Mon, 12 Jan 1970 13:47:10 GMT"}, (30, 30, 30)),
        ({"expires": "Mon, 12 Jan 1970 13:46:10 GMT"}, None),
        (
            {"cache-control": "max-age=9", "expires": "Mon, 12 Jan 1970 13:47:10 GMT"},
            (9, 9, 9),
        ),
        # Numbers that are none, or beyond all bounds.
        ({"cache-control": "max-age=-5"}, None),
        ({"cache-control": "max-age=٣"}, None),
        ({"cache-control": "max-age=99999999999999999999"}, (2**31, 2**31, 2**31)),
        ({"cache-control": "max-age"}, None),
        ({"cache-control": "s-maxage=0, max-age=60"}, None),
        ({"cache-control": "max-age=60, max-age=nonsense"}, None),
        # Windows behind freshness.
        ({"cache-control": "stale-if-error=5"}, None),
        ({"cache-control": "max-age=0, stale-if-error=5"}, (0, 0, 5)),
        ({"cache-control": "max-age=0, stale-while-revalidate=5"}, (0, 5, 0)),
        ({"cache-control": "max-age=9, stale-if-error=5, proxy-revalidate"}, (9, 9, 9)),
        ({"cache-control": "max-age=9, stale-while-revalidate=5, must-revalidate"}, (9, 9, 9)),
        ({"cache-control": "no-cache, stale-if-error=5"}, None),
        # What varies with what is the same in every call.
        ({"cache-control": "max-age=9", "vary": "accept, user-agent,"}, (9, 9, 9)),
        ({"cache-control": "max-age=9", "vary": "accept, accept-language"}, None),
        # What a validator confirms may be kept even where it is of no other use.
        ({"etag": '"1"'}, (0, 0, 0)),
        ({"last-modified": "Mon, 12 Jan 1970 13:46:40 GMT"}, (0, 0, 0)),
        ({"cache-control": "no-cache", "etag": '"1"'}, (0, 0, 0)),
        ({"cache-control": "no-store", "etag": '"1"'}, None),
    ],
)
def test_the_finer_rules(headers: dict[str, str], expected: object) -> None:
    assert seconds(headers) == expected


@pytest.mark.parametrize(
    ("headers", "policy", "expected"),
    [
        ({"cache-control": "max-age=60", "age": "20"}, {"ttl_s": 5.0}, (5, 5, 5)),
        ({"cache-control": "no-cache"}, {"ttl_s": 5.0}, None),
        ({"cache-control": "max-age=60"}, {"ttl_s": 0.0}, None),
        (
            {"cache-control": "max-age=9, stale-if-error=5"},
            {"stale_if_error_s": 1.0, "stale_while_revalidate_s": 2.0},
            (9, 11, 10),
        ),
        ({"cache-control": "max-age=9, must-revalidate"}, {"stale_if_error_s": 1.0}, (9, 9, 9)),
        ({"cache-control": "max-age=9, stale-if-error=5"}, {"stale_if_error_s": 0.0}, (9, 9, 9)),
        ({"cache-control": "max-age=60"}, {"enabled": False}, None),
    ],
)
def test_the_authors_policy_goes_before_the_reply(
    headers: dict[str, str], policy: dict[str, float], expected: object
) -> None:
    assert seconds(headers, **policy) == expected


KEPT = CacheEntry(
    row=b"1",
    asked_at=NOW,
    fresh_until=NOW + 10,
    revalidate_until=NOW + 20,
    error_until=NOW + 30,
)


def test_an_entry_is_kept_while_it_is_of_any_use() -> None:
    assert KEPT.kept_until == NOW + 30
    assert replace(KEPT, revalidate_until=NOW + 40).kept_until == NOW + 40
    assert replace(KEPT, fresh_until=NOW + 50).kept_until == NOW + 50
    assert replace(KEPT, etag='"1"').kept_until == NOW + 30 + 3_600
    assert replace(KEPT, last_modified="x").kept_until == NOW + 30 + 3_600
    assert replace(KEPT, fresh_until=NOW + 30 * 86_400).kept_until == NOW + 7 * 86_400


def test_its_validators_ask_whether_it_still_holds() -> None:
    assert conditional_headers(KEPT) == ()
    assert conditional_headers(replace(KEPT, etag='"1"')) == (("if-none-match", '"1"'),)
    both = replace(KEPT, etag='"1"', last_modified="m")
    assert conditional_headers(both) == (("if-none-match", '"1"'), ("if-modified-since", "m"))


def again(headers: dict[str, str], entry: CacheEntry = KEPT, **policy: bool) -> CacheEntry | None:
    return renewed(
        entry,
        Reply(status=304, headers=headers, body=b""),
        CachePolicy(**policy),
        asked_at=NOW + 100,
        now=NOW + 101,
        personal=False,
        varies_with=frozenset(),
    )


def test_a_304_gives_an_entry_a_new_life() -> None:
    old = replace(KEPT, etag='"1"', last_modified="m")
    made = again({"cache-control": "max-age=5, stale-if-error=2, stale-while-revalidate=1"}, old)
    assert made == CacheEntry(
        row=b"1",
        asked_at=NOW + 100,
        fresh_until=NOW + 106,
        revalidate_until=NOW + 107,
        error_until=NOW + 108,
        etag='"1"',
        last_modified="m",
    )
    made = again({"cache-control": "max-age=5", "etag": '"2"', "last-modified": "n"}, old)
    assert made is not None
    assert (made.etag, made.last_modified) == ('"2"', "n")
    assert again({"cache-control": "no-store"}, old) is None
    assert again({"cache-control": "private, max-age=5"}, old) is None
    assert again({"cache-control": "max-age=5"}, old, enabled=False) is None


@pytest.mark.parametrize(
    ("text", "directives"),
    [
        ("", {}),
        ("no-store", {"no-store": None}),
        ("A=1,b=2", {"a": "1", "b": "2"}),
        ('a="x, y", b', {"a": "x, y", "b": None}),
        ("a = 5 , b", {"a": "5", "b": None}),
        ("a=9, a=3, a=5", {"a": "3"}),
        ("a=3, a=9", {"a": "3"}),
        ("a=3, a", {"a": None}),
    ],
)
def test_directives(text: str, directives: dict[str, str | None]) -> None:
    assert cache_control(text) == directives
