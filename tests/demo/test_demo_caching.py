"""Cache headers, 304 replies and the request id."""

import pytest


@pytest.mark.parametrize(
    ("name", "path", "cache_control"),
    [
        ("users", "/users/1", "max-age=30"),
        ("inventory", "/inventory/SKU-0001", "max-age=2"),
        ("payments", "/payments/pay_000001", "private, no-store"),
    ],
)
def test_each_service_says_how_long_a_read_is_good(serve, name, path, cache_control):
    assert serve(name)("GET", path).headers["cache-control"] == cache_control


def test_the_same_body_has_the_same_tag_and_is_not_sent_again(serve):
    users = serve("users")
    tag = users("GET", "/users/1").headers["etag"]
    assert tag.startswith('"')
    again = users("GET", "/users/1", headers={"if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    assert again.headers["cache-control"] == "max-age=30"
    assert users("GET", "/users/2", headers={"if-none-match": tag}).status_code == 200


def test_a_write_changes_the_tag(serve):
    orders = serve("orders")
    tag = orders("GET", "/orders/1").headers["etag"]
    orders("PATCH", "/orders/1", json={"status": "CANCELLED"})
    changed = orders("GET", "/orders/1", headers={"if-none-match": tag})
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_a_lookup_by_post_is_cacheable_but_has_no_tag(serve):
    reply = serve("inventory")("POST", "/inventory/lookup", json={"skus": ["SKU-0001"]})
    assert reply.headers["cache-control"] == "max-age=2"
    assert "etag" not in reply.headers


@pytest.mark.parametrize("path", ["/users/1", "/users/999", "/users/abc", "/nothing"])
def test_the_request_id_comes_back(serve, path):
    reply = serve("users")("GET", path, headers={"x-request-id": "r-1"})
    assert reply.headers["x-request-id"] == "r-1"
