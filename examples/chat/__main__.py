"""Starts the chat: the tree of its actors, its servers, and its nodes if it is to have any."""

from __future__ import annotations

import argparse
import resource
from contextlib import ExitStack

from actorkit import ActorSystem, NodePool

from . import __doc__ as about
from . import telnet, web
from .clients import Entrance
from .history import History
from .rooms import Room, Rooms
from .users import Users

#: Seconds that connections have to end with the program.
CLOSE_TIME = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m examples.chat", description=(about or "").splitlines()[0]
    )
    parser.add_argument("--host", default="127.0.0.1", help="to listen at (%(default)s)")
    parser.add_argument("--port", type=int, default=8080, help="for the page (%(default)s)")
    parser.add_argument("--telnet-port", type=int, default=8023, help="(%(default)s)")
    parser.add_argument("--nodes", type=int, default=0, help="processes for the rooms (none)")
    parser.add_argument("--history", default="chat.sqlite", metavar="FILE", help="(%(default)s)")
    parser.add_argument("--listen", metavar="ADDRESS", help="be a node there, to be looked into")
    options = parser.parse_args()
    allow_many_connections()
    with ExitStack() as stack:
        nodes = None
        if options.nodes:
            nodes = stack.enter_context(NodePool(options.nodes, name="rooms", spawnable=[Room]))
        system = stack.enter_context(ActorSystem("chat", listen=options.listen))
        history = system.spawn(History, options.history, name="history")
        rooms = system.spawn(Rooms, history, nodes, name="rooms")
        entrance = Entrance(system.spawn(Users, rooms, name="users"), rooms)
        page = web.serve(entrance, options.host, options.port)
        stack.callback(page.stop, CLOSE_TIME)
        terminal = telnet.serve(entrance, options.host, options.telnet_port)
        stack.callback(terminal.stop, CLOSE_TIME)
        print(f"page    http://{options.host}:{page.server_port}")
        print(f"telnet  {options.host} {terminal.server_port}")
        if system.address:
            print(f"node    {system.address}")
        print("ready", flush=True)
        system.wait()


def allow_many_connections() -> None:
    """Each is a file to the system, which counts them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


if __name__ == "__main__":
    main()
