"""GraphiQL in a real browser: what a person does, and what they are told."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from resolvers.examples import EXAMPLES
from tests.conftest import ROOT, Shop, needs

ARTEFACTS = ROOT / "tests" / "artefacts"
RUN = ".graphiql-execute-button"
FOOTER = "#plait-last"
OUTSIDE = """() => [...document.querySelectorAll('#graphiql *')].filter(node => {
    const box = node.getBoundingClientRect();
    const scrolls = node.closest('.CodeMirror, .graphiql-tabs, .graphiql-plugin, .hidden');
    return !scrolls && box.width && (box.right > innerWidth + 1 || box.left < -1);
}).map(node => node.className)"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    chromium = needs("chromium")
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        yield started
        started.close()


@pytest.fixture
def page(browser: Any, demo_shop: Shop) -> Iterator[Any]:
    """GraphiQL as on a first visit."""
    demo_shop.reset()
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    made = context.new_page()
    made.set_default_timeout(10_000)
    opened(made, demo_shop)
    yield made
    context.close()


def opened(page: Any, demo_shop: Shop, search: str = "") -> None:
    page.goto(f"{demo_shop.url}/graphql{search}")
    ready(page)


def ready(page: Any) -> None:
    page.wait_for_selector(".graphiql-query-editor .CodeMirror[data-plait]")
    page.wait_for_load_state("networkidle")  # it has asked for the schema


def open_tab(page: Any, title: str) -> None:
    page.click(f".graphiql-tab >> text={title}")
    page.wait_for_selector(f".graphiql-query-editor >> text={title} >> nth=0")
    page.wait_for_timeout(300)  # GraphiQL sends the former operation's name for a moment


def told(page: Any, words: str) -> None:
    page.wait_for_function(
        "words => document.querySelector('#plait-last').textContent.includes(words)", arg=words
    )


def test_the_footer_tells_status_calls_and_errors(page: Any) -> None:
    page.click(RUN)
    told(page, "HTTP 200")
    told(page, "calls to backends")
    open_tab(page, "Missing")
    page.click(RUN)
    told(page, "1 error")


@pytest.mark.parametrize("place", ["", ".graphiql-query-editor .CodeMirror"])
def test_the_keys_that_run_a_query_do_so_wherever_one_is(
    page: Any, demo_shop: Shop, place: str
) -> None:
    if place:
        page.click(place)
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.method) if "/graphql" in one.url else None)
    page.keyboard.press("Control+Enter")
    told(page, "HTTP 200")
    page.wait_for_timeout(300)
    assert asked == ["POST"]  # once


def test_stop_aborts_the_request_and_no_result_appears(page: Any, demo_shop: Shop) -> None:
    demo_shop.configure("users", delayMs=1500)
    page.click(RUN)
    page.click(f"{RUN}[aria-label^='Stop']")
    told(page, "Stopped.")
    page.wait_for_timeout(2000)
    demo_shop.reset()
    assert "totalCents" not in page.inner_text(".result-window")
    assert "Stopped." in page.inner_text(FOOTER)


def test_after_a_reload_an_example_still_has_its_key_and_is_a_replay(page: Any) -> None:
    open_tab(page, "Onboard")
    page.click(RUN)
    told(page, "HTTP 200")
    for _ in range(2):
        page.wait_for_timeout(800)  # GraphiQL keeps its tabs half a second after a change
        page.reload()
        ready(page)
        page.click(RUN)
        told(page, "replayed")


def test_headers_end_with_the_session_and_those_of_examples_come_back(
    browser: Any, page: Any, demo_shop: Shop
) -> None:
    open_tab(page, "Onboard")
    page.click(RUN)
    told(page, "HTTP 200")
    page.wait_for_timeout(800)  # as above
    kept = page.evaluate("JSON.stringify(localStorage)")
    assert "onboard-ada-1" not in kept
    context = browser.new_context()
    later = context.new_page()
    later.add_init_script(f"Object.assign(localStorage, {kept})")
    opened(later, demo_shop)
    later.click(RUN)
    told(later, "replayed")
    context.close()


def test_tab_leaves_the_editor(page: Any) -> None:
    page.click(".graphiql-query-editor .CodeMirror")
    page.keyboard.press("Tab")
    assert page.evaluate("!document.activeElement.closest('.graphiql-query-editor .CodeMirror')")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"status": 502, "body": "<html>Bad Gateway</html>"}, "with HTTP 502"),
        (None, "The gateway cannot be reached"),
    ],
)
def test_trouble_on_the_way_is_said_in_words(page: Any, answer: Any, words: str) -> None:
    page.route(
        "**/graphql", lambda route: route.fulfill(**answer) if answer else route.abort("failed")
    )
    page.click(RUN)
    page.wait_for_function(
        "words => document.querySelector('.result-window').textContent.includes(words)", arg=words
    )


def test_a_shared_link_opens_as_a_tab_and_the_button_makes_it(page: Any, demo_shop: Shop) -> None:
    query, variables = "query ($id: ID!) { user(id: $id) { name } }", '{"id": "8"}'
    opened(page, demo_shop, f"?query={quote(query)}&variables={quote(variables)}")
    page.click(RUN)
    page.wait_for_selector(".result-window >> text=name")
    assert page.locator(".graphiql-tab").count() == len(EXAMPLES) + 1
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(); }")
    page.click("#plait-share")
    page.wait_for_function("location.search.includes('variables')")
    assert parse_qs(urlsplit(page.url).query)["query"] == [query]


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (390, 844)])
def test_nothing_lies_beside_the_screen(
    page: Any, demo_shop: Shop, width: int, height: int
) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.click(RUN)
    told(page, "HTTP 200")
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=str(ARTEFACTS / f"graphiql-{width}.png"))
    assert page.evaluate(OUTSIDE) == []
    if width < 700:
        editor = page.locator(".graphiql-query-editor").bounding_box()
        result = page.locator(".graphiql-response").bounding_box()
        assert result["y"] >= editor["y"] + editor["height"]
        assert result["width"] > 0.8 * (width - 60)
    # No button has to be scrolled for.
    box = page.locator(".graphiql-query-editor").bounding_box()
    buttons = page.locator(".graphiql-toolbar button").all()
    assert len(buttons) == 6
    for button in (one.bounding_box() for one in buttons):
        assert box["x"] <= button["x"]
        assert button["x"] + button["width"] <= box["x"] + box["width"]
        assert box["y"] <= button["y"]
        assert button["y"] + button["height"] <= box["y"] + box["height"]


@pytest.mark.parametrize("tool", ["Headers", "Variables"])
def test_headers_and_variables_can_be_written_on_a_phone(
    browser: Any, demo_shop: Shop, tool: str
) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    page = context.new_page()
    opened(page, demo_shop)
    page.get_by_role("button", name=tool).first.click()
    field = page.locator(".graphiql-editor-tool .CodeMirror:visible").bounding_box()
    editors = page.locator(".graphiql-editors").bounding_box()
    assert field["height"] > 60
    assert field["y"] + field["height"] <= editors["y"] + editors["height"]
    context.close()


# --- the panel: what was asked of backends, and what would be


def test_the_panel_shows_the_calls_of_the_last_run(page: Any) -> None:
    page.click(RUN)
    page.click("#plait-panel-toggle")
    bars = page.locator(".plait-bar")
    assert bars.count() == 5
    assert "users" in bars.nth(0).inner_text()
    assert page.locator(".plait-marks >> text=early").count() == 4
    # What it shows is not in the answer, which is the client's.
    assert '"run"' not in page.inner_text(".result-window")
    bars.nth(1).press("Enter")
    details = page.inner_text("#plait-details-1")
    assert "GET /users/{user_id}/orders" in details or "1 of 1 were there" in details
    assert page.evaluate(OUTSIDE) == []


def test_an_error_leads_to_the_call_that_caused_it(page: Any, demo_shop: Shop) -> None:
    demo_shop.configure("rewards", errorRate=1)
    page.evaluate(  # a user whom no other test asks for: of those the gateway may keep copies
        "document.querySelector('.graphiql-editor-tool .CodeMirror').CodeMirror.setValue("
        '\'{"id": "94"}\')'
    )
    page.click(RUN)
    told(page, "1 error")
    page.click("#plait-panel-toggle")
    page.click(".plait-errors button")
    page.wait_for_selector(".plait-bar[aria-expanded=true]")
    failed = page.locator(".plait-bar[aria-expanded=true]")
    assert failed.locator(".plait-failed").count() == 1
    assert "rewards" in failed.inner_text()
    assert failed.evaluate("node => node === document.activeElement")


def test_a_plan_is_shown_before_anything_runs(page: Any, demo_shop: Shop) -> None:
    page.click("#plait-explain")
    page.wait_for_selector(".plait-planned")
    assert page.inner_text("#plait-panel-toggle").strip().endswith("Plan: 1 wave, 5 calls")
    assert page.inner_text(FOOTER) == "Run a query with Ctrl-Enter"
    page.evaluate(
        "document.querySelector('.graphiql-query-editor .CodeMirror').CodeMirror.setValue('{ no }')"
    )
    page.click("#plait-explain")
    page.wait_for_selector(".plait-note[role=alert]")
    assert "Cannot query field 'no'" in page.inner_text(".plait-note")


def test_the_panel_fits_a_phone(browser: Any, demo_shop: Shop) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, color_scheme="dark")
    page = context.new_page()
    opened(page, demo_shop)
    page.click(RUN)
    page.click("#plait-panel-toggle")
    page.wait_for_selector(".plait-bar")
    assert page.evaluate(OUTSIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / "panel-phone.png")
    context.close()
