"""Whose each cycle of overhead is: a function of its category, the actor and its path."""

from enum import IntEnum

import numpy as np

from tdx_env.state.accounting import IS_OVERHEAD, Category
from tdx_env.state.actors import CallPath


class Owner(IntEnum):
    """Whose cycles of overhead are; the cycles of all owners are the overhead."""

    NOBODY = 0  # no overhead
    HOST = 1  # the host's own work: its tasks, zaps on vCPU threads, the senders of kicks
    STOLEN = 2  # taken from the guest
    HOSTILE = 3  # what would be STOLEN on a vCPU of a hostile group: its own fault


class Party(IntEnum):
    """What an actor is to the owners of cycles."""

    TASK = 0  # host task
    VCPU = 1
    HOSTILE_VCPU = 2  # of a group that is marked hostile


N_OWNERS = len(Owner)
# Whether a vCPU's thread does the host's work while it is on a path; back in the run loop, it is
# on ENTER.
_IS_FOR_HOST = {
    CallPath.FAULT: False,
    CallPath.ZAP: True,
    CallPath.ENTER: False,
    CallPath.BUILD: True,
    CallPath.EXPORT: True,
    CallPath.FLUSH: True,
    CallPath.INTERRUPTED: False,
}
_SENDING = (Category.IPI_SEND, Category.KICK_WAIT)


def owner_of(party: Party, path: CallPath, category: Category) -> Owner:
    """Return whose a cycle is."""
    if not IS_OVERHEAD[category]:
        return Owner.NOBODY
    if party == Party.TASK or category in _SENDING or _IS_FOR_HOST[path]:
        return Owner.HOST
    return Owner.STOLEN if party == Party.VCPU else Owner.HOSTILE


OWNERS = np.array(
    [[[owner_of(party, path, one) for one in Category] for path in CallPath] for party in Party],
    dtype=np.int64,
)
"""The `Owner` of a cycle by `Party`, `CallPath` and `Category`."""
