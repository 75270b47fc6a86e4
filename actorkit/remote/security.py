"""Who may connect: CURVE keys with an allow-list, or `Insecure` said aloud.

Used by the transport. Key files are made here with mode 0600; one that others can read is refused.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = [
    "Curve",
    "Insecure",
    "Keys",
    "check_exposure",
    "check_security",
    "check_server_key",
    "generate_keys",
    "is_local",
    "load_keys",
    "split_address",
]

#: Characters of a key in Z85, as zmq writes it.
KEY_LENGTH = 40

_ADDRESS = re.compile(r"ipc://.+|tcp://(?P<host>\[[^\[\]/]+\]|[^\[\]:/]+):(?P<port>\d+|\*)")


class Keys(NamedTuple):
    """A pair of CURVE keys in Z85: give away `public`, keep `secret`."""

    public: str
    secret: str

    def __repr__(self) -> str:
        return f"<Keys {self.public}>"


class Insecure:
    """No encryption and no check of who connects, on any address: said aloud, never by default."""

    def __repr__(self) -> str:
        return "Insecure()"


class Curve:
    """Encryption and mutual authentication by CURVE::

        security = Curve(load_keys("alpha.key"), allow=[beta_public_key])      # who listens
        security = Curve(load_keys("beta.key"), server_key=alpha_public_key)   # who connects

    `allow`: the public keys that may connect; change it with `permit` and `revoke` while the node
    runs. `server_key`: the public key that nodes connected to must prove to have.
    """

    def __init__(
        self, keys: Keys, *, server_key: str | None = None, allow: Iterable[str] = ()
    ) -> None:
        if not isinstance(keys, Keys):
            raise TypeError(f"keys must come from load_keys() or generate_keys(), not {keys!r}")
        self.keys = Keys(_key(keys.public), _key(keys.secret))
        self.server_key = None if server_key is None else _key(server_key)
        if isinstance(allow, str):
            raise TypeError("allow= takes a list of public keys")
        self._allowed = {_key(key) for key in allow}

    def permit(self, public_key: str) -> None:
        """Let `public_key` connect from now on."""
        self._allowed.add(_key(public_key))

    def revoke(self, public_key: str) -> None:
        """Let `public_key` connect no more; what is connected stays until it disconnects."""
        self._allowed.discard(public_key)

    def allows(self, public_key: str) -> bool:
        return public_key in self._allowed

    def __repr__(self) -> str:
        return f"<Curve {self.keys.public}, {len(self._allowed)} allowed>"


def _key(text: str) -> str:
    if not isinstance(text, str) or len(text) != KEY_LENGTH:
        raise ValueError(f"a CURVE key is {KEY_LENGTH} characters of Z85, not {text!r:.60}")
    return text


def generate_keys(path: str | os.PathLike[str] | None = None) -> Keys:
    """A new pair of keys, written to a file that only its owner can read if `path` is given.

    Raises FileExistsError rather than overwrite a key.
    """
    import zmq

    public, secret = (key.decode("ascii") for key in zmq.curve_keypair())
    if path is not None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"public {public}\nsecret {secret}\n")
    return Keys(public, secret)


def load_keys(path: str | os.PathLike[str]) -> Keys:
    """The keys that `generate_keys` wrote to `path`.

    Raises PermissionError when others than the owner can read the file, ValueError when it holds no
    keys.
    """
    mode = stat.S_IMODE(os.stat(path).st_mode)
    if mode & 0o077:
        raise PermissionError(
            f"{os.fspath(path)} can be read by others (mode {mode:04o}): chmod 600 it, and make new"
            " keys if others may have read it"
        )
    parts = dict(line.split(" ", 1) for line in Path(path).read_text().splitlines() if " " in line)
    if not {"public", "secret"} <= parts.keys():
        raise ValueError(f"{os.fspath(path)} holds no keys; make some with generate_keys(path)")
    return Keys(_key(parts["public"]), _key(parts["secret"]))


def check_security(security: Curve | Insecure | None) -> None:
    """Raise TypeError for what is no decision on security."""
    if security is not None and not isinstance(security, Curve | Insecure):
        raise TypeError(f"security must be Curve(...) or Insecure(), not {security!r}")


def check_exposure(address: str, security: Curve | Insecure | None) -> None:
    """Raise ValueError for a listening address that others could reach without any security."""
    split_address(address)
    if security is None and not is_local(address):
        raise ValueError(
            f"{address} can be reached from other machines: pass security=Curve(...), or"
            " security=Insecure() if that is what you want"
        )


def check_server_key(security: Curve | Insecure | None) -> None:
    """Raise ValueError where `security` says nothing of whom to trust over there."""
    if isinstance(security, Curve) and security.server_key is None:
        raise ValueError("to connect, Curve needs server_key=, the public key over there")


def split_address(address: str) -> tuple[str, str]:
    """Host and port of an address, two empty texts on ipc. Raises ValueError for what is none."""
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise ValueError(f"an address is tcp://host:port or ipc:///path, not {address!r}")
    return (found["host"] or "").strip("[]"), found["port"] or ""


def is_local(address: str) -> bool:
    """Whether only this machine can be reached at this address."""
    try:
        host, _ = split_address(address)
    except ValueError:
        return False
    return not host or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        ip = ipaddress.ip_address(host)
        return (getattr(ip, "ipv4_mapped", None) or ip).is_loopback
    except ValueError:
        return False
