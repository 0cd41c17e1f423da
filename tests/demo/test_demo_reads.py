"""The shapes of what services answer, and what they refuse."""

import pytest

import demo

READS = [
    ("users", "/users/1", {"id", "full_name", "email", "created_at", "tier", "date_of_birth"}),
    ("rewards", "/rewards/1", {"user", "points", "level"}),
    ("inventory", "/inventory/SKU-0001", {"sku", "onHand", "reserved", "warehouse"}),
    ("orders", "/orders/1", {"data"}),
    ("orders", "/orders?ids=1,2", {"data"}),
    ("orders", "/orders?userId=1&userId=2", {"items"}),
    ("orders", "/users/1/orders?limit=2", {"items"}),
    ("payments", "/payments?userIds=1,2", {"payments"}),
    ("payments", "/payments/pay_000123", {"payment"}),
    ("catalog", "/products", {"data", "next_cursor", "total"}),
    ("catalog", "/products/1", {"data"}),
    ("catalog", "/products/batch?ids=1,2", {"data"}),
    ("accounts", "/accounts/acc_000001", {"account"}),
    ("support", "/tickets?requester=1", {"tickets"}),
    ("articles", "/articles/1", {"article"}),
]

LISTS = [
    (
        "addresses",
        "/addresses?user_id=1&user_id=2",
        {"id", "user_id", "street", "city", "postal_code", "country", "kind"},
    ),
    (
        "reviews",
        "/reviews?product_id=1&product_id=2",
        {"id", "product_id", "author_id", "rating", "title", "body", "created_at"},
    ),
    ("comments", "/articles/1/comments", {"id", "article_id", "author", "text"}),
    ("comments", "/comments?article_id=1&article_id=2", {"id", "article_id", "author", "text"}),
]

REFUSED = [
    ("users", "/users", 400),
    ("users", "/users?" + "&".join(f"id={i}" for i in range(1, 102)), 400),
    ("users", "/users/abc", 400),
    ("orders", "/orders", 400),
    ("orders", "/orders?ids=1,x", 400),
    ("orders", "/orders?" + "&".join(f"userId={i}" for i in range(1, 202)), 400),
    ("catalog", "/products/batch?ids=" + ",".join(map(str, range(1, 52))), 400),
    ("catalog", "/products?cursor=nonsense", 400),
    ("catalog", "/products/501", 404),
    ("payments", "/payments", 400),
    ("payments", "/payments/nonsense", 404),
    ("users", "/nothing/here", 404),
]


@pytest.mark.parametrize(("name", "path", "members"), READS)
def test_an_object(serve, name, path, members):
    reply = serve(name)("GET", path)
    assert reply.status_code == 200
    assert set(reply.json()) == members


@pytest.mark.parametrize(("name", "path", "members"), LISTS)
def test_a_bare_list(serve, name, path, members):
    things = serve(name)("GET", path).json()
    assert things
    assert all(set(thing) == members for thing in things)


@pytest.mark.parametrize(("name", "path", "status"), REFUSED)
def test_a_refusal(serve, name, path, status):
    reply = serve(name)("GET", path)
    assert reply.status_code == status
    assert reply.json()
    assert reply.headers["cache-control"] == "no-store"


def test_error_bodies_differ_from_service_to_service(serve):
    assert serve("users")("GET", "/users/999").json() == {"detail": "no such user: 999"}
    assert serve("orders")("GET", "/orders/0").json() == {
        "error": {"code": "not_found", "message": "no such order: 0"}
    }
    assert serve("catalog")("GET", "/products/0").json() == {
        "errors": [{"status": "404", "title": "not_found", "detail": "no such product: 0"}]
    }


def test_orders_of_users_come_newest_first_in_each_user(serve):
    items = serve("orders")("GET", "/orders?userId=3&userId=2").json()["items"]
    by_user = {user: [o["placedAt"] for o in items if o["userId"] == user] for user in (2, 3)}
    assert all(by_user.values())
    assert all(times == sorted(times, reverse=True) for times in by_user.values())


def test_cursors_lead_through_the_whole_category(serve):
    catalog = serve("catalog")
    seen: list[int] = []
    cursor = ""
    while cursor is not None:
        page = catalog("GET", f"/products?category=toys&limit=9&cursor={cursor}").json()
        seen += [product["id"] for product in page["data"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == page["total"] > 9


def test_lookups_by_post(serve):
    levels = serve("inventory")(
        "POST", "/inventory/lookup", json={"skus": ["SKU-0002", "SKU-9999"]}
    ).json()["levels"]
    assert [level["sku"] for level in levels] == ["SKU-0002"]
    recommendations = serve("recommendations")
    for_users = recommendations("POST", "/recommendations/users", json={"userIds": [1, 999]})
    assert [result["userId"] for result in for_users.json()["results"]] == [1]
    for_products = recommendations("POST", "/recommendations/products", json={"productIds": [7]})
    (result,) = for_products.json()["results"]
    assert len(set(result["productIds"]) - {7}) == 5


@pytest.mark.parametrize(
    ("cents", "verdict"), [(249_999, "PASS"), (250_000, "REVIEW"), (1_000_000, "BLOCK")]
)
def test_fraud_checks(serve, cents, verdict):
    check = {"userId": 1, "amountCents": cents}
    fraud = serve("fraud")
    replies = [fraud("POST", "/checks", json=check).json() for _ in range(2)]
    assert replies[0] == replies[1]
    assert replies[0]["verdict"] == verdict


@pytest.mark.parametrize("name", demo.PORTS)
def test_every_service_has_docs_and_health(serve, name):
    service = serve(name)
    assert service("GET", "/health").json() == {"service": name, "status": "ok"}
    assert service("GET", "/docs").status_code == 200
    assert "/_admin/calls" in service("GET", "/openapi.json").json()["paths"]
