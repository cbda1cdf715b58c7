"""Rows that interrupt the vCPUs: with and without a gate, at once or after a retry."""

from tdx_agents.protocol import Features, if_allowed, is_removal
from tdx_agents.row import INSTALL, SERIES_OF_2024, ZAP, Row, each
from tdx_env.jit import kernel
from tdx_env.state.actors import CallPath
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature

ZAP_ENTRY = tuple(leaf for leaf in ZAP if leaf != "MEM_TRACK")
"""Calls of a zap that name an S-EPT entry.

The mails of 9 and 10 Sep 2024 are about S-EPT SEAMCALLs, and about entries that a guest may have
locked; the limit of two rests on host priority, which TRACK's lock doesn't have. TRACK came up on
13 Sep (Yan Zhao, ZuP5eNXFCljzRgWo). So in their rows it keeps the loop of the series of its time.
"""
SEPT = (*INSTALL, *ZAP_ENTRY)


@kernel
def _is_entry_removal(features: Features) -> bool:
    """Say whether a call of the zap or split chain was busy that names an S-EPT entry."""
    return is_removal(features) and features[Feature.LEAF] != Leaf.MEM_TRACK


def kick_each_time(features: Features) -> int:
    """Kick before every further try of a fault's or a zap's call on an S-EPT entry.

    Source:
        Sean Christopherson, 10 Sep 2024 (ZuBQYvY6Ib4ZYBgx).
    """
    if features[Feature.PATH] == CallPath.FAULT or _is_entry_removal(features):
        return if_allowed(features, Action.KICK)
    return Action.RETRY


def kick_once(features: Features) -> int:
    """Kick after the first busy reply of a call on an S-EPT entry, then only repeat it.

    Source:
        Paolo Bonzini, 10 Sep 2024 (CABgObfayLGyWKER), who left open which he meant.
    """
    is_for_kick = features[Feature.PATH] == CallPath.FAULT or _is_entry_removal(features)
    if is_for_kick and features[Feature.KICKS] == 0:
        return if_allowed(features, Action.KICK)
    return Action.RETRY


def resume_or_kick_entry(features: Features) -> int:
    """Resume the guest from a fault, kick for a zap's call on an S-EPT entry.

    Source:
        Sean Christopherson, 9 Sep 2024 (Zt-LmzUSyljHGcMO).
    """
    if features[Feature.PATH] == CallPath.FAULT:
        return if_allowed(features, Action.YIELD)
    if _is_entry_removal(features):
        return if_allowed(features, Action.KICK)
    return Action.RETRY


def resume_or_kick(features: Features) -> int:
    """Resume the guest from a fault, kick in a zap, for TRACK too.

    Source:
        Yan Zhao, 13 Sep 2024 (ZuP5eNXFCljzRgWo).
    """
    if features[Feature.PATH] == CallPath.FAULT:
        return if_allowed(features, Action.YIELD)
    if is_removal(features):
        return if_allowed(features, Action.KICK)
    return Action.RETRY


def resume_or_kick_late(features: Features) -> int:
    """Resume the guest from a fault; in a zap repeat the call once, then kick.

    Source:
        Yan Zhao, 13 Sep 2024 (ZuP5eNXFCljzRgWo), the optional variant.
    """
    if features[Feature.PATH] == CallPath.FAULT:
        return if_allowed(features, Action.YIELD)
    if is_removal(features) and features[Feature.ISSUES] > 1:
        return if_allowed(features, Action.KICK)
    return Action.RETRY


def sean_2() -> Row:
    """P6: two tries; between them kick all vCPUs and wait. No gate; busy again is KVM_BUG_ON.

    It speaks of SEAMCALLs on an S-EPT entry; TRACK, VP.ENTER and the build are those of its time.
    The limit rests on host priority, which the tree lock doesn't have. That a fault ends in
    KVM_BUG_ON too is a guess: a kick from a fault was never coded; P10 is what he said before.

    Source:
        Sean Christopherson, 10 Sep 2024 (ZuBQYvY6Ib4ZYBgx).
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(SEPT, 2))
    title = "S-EPT call busy: kick, one more try, then KVM_BUG_ON; no gate"
    source = "Sean Christopherson, 10 Sep 2024 (ZuBQYvY6Ib4ZYBgx)"
    return Row("p6-sean-2", "P6", title, source, kick_each_time, discipline)


def paolo_5(tries: int = 5) -> Row:
    """P7: as P6 with five tries, a kick before each but the first. He didn't say which: a guess.

    Args:
        tries: Tries of one call, the first included.

    Source:
        Paolo Bonzini, 10 Sep 2024 (CABgObfayLGyWKERXkU+0gjeUg=Sp3r7GEQU=+13sUMpo36weWg).
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(SEPT, tries))
    title = f"as P6, a kick before each of {tries} tries"
    source = "Paolo Bonzini, 10 Sep 2024 (CABgObfayLGyWKER)"
    return Row(f"p7-paolo-{tries}", "P7", title, source, kick_each_time, discipline)


def paolo_5_once(tries: int = 5) -> Row:
    """P7-once: as P7, with one kick, after the first busy reply.

    Args:
        tries: Tries of one call, the first included.

    Source:
        As P7; the other reading of his mail.
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(SEPT, tries))
    title = f"as P6, one kick, {tries} tries in all"
    source = "Paolo Bonzini, 10 Sep 2024 (CABgObfayLGyWKER)"
    return Row(f"p7-once-{tries}", "P7-once", title, source, kick_once, discipline)


def zero_step_kick() -> Row:
    """P10: faults resume the guest until zero-step fires; then the vCPU's next fault kicks first.

    It has fired when VP.ENTER is busy on the tree lock or ends in a synthetic EPT violation. KVM
    can only guess the latter, from a page that is mapped and a short stay in the guest; here it
    knows. A fault that is busy after its kick resumes too, where he would report an error to user
    space. Zap: as P6.

    Source:
        Sean Christopherson, 9 Sep 2024 (Zt-LmzUSyljHGcMO).
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(ZAP_ENTRY, 2), kick_flagged="zero_step")
    title = "fault: re-enter the guest; zero-step fired: the next fault kicks; zap as P6"
    source = "Sean Christopherson, 9 Sep 2024 (Zt-LmzUSyljHGcMO)"
    return Row("p10-zero-step-kick", "P10", title, source, resume_or_kick_entry, discipline)


def flagged_kick() -> Row:
    """P11: a busy VP.ENTER flags its vCPU; the next fault kicks with the SPTE frozen, then AUG.

    A fault that is busy without the flag, or after its kick, resumes the guest, as he had asked
    the day before; the zap path is P6's, without a gate. VP.ENTER enters again. He thought himself
    that it may not be needed.

    Source:
        Sean Christopherson, 10 Sep 2024 (ZuBQYvY6Ib4ZYBgx, ZuBsTlbrlD6NHyv1) and 9 Sep 2024
        (Zt-LmzUSyljHGcMO).
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(ZAP_ENTRY, 2), kick_flagged="busy")
    title = "tree-busy VP.ENTER: the vCPU's next fault kicks before AUG; zap as P6"
    source = "Sean Christopherson, 10 Sep 2024 (ZuBsTlbrlD6NHyv1)"
    return Row("p11-flagged-kick", "P11", title, source, resume_or_kick_entry, discipline)


def gate_first() -> Row:
    """P13: a zap kicks and gates before BLOCK and keeps the gate until the page is removed.

    Faults resume the guest. The mail asserts that nothing can be busy then; a host thread can be
    the holder, or the page only be blocked for a while, so one more gated try stands before
    KVM_BUG_ON. VP.ENTER and the build are those of its time.

    Source:
        Yan Zhao, 13 Sep 2024 (ZuP5eNXFCljzRgWo), the main variant.
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(ZAP, 2), gate_first=True, gate_scope="page")
    title = "zap: kick and gate before BLOCK, to the end of the page"
    source = "Yan Zhao, 13 Sep 2024 (ZuP5eNXFCljzRgWo)"
    return Row("p13-gate-first", "P13", title, source, resume_or_kick, discipline)


def retry_then_gate() -> Row:
    """P14: a zap repeats a busy call once, then kicks and gates until the page is removed.

    Busy a third time is KVM_BUG_ON. Faults resume the guest. VP.ENTER and the build are those of
    its time.

    Source:
        Yan Zhao, 13 Sep 2024 (ZuP5eNXFCljzRgWo), the optional variant.
    """
    discipline = SERIES_OF_2024.with_(max_issues=each(ZAP, 3), gate_scope="page")
    title = "zap: again once, then kick and gate to the end of the page"
    source = "Yan Zhao, 13 Sep 2024 (ZuP5eNXFCljzRgWo)"
    return Row("p14-retry-then-gate", "P14", title, source, resume_or_kick_late, discipline)
