"""Looking into a service, and making it misbehave."""

from time import monotonic

import pytest

DEFAULTS = {
    "delayMs": 0,
    "replyDelayMs": 0,
    "jitterMs": 0,
    "errorRate": 0,
    "errorStatus": 500,
    "honourKeys": True,
}
SIGNAL = {"name": "up"}


def test_calls_are_counted_by_method_and_route(serve):
    users = serve("users")
    for path in ("/users/1", "/users/999", "/users?id=1", "/nothing", "/health"):
        users("GET", path)
    calls = users("GET", "/_admin/calls").json()
    assert calls["total"] == 4
    assert calls["maxInFlight"] == 1
    assert {route: count["calls"] for route, count in calls["routes"].items()} == {
        "GET /users/{id}": 2,
        "GET /users": 1,
        "GET (no such route)": 1,
    }


def test_keys_are_counted(serve):
    monitoring = serve("monitoring")
    for headers in ({}, {"idempotency-key": "a"}, {"idempotency-key": "a"}):
        monitoring("POST", "/signals", json=SIGNAL, headers=headers)
    routes = monitoring("GET", "/_admin/calls").json()["routes"]
    assert routes == {"POST /signals": {"calls": 3, "keys": 2, "distinctKeys": 1}}


def test_the_most_calls_at_a_time(serve):
    users = serve("users")
    users("POST", "/_admin/config", json={"delayMs": 20})
    users.together(*[("GET", f"/users/{i}", {}) for i in range(1, 6)])
    assert users("GET", "/_admin/calls").json()["maxInFlight"] == 5


def test_settings_change_one_by_one(serve):
    users = serve("users")
    assert users("GET", "/_admin/config").json() == DEFAULTS
    users("POST", "/_admin/config", json={"jitterMs": 1})
    changed = users("POST", "/_admin/config", json={"errorStatus": 503}).json()
    assert changed == {**DEFAULTS, "jitterMs": 1, "errorStatus": 503}
    assert users("GET", "/_admin/config").json() == changed


@pytest.mark.parametrize(
    "settings", [{"delay": 1}, {"delayMs": -1}, {"errorRate": 2}, {"errorStatus": 200}]
)
def test_wrong_settings_are_refused(serve, settings):
    users = serve("users")
    reply = users("POST", "/_admin/config", json=settings)
    assert reply.status_code == 400
    assert next(iter(settings)) in reply.json()["detail"]
    assert users("GET", "/_admin/config").json() == DEFAULTS


def test_delays_before_the_effect_and_before_the_reply(serve):
    monitoring = serve("monitoring")
    monitoring("POST", "/_admin/config", json={"delayMs": 60, "replyDelayMs": 60})
    start = monotonic()
    monitoring("POST", "/signals", json=SIGNAL)
    assert monotonic() - start >= 0.12


@pytest.mark.parametrize(
    ("settings", "path"), [({"replyDelayMs": 9000}, "/users/1"), ({"delayMs": 9000}, "/health")]
)
def test_reads_have_no_reply_delay_and_health_has_none_at_all(serve, settings, path):
    users = serve("users")
    users("POST", "/_admin/config", json=settings)
    start = monotonic()
    assert users("GET", path).status_code == 200
    assert monotonic() - start < 5


def test_a_share_of_calls_fails_and_it_is_the_same_share_again(serve):
    users = serve("users")

    def statuses():
        users("POST", "/_admin/config", json={"errorRate": 0.5, "errorStatus": 502})
        return [users("GET", "/users/1").status_code for _ in range(20)]

    first = statuses()
    assert set(first) == {200, 502}
    assert statuses() == first


def test_reset_clears_counts_and_settings_but_not_what_was_written(serve):
    monitoring = serve("monitoring")
    monitoring("POST", "/signals", json=SIGNAL)
    monitoring("POST", "/_admin/config", json={"jitterMs": 1})
    monitoring("POST", "/_admin/reset")
    assert monitoring("GET", "/_admin/calls").json()["total"] == 0
    assert monitoring("GET", "/_admin/config").json() == DEFAULTS
    assert monitoring("GET", "/_admin/effects").json()["tables"] == {"signals": 1}


def test_reset_with_data_starts_from_the_seed(serve):
    orders = serve("orders")
    key = {"idempotency-key": "a"}
    order = {"userId": 1, "items": [{"productId": 1, "quantity": 1}]}
    orders("POST", "/orders", json=order, headers=key)
    orders("POST", "/_admin/reset?data=true")
    assert orders("GET", "/_admin/effects").json() == {"tables": {"orders": 5000}, "effects": []}
    again = orders("POST", "/orders", json=order, headers=key)
    assert "idempotent-replayed" not in again.headers
