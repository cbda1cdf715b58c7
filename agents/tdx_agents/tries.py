"""Rows about how often a busy call is tried before vCPUs are kicked, most in 6.19's kernel."""

from dataclasses import replace

from tdx_agents.merged import kick_zap_else_yield, merged_6_19
from tdx_agents.protocol import Decide, Features, if_allowed, is_removal
from tdx_agents.retry import always_retry
from tdx_agents.row import ZAP, Row, each
from tdx_env.host.discipline import BOUNDED
from tdx_env.module.operand_classes import OperandClass, operand_class
from tdx_env.state.actors import CallPath
from tdx_env.state.discipline import Action
from tdx_env.state.features import Feature

_ZAP_ENTRY = tuple(leaf for leaf in ZAP if leaf != "MEM_TRACK")
_TREE, _ENTRY, _EPOCH = (
    int(OperandClass.TREE),
    int(OperandClass.ENTRY),
    int(OperandClass.EPOCH),
)


def kick_after(tries: int) -> Decide:
    """Return the rule that repeats a zap's busy call, and kicks after so many plain tries.

    Elsewhere it is `tdx_agents.merged.kick_zap_else_yield`.

    Args:
        tries: Plain tries of one call, the first included.

    Source:
        P27 and P28 of docs/kvm.md.
    """

    def rule(features: Features) -> int:
        if is_removal(features):
            if features[Feature.ISSUES] < tries:
                return Action.RETRY
            return if_allowed(features, Action.KICK)
        if features[Feature.PATH] == CallPath.INTERRUPTED:
            return Action.RETRY
        return if_allowed(features, Action.YIELD)

    return rule


def by_holder(tries: int) -> Decide:
    """Return the rule that kicks for locks that vCPUs hold, and repeats TRACK and host calls.

    Args:
        tries: Plain tries of TRACK.

    Source:
        P29 of docs/kvm.md.
    """

    def rule(features: Features) -> int:
        if not is_removal(features):
            if features[Feature.PATH] == CallPath.INTERRUPTED:
                return Action.RETRY
            return if_allowed(features, Action.YIELD)
        busy = operand_class(features[Feature.LEAF], features[Feature.OPERAND])
        if busy in (_TREE, _ENTRY):
            return if_allowed(features, Action.KICK)
        if busy == _EPOCH and features[Feature.ISSUES] >= tries:
            return if_allowed(features, Action.KICK)
        return Action.RETRY

    return rule


def plain_tries(tries: int) -> Row:
    """P28: a zap's call is tried so often, then once more behind a kick and a gate; else as P20.

    Args:
        tries: Plain tries, the first included; with one it is P20.

    Source:
        Paolo Bonzini's 5 and 1,024 tries of 10 Sep 2024, generalised by this project, Nov 2026;
        Sean Christopherson's tolerance was about 20 SEAMCALLs.
    """
    row = merged_6_19()
    word = "try" if tries == 1 else "tries"
    return replace(
        row,
        name=f"p28-tries-{tries}",
        number=f"P28-{tries}",
        title=f"zap: {tries} plain {word}, then kick and gate, one more, KVM_BUG_ON; else as P20",
        source="Paolo Bonzini, 10 Sep 2024, generalised",
        rule=kick_zap_else_yield if tries == 1 else kick_after(tries),
        discipline=row.discipline.with_(max_issues=each(ZAP, tries + 1)),
        behaves_as="P20" if tries == 1 else "",
    )


def retry_once() -> Row:
    """P27: one plain repeat, then a kick and a gate: two lines of KVM.

    Source:
        This project, Nov 2026; nearest kin: P14, Yan Zhao, 13 Sep 2024.
    """
    return replace(
        plain_tries(2),
        name="p27-retry-once",
        number="P27",
        source="this project, Nov 2026; kin: Yan Zhao, 13 Sep 2024",
    )


def operand_split(tries: int = 16) -> Row:
    """P29: kick for S-EPT locks at once, repeat TRACK on the epoch; a host's lock: once more.

    TRACK's own kick follows anyway, so that a gated one buys nothing unless the tries are used up.
    TDR and TDCS are held by host calls: no kick helps.

    Args:
        tries: Plain tries of TRACK.

    Source:
        Inferred from the operands, which KVM masks off; facts of docs/kvm.md.
    """
    row = merged_6_19()
    limits = each(_ZAP_ENTRY, 2) | {"MEM_TRACK": tries + 1}
    return replace(
        row,
        name="p29-operand-split",
        number="P29",
        title=f"zap: S-EPT busy: kick and gate; TRACK: {tries} plain tries first; else as P20",
        source="this project, Nov 2026, inferred from the operands",
        rule=by_holder(tries),
        discipline=row.discipline.with_(max_issues=limits),
    )


def bounded() -> Row:
    """Retry-bounded: any call again up to 1,024 times, a gated kick, as often again, KVM_BUG_ON.

    The default discipline with an end, whatever the others do.

    Source:
        Paolo Bonzini's 1,024 tries, 10 Sep 2024; what follows them: this project.
    """
    title = "any lock busy: again, at 1,024 tries a gated kick, KVM_BUG_ON at 2,048"
    return Row(
        "retry-bounded", "", title, "1,024: Paolo Bonzini, 10 Sep 2024", always_retry, BOUNDED
    )
