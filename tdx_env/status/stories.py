"""The likely story behind a status: who got in whose way, which scenario plays it, which policy.

Each row is one case, the first that fits counts. What KVM prints comes after its own repeats, since
6.16 one with every vCPU kicked and kept out: that rules out guests as holders.

Source: docs/kvm.md for what KVM does with a busy reply; docs/module.md for who holds which lock.
"""

from dataclasses import dataclass

from tdx_env.module.operands import Operand
from tdx_env.status.codes import ERROR, LinuxStatus, Status
from tdx_env.status.exit_reasons import BASIC_MASK, ENTRY_FAILURE
from tdx_env.status.lines import Finding

_TRIPLE_FAULT = 2
_ZAP = ("TDH.MEM.RANGE.BLOCK", "TDH.MEM.RANGE.UNBLOCK", "TDH.MEM.PAGE.REMOVE")
_INSTALL = ("TDH.MEM.PAGE.AUG", "TDH.MEM.SEPT.ADD")
_BUILD = (
    "TDH.VP.CREATE", "TDH.VP.ADDCX", "TDH.MR.EXTEND", "TDH.MR.FINALIZE", "TDH.MNG.INIT",
    "TDH.MNG.ADDCX", "TDH.MNG.CREATE", "TDH.MNG.KEY.CONFIG",
)  # fmt: skip
_EXPORT = ("TDH.EXPORT.", "TDH.IMPORT.")


@dataclass(frozen=True)
class Story:
    """What most likely happened.

    Attributes:
        text: It, in words.
        calls: The calls that it is about, or beginnings of their names; none: any.
        statuses: The statuses without operand; none: any.
        operands: Their operands; none: any.
        of_kvm: Whether KVM must have printed the line; None: no matter.
        what: The beginning of the finding's title; empty: any.
        scenarios: Scenarios that play it, without split.
        policies: Numbers of the catalogue that treat it, from KVM's own on.
    """

    text: str
    calls: tuple[str, ...] = ()
    statuses: tuple[Status, ...] = ()
    operands: tuple[int, ...] = ()
    of_kvm: bool | None = None
    scenarios: tuple[str, ...] = ()
    policies: tuple[str, ...] = ()
    what: str = ""

    def fits(self, finding: Finding) -> bool:
        """Say whether a finding is a case of it."""
        if self.calls and (finding.call is None or not finding.call.name.startswith(self.calls)):
            return False
        if not finding.title.startswith(self.what):
            return False
        if self.statuses and finding.status not in self.statuses:
            return False
        if self.operands and (
            finding.decoded is None or finding.decoded.operand not in self.operands
        ):
            return False
        return self.of_kvm is None or self.of_kvm == finding.is_kvm

    @property
    def command(self) -> str | None:
        """A command that plays the story, or None."""
        if not self.scenarios:
            return None
        policy = f" --policy {self.policies[0]}" if self.policies else ""
        return f"tdx-env simulate {self.scenarios[0]}/test{policy}"


_BUSY = (Status.OPERAND_BUSY,)
_TREE, _RCX = (int(Operand.SEPT_TREE),), (int(Operand.RCX),)
_TDR = (int(Operand.TDR),)
_EPOCH = (int(Operand.TD_EPOCH),)

STORIES: tuple[Story, ...] = (
    Story(
        "The S-EPT tree was held, and KVM's second try, with every vCPU kicked and kept out, met "
        "it held again: no vCPU of this TD held it then. Another host call did: an export, a scan, "
        "PROMOTE, or a fault that is handled beside the zap. KVM_BUG_ON: the VM is dead.",
        _ZAP, _BUSY, _TREE, True, ("s15-export",), ("P20", "operand"),
    ),
    Story(
        "The S-EPT tree was held: by a VP.ENTER of a vCPU that zero-step has armed (all modules), "
        "or by another host call. The hold is short; the same call again mostly gets it.",
        _ZAP, _BUSY, _TREE, None, ("s04-zero-step-storm", "s15-export"), ("operand", "P20"),
    ),
    Story(
        "The S-EPT entry, or the page's PAMT entry, was held at KVM's second try too, with every "
        "vCPU kicked and kept out: not by a guest, but by another host call on the same page. "
        "KVM_BUG_ON: the VM is dead.",
        (*_ZAP, "TDH.MEM.PAGE.DEMOTE"), _BUSY, _RCX, True, ("s08-accept-2m",), ("P20", "operand"),
    ),
    Story(
        "The S-EPT entry was held, most likely by the guest: a 4K ACCEPT for less than a "
        "microsecond, a 2M one for hundreds. A repeat is enough at 4K; a kick shortens one of 2M.",
        (*_ZAP, "TDH.MEM.PAGE.DEMOTE"), _BUSY, _RCX, None,
        ("s08-accept-2m", "s09-accept-4k", "s10-hostile"), ("operand", "P20"),
    ),
    Story(
        "The epoch lock was still held after every vCPU had been kicked and kept out: by another "
        "TRACK, not by a VP.ENTER. KVM_BUG_ON: the VM is dead.",
        ("TDH.MEM.TRACK",), _BUSY, _EPOCH, True, ("s06-conversion-248",), ("P20", "operand"),
    ),
    Story(
        "A VP.ENTER held the epoch lock, for a fraction of a microsecond. The same call again "
        "gets it; the kick that follows TRACK anyway is not needed earlier.",
        ("TDH.MEM.TRACK",), _BUSY, _EPOCH, None, ("s06-conversion-248",), ("operand", "P20"),
    ),
    Story(
        "A vCPU that entered before the previous TRACK is still in the guest: KVM had not stopped "
        "it, or it came back unseen. KVM does not repeat this one: KVM_BUG_ON.",
        ("TDH.MEM.TRACK",), (Status.PREVIOUS_TLB_EPOCH_BUSY,),
        scenarios=("s06-conversion",), policies=("P20",),
    ),
    Story(
        "The page was removed or split before every vCPU had left the guest after a TRACK: TRACK "
        "failed or was left out, or, if the state is a mapped one, RANGE.BLOCK had failed and its "
        "caller did not look (as with the loop of September 2024).",
        statuses=(Status.TLB_TRACKING_NOT_DONE,), scenarios=("s08-accept-2m",),
        policies=("P1", "P20"),
    ),
    Story(
        "The entry was not in the state that the call needs: a BLOCK that failed and was not "
        "looked at, a page that somebody else removed, or one that was installed twice.",
        statuses=(Status.EPT_ENTRY_STATE_INCORRECT, Status.GPA_RANGE_NOT_BLOCKED),
        scenarios=("s08-accept-2m",), policies=("P1", "P20"),
    ),
    Story(
        "A fault met a held lock. KVM 6.16 and later never print this: the fault is tried again "
        "inside KVM until it goes. A line of it comes from an older series or from own tracing.",
        _INSTALL, _BUSY, scenarios=("s01-boot-storm-region", "s09-accept-4k"),
        policies=("P18", "P17"),
    ),
    Story(
        "A page was added to a TD while another ioctl built the same TD. Before 6.19 user space "
        "gets the error; 6.19 and later repeat it in the kernel.",
        ("TDH.MEM.PAGE.ADD",), _BUSY, scenarios=("s19-build",), policies=("P18", "P20"),
    ),
    Story(
        "VP.INIT version 1 takes the TD exclusively, and another call of the TD was at work: a "
        "kernel before 6.19, which does not hold mmu_lock there. KVM_BUG_ON: the VM is dead.",
        ("TDH.VP.INIT",), _BUSY, _TDR, None, ("s19-build-vp-init-v1",), ("P18", "P20"),
    ),
    Story(
        "Two ioctls built one TD at the same time. 6.19 keeps them apart (tdx_vm_state_guard); "
        "before, the VM is dead.",
        (*_BUILD, "TDH.VP.INIT"), _BUSY, scenarios=("s19-build",), policies=("P18", "P20"),
    ),
    Story(
        "VP.ENTER of an armed vCPU (zero-step) met the S-EPT tree held by a zap's BLOCK or by "
        "another host call. KVM goes round its loop and enters again.",
        ("TDH.VP.ENTER",), _BUSY, _TREE, None, ("s03-zero-step", "s04-zero-step-storm"),
        ("P18", "P12"),
    ),
    Story(
        "VP.ENTER met a lock of the TD or vCPU held: by a call that takes them exclusively, as "
        "VP.FLUSH, VP.INIT version 1 or EXPORT.PAUSE. KVM enters again.",
        ("TDH.VP.ENTER",), _BUSY, scenarios=("s19-build-vp-init-v1",), policies=("P18",),
    ),
    Story(
        "The host was refused an entry and did not come back: the mark that it left kept the guest "
        "out for longer than the time-out (1 s unless set). Repeat the call that was given up.",
        statuses=(Status.HOST_PRIORITY_BUSY_TIMEOUT,), scenarios=("s10-hostile-accept",),
        policies=("P20",),
    ),
    Story(
        "A zapped page could not be flushed from the caches: KVM does not repeat this call. The "
        "page is out of the TD and lost to the host. KVM_BUG_ON: the VM is dead.",
        ("TDH.PHYMEM.PAGE.WBINVD",), _BUSY, scenarios=("s05-zap-idle",), policies=("P20",),
    ),
    Story(
        "The page is no TD's any more: it was reclaimed twice, or removed before. A fault of the "
        "host's bookkeeping, not contention.",
        ("TDH.PHYMEM.PAGE.RECLAIM",), (Status.PAGE_METADATA_INCORRECT,),
    ),
    Story(
        "The TD's key is not on every package: the key id was freed, or never configured. A call "
        "came after teardown had begun; not contention.",
        statuses=(Status.TD_KEYS_NOT_CONFIGURED,),
    ),
    Story(
        "DEMOTE was interrupted and nothing was changed. Under a storm of interrupts it can go on "
        "so; 1.5.28 and later poll there only for L2 VMs.",
        ("TDH.MEM.PAGE.DEMOTE",), (Status.INTERRUPTED_RESTARTABLE,),
        scenarios=("s14-split-storm",), policies=("P24", "P23"),
    ),
    Story(
        "A list call of an export stopped between two entries, for an interrupt or, from 1.5.34 "
        "on, for a call that waits for the S-EPT tree. It goes on from there.",
        _EXPORT, (Status.INTERRUPTED_RESUMABLE,), scenarios=("s15-export",), policies=("P24",),
    ),
    Story(
        "An export or import met a lock that another host call or a vCPU holds: EXPORT.PAUSE and "
        "its like need every vCPU out, the list calls the S-EPT tree.",
        _EXPORT, _BUSY, scenarios=("s15-export",), policies=("P20",),
    ),
    Story(
        "Two CPUs changed the PAMT of one 2M range, or a page in it was in use. KVM's host-wide "
        "lock rules the first out.",
        ("TDH.PHYMEM.PAMT.",), scenarios=("s23-boot-dynamic-pamt",), policies=("P20",),
    ),
    Story(
        "kexec or a crash met a status outside of {INTERRUPTED_RESUMABLE, SYS_BUSY}: Linux 7.1 "
        "gives up here.",
        ("TDH.SYS.DISABLE",),
    ),
    Story(
        "The module was asked before it was ready: it is not initialised, or its start failed; "
        "look for an earlier line. Not contention.",
        statuses=(Status.SYS_NOT_READY, Status.SYS_SHUTDOWN),
    ),
    Story(
        "The BIOS, the microcode or a kernel parameter set this CPU up otherwise than the module "
        "allows. Not contention.",
        statuses=(Status.INCORRECT_MSR_VALUE, Status.INCONSISTENT_MSR),
    ),
    Story(
        "The VMM asked for a CPUID bit that the module does not offer so: a choice of CPU model or "
        "flag. RCX, where the line shows it, is the CPUID leaf. Not contention.",
        statuses=(Status.OPERAND_INVALID,), operands=(int(Operand.CPUID_CONFIG),),
    ),
    Story(
        "The vCPU is not associated with this processor: it was read or written after a flush, or "
        "from the wrong CPU. Not contention.",
        statuses=(Status.VCPU_NOT_ASSOCIATED, Status.VCPU_ASSOCIATED),
    ),
    Story(
        "A vCPU is still associated with a processor at teardown: the key id leaks.",
        statuses=(Status.FLUSHVP_NOT_DONE,),
    ),
    Story(
        "The module's global lock was held: another CPU initialises it. Repeat.",
        statuses=(Status.SYS_BUSY,),
    ),
    Story(
        "Another call of the same TD held the lock while its first pages were added. Before 6.19 "
        "user space issues the ioctl again (QEMU does, without bound), since then the kernel does.",
        statuses=_BUSY, scenarios=("s19-build",), policies=("P18", "P20"),
        what="KVM_TDX_INIT_MEM_REGION",
    ),
    Story(
        "Two ioctls built one TD at the same time; 6.19 keeps them apart.",
        statuses=_BUSY, scenarios=("s19-build",), policies=("P18", "P20"), what="KVM_TDX_",
    ),
    Story(
        "Any lock that the call needs was held; with the call's name the story gets shorter. The "
        "VMM may issue the ioctl again.",
        statuses=_BUSY, scenarios=("s08-accept-2m",), policies=("operand", "P20"),
    ),
)  # fmt: skip

_EXIT_TRIPLE = Story(
    "The guest crashed (triple fault): its own firmware or kernel. Not contention; look at the "
    "guest's console."
)
_EXIT_ENTRY = Story(
    "The processor refused to enter the guest. Mostly a fault in the vCPU's state (debug TDs) "
    "or in the host's; not contention."
)
_EXIT_LOST = Story(
    "The module gave the TD up, and it can only be torn down. Not contention by itself: look for "
    "the first line about TDX before this one."
)
_SOFTWARE = Story("The SEAMCALL never reached the module: not contention.")
_LOST = {
    Status.NON_RECOVERABLE_VCPU,
    Status.NON_RECOVERABLE_TD,
    Status.NON_RECOVERABLE_TD_NON_ACCESSIBLE,
    Status.NON_RECOVERABLE_TD_WRONG_APIC_MODE,
    Status.NON_RECOVERABLE_TD_CORRUPTED_MD,
    Status.TD_FATAL,
}


def _exit_story(finding: Finding) -> Story | None:
    """Return the story of a result of VP.ENTER or of Linux itself; None if it is neither."""
    decoded = finding.decoded
    if decoded is None:
        return None
    upper = decoded.value - decoded.operand
    if upper == LinuxStatus.SW_ERROR:
        return _SOFTWARE
    if finding.status == Status.SUCCESS or upper == ERROR or finding.status in _LOST:
        if decoded.operand & ENTRY_FAILURE:
            return _EXIT_ENTRY
        if decoded.operand & BASIC_MASK == _TRIPLE_FAULT:
            return _EXIT_TRIPLE
    return _EXIT_LOST if finding.status in _LOST else None


def story_of(finding: Finding) -> Story | None:
    """Return the likely story of a finding, or None if there is nothing to add."""
    if finding.decoded is None:
        return None
    found = _exit_story(finding)
    if found is not None:
        return found
    return next((story for story in STORIES if story.fits(finding)), None)
