"""Whose each cycle of overhead is."""

import pytest

from tdx_env.state.accounting import IS_OVERHEAD, Category
from tdx_env.state.actors import CallPath
from tdx_env.state.owners import OWNERS, Owner, Party, owner_of


def test_overhead_has_an_owner_and_nothing_else_has():
    for party in Party:
        for path in CallPath:
            owned = OWNERS[party, path] != Owner.NOBODY
            assert owned.tolist() == (IS_OVERHEAD == 1).tolist()


@pytest.mark.parametrize("path", CallPath)
def test_what_a_host_task_loses_is_the_hosts(path):
    assert {*OWNERS[Party.TASK, path].tolist()} == {Owner.NOBODY, Owner.HOST}


@pytest.mark.parametrize(
    ("category", "path", "owner"),
    [
        (Category.MMU_LOCK_WAIT, CallPath.ZAP, Owner.HOST),  # a conversion on its thread
        (Category.SEAMCALL_BUSY, CallPath.EXPORT, Owner.HOST),
        (Category.TRACK_KICK, CallPath.ZAP, Owner.HOST),  # it sends TRACK's kick
        (Category.IPI_SEND, CallPath.FAULT, Owner.HOST),  # the sender of any kick
        (Category.KICK_WAIT, CallPath.ENTER, Owner.HOST),
        (Category.TRACK_KICK, CallPath.ENTER, Owner.STOLEN),  # it is TRACK's target
        (Category.KICK_TARGET, CallPath.ENTER, Owner.STOLEN),
        (Category.GATED, CallPath.ENTER, Owner.STOLEN),
        (Category.MMU_LOCK_WAIT, CallPath.FAULT, Owner.STOLEN),
        (Category.REFAULT, CallPath.FAULT, Owner.STOLEN),
        (Category.SYNTHETIC_EXIT, CallPath.ENTER, Owner.STOLEN),
        (Category.UNWIND, CallPath.FAULT, Owner.STOLEN),
        (Category.DECISION, CallPath.FAULT, Owner.STOLEN),
        (Category.SEAMCALL_BUSY, CallPath.ENTER, Owner.STOLEN),
        (Category.YIELD, CallPath.FAULT, Owner.STOLEN),  # asleep on a file's lock
        (Category.GUEST_BUSY, CallPath.ENTER, Owner.STOLEN),
        (Category.GUEST_PRIORITY_STALL, CallPath.ENTER, Owner.STOLEN),
        (Category.HOST_WORK, CallPath.ZAP, Owner.NOBODY),
        (Category.EXIT_ENTRY, CallPath.ENTER, Owner.NOBODY),
    ],
)
def test_owner_on_a_vcpu(category, path, owner):
    assert owner_of(Party.VCPU, path, category) == owner
    hostile = Owner.HOSTILE if owner == Owner.STOLEN else owner
    assert owner_of(Party.HOSTILE_VCPU, path, category) == hostile
