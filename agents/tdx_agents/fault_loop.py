"""Rows that let the fault loop do the retries: through the guest, inside KVM, or along the walk."""

from tdx_agents.kick import resume_or_kick
from tdx_agents.protocol import Features, if_allowed
from tdx_agents.row import SERIES_OF_2024, ZAP, Row, each
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature


def resume_or_retry(features: Features) -> int:
    """Give up a fault's pass, repeat every other call.

    Source:
        Rick Edgecombe, 10 Sep 2024 (655170f6a09ad892200cd033efe5498a26504fec).
    """
    if features[Feature.PATH] == CallPath.FAULT:
        return if_allowed(features, Action.YIELD)
    return Action.RETRY


def fault_loop(retries: int = 16) -> Row:
    """P9: a busy fault unwinds and re-enters the guest, which faults again; a zap loops a little.

    For chains that can't return busy he would keep a loop, "more limited"; here it has P1's 16
    retries for each of BLOCK, TRACK and REMOVE, then KVM_BUG_ON: a guess. VP.ENTER and the build
    are those of its time.

    Args:
        retries: Repeats of a zap's call after its first try.

    Source:
        Rick Edgecombe, 10 Sep 2024 (655170f6a09ad892200cd033efe5498a26504fec).
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(ZAP, retries + 1))
    title = f"fault: re-enter the guest; zap: again up to {retries} times, then KVM_BUG_ON"
    source = "Rick Edgecombe, 10 Sep 2024 (655170f6a09a)"
    return Row(f"p9-fault-loop-{retries}", "P9", title, source, resume_or_retry, discipline)


def frozen_loop() -> Row:
    """P15: a fault that meets a FROZEN SPTE is retried inside KVM; a busy one resumes the guest.

    Zap: kick, gate, one more try, then KVM_BUG_ON; that the gate holds for the one call is a guess.

    Source:
        Sean Christopherson, 13 Sep 2024 (ZuR09EqzU1WbQYGd).
    """
    discipline = SERIES_OF_2024.with_(
        max_issues=each(ZAP, 2), gate_scope="call", on_frozen="local_retry"
    )
    title = "fault: retry locally on a FROZEN SPTE, re-enter the guest on busy; zap as P18"
    source = "Sean Christopherson, 13 Sep 2024 (ZuR09EqzU1WbQYGd)"
    return Row("p15-frozen-loop", "P15", title, source, resume_or_kick, discipline)


def walk_again(walks: int = 2) -> Row:
    """P16: a fault that loses the race for an SPTE walks again, twice, then resumes the guest.

    A busy fault resumes the guest at once. Zap as P15.

    Args:
        walks: Walks that are repeated under mmu_lock; 10 "would be fine too".

    Source:
        Sean Christopherson, 8 and 10 Oct 2024 (ZwVG4bQ4g5Tm2jrt, ZwgP6nJ-MdDjKEiZ).
    """
    discipline = frozen_loop().discipline.with_(on_frozen="walk_again", walks_again=walks)
    title = f"fault: walk again up to {walks} times on a FROZEN SPTE, then re-enter; else as P15"
    source = "Sean Christopherson, 10 Oct 2024 (ZwgP6nJ-MdDjKEiZ)"
    return Row(f"p16-walk-again-{walks}", "P16", title, source, resume_or_kick, discipline)
