"""The demo's services and a gateway as real processes."""

import time
from pathlib import Path

import pytest

from plait import Example
from resolvers.examples import EXAMPLES
from tests.conftest import ROOT, Shop, needs, shop

SERVICES = ("users", "orders", "catalog", "inventory", "reviews")
ARTEFACTS = ROOT / "tests" / "artefacts"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda one: one.title)
def test_every_example_answers(demo_shop: Shop, example: Example) -> None:
    answer = demo_shop.ask(
        example.query, dict(example.variables), **{k.lower(): v for k, v in example.headers.items()}
    ).json()
    if example.title == "Missing":
        assert [one["path"] for one in answer["errors"]] == [["c", "user"]]
        assert answer["data"]["a"]["user"]["name"]
        assert answer["data"]["b"]["orders"]
        assert answer["data"]["c"] is None
    else:
        assert "errors" not in answer
        assert all(answer["data"].values())


def test_a_deep_query_makes_one_call_for_each_endpoint_and_wave(demo_shop: Shop) -> None:
    demo_shop.reset()
    ids = list(range(1, 51))
    answer = demo_shop.ask(
        "query ($ids: [ID!]!) { users(ids: $ids) { orders { items { product { name inventory "
        "{ inStock } id reviews { author { name } } } } } } }",
        {"ids": ids},
    ).json()
    assert "errors" not in answer
    products = {
        item["product"]["id"]
        for user in answer["data"]["users"]
        for order in user["orders"]
        for item in order["items"]
    }
    assert len(products) > 100  # so that what follows is about chunks, not about single rows
    chunks = {name: demo_shop.calls(name)["total"] for name in SERVICES}
    assert chunks["orders"] == 1
    assert chunks["users"] <= 1 + 10  # the fifty, then at most a thousand authors by the hundred
    assert chunks["catalog"] == -(-len(products) // 50)
    assert chunks["inventory"] == chunks["reviews"] == -(-len(products) // 100)


def test_the_dashboard_takes_the_time_of_one_call(demo_shop: Shop) -> None:
    """Five services of 500 ms, of which four are keyed by the user's id: one wave is 500 ms, two
    are 1,000 ms, their sum is 2,500 ms. What is asserted is far from both."""
    demo_shop.reset()
    names = ("users", "orders", "addresses", "payments", "rewards")
    for name in names:
        demo_shop.configure(name, delayMs=500)
    start = time.monotonic()
    answer = demo_shop.ask(EXAMPLES[0].query, {"id": "8"}).json()
    elapsed_s = time.monotonic() - start
    demo_shop.reset()
    assert "errors" not in answer
    assert 0.5 <= elapsed_s < 0.95


def test_two_slow_backends_take_the_time_of_the_slower(demo_shop: Shop) -> None:
    demo_shop.reset()
    demo_shop.configure("articles", delayMs=1200)
    demo_shop.configure("comments", delayMs=1800)
    start = time.monotonic()
    answer = demo_shop.ask(
        "{ a: articleWithComments(id: 1) { article { title } comments { text } } "
        "b: articleWithComments(id: 2) { article { title } comments { text } } "
        "c: articleWithComments(id: 13) { article { title } } }"
    ).json()
    elapsed_s = time.monotonic() - start
    demo_shop.reset()
    assert [one["path"] for one in answer["errors"]] == [["c", "article"]]
    assert answer["data"]["a"]
    assert answer["data"]["b"]
    assert 1.8 <= elapsed_s < 2.9


def test_a_service_that_is_killed_costs_its_own_fields_only() -> None:
    with shop(isolate=("rewards",)) as made:
        made.configure("rewards", delayMs=1000)
        made.kill("rewards")
        answer = made.ask("{ user(id: 7) { name orders { id } rewards { points } } }").json()
        (error,) = answer["errors"]
        assert error["path"] == ["user", "rewards"]
        assert error["extensions"]["code"] == "BACKEND_UNREACHABLE"
        assert answer["data"]["user"]["rewards"] is None
        assert answer["data"]["user"]["orders"]


def test_graphiql_works_with_the_network_closed(demo_shop: Shop) -> None:
    chromium = needs("chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    ARTEFACTS.mkdir(exist_ok=True)
    asked: list[str] = []
    troubles: list[str] = []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        tab = browser.new_page(viewport={"width": 1400, "height": 900})
        tab.on("request", lambda request: asked.append(request.url))
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.on("console", lambda one: troubles.append(one.text) if one.type == "error" else None)
        tab.goto(f"{demo_shop.url}/graphql")
        tab.wait_for_selector(".graphiql-execute-button")
        tab.click(".graphiql-execute-button")
        tab.wait_for_selector(".result-window >> text=totalCents >> nth=0")
        tab.wait_for_function(
            "document.querySelector('#plait-last').textContent.includes('HTTP 200')"
        )
        tab.screenshot(path=str(ARTEFACTS / "graphiql.png"))
        tab.click("[aria-label='Show Documentation Explorer']")
        tab.wait_for_selector("text=Root Types")
        tab.screenshot(path=str(ARTEFACTS / "graphiql-docs.png"))
        tabs = tab.locator(".graphiql-tab").count()
        browser.close()
    assert tabs == len(EXAMPLES)
    assert troubles == []
    assert {
        url.split("/graphql")[0] for url in asked if not url.startswith(("data:", "blob:"))
    } == {demo_shop.url}


def test_vendored_files_are_what_their_list_says() -> None:
    import hashlib

    folder = ROOT / "server" / "plait" / "edge" / "graphiql" / "vendor"
    rows = [line.split("|") for line in (folder / "VENDORED.md").read_text().splitlines()]
    listed = {row[4].strip(): row[5].strip() for row in rows if len(row) == 7 and "." in row[4]}
    found = {path.name for path in Path(folder).glob("*.min.*")}
    assert set(listed) == found
    for name, digest in listed.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
