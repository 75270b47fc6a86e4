"""Actors on other nodes: zmq and msgpack. Imported when a system listens or connects."""
