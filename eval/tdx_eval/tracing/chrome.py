"""An episode as Chrome trace events, which Perfetto and chrome://tracing show.

One track for each CPU, with its slices; IPIs are flows from sender to target, decisions instants
with the features that the rule was given. Lock holds are asynchronous slices, one track a lock.
Times are microseconds; every slice has its exact length in `args.cycles`.

Source: "Trace Event Format", Google, 2016 (JSON object format: X, b, e, s, f, i, M).
"""

from collections.abc import Iterator
from typing import Any

from tdx_env.engine.render import microseconds
from tdx_env.module.names import short_name
from tdx_env.state.calls import NONE, Leaf
from tdx_eval.tracing.record import Decision, Hold, Ipi, Record, Slice

CPUS, LOCKS, WAITING = 1, 2, 3  # processes of the trace
_PROCESSES = {CPUS: "CPUs", LOCKS: "locks", WAITING: "threads without a CPU"}
_CALL_STATES = ("SEAMCALL", "SEAM_RETURN", "TDCALL", "HOLD", "TDCALL_RETURN")
_COLOURS = {True: "terrible", False: None}


def _metadata(kind: str, process: int, thread: int, name: str) -> dict[str, Any]:
    """Return the name of a process or a thread."""
    return {"ph": "M", "name": kind, "pid": process, "tid": thread, "args": {"name": name}}


def _place(record: Record, actor: int, cpu: int) -> dict[str, int]:
    """Return the track of a slice."""
    return {"pid": WAITING, "tid": actor} if cpu == NONE else {"pid": CPUS, "tid": cpu}


def _tracks(record: Record) -> Iterator[dict[str, Any]]:
    """Yield the names of processes and tracks."""
    for process, name in _PROCESSES.items():
        yield _metadata("process_name", process, 0, name)
    if not record.n_cpus:
        for actor, name in enumerate(record.names):
            yield _metadata("thread_name", CPUS, actor, f"CPU of {name}")
        return
    for cpu in range(record.n_cpus):
        yield _metadata("thread_name", CPUS, cpu, f"CPU {cpu}")
    for place, name in enumerate(record.names[record.n_vcpus :]):
        yield _metadata("thread_name", CPUS, record.n_cpus + place, f"CPU of {name}")
    for actor, name in enumerate(record.names[: record.n_vcpus]):
        yield _metadata("thread_name", WAITING, actor, name)


def slice_name(one: Slice) -> str:
    """Return what a slice is called: its category, and the call if it is one."""
    name = one.category.name.lower().replace("_", " ")
    if one.state.name in _CALL_STATES and one.leaf != NONE:
        return f"{name}: {short_name(Leaf(one.leaf))}"
    return name


class _Writer:
    """Makes the events of a record; times are in microseconds from its first slice's clock."""

    def __init__(self, record: Record) -> None:
        self._record = record

    def _us(self, cycles: int) -> float:
        """Return cycles in microseconds."""
        return microseconds(cycles, self._record.clock_khz)

    def slice(self, one: Slice) -> dict[str, Any]:
        """Return a slice of a CPU."""
        record = self._record
        return {
            "ph": "X",
            "name": slice_name(one),
            "cat": one.category.name.lower(),
            **_place(record, one.actor, one.cpu),
            "ts": self._us(one.begin),
            "dur": self._us(one.end - one.begin),
            "args": {
                "cycles": one.end - one.begin,
                "thread": record.names[one.actor],
                "state": one.state.name,
            },
        }

    def hold(self, number: int, one: Hold) -> Iterator[dict[str, Any]]:
        """Yield begin and end of a lock that was held."""
        common = {"cat": "lock", "name": one.lock, "id": number, "pid": LOCKS, "tid": 0}
        args = {"holder": self._record.names[one.actor], "cycles": one.end - one.begin}
        yield {"ph": "b", **common, "ts": self._us(one.begin), "args": args}
        yield {"ph": "e", **common, "ts": self._us(one.end), "args": {}}

    def ipi(self, number: int, one: Ipi) -> Iterator[dict[str, Any]]:
        """Yield begin and end of an IPI's way."""
        common = {"cat": "ipi", "name": f"IPI ({one.kick.name.lower()})", "id": number}
        sender, target = self._cpu(one.sender), self._cpu(one.target)
        yield {"ph": "s", **common, **sender, "ts": self._us(one.sent)}
        yield {"ph": "f", "bp": "e", **common, **target, "ts": self._us(one.taken)}

    def _cpu(self, actor: int) -> dict[str, int]:
        """Return the track of an actor that runs."""
        record = self._record
        if not record.n_cpus or actor < record.n_vcpus:
            return _place(record, actor, NONE if record.n_cpus else actor)
        return {"pid": CPUS, "tid": record.n_cpus + actor - record.n_vcpus}

    def decision(self, one: Decision) -> dict[str, Any]:
        """Return a decision with its features."""
        return {
            "ph": "i",
            "s": "t",
            "name": f"{one.action.name}: {short_name(one.leaf)} busy",
            "cat": "decision",
            **self._cpu(one.actor),
            "ts": self._us(one.time),
            "args": {"path": one.path.name.lower(), **one.features},
        }

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield all events."""
        record = self._record
        yield from _tracks(record)
        yield from map(self.slice, record.slices)
        for number, hold in enumerate(record.holds):
            yield from self.hold(number, hold)
        for number, ipi in enumerate(record.ipis):
            yield from self.ipi(number, ipi)
        yield from map(self.decision, record.decisions)


def trace_json(record: Record, about: dict[str, Any]) -> dict[str, Any]:
    """Return an episode as the object that the trace file holds.

    Args:
        record: What happened.
        about: What was played, for the file's reader.
    """
    return {
        "traceEvents": list(_Writer(record).events()),
        "displayTimeUnit": "ns",
        "otherData": {**about, "cycles_by_category": record.cycles_by_category()},
    }
