"""Traces: the slices are the books, and the file is what the format says."""

from collections import defaultdict
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from tdx_env.scenarios import load
from tdx_env.state.actors import Kick
from tdx_eval.comparing.episodes import episodes_of
from tdx_eval.comparing.jobs import run_batch
from tdx_eval.comparing.seeds import FIRST_SEED
from tdx_eval.comparing.yardsticks import load_policy
from tdx_eval.tracing.chrome import CPUS, LOCKS, trace_json
from tdx_eval.tracing.record import MMU_LOCK, record_episode

SEED = FIRST_SEED["test"]
SHARED = {  # fewer vCPU threads than in the file, on two CPUs, and little work
    "host.n_vcpus": 5,
    "host.n_pcpus": 2,
    "groups.bursty.count": 1,
    "groups.acceptors.items": 2,
    "tasks.zapper.items": 1,
    "tasks.zapper.chunk": 2,
}
CASES = {
    "export": ("s15-export/test", "P18", {}),
    "build": ("s19-build/test", "always-retry", {}),
    "shared": ("s16-oversubscribed/test", "always-kick", SHARED),
}


class _Event(BaseModel):
    """What all events of the format have."""

    model_config = ConfigDict(extra="forbid")
    name: str
    pid: int
    tid: int


class _Timed(_Event):
    ts: float = Field(ge=0)
    cat: str
    args: dict[str, int | str] = {}


class _Complete(_Timed):
    ph: Literal["X"]
    dur: float = Field(ge=0)


class _Async(_Timed):
    ph: Literal["b", "e"]
    id: int


class _Flow(_Timed):
    ph: Literal["s", "f"]
    id: int
    bp: Literal["e"] | None = None


class _Instant(_Timed):
    ph: Literal["i"]
    s: Literal["t"]


class _Metadata(_Event):
    ph: Literal["M"]
    args: dict[str, str]


AnyEvent = Annotated[_Complete | _Async | _Flow | _Instant | _Metadata, Field(discriminator="ph")]


@pytest.fixture(scope="module", params=CASES)
def played(request):
    """A recorded episode: case, record, batch."""
    name, policy, overrides = CASES[request.param]
    scenario, chosen = load(name, overrides), load_policy(policy)
    return scenario, chosen, *record_episode(scenario, chosen, SEED)


@pytest.fixture(scope="module")
def events(played):
    """The events of its file."""
    return trace_json(played[2], {})["traceEvents"]


def test_looking_changes_nothing_and_slices_are_the_books(played):
    scenario, policy, record, _ = played
    seeds = range(SEED, SEED + 1)
    undisturbed = episodes_of(run_batch(policy, scenario, seeds), seeds)[0]
    for category, cycles in record.cycles_by_category().items():
        assert cycles == undisturbed[f"cycles_{category}"]
    assert record.end == undisturbed["elapsed_cycles"]
    assert len(record.decisions) == undisturbed["n_decisions"]


def test_slices_of_a_track_do_not_overlap(events):
    tracks = defaultdict(list)
    for one in events:
        if one["ph"] == "X" and one["pid"] == CPUS and one["dur"] > 0:
            tracks[one["tid"]].append((one["ts"], one["ts"] + one["dur"]))
    for slices in tracks.values():
        slices.sort()
        ends = [end for _, end in slices]
        assert all(begin >= end - 1e-6 for end, (begin, _) in zip(ends, slices[1:], strict=False))


def test_every_event_is_one_of_the_format(events):
    assert len(TypeAdapter(list[AnyEvent]).validate_python(events)) == len(events) > 0


def test_file_has_the_cycles_of_the_record(played, events):
    total = sum(one["args"]["cycles"] for one in events if one["ph"] == "X")
    assert total == sum(played[2].cycles_by_category().values())


def test_ipis_are_flows_from_sender_to_target(played, events):
    record, batch = played[2], played[3]
    ends = defaultdict(list)
    for one in events:
        if one["ph"] in "sf":
            ends[one["id"]].append(one)
    assert all([one["ph"] for one in some] == ["s", "f"] for some in ends.values())
    assert all(begin["ts"] <= end["ts"] for begin, end in ends.values())
    assert len(record.ipis) <= batch.run["n_ipis"][0]
    assert all(one.kick is not Kick.NONE and one.sender != one.target for one in record.ipis)


def test_one_writer_of_mmu_lock_at_a_time(played):
    holds = [one for one in played[2].holds if one.lock == f"{MMU_LOCK} for write"]
    holds.sort(key=lambda one: (one.begin, one.end))
    assert all(one.end <= other.begin for one, other in zip(holds, holds[1:], strict=False))


def test_locks_are_let_go_in_the_file(events):
    begun = [one["id"] for one in events if one["pid"] == LOCKS and one["ph"] == "b"]
    ended = [one["id"] for one in events if one["pid"] == LOCKS and one["ph"] == "e"]
    assert begun == ended
    assert len(set(begun)) == len(begun) > 0


def test_decisions_have_their_features(played):
    for one in played[2].decisions:
        assert one.features["leaf"] == one.leaf
        assert one.features["mask"] & (1 << one.action)
        assert one.features["n_vcpus"] == played[2].n_vcpus
