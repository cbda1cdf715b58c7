"""What a tree would change in KVM, as pseudo-code with line counts: for a mail to the list."""

from dataclasses import dataclass

from tdx_agents.tree import Node, Tree
from tdx_env.state.calls import Leaf
from tdx_env.state.discipline import Action
from tdx_eval.exporting.header import condition_lines
from tdx_eval.worst.bounds import call_bound, on_path, specialised

_ANSWERS = {Action.RETRY: "continue", Action.KICK: "kick", Action.YIELD: "give way"}
_MERGED_CALL = """\
	err = tdh_func(args);
	if (unlikely(tdx_operand_busy(err))) {
		WRITE_ONCE(kvm_tdx->wait_for_sept_zap, true);
		kvm_make_all_cpus_request(kvm, KVM_REQ_OUTSIDE_GUEST_MODE);
		err = tdh_func(args);
		WRITE_ONCE(kvm_tdx->wait_for_sept_zap, false);
	}"""
_MERGED_LOOP = """\
	for each present 4K leaf in [start, end) {
		if (need_resched() || rwlock_needbreak(&kvm->mmu_lock))
			flush the shared EPT, drop mmu_lock, reschedule, take it again;
		BLOCK(leaf);
		TRACK; kick all vCPUs;
		REMOVE(leaf); WBINVD(leaf); clear it;
	}"""
_HUNK = "@@ {place} @@"


@dataclass(frozen=True)
class Hunk:
    """One place that changes.

    Attributes:
        place: Function, and what happens there.
        before: Lines as Linux 6.19 has them, in pseudo-code.
        after: Lines as the rule would have them.
    """

    place: str
    before: list[str]
    after: list[str]

    @property
    def text(self) -> str:
        """The hunk, lines that go and lines that come."""
        lines = [_HUNK.format(place=self.place)]
        lines += [f"-{line}" for line in self.before if line not in self.after]
        lines += [f"{' ' if line in self.before else '+'}{line}" for line in self.after]
        return "\n".join(lines)

    @property
    def counts(self) -> tuple[int, int]:
        """How many lines come, and how many go."""
        added = sum(line not in self.before for line in self.after)
        return added, sum(line not in self.after for line in self.before)


def _call_hunk(tree: Tree) -> Hunk:
    """Return what a busy call becomes."""
    rule = specialised(tree.root, on_path("is_zap"))
    limit = tree.discipline.limit(Leaf.MEM_RANGE_BLOCK)
    before = _MERGED_CALL.splitlines()
    after = [
        f"	/* at most {limit:,} tries, one gated kick, as many again; then KVM_BUG_ON */",
        f"	for (tries = 1; tries <= 2 * {limit}; tries++) {{",
        "		err = tdh_func(args);",
        "		if (likely(!tdx_operand_busy(err)))",
        "			break;",
        f"		if (tries == {limit}{_or_rule(rule)}) {{",
        "			WRITE_ONCE(kvm_tdx->wait_for_sept_zap, true);",
        "			kvm_make_all_cpus_request(kvm, KVM_REQ_OUTSIDE_GUEST_MODE);",
        "		}",
        "	}",
        "	WRITE_ONCE(kvm_tdx->wait_for_sept_zap, false);",
    ]
    return Hunk("tdh_do_no_vcpus(): a call of the zap path is busy", before, after)


def _or_rule(rule: Node) -> str:
    """Return what of the rule for busy calls goes into the condition for a kick."""
    if isinstance(rule, Action):
        return " || true" if rule == Action.KICK else ""
    return " || rule(kvm_tdx, tries) == KICK"


def _loop_hunk(tree: Tree) -> Hunk:
    """Return what the zap loop becomes."""
    rule = specialised(tree.root, on_path("is_flush"))
    before = _MERGED_LOOP.splitlines()
    after = [
        "	for each present 4K leaf in [start, end) {",
        "		BLOCK(leaf); its SPTE stays FROZEN; blocked++;",
        "		if (!since && rwlock_is_contended(&kvm->mmu_lock))",
        "			since = rdtsc();",
        "		if (last leaf || blocked == 512)",
        "			kick;",
        "		/* the rule: */",
        *condition_lines(rule, 2, _ANSWERS),
        "	kick:",
        "		TRACK; kick all vCPUs; blocked = 0; since = 0;",
        "		for each blocked leaf",
        "			REMOVE(leaf); WBINVD(leaf); clear it;",
        "		if (need_resched() || rwlock_needbreak(&kvm->mmu_lock))",
        "			flush the shared EPT, drop mmu_lock, reschedule, take it again;",
        "	}",
    ]
    return Hunk("tdp_mmu_zap_leafs(): private leaves of one memslot", before, after)


def _leaf_count(lines: list[Hunk]) -> str:
    """Return the line counts in words."""
    added = sum(one.counts[0] for one in lines)
    removed = sum(one.counts[1] for one in lines)
    return f"{added} lines come, {removed} go"


def proposal_text(tree: Tree) -> str:
    """Return what the rule would mean for KVM."""
    hunks = [_call_hunk(tree)]
    if tree.discipline.flush == "decided":
        hunks.append(_loop_hunk(tree))
    one = call_bound(tree.root, tree.discipline, Leaf.MEM_RANGE_BLOCK)
    elsewhere = [
        f"- {name}: {_told(specialised(tree.root, on_path(flag)))}"
        for name, flag in (("fault", "is_fault"), ("VP.ENTER", "is_enter"))
    ]
    parts = [
        f"{tree.name}: what it would mean for KVM (pseudo-code; Linux 6.19 on the left)",
        *(hunk.text for hunk in hunks),
        f"Pseudo-code: {_leaf_count(hunks)}.",
        f"One busy call: at most {one.issues:,} SEAMCALLs, kicks: {one.kicks:,}.",
        'Needs: a mirror state "blocked", so that pages can be blocked before the vCPUs are '
        "stopped."
        if len(hunks) > 1
        else "Needs no new state.",
        "Other chains:",
        *elsewhere,
    ]
    return (
        "\n\n".join(parts[: -len(elsewhere) - 1])
        + "\n\n"
        + "\n".join(parts[-len(elsewhere) - 1 :])
        + "\n"
    )


def _told(rule: Node) -> str:
    """Return what happens at a busy reply elsewhere, in words."""
    if isinstance(rule, Action):
        return {
            Action.RETRY: "the same SEAMCALL again",
            Action.KICK: "kick and gate, then again",
            Action.YIELD: "give up this pass, as 6.19 does",
        }[rule]
    return "by the rule"
