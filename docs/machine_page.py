"""The page of the versions of the module and of KVM, from their tables."""

from markdown_table import NOTE, table
from tdx_env.module.rules import RELEASES, RULES, Evidence
from tdx_env.module.versions import DEFAULT_VERSION, MODULE_VERSIONS, TRAINED_VERSIONS
from tdx_env.scenarios.machine import why_counterfactual
from tdx_env.state.kernels import DEFAULT_KERNEL, KERNELS

_KERNEL_RULES = {
    "leaves_dying_slot": "a fault in a memslot that is being deleted is not retried in KVM",
    "build_guard": "ioctls that build the TD exclude each other",
    "vp_init_locked": "VP.INIT under mmu_lock, held for write",
    "add_retried": "a busy PAGE.ADD is tried again in the kernel",
    "can_dynamic_pamt": "knows Dynamic PAMT",
    "can_convert_in_place": "converts a guest_memfd file in place",
}


def _rules() -> str:
    """Return the table of the rules in which releases differ."""
    lines = []
    for rule in RULES.values():
        facts = [f"{'yes' if one.holds else 'no'} {one.evidence}" for one in rule.facts]
        lines.append((rule.meaning, *facts, f"`{rule.source}`"))
    return table(("rule", *RELEASES, "source"), lines)


def _kernels() -> str:
    """Return the table of the rules in which kernels differ."""
    lines = [
        (text, *("yes" if getattr(kernel, rule) else "no" for kernel in KERNELS.values()))
        for rule, text in _KERNEL_RULES.items()
    ]
    return table(("rule", *KERNELS), lines)


def versions_page() -> str:
    """Return the page of the versions."""
    modules = [
        (f"`{name}`", one.meaning, why_counterfactual(name, DEFAULT_KERNEL) or "some machine may")
        for name, one in MODULE_VERSIONS.items()
    ]
    kernels = [
        (f"`{name}`", one.meaning, "yes" if one.is_merged else "no")
        for name, one in KERNELS.items()
    ]
    letters = "; ".join(f"{one.value} {one.meaning}" for one in Evidence)
    default = f"Scenarios play module {DEFAULT_VERSION} under KVM {DEFAULT_KERNEL} unless they "
    default += f"name others; train splits draw from {', '.join(TRAINED_VERSIONS)}."
    parts = [
        "# Module and kernel",
        NOTE,
        f"{default} `--module` and `--kernel` choose for a whole run, `tdx-env conflicts "
        "--changes 1.5.01 1.5.34` says what two modules do differently, and [what ranks otherwise "
        "on an older module](../ranks.md) what follows from it.",
        "## Versions of the TDX module",
        table(("`module.version`", "what it is", f"under KVM {DEFAULT_KERNEL}"), modules),
        "## In what the releases differ",
        f"Each cell says whether the rule holds there, and how that is known: {letters}.",
        _rules(),
        "## Versions of KVM",
        table(("`host.kernel`", "what it stands for", "released or on its way"), kernels),
        "## In what they differ",
        "What a *policy* brings along (tries, kick, gate) is its discipline, not the kernel's: "
        "[policies](policies.md).",
        _kernels(),
    ]
    return "\n\n".join(parts) + "\n"
