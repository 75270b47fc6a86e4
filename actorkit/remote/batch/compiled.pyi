"""To a type checker the two twins are one."""

from .pure import Outgoing as Outgoing
from .pure import deliver as deliver
from .pure import plain_reader as plain_reader
from .pure import read as read
