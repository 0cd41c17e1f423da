"""RFC 9111 and RFC 5861, as tables of cases."""

import pytest

from plait.backend.call import Reply
from plait.backend.freshness import Entry, Use, lifetime_of, usable_on_error, use_of
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
    entry = Entry(
        row=b"1",
        asked_at=NOW,
        fresh_until=NOW + 10,
        revalidate_until=NOW + 20,
        error_until=NOW + 30,
    )
    assert use_of(entry, NOW + age_s) is use
    assert usable_on_error(entry, NOW + age_s) is on_error
