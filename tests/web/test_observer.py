"""The observer's page in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver import ActionChains, Chrome, Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from actorkit import ActorSystem
from tests.observe.programs import start_observer, start_town

from .conftest import Browser

pytestmark = pytest.mark.timeout(180)


class Page:
    """The page, as those see it who use it."""

    def __init__(self, window: Chrome, address: str) -> None:
        self.window = window
        window.get(address)
        self.until(lambda: "worker" in self.names())

    def run(self, script: str) -> Any:
        return self.window.execute_script(f"return {script}")

    def names(self) -> list[str]:
        """The rows in sight, top first."""
        names: list[str] = self.run(
            "[...document.querySelectorAll('.row:not([hidden])')]"
            ".sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)"
            ".map(row => row.querySelector('b').textContent)"
        )
        return names

    def text(self, selector: str) -> str:
        return self.window.find_element(By.CSS_SELECTOR, selector).text

    def row(self, name: str) -> Any:
        return next(
            row
            for row in self.window.find_elements(By.CSS_SELECTOR, ".row:not([hidden])")
            if row.find_element(By.TAG_NAME, "b").text == name
        )

    def press(self, *keys: str) -> None:
        for key in keys:
            ActionChains(self.window).send_keys(key).perform()

    def until(self, condition: Callable[[], Any]) -> Any:
        waits = WebDriverWait(
            self.window, 30, 0.05, ignored_exceptions=[StaleElementReferenceException]
        )
        return waits.until(lambda _: condition())

    def troubles(self) -> list[str]:
        return [line["message"] for line in self.window.get_log("browser")]  # type: ignore[no-untyped-call]


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as running:
        yield running


@pytest.fixture(scope="module")
def quiet() -> Iterator[str]:
    """The observer of a town for the tests that leave both as they were."""
    with ExitStack() as running:
        yield start_observer(running, start_town(running))


def test_it_shows_the_tree_of_the_node_and_of_the_nodes_behind_it(
    browser: Browser, running: ExitStack
) -> None:
    address = start_town(running)
    start_town(running, "--name", "behind", "--connect", address, "--branches", "1")
    page = Page(browser(height=1400), start_observer(running, address))
    page.until(lambda: "behind" in page.names())
    names = page.names()
    assert names[0] == "town"
    branch = names.index("branch-1")
    assert names[branch + 1 : branch + 4] == ["quiet-0", "quiet-1", "quiet-2"]
    assert page.text("#status") == "live"
    page.until(
        lambda: page.row("sleeper").find_element(By.CLASS_NAME, "chip").text[:7] == "blocked"
    )
    handled = int(page.row("worker").text.split()[-2].replace(",", ""))
    page.until(lambda: int(page.row("worker").text.split()[-2].replace(",", "")) > handled)
    assert page.troubles() == []


def test_a_failure_appears_with_its_traceback_and_leads_to_its_actor(
    browser: Browser, running: ExitStack
) -> None:
    address = start_town(running)
    page = Page(browser(), start_observer(running, address))
    assert "none so far" in page.text("#failures")
    with ActorSystem("tester") as tester:
        tester.connect(address, timeout=30).lookup("/fragile").tell("fail")
    page.until(lambda: "ValueError" in page.text("#failures"))
    page.window.find_element(By.CSS_SELECTOR, "#failures summary").click()
    trace = page.text("#failures pre")
    assert "ValueError: the reason <i>why</i>" in trace
    assert 'raise ValueError("the reason <i>why</i>")' in trace
    page.window.find_element(By.CSS_SELECTOR, "#failures button").click()
    page.until(lambda: page.text("#actor-title").endswith("/fragile"))
    page.until(lambda: "1 (transient)" in page.text("#facts"))


def test_a_click_shows_an_actors_state_and_messages(browser: Browser, quiet: str) -> None:
    page = Page(browser(), quiet)
    page.row("worker").click()
    assert page.text("#actor-title") == "/worker"
    page.until(lambda: "done" in page.text("#summary"))
    assert "hidden" not in page.text("#summary")
    first = int(page.text("#summary dd"))
    page.until(lambda: "('work', 'on a <b>message</b>')" in page.text("#messages tbody"))
    page.until(lambda: int(page.text("#summary dd")) > first)
    assert page.window.find_elements(By.CSS_SELECTOR, "#messages td b") == []
    page.row("sleeper").click()
    page.until(lambda: "town.py" in page.text("#stack"))
    assert page.text("#actor-title") == "/sleeper"
    page.window.find_element(By.ID, "close").click()
    assert not page.window.find_element(By.ID, "actor").is_displayed()
    assert page.troubles() == []


def test_the_keyboard_is_enough(browser: Browser, quiet: str) -> None:
    page = Page(browser(), quiet)

    def at() -> str:
        name: str = page.run(
            "document.getElementById(document.getElementById('tree')"
            ".getAttribute('aria-activedescendant'))?.querySelector('b').textContent"
        )
        return name

    page.run("document.getElementById('tree').focus()")
    page.press(Keys.HOME, Keys.ARROW_DOWN)
    assert at() == page.names()[1]
    while at() != "branch-0":
        page.press(Keys.ARROW_DOWN)
    row = page.row("branch-0")
    assert row.get_attribute("role") == "treeitem"
    assert row.get_attribute("aria-expanded") == "true"
    assert row.get_attribute("aria-level") == "2"
    page.press(Keys.ARROW_LEFT)
    assert page.row("branch-0").get_attribute("aria-expanded") == "false"
    page.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
    assert at() == "quiet-0"
    page.press(Keys.ENTER)
    page.until(lambda: page.text("#actor-title") == "/branch-0/quiet-0")
    page.until(lambda: "number" in page.text("#summary"))
    assert page.row("quiet-0").get_attribute("aria-selected") == "true"
    page.press(Keys.ARROW_LEFT)
    assert at() == "branch-0"
    page.press(Keys.END)
    assert at() == page.names()[-1]
    page.press(Keys.ESCAPE)
    assert not page.window.find_element(By.ID, "actor").is_displayed()


def test_order_and_filter_lead_to_the_ones_that_matter(browser: Browser, quiet: str) -> None:
    page = Page(browser(), quiet)
    page.window.find_element(By.CSS_SELECTOR, "[data-sort=state]").click()
    page.until(lambda: page.names()[0] == "/sleeper")
    page.window.find_element(By.CSS_SELECTOR, "[data-sort=rate]").click()
    page.until(lambda: page.names()[0] in ("/worker", "/$inspector"))
    page.window.find_element(By.ID, "filter").send_keys("branch-1/QUIET")
    page.until(lambda: sorted(page.names()) == [f"/branch-1/quiet-{n}" for n in range(3)])


def test_a_lost_node_is_told_of_and_found_again(browser: Browser, running: ExitStack) -> None:
    with ExitStack() as node:
        address = start_town(node)
        page = Page(browser(), start_observer(running, address))
    page.until(lambda: "does not answer" in page.text("#status"))
    start_town(running, "--listen", address, "--branches", "7")
    page.until(lambda: page.text("#status") == "live" and "branch-6" in page.names())
    assert page.names().count("worker") == 1


def test_a_node_that_shows_no_state_says_so(browser: Browser, running: ExitStack) -> None:
    page = Page(browser(), start_observer(running, start_town(running, "--inspect", "tree")))
    page.row("worker").click()
    page.until(lambda: "not shown" in page.text("#summary"))
    page.until(lambda: "does not show that" in page.text("#messages-note"))
    assert page.window.find_elements(By.CSS_SELECTOR, "#messages tbody tr") == []


def test_orders_are_offered_with_the_token_only(browser: Browser, running: ExitStack) -> None:
    address = start_town(running, "--inspect", "control")
    with_token = start_observer(running, address, "--allow-control")
    page = Page(browser(), with_token.partition("#")[0])
    page.row("fragile").click()
    page.until(lambda: "class" in page.text("#facts"))
    assert not page.window.find_element(By.ID, "orders").is_displayed()
    refused = page.window.execute_async_script(
        "const done = arguments[0];"
        "fetch('control', {method: 'POST', body: JSON.stringify("
        "{node: 'town', path: '/fragile', order: 'stop'})}).then(answer => done(answer.status))"
    )
    assert refused == 403

    page = Page(browser(), with_token)
    page.row("fragile").click()
    page.until(lambda: "class" in page.text("#facts"))
    page.window.find_element(By.CSS_SELECTOR, "[data-order=stop]").click()
    page.window.switch_to.alert.accept()
    page.until(lambda: "fragile" not in page.names())
    assert "worker" in page.names()


def test_ten_thousand_actors_are_drawn_and_scrolled(browser: Browser, running: ExitStack) -> None:
    address = start_town(running, "--branches", "100", "--size", "100")
    page = Page(browser(), start_observer(running, address))
    page.until(lambda: int(page.text("#count").split()[0].replace(",", "")) > 10_100)
    page.run(
        """(() => {
          for (const node of nodes.values()) for (const row of node.rows.values()) row.open = true;
          stale = true; draw();
          window.long = [];
          new PerformanceObserver(list => {
            for (const entry of list.getEntries()) window.long.push(entry.duration);
          }).observe({entryTypes: ["longtask"]});
        })()"""
    )
    frames = page.window.execute_async_script(
        """const done = arguments[0], tree = document.getElementById("tree");
        const end = tree.scrollHeight, began = performance.now(), gaps = [];
        let last = began;
        (function step(now) {
          gaps.push(now - last); last = now;
          tree.scrollTop = end * Math.min(1, (now - began) / 2000);
          if (now - began < 2000) requestAnimationFrame(step); else done(gaps.slice(2));
        })(began);"""
    )
    page.until(lambda: page.names()[-1] == "$inspector")
    rows = page.run("document.querySelectorAll('.row').length")
    assert rows < 100
    page.window.find_element(By.ID, "tree").send_keys(Keys.HOME)
    page.until(lambda: page.names()[0] == "town")
    long = page.run("window.long")
    frames.sort()
    print(
        f"\n10,000 actors scrolled: {len(frames)} frames in 2 s,"
        f" the longest {frames[-1]:.0f} ms, p99 {frames[int(len(frames) * 0.99)]:.0f} ms;"
        f" tasks over 50 ms: {[round(duration) for duration in long]}"
    )
    assert page.troubles() == []


def test_dark_and_light_follow_the_system(browser: Browser, quiet: str) -> None:
    def shade(dark: bool) -> int:
        page = Page(browser(dark=dark), quiet)
        colour = page.run("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, colour[4:-1].split(",")))

    assert shade(dark=True) < 200
    assert shade(dark=False) > 600


def test_it_fits_a_narrow_screen(browser: Browser, quiet: str) -> None:
    page = Page(browser(width=390, height=800), quiet)
    assert page.run("document.documentElement.scrollWidth") <= 390
    page.row("worker").click()
    page.until(lambda: "done" in page.text("#summary"))
    assert page.run("document.documentElement.scrollWidth") <= 390
