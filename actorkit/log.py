"""Logging: structlog everywhere, and its bridge for programs that use `logging`.

Used by every module that logs; imports nothing of the package.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, MutableMapping
from functools import cache
from typing import Any, TextIO

import structlog

__all__ = ["get_logger", "plain_processors", "use_stdlib_logging"]


def get_logger(**bound: Any) -> Any:
    """A structlog logger named "actorkit", with these values bound to each of its events.

    Where its output fails (a full disk, a broken pipe) the event is lost and nothing else.
    """
    return _Harmless(
        structlog.wrap_logger(
            None, processors=_processors, logger_factory_args=("actorkit",), **bound
        )
    )


def plain_processors(stream: TextIO) -> list[Any]:
    """structlog's own processors for a terminal, but with the tracebacks of Python.

    Its default draws them with `rich` wherever that is installed, which takes tens of milliseconds
    each: too much for a service whose actors may fail. Colours are for a `stream` that is a
    terminal, unless NO_COLOR or FORCE_COLOR is set.
    """
    colors = bool(os.environ.get("FORCE_COLOR")) or stream.isatty()
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
        structlog.dev.set_exc_info,
        structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
        structlog.dev.ConsoleRenderer(
            colors=colors and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
        ),
    ]


class _Processors:
    """What events pass through: the user's, whenever they configure structlog, else plain ones."""

    def __iter__(self) -> Iterator[Any]:
        if structlog.is_configured():
            return iter(structlog.get_config()["processors"])
        return iter(_unconfigured())


_processors: Any = _Processors()


@cache
def _unconfigured() -> list[Any]:
    return plain_processors(sys.stdout)


class _Harmless:
    """A logger that does not raise OSError at who logs."""

    __slots__ = ("_logger",)

    def __init__(self, logger: Any) -> None:
        self._logger = logger

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._logger, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = value(*args, **kwargs)
            except OSError:
                return None
            return _Harmless(result) if hasattr(result, "bind") else result

        return call

    def __repr__(self) -> str:
        return repr(self._logger)


def use_stdlib_logging(level: int = logging.NOTSET) -> None:
    """Send every structlog event to the standard `logging` tree, with its values as `extra`.

    A value named like an attribute of a `LogRecord` (`message`, `name`, ...) gets a `_` behind it.
    `level`: of the "actorkit" logger. Call it once at start, beside `logging.basicConfig`.
    Programs that configure structlog themselves do not need it.
    """
    logging.getLogger("actorkit").setLevel(level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.StackInfoRenderer(),
            _keep_off_reserved_names,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


_RESERVED = {*vars(logging.makeLogRecord({})), "message", "asctime"} - {
    "exc_info",
    "stack_info",
    "stacklevel",
}


def _keep_off_reserved_names(
    logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """`logging` refuses an `extra` that would overwrite an attribute of its records."""
    return {f"{key}_" if key in _RESERVED else key: value for key, value in event.items()}
