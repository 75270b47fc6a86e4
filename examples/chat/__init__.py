"""A chat as an actorkit application: websocket, long polling and telnet, on one node or many.

    pip install -e . wsproto            # from a checkout; wsproto is the example's own need
    python -m examples.chat             # then open http://127.0.0.1:8080, or telnet to port 8023
    python -m examples.chat --nodes 2   # rooms live in two worker processes; kill one and see
    python -m examples.chat --help

Read it from the top down:

    messages.py   what the actors say to each other
    history.py    History: everything that was said, in SQLite
    rooms.py      Room: a place to talk. Rooms: opens them, here or on other nodes, and again
    users.py      User: somebody who is signed in. Users: signs them in
    protocol.py   what clients send and get, as JSON; its limits (pure)
    clients.py    what all clients have in common
    web.py        pages and long polling, with gevent's pywsgi
    websocket.py  websockets in the same server, with wsproto
    telnet.py     the same for a terminal
    page/         the page: no build step, no dependency
"""
