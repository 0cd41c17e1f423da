"""A write with a key happens once."""

import pytest

ORDER = {"userId": 7, "items": [{"productId": 1, "quantity": 2}]}
KEY = {"idempotency-key": "k-1"}


def effects(service):
    return service("GET", "/_admin/effects").json()


def test_a_repeated_key_gets_the_first_answer_again(serve):
    orders = serve("orders")
    first = orders("POST", "/orders", json=ORDER, headers=KEY)
    second = orders("POST", "/orders", json=ORDER, headers=KEY)
    assert "idempotent-replayed" not in first.headers
    assert second.headers["idempotent-replayed"] == "true"
    assert (second.status_code, second.content) == (201, first.content)
    assert effects(orders) == {
        "tables": {"orders": 5001},
        "effects": [{"route": "POST /orders", "key": "k-1", "count": 1}],
    }


def test_an_answer_without_a_body_is_repeated_too(serve):
    accounts = serve("accounts")
    replies = [accounts("DELETE", "/accounts/acc_000001", headers=KEY) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [204, 204]
    assert replies[1].headers["idempotent-replayed"] == "true"


def test_a_refusal_is_repeated_and_is_no_effect(serve):
    billing = serve("billing")
    body = {"name": "Ada", "email": "a@example.com", "plan": "NONE"}
    replies = [billing("POST", "/customers", json=body, headers=KEY) for _ in range(2)]
    assert [reply.status_code for reply in replies] == [422, 422]
    assert replies[1].headers["idempotent-replayed"] == "true"
    assert effects(billing)["effects"] == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/orders", {**ORDER, "userId": 8}),
        ("PATCH", "/orders/1", {"status": "PAID"}),
    ],
)
def test_the_same_key_with_another_request_is_refused(serve, method, path, body):
    orders = serve("orders")
    orders("POST", "/orders", json=ORDER, headers=KEY)
    assert orders(method, path, json=body, headers=KEY).status_code == 422
    assert effects(orders)["tables"] == {"orders": 5001}


def test_a_key_in_progress_is_refused(serve):
    orders = serve("orders")
    orders("POST", "/_admin/config", json={"delayMs": 50})
    call = ("POST", "/orders", {"json": ORDER, "headers": KEY})
    statuses = sorted(reply.status_code for reply in orders.together(call, call))
    assert statuses == [201, 409]
    assert effects(orders)["tables"] == {"orders": 5001}


def test_a_key_whose_effect_is_committed_is_answered_while_the_first_reply_waits(serve):
    orders = serve("orders")
    orders("POST", "/_admin/config", json={"replyDelayMs": 50})
    call = ("POST", "/orders", {"json": ORDER, "headers": KEY})
    replies = orders.together(call, call)
    assert [reply.status_code for reply in replies] == [201, 201]
    assert sum("idempotent-replayed" in reply.headers for reply in replies) == 1


def test_a_service_that_does_not_honour_keys_does_it_twice(serve):
    orders = serve("orders")
    orders("POST", "/_admin/config", json={"honourKeys": False})
    for _ in range(2):
        orders("POST", "/orders", json=ORDER, headers=KEY)
    assert effects(orders)["effects"] == [{"route": "POST /orders", "key": "k-1", "count": 2}]


def test_writes_without_a_key_all_count(serve):
    audit = serve("audit")
    for _ in range(3):
        audit("POST", "/entries", json={"actor": "7", "action": "ping"})
    assert effects(audit) == {
        "tables": {"entries": 3},
        "effects": [{"route": "POST /entries", "key": None, "count": 3}],
    }


def test_keys_outlive_the_process(serve):
    first = serve("orders")("POST", "/orders", json=ORDER, headers=KEY)
    again = serve("orders")("POST", "/orders", json=ORDER, headers=KEY)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == first.content


def test_a_failed_call_can_be_tried_again_with_its_key(serve):
    orders = serve("orders")
    orders("POST", "/_admin/config", json={"errorRate": 1, "errorStatus": 503})
    assert orders("POST", "/orders", json=ORDER, headers=KEY).status_code == 503
    orders("POST", "/_admin/config", json={"errorRate": 0})
    again = orders("POST", "/orders", json=ORDER, headers=KEY)
    assert again.status_code == 201
    assert "idempotent-replayed" not in again.headers
