"""What the services' writes do, and how they are undone."""

import pytest

ORDER = {"userId": 7, "items": [{"productId": 1, "quantity": 2}]}
PERSON = {"name": "Ada Abel", "email": "new@example.com"}

UNDONE = [
    ("accounts", "/accounts", PERSON, ("account", "id")),
    ("crm", "/v1/contacts", {"full_name": "Ada", "email": "a@example.com"}, ("contact_id",)),
    ("marketing", "/subscribers", {"emailAddress": "a@b.c", "list": "NEWS"}, ("subscriber", "id")),
    ("billing", "/customers", {**PERSON, "plan": "PRO"}, ("customer", "id")),
    (
        "inventory",
        "/reservations",
        {"lines": [{"sku": "SKU-0001", "quantity": 1}]},
        ("reservation", "id"),
    ),
]

CHANGES = [
    ("crm", "/v1/contacts/{}/email", {"email": "x@example.com"}),
    ("marketing", "/subscribers/{}", {"emailAddress": "x@example.com"}),
    ("support", "/requesters/{}", {"email": "x@example.com"}),
]

SIGNALS = [
    ("audit", "/entries", {"actor": "7", "action": "signed up", "detail": {"plan": "PRO"}}),
    ("analytics", "/track", {"userId": 7, "event": "signup", "properties": {"a": 1}}),
    ("monitoring", "/signals", {"name": "signup", "labels": {"plan": "PRO"}}),
]

REFUSED = [
    ("orders", "POST", "/orders", {**ORDER, "userId": 999}, 422),
    ("orders", "POST", "/orders", {**ORDER, "items": []}, 422),
    ("orders", "POST", "/orders", {"userId": 7}, 400),
    ("orders", "PATCH", "/orders/1", {"status": "LOST"}, 422),
    ("orders", "DELETE", "/orders/5001", None, 404),
    ("payments", "POST", "/payments", {"userId": 7, "amountCents": 0}, 422),
    ("billing", "POST", "/customers", {**PERSON, "plan": "GOLD"}, 422),
    ("accounts", "POST", "/accounts", {**PERSON, "email": "uwe.rossi1@example.com"}, 409),
    (
        "inventory",
        "POST",
        "/reservations",
        {"lines": [{"sku": "SKU-0001", "quantity": 9999}]},
        409,
    ),
]


@pytest.mark.parametrize(("name", "path", "body", "id_at"), UNDONE)
def test_what_is_created_can_be_deleted_once(serve, name, path, body, id_at):
    service = serve(name)
    reply = service("POST", path, json=body)
    assert reply.status_code == 201
    created = reply.json()
    for member in id_at:
        created = created[member]
    assert service("DELETE", f"{path}/{created}").status_code == 204
    assert service("DELETE", f"{path}/{created}").status_code == 404


@pytest.mark.parametrize(("name", "path", "body"), CHANGES)
def test_an_address_is_changed_for_a_user_who_exists(serve, name, path, body):
    service = serve(name)
    changed = service("PUT", path.format(7), json=body)
    assert changed.status_code == 200
    assert "x@example.com" in changed.text
    assert service("PUT", path.format(999), json=body).status_code == 404


@pytest.mark.parametrize(("name", "path", "body"), SIGNALS)
def test_a_signal_is_taken(serve, name, path, body):
    reply = serve(name)("POST", path, json=body)
    assert reply.status_code == 202
    assert reply.json()["id"]


@pytest.mark.parametrize(("name", "method", "path", "body", "status"), REFUSED)
def test_a_refusal_leaves_nothing_behind(serve, name, method, path, body, status):
    service = serve(name)
    before = service("GET", "/_admin/effects").json()
    assert service(method, path, json=body).status_code == status
    assert service("GET", "/_admin/effects").json() == before


def test_an_order_is_placed_paid_and_cancelled(serve):
    orders = serve("orders")
    placed = orders("POST", "/orders", json=ORDER)
    assert placed.status_code == 201
    order = placed.json()["data"]
    (line,) = order["lines"]
    assert order["totalCents"] == 2 * line["unitPriceCents"]
    path = f"/orders/{order['id']}"
    paid = orders("PATCH", path, json={"status": "PAID"})
    assert paid.json()["data"]["status"] == "PAID"
    assert orders("DELETE", path).status_code == 200
    assert orders("GET", path).json()["data"]["status"] == "CANCELLED"
    newest = orders("GET", "/users/7/orders?limit=1").json()["items"]
    assert [item["id"] for item in newest] == [order["id"]]


def test_many_statuses_change_each_on_its_own(serve):
    updates = [{"id": 1, "status": "SHIPPED"}, {"id": 0, "status": "PAID"}]
    reply = serve("orders")("POST", "/orders/status", json={"updates": updates})
    assert reply.json()["results"] == [
        {"id": 1, "ok": True, "error": None},
        {"id": 0, "ok": False, "error": "no such order: 0"},
    ]


def test_a_payment_is_taken_and_refunded_once(serve):
    payments = serve("payments")
    paid = payments("POST", "/payments", json={"userId": 7, "amountCents": 500})
    assert paid.status_code == 201
    payment = paid.json()["payment"]
    assert (payment["orderId"], payment["state"]) == (None, "PAID")
    path = f"/payments/{payment['id']}"
    assert payments("POST", f"{path}/refund").status_code == 201
    assert payments("GET", path).json()["payment"]["state"] == "REFUNDED"
    assert payments("POST", f"{path}/refund").status_code == 409


def test_a_reservation_holds_stock_until_it_is_released(serve):
    inventory = serve("inventory")
    before = inventory("GET", "/inventory/SKU-0003").json()["reserved"]
    lines = [{"sku": "SKU-0003", "quantity": 2}]
    reserved = inventory("POST", "/reservations", json={"lines": lines}).json()["reservation"]
    assert inventory("GET", "/inventory/SKU-0003").json()["reserved"] == before + 2
    inventory("DELETE", f"/reservations/{reserved['id']}")
    assert inventory("GET", "/inventory/SKU-0003").json()["reserved"] == before


def test_a_reservation_takes_all_its_lines_or_none(serve):
    inventory = serve("inventory")
    before = inventory("GET", "/inventory/SKU-0003").json()
    lines = [{"sku": "SKU-0003", "quantity": 1}, {"sku": "SKU-9999", "quantity": 1}]
    assert inventory("POST", "/reservations", json={"lines": lines}).status_code == 404
    assert inventory("GET", "/inventory/SKU-0003").json() == before
