"""A real Chromium for tests of web pages: Debian's, headless, driven by its own chromedriver."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

Browser = Callable[..., Chrome]


@pytest.fixture(scope="session")
def chromes() -> Iterator[dict[bool, list[Chrome]]]:
    """Browsers that wait for somebody to use them: the light ones and the dark ones."""
    idle: dict[bool, list[Chrome]] = {False: [], True: []}
    yield idle
    for chrome in [*idle[False], *idle[True]]:
        chrome.quit()


@pytest.fixture
def browser(chromes: dict[bool, list[Chrome]]) -> Iterator[Browser]:
    """`browser(width=1280, height=800, dark=False)` opens a window of a new profile."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    with ExitStack() as opened:

        def open_window(width: int = 1280, height: int = 800, dark: bool = False) -> Chrome:
            idle = chromes[dark]
            chrome = idle.pop() if idle else start(chromium, driver, dark)
            opened.callback(idle.append, chrome)
            opened.callback(forget, chrome, chrome.current_window_handle)
            chrome.switch_to.new_window("tab")
            chrome.get_log("browser")  # type: ignore[no-untyped-call]
            # A headless window is never narrower than 500 pixels; its emulated screen may be.
            chrome.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
            )
            return chrome

        yield open_window


def forget(chrome: Chrome, first: str) -> None:
    """Close the window, and leave nothing of what its page has kept."""
    origin = chrome.execute_script("return window.origin")
    chrome.close()
    chrome.switch_to.window(first)
    everything = {"origin": origin, "storageTypes": "all"}
    chrome.execute_cdp_cmd("Storage.clearDataForOrigin", everything)


def start(chromium: str, driver: str, dark: bool) -> Chrome:
    options = ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "--headless=new",
        "--no-sandbox",  # Chromium refuses its sandbox to root, who runs the tests in CI
        "--disable-dev-shm-usage",
        "--disable-gpu",
        *(["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []),
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return Chrome(options=options, service=ChromeService(driver))
