"""Rules that look at more than the call chain: break-even, operand; and blind chance.

They run under the default discipline.
"""

from tdx_agents.protocol import Decide, Features, if_allowed
from tdx_agents.row import Row
from tdx_env.host.discipline import DEFAULT
from tdx_env.module.operand_classes import OperandClass, operand_class
from tdx_env.state.discipline import N_ACTIONS, Action
from tdx_env.state.features import Feature

FIXED_CYCLES = 600  # a kick of nobody: 250 to 1,000, a guess, and ...
SCAN_CYCLES = 90  # ... 25 to 150 for each vCPU outside the guest, a guess [cycles]
LEVEL_2M = 1
_TDR = int(OperandClass.TDR)
_ENTRY = int(OperandClass.ENTRY)


def kick_at_break_even(fixed_cycles: int = FIXED_CYCLES) -> Decide:
    """Return the rule that kicks when waiting has cost as much as a kick would.

    The cost of a kick on all CPUs is what one of nobody takes (``fixed_cycles``, and `SCAN_CYCLES`
    for each vCPU outside the guest) + the average wait + vCPUs in the guest × (average cost of an
    IPI + average trip of a target), from the host's own averages. Own busy cycles on this call are
    held against it; after a kick they must reach it once more. A call that was interrupted, where
    KICK is masked, is repeated.

    Args:
        fixed_cycles: Part of a kick's cost that depends on nothing [cycles].

    Source:
        The rule of renting or buying skis; Paolo Bonzini, 10 Sep 2024 (CABgObfayLGyWKER): tries
        worth making are about cost(success) / cost(busy).
    """

    def rule(features: Features) -> int:
        n_targets = features[Feature.N_IN_GUEST]
        each = features[Feature.KICK_SEND_TARGET] + features[Feature.KICK_TARGET]
        nobody = fixed_cycles + (features[Feature.N_VCPUS] - n_targets) * SCAN_CYCLES
        kick = nobody + features[Feature.KICK_WAIT] + n_targets * each
        if features[Feature.BUSY_CYCLES] >= (features[Feature.KICKS] + 1) * kick:
            return if_allowed(features, Action.KICK)
        return Action.RETRY

    return rule


def by_operand(features: Features) -> int:
    """Choose by the lock that was busy.

    Tree or epoch: RETRY, held for a moment; that an export holds the tree for long can't be seen.
    Entry: RETRY at 4K, KICK at 2M, where an ACCEPT holds it long. TDR: YIELD where allowed, else
    RETRY, since its holder is a host thread. Others, and a call that was interrupted: RETRY.

    Source:
        Inference from the module's hold times: the operand id alone separates most cases, and
        Linux 6.16 masks it away.
    """
    busy = operand_class(features[Feature.LEAF], features[Feature.OPERAND])
    if busy == _TDR:
        return if_allowed(features, Action.YIELD)
    if busy == _ENTRY and features[Feature.LEVEL] == LEVEL_2M:
        return if_allowed(features, Action.KICK)
    return Action.RETRY


def by_lottery(features: Features) -> int:
    """Choose one of the allowed actions, each as likely as the others.

    Source:
        None: a yardstick. The draw is the simulator's own, the same in every run of a seed.
    """
    mask = features[Feature.MASK]
    n_allowed = 0
    for action in range(N_ACTIONS):
        n_allowed += mask >> action & 1
    skip = features[Feature.LOTTERY] % max(1, n_allowed)
    for action in range(N_ACTIONS):
        if mask >> action & 1:
            if skip == 0:
                return action
            skip -= 1
    return 0


def break_even(fixed_cycles: int = FIXED_CYCLES) -> Row:
    """Break-even: retry until that has cost as much as a kick, then kick.

    Args:
        fixed_cycles: Part of a kick's cost that depends on nothing [cycles].

    Source:
        `kick_at_break_even`.
    """
    name = "break-even" if fixed_cycles == FIXED_CYCLES else f"break-even-{fixed_cycles}"
    title = "kick when own busy cycles reach the estimated cost of a kick on all CPUs"
    return Row(name, "", title, "rule of thumb", kick_at_break_even(fixed_cycles), DEFAULT)


def operand() -> Row:
    """Operand: choose by the busy lock alone.

    Source:
        `by_operand`.
    """
    title = "tree, epoch, 4K entry: again; 2M entry: kick; TDR: yield"
    return Row("operand", "", title, "module's hold times, inferred", by_operand, DEFAULT)


def uniform_random() -> Row:
    """Random: any allowed action.

    Source:
        `by_lottery`.
    """
    title = "any allowed action, each as likely as the others"
    return Row("random", "", title, "yardstick", by_lottery, DEFAULT)
