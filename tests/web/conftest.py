"""A real Chromium for tests of web pages: Debian's, headless, driven by its own chromedriver."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from selenium.webdriver import Chrome, ChromeOptions, ChromeService

Browser = Callable[..., Chrome]


@pytest.fixture
def browser() -> Iterator[Browser]:
    """`browser(width=1280, height=800, dark=False)` opens a window of a new profile."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs chromium and chromedriver (Debian: chromium, chromium-driver)")
    with ExitStack() as opened:

        def open_window(width: int = 1280, height: int = 800, dark: bool = False) -> Chrome:
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
            window = Chrome(options=options, service=ChromeService(driver))
            opened.callback(window.quit)
            # A headless window is never narrower than 500 pixels; its emulated screen may be.
            window.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride",
                {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500},
            )
            return window

        yield open_window
