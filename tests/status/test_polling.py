"""Polling points: which calls an interrupt stops, with which status, and what counts as one."""

import pytest

from tdx_env.errors import ScenarioError
from tdx_env.module.seamcalls import MODULE_VERSIONS, calls
from tdx_env.state.calls import Leaf, Op
from tdx_env.status.codes import Status
from tdx_env.status.polling import (
    POLLING_POINTS,
    is_pending_for_guest,
    is_pending_for_host,
    polling_points,
)

RESTARTABLE, RESUMABLE = Status.INTERRUPTED_RESTARTABLE, Status.INTERRUPTED_RESUMABLE
STATUSES = {
    "PAGE.PROMOTE": RESTARTABLE,
    "PAGE.DEMOTE": RESTARTABLE,
    "SEPT.ADD version 1": RESUMABLE,
    "EXPORT.BLOCKW": RESUMABLE,
    "EXPORT.MEM": RESUMABLE,
    "EXPORT.RESTORE": RESUMABLE,
    "IMPORT.MEM": RESUMABLE,
    "EXPORT.STATE.IMMUTABLE": RESUMABLE,
    "EXPORT.STATE.TD": RESUMABLE,
    "EXPORT.STATE.VP": RESUMABLE,
    "IMPORT.STATE.IMMUTABLE": RESUMABLE,
    "IMPORT.STATE.TD": RESUMABLE,
    "IMPORT.STATE.VP": RESUMABLE,
    "PHYMEM.CACHE.WB": RESUMABLE,
    "PAGE.ACCEPT of 2M": None,
    "MR.REPORT": None,
    "VP.INVVPID": None,
}


def test_interrupted_calls_return_what_the_source_has() -> None:
    assert {point.call: point.status for point in POLLING_POINTS} == STATUSES


def test_only_guests_get_no_status() -> None:
    for point in POLLING_POINTS:
        assert (point.status is None) == (point.leaf is not None and calls()[point.leaf].is_guest)


@pytest.mark.parametrize("version", MODULE_VERSIONS)
def test_calls_with_a_poll_among_their_steps_have_a_polling_point(version: str) -> None:
    statuses = {point.leaf: point.status for point in polling_points(version)}
    for leaf, call in calls(version).items():
        ops = {step.op for step in call.steps}
        assert call.is_interruptible == bool(ops & {Op.POLL, Op.NEXT})
        if Op.POLL in ops:
            assert statuses[leaf] == RESTARTABLE
        if Op.NEXT in ops:
            assert statuses[leaf] == RESUMABLE


def test_uninterruptible_demote_alone_loses_its_point() -> None:
    lost = set(POLLING_POINTS) - set(polling_points("hypothetical-demote-uninterruptible"))
    assert [point.leaf for point in lost] == [Leaf.MEM_PAGE_DEMOTE]
    assert not calls("hypothetical-demote-uninterruptible")[Leaf.MEM_PAGE_DEMOTE].is_interruptible


def test_unknown_version_is_refused() -> None:
    with pytest.raises(ScenarioError, match="'1.6' is unknown"):
        polling_points("1.6")


@pytest.mark.parametrize(
    ("intr", "other", "interrupts_enabled", "found"),
    [
        (True, False, True, True),
        (True, False, False, False),
        (False, True, False, True),
        (True, True, False, True),
        (False, False, True, False),
    ],
)
def test_host_with_interrupts_disabled_is_not_stopped_by_intr(
    intr: bool, other: bool, interrupts_enabled: bool, found: bool
) -> None:
    assert is_pending_for_host(intr, other, interrupts_enabled) == found


@pytest.mark.parametrize(("intr", "other"), [(True, False), (False, True), (False, False)])
def test_guest_is_stopped_by_whatever_is_pending(intr: bool, other: bool) -> None:
    assert is_pending_for_guest(intr, other) == (intr or other)


LISTS = {Leaf.EXPORT_BLOCKW, Leaf.EXPORT_MEM, Leaf.EXPORT_RESTORE, Leaf.IMPORT_MEM}


@pytest.mark.parametrize("version", MODULE_VERSIONS)
def test_who_gives_way_to_a_waiting_writer(version: str) -> None:
    """Both reasons of a list call have one status; a scan has one for each."""
    yielding = {point.leaf: point.yields for point in polling_points(version) if point.yields}
    if version not in ("1.5.34", "2.0.18"):
        assert yielding == {}
        return
    expected = {**dict.fromkeys(LISTS, RESUMABLE), Leaf.MEM_SCAN_RANGE: Status.INTERRUPTED_BUSY}
    assert yielding == expected


def test_scan_without_a_list_gives_way_to_nobody() -> None:
    points = {point.leaf: point for point in polling_points("1.5.34")}
    assert points[Leaf.MEM_SCAN_COMP].status == RESUMABLE
    assert points[Leaf.MEM_SCAN_COMP].yields is None


@pytest.mark.parametrize("version", ["1.5.28", "1.5.34", "2.0.18"])
def test_demote_runs_to_its_end_in_newer_releases(version: str) -> None:
    assert Leaf.MEM_PAGE_DEMOTE not in {point.leaf for point in polling_points(version)}
