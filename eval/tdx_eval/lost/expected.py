"""What was expected to be lost, and whether it was found."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tdx_agents
from tdx_env.module.versions import MODULE_VERSIONS
from tdx_eval.lost.pairs import LostEpisodes, Pair

_ALL, _SOME, _NONE = "every episode", "some episodes", "no episode"
_KILLED, _HUNG = "killed", "hung"
_UNEXPLAINED = "not seen in these episodes"
_S10_4K = ("s10-hostile", "s10-hostile-accept", "s10-hostile-attr")
_NO_GATE = ("p6-sean-2", "p7-paolo-5", "p7-once-5", "p10-zero-step-kick", "p11-flagged-kick")
_BEFORE_6_19 = (
    "p1-blind-16", "p1-any-16", "p2-unlimited-loop", "p2b-gated-track", "p3-seamcall-lock",
    "p4-doubling-cap-1024", "p5-optimistic-lock-1024", *_NO_GATE, "p9-fault-loop-16",
    "p12-write-barrier-1024", "p13-gate-first", "p14-retry-then-gate", "p15-frozen-loop",
    "p16-walk-again-2", "p17-install-16", "p18-merged-6.16",
)  # fmt: skip
_MERGED = ("p18-merged-6.16", "p19-merged-6.18", "p20-merged-6.19")
_ERASE_MARK = tuple(
    name for name, version in MODULE_VERSIONS.items() if not version.accept_keeps_mark
)
_KEEP_MARK = tuple(name for name in MODULE_VERSIONS if name not in _ERASE_MARK)
_P18_FAMILY = (*_MERGED, "p18-gate-page", "p15-frozen-loop", "p16-walk-again-2", "p17-install-16")
_LOCAL_RETRY = ("p18-merged-6.16", "p18-gate-page", "p18-batch-16", "p18-batch-512")


@dataclass(frozen=True)
class Expectation:
    """What policies should lose in scenarios.

    Attributes:
        text: In words.
        policies: Each of them; empty: all of the catalogue.
        scenarios: In each of them, without the split; empty: in all that were run.
        share: Which episodes: every, some or no episode.
        end: How they end: killed or hung; empty: in any way that loses them.
        where: Part of the name of the lock that was met; empty: any.
        source: Who expected it.
        remark: If it does not hold: whether the model or the expectation is wrong, and why.
        modules: The versions of the module that it is about; empty: all.
    """

    text: str
    policies: Sequence[str]
    scenarios: Sequence[str]
    share: str
    source: str
    end: str = ""
    where: str = ""
    remark: str = ""
    modules: Sequence[str] = ()


@dataclass(frozen=True)
class Checked:
    """An expectation and what was found.

    Attributes:
        text: See `Expectation`.
        source: See `Expectation`.
        found: What was found, in words; empty if nothing of it was run.
        holds: Whether it was found as expected.
        remark: Why not.
    """

    text: str
    source: str
    found: str
    holds: bool
    remark: str


def _n_matching(pair: Pair, expectation: Expectation) -> int:
    """Return a pair's episodes that were lost as an expectation says."""

    def matches(one: LostEpisodes) -> bool:
        return one.end.startswith(expectation.end) and expectation.where in one.chain.where

    return sum(one.n for one in pair.lost if matches(one))


_HOLDS: Mapping[str, Callable[[int, int], bool]] = {
    _ALL: lambda n, total: n == total,
    _SOME: lambda n, total: n > 0,
    _NONE: lambda n, total: n == 0,
}


def _name(scenario: str) -> str:
    """Return a scenario's name without its split."""
    return scenario.partition("/")[0]


def look_at(expectation: Expectation, pairs: Sequence[Pair]) -> Checked:
    """Look whether an expectation holds for the pairs that were run."""
    policies = expectation.policies or tdx_agents.names()
    chosen = [
        pair
        for pair in pairs
        if pair.policy in policies
        and (not expectation.scenarios or _name(pair.scenario) in expectation.scenarios)
        and (not expectation.modules or set(pair.modules) <= set(expectation.modules))
    ]
    counted = [(pair, _n_matching(pair, expectation)) for pair in chosen]
    is_so = _HOLDS[expectation.share]
    wrong = [(pair, n) for pair, n in counted if not is_so(n, pair.n_episodes)]
    lost, total = sum(n for _, n in counted), sum(pair.n_episodes for pair in chosen)
    found = f"{lost:,} of {total:,} episodes" if chosen else ""
    if wrong and len(wrong) < len(chosen):
        named = [f"{_who(pair, chosen)} {n} of {pair.n_episodes}" for pair, n in wrong]
        found += f"; not so: {', '.join(named)}"
    holds = bool(chosen) and not wrong
    remark = "" if holds or not chosen else expectation.remark or _UNEXPLAINED
    return Checked(expectation.text, expectation.source, found, holds, remark)


def _who(pair: Pair, chosen: Sequence[Pair]) -> str:
    """Return what tells a pair from the others that were looked at."""
    names = []
    if len({one.policy for one in chosen}) > 1:
        names.append(
            pair.policy.partition("-")[0].upper() if pair.policy[0] == "p" else pair.policy
        )
    if len({one.scenario for one in chosen}) > 1 or not names:
        names.append(_name(pair.scenario))
    return " in ".join(names)


EXPECTED = (
    Expectation(
        "A bounded blind retry loses TDs in S8: 17 tries are shorter than a 2M ACCEPT.",
        ("p1-blind-16", "p1-any-16", "p9-fault-loop-16"), ("s08-accept-2m",), _SOME,
        "S8", _KILLED,
    ),
    Expectation(
        "A kick without a gate loses the race for a 2M entry in S8 and S10 (modules to 1.5.06).",
        ("p6-sean-2", "p7-paolo-5", "p7-once-5"), ("s08-accept-2m", "s10-hostile-2m"), _SOME,
        "P. Bonzini, 10 Sep 2024; S8, S10", _KILLED, "2M", modules=_ERASE_MARK,
    ),
    Expectation(
        "Since 1.5.28 ACCEPT keeps the mark, and a kick without a gate loses no such race.",
        ("p6-sean-2", "p7-paolo-5", "p7-once-5"), ("s08-accept-2m", "s10-hostile-2m"), _NONE,
        "TDX module 1.5.28, tdg_mem_page_accept.c; S8, S10", _KILLED, "2M", modules=_KEEP_MARK,
    ),
    Expectation(
        "A kick without a gate loses the race for a 4K entry in S10 too.",
        ("p6-sean-2", "p7-paolo-5", "p7-once-5"), _S10_4K, _SOME,
        "S10", _KILLED, "4K",
        "The expectation is wrong: the first busy try leaves the host-priority mark, which only a "
        "successful ACCEPT's store erases; ATTR.RD and the ACCEPT of a page that is accepted leave "
        "it, so guests that are back in time are refused.",
    ),
    Expectation(
        "With host priority a few tries are enough at 4K: no call is lost on an entry in S10.",
        ("p1-any-16", "p8-host-priority", "p18-merged-6.16"), _S10_4K, _NONE,
        "S10", where="entry",
    ),
    Expectation(
        "TRACK meets VP.ENTER in S6 and S7, which costs, but loses nobody: a gate or a loop.",
        ("p6-sean-2", "p18-merged-6.16", "p20-merged-6.19"),
        ("s06-conversion", "s06-conversion-248", "s07-conversion-idle-ticks"), _NONE, "S6, S7",
    ),
    Expectation(
        "Before the guard of 6.19 the parallel build of S19 loses the TD: P1 to P18 and P19.",
        (*_BEFORE_6_19, "p19-merged-6.18"), ("s19-build",), _ALL,
        "Y. Zhao, Jan and Aug 2025; S19", _KILLED,
    ),
    Expectation(
        "P8 loses the parallel build of S19 too (P1 to P18 were expected to).",
        ("p8-host-priority",), ("s19-build",), _SOME,
        "S19", _KILLED, "",
        "The expectation is wrong for this row: P8 repeats every call without limit, MR.EXTEND and "
        "those that create vCPUs included, and their holders let go after some microseconds.",
    ),
    Expectation(
        "With the guard of 6.19 the build of S19 finishes.",
        ("p20-merged-6.19", "p21-split-as-zap", "p22-mirrored-tree-lock"), ("s19-build",), _NONE,
        "Linux 6.19; S19",
    ),
    Expectation(
        "A hole punched beside VP.INIT of version 1 loses the TD until 6.18 (B6).",
        ("p19-merged-6.18",), ("s19-build-vp-init-v1",), _SOME,
        "Y. Zhao, S. Christopherson, Oct 2025", _KILLED, "TDR",
    ),
    Expectation(
        "Since 6.19 VP.INIT holds mmu_lock for write, and the hole loses nobody.",
        ("p20-merged-6.19",), ("s19-build-vp-init-v1",), _NONE,
        "R. Edgecombe, 28 Oct 2025",
    ),
    Expectation(
        "The local retry of 6.16 deadlocks with the deletion of a memslot in S12: a hang (B7).",
        _LOCAL_RETRY, ("s12-slot-deletion-tickless",), _ALL,
        "R. Chatre, Aug 2025; S12", _HUNG,
    ),
    Expectation(
        "The local retry of 6.16 hangs in S12 where the vCPUs have ticks too.",
        _LOCAL_RETRY, ("s12-slot-deletion",), _SOME,
        "S12", _HUNG, "",
        "The expectation is wrong for this variant: kvm_vcpu_has_events() ends the local retry at "
        "the vCPU's next tick, the handler returns, and SRCU's grace period ends; the deletion "
        "only takes longer.",
    ),
    Expectation(
        "6.18 leaves the dying memslot and finishes.",
        ("p19-merged-6.18", "p20-merged-6.19"), ("s12-slot-deletion", "s12-slot-deletion-tickless"),
        _NONE, "Linux 6.18; S12",
    ),
    Expectation(
        "In S15 a kick is useless against an export that holds the tree shared: KVM_BUG_ON.",
        _P18_FAMILY, ("s15-export",), _SOME, "S15", _KILLED, "tree",
    ),
    Expectation(
        "6.18 and 6.19 re-enter the guest from a dying memslot, which arms zero-step on a page "
        "that then stays PENDING (S4, SEPT_VE_DISABLE clear): a livelock.",
        ("p19-merged-6.18", "p20-merged-6.19"), ("s04-zero-step-livelock",), _ALL,
        "TDX module 1.5, td_exit_stepping.c: PENDING still faults; S4", _HUNG,
    ),
    Expectation(
        "6.16 is spared that livelock: it retries inside KVM, where nothing counts for zero-step.",
        ("p18-merged-6.16",), ("s04-zero-step-livelock",), _NONE, "S4",
    ),
    Expectation(
        "The interrupt storm of S14 never lets DEMOTE finish, whatever is decided.",
        tuple(name for name in tdx_agents.names() if name != "p23-irqs-off"), ("s14-split-storm",),
        _ALL, "Y. Zhao, Jan 2026; S14", _HUNG,
    ),
    Expectation(
        "With interrupts off DEMOTE gets through that storm.",
        ("p23-irqs-off",), ("s14-split-storm",), _NONE, "R. Edgecombe, 14 May 2025; S14",
    ),
    Expectation(
        "A limit of 10,000 restarts ends the storm in KVM_BUG_ON.",
        ("p24-bounded-resume-10000",), ("s14-split-storm",), _SOME,
        "Linux 6.16, TDX_SEAMCALL_RETRIES; S14", _KILLED, "",
        "Neither is wrong: 10,000 restarts last 180 to 250 ms, and the scenario calls 20 ms "
        "without progress a hang; with limits.stall_us=400000 all of these TDs are killed.",
    ),
    Expectation(
        "An interrupt window between two tries of DEMOTE gets out of the storm.",
        ("random",), ("s14-split-storm",), _NONE,
        "S14: endless loop against an interrupt window", "", "",
        "The expectation is wrong for this storm: a window serves the interrupts that are pending, "
        "but the next one comes 2 µs later on average and a try of DEMOTE takes 8 to 32.",
    ),
    Expectation(
        "Zero tolerance loses TDs everywhere.",
        ("p26-zero-tolerance",), (), _SOME,
        "S. Christopherson's rule of 9 Sep 2024; R. Edgecombe, same day: guests hold locks too",
        "", "",
        "The expectation is wrong for scenarios in which nothing is busy: faults of one region or "
        "of many (S1, S2) share every lock of the module, and S21 and S22 are controls.",
    ),
    Expectation(
        "What was merged loses nothing elsewhere.",
        _MERGED,
        tuple(
            f"s{stem}"
            for stem in (
                "01-boot-storm-region", "02-boot-storm-spread", "03-zero-step",
                "04-zero-step-storm", "05-zap-idle", "06-conversion", "06-conversion-248",
                "07-conversion-idle-ticks", "08-accept-2m", "09-accept-4k", "10-hostile",
                "10-hostile-2m", "10-hostile-accept", "10-hostile-attr", "11-provoked-kicks",
                "12-slot-deletion", "13-balloon", "14-split-accept", "14-split-punch-hole",
                "16-oversubscribed", "17-sockets", "18-noisy", "20-prefault", "21-small-tds",
                "22-clean",
            )
        ),
        _NONE, "Linux 6.16: kick, gate and one more try succeed",
    ),
)  # fmt: skip


def check_all(pairs: Sequence[Pair]) -> tuple[Checked, ...]:
    """Look at every expectation of which something was run."""
    found = (look_at(expectation, pairs) for expectation in EXPECTED)
    return tuple(one for one in found if one.found)
