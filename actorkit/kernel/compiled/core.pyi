"""To a type checker the two kernels are one."""

from ..pure.envelope import Envelope as Envelope
from ..pure.envelope import Waiter as Waiter
from ..pure.mailbox import Mailbox as Mailbox
from ..pure.spawn import Family as Family
from ..pure.spawn import Plan as Plan
from ..pure.spawn import make_instance as make_instance
from ..pure.spawn import spawn as spawn
from ..pure.spawn import with_short_way as with_short_way
from ..pure.switch import Queue as Queue
from ..pure.switch import Switch as Switch
from ..pure.switch import get_ident as get_ident
from ..pure.turns import Turns as Turns
