"""Where the log of a command goes: to stderr, for stdout is its result."""

from __future__ import annotations

import logging
import sys

import structlog

from ..log import plain_processors

__all__ = ["log_to_stderr"]


def log_to_stderr(level: int = logging.INFO) -> None:
    """Log to stderr from `level` on; a module of the user's may configure it otherwise later."""
    structlog.configure(
        processors=plain_processors(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
