"""The chat as people see it: real browsers, a real server process, and what is done to it."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from actorkit import ActorSystem

from .chat_clients import Server, chat_server
from .conftest import Browser

#: Seconds that a page has to show what is expected.
PATIENCE = 40


class Page:
    """What a person sees and does in one window."""

    def __init__(self, window: Chrome, server: Server, query: str = "") -> None:
        self.window = window
        window.get(f"{server.url}/{query}")

    def come_in(self, name: str, room: str = "lobby") -> Page:
        self.window.find_element(By.ID, "name").send_keys(name)
        field = self.window.find_element(By.ID, "first-room")
        field.clear()
        field.send_keys(room, Keys.ENTER)
        self.until_status(f"Connected as {name}")
        return self

    def say(self, text: str) -> None:
        """Type it, and press the key."""
        self.window.find_element(By.ID, "text").send_keys(text, Keys.ENTER)

    def text_of(self, selector: str) -> str:
        """The text of the page's elements, read in one step: they come and go."""
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e.innerText).join()"
        return str(self.window.execute_script(script, selector))

    def until(self, selector: str, text: str) -> None:
        wait = WebDriverWait(self.window, PATIENCE, poll_frequency=0.1)
        wait.until(
            lambda _: text in self.text_of(selector), f"no {text!r} in {self.text_of('body')!r}"
        )

    def until_status(self, text: str) -> None:
        self.until("#status", text)

    def until_said(self, text: str) -> None:
        self.until("#log .text", text)

    def until_notice(self, text: str) -> None:
        self.until("#log .notice", text)

    def is_wider_than_its_window(self) -> bool:
        script = "return document.documentElement.scrollWidth > window.innerWidth"
        return bool(self.window.execute_script(script))

    def has_only_named_controls(self) -> bool:
        """Whether a screen reader has a name for whatever can be typed into or pressed."""
        script = """
            const controls = [...document.querySelectorAll("input, textarea, button")];
            return controls.every(each => each.labels?.length || each.innerText.trim());
        """
        return bool(self.window.execute_script(script))

    def complaints(self) -> list[str]:
        """What the browser wrote to its console."""
        return [entry["message"] for entry in self.window.get_log("browser")]  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A chat for several tests: each has names and a room of its own."""
    folder = tmp_path_factory.mktemp("chat")
    options = ["--history", str(folder / "chat.sqlite"), "--listen", f"ipc://{folder}/node"]
    with chat_server(*options) as server:
        yield server


def test_two_browsers_talk_and_what_they_write_stays_text(browser: Browser, server: Server) -> None:
    anna = Page(browser(), server).come_in("Anna")
    script = """<img src=x onerror="document.title='taken over'"><script>alert(1)</script>"""
    mallory = Page(browser(dark=True), server).come_in("<b>Mallory")
    anna.until("#people", "<b>Mallory")
    mallory.say(script)
    anna.until_said(script)
    anna.say("nice try")
    mallory.until_said("nice try")
    for page in (anna, mallory):
        page.until("#log .name", "<b>Mallory")
        assert page.window.find_elements(By.CSS_SELECTOR, "#chat img, #chat script, #chat b") == []
        assert page.window.title == "#lobby · actorkit chat"
        assert page.complaints() == []
    mallory.window.find_element(By.ID, "leave").click()
    anna.until_notice("<b>Mallory left")


def test_a_browser_a_terminal_and_long_polling_talk(browser: Browser, server: Server) -> None:
    aino = Page(browser(), server).come_in("Aino", room="tea")
    aino.until_status("by websocket")
    paula = Page(browser(width=360, height=640), server, "?transport=polling")
    paula.come_in("Paula", room="tea")
    paula.until_status("by long polling")
    with (
        socket.create_connection(("127.0.0.1", server.telnet_port), timeout=PATIENCE) as sock,
        sock.makefile("rw", encoding="utf-8", newline="\n") as terminal,
    ):
        terminal.write("Tom\n/room tea\nhello from a terminal\n")
        terminal.flush()
        aino.until_said("hello from a terminal")
        paula.until_said("hello from a terminal")
        paula.say("hello from a phone")
        aino.until_said("hello from a phone")
        aino.say("hello from a desktop")
        paula.until_said("hello from a desktop")
        shown = ""
        while "<Aino> hello from a desktop" not in shown:
            shown += terminal.readline()
        assert "<Paula> hello from a phone" in shown
    aino.until_notice("Tom left")


def test_a_killed_room_comes_back_with_its_history(browser: Browser, server: Server) -> None:
    anton = Page(browser(), server).come_in("Anton", room="bridge")
    anton.say("said before")
    anton.until_said("said before")
    with ActorSystem("operator") as operator:
        room = operator.connect(server.address, timeout=PATIENCE).lookup("/rooms/bridge")
        room.kill()
        room.join(PATIENCE)
    anton.until_notice("The room is moving: it was killed.")
    anton.until_notice("The room is back")
    anton.until_status("Connected as Anton")
    anton.say("said after")
    anton.until_said("said after")
    anton.window.refresh()  # the same user still, and everything that was said
    anton.until_status("Connected as Anton")
    anton.until_said("said before")
    anton.until_said("said after")


def test_the_page_tells_of_a_lost_node_and_the_room_comes_back(
    browser: Browser, tmp_path: Path
) -> None:
    with chat_server("--nodes", "2", "--history", str(tmp_path / "chat.sqlite")) as server:
        anna = Page(browser(), server).come_in("Anna")
        anna.say("said before")
        anna.until_said("said before")
        node = anna.text_of("#node").removeprefix("on ")
        nodes = psutil.Process(server.process.pid).children()
        (process,) = [each for each in nodes if node in each.cmdline()]
        os.kill(process.pid, signal.SIGKILL)
        anna.until_notice("The room is moving: its node was lost.")
        anna.until_notice("The room is back, on rooms-")
        anna.until_status("Connected as Anna")
        anna.say("said after")
        anna.until_said("said after")
        assert "said before" in anna.text_of("#log .text")


def test_the_page_connects_again_to_a_server_that_was_restarted(
    browser: Browser, tmp_path: Path
) -> None:
    options = ["--history", str(tmp_path / "chat.sqlite")]
    with chat_server(*options) as server:
        anna = Page(browser(), server).come_in("Anna")
        anna.say("said before")
        anna.until_said("said before")
    anna.until_status("Connection lost. Trying again")
    assert not anna.window.find_element(By.ID, "send").is_enabled()
    anna.window.find_element(By.ID, "text").send_keys("kept meanwhile")
    with chat_server(*options, port=server.port):
        anna.until_status("Connected as Anna")
        anna.say("")
        anna.until_said("kept meanwhile")
        assert "said before" in anna.text_of("#log .text")


def test_the_page_fits_a_phone_and_is_used_by_keyboard(browser: Browser, server: Server) -> None:
    wide = Page(browser(width=360, height=640, dark=True), server)
    assert not wide.is_wider_than_its_window()
    wide.come_in("W" * 24, room="w" * 24)
    wide.say("long" * 200)
    wide.until_said("longlong")
    assert not wide.is_wider_than_its_window()
    wide.window.find_element(By.ID, "menu").send_keys(Keys.ENTER)
    wide.until("#people", "W" * 24)
    assert not wide.is_wider_than_its_window()
    wide.window.find_element(By.ID, "other-room").send_keys("tea", Keys.ENTER)
    wide.until("#room", "tea")
    assert not wide.window.find_element(By.ID, "side").is_displayed()
    wide.until_status("Connected as W")
    wide.window.find_element(By.ID, "menu").send_keys(Keys.ENTER)
    wide.window.find_element(By.ID, "other-room").send_keys("no way", Keys.ENTER)
    wide.until_notice("a room's name has")
    wide.until("#room", "tea")  # back where the way in was open
    assert wide.has_only_named_controls()
