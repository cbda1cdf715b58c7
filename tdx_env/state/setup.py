"""A scenario as the kernel reads it: records of integers, ranges still undrawn."""

from enum import IntEnum

import numpy as np

from tdx_env.state.costs import N_COSTS
from tdx_env.state.objectives import WEIGHED

MAX_GROUPS = 4
MAX_TASKS = 4
MAX_PCPUS = 256
MAX_SOCKETS = 4
MAX_IPI_CLUSTER = 16  # logical CPUs of one x2APIC cluster
MAX_AREAS = 4
MAX_CHOICES = 16  # of a TD's size
REST = -1  # group count: all vCPUs that no other group has
N_BANDS = 10  # a cost range is cut into this many bands; splits use disjoint sets of them
PAGES_PER_2M = 512
REGIONS_PER_TABLE = 512  # PD entries that belong to one entry of level 2


class Initial(IntEnum):
    """What an area's S-EPT entries and SPTEs are when the episode begins."""

    EMPTY = 0  # no tables below the root: SEPT.ADD is needed first
    FREE = 1  # tables exist, pages do not
    PENDING_4K = 2
    MAPPED_4K = 3
    PENDING_2M = 4
    MAPPED_2M = 5


class Resched(IntEnum):
    """Who drops mmu_lock between two pages of a zap because another thread is to have the CPU."""

    NEVER = 0  # nobody
    VCPUS = 1  # vCPU threads, where they share CPUs
    ALL = 2  # host tasks too, whose CPUs another thread always wants


class Pamt(IntEnum):
    """How the host keeps PAMT."""

    STATIC = 0  # all of it from the start
    LOCKED = 1  # Dynamic PAMT, counters under one lock of the host
    FAST = 2  # Dynamic PAMT, the lock for a block's first and last page alone


GROUP_FIELDS = [
    ("program", np.int64),  # a Program
    ("count_low", np.int64),  # vCPUs, or REST
    ("count_high", np.int64),
    ("items_low", np.int64),  # work items of each vCPU
    ("items_high", np.int64),
    ("think_low", np.int64),  # compute before each item [cycles]
    ("think_high", np.int64),
    ("area", np.int64),
    ("stride", np.int64),  # pages (2M: regions) between members' first items
    ("step", np.int64),  # between a member's items; 0: the group's size (interleaved)
    ("level", np.int64),  # 0: 4K, 1: 2M
    ("chunk", np.int64),  # CONVERT: pages in one item
    ("same_rip", np.int64),  # 1: all items are one instruction (rep movs)
    ("tick_low", np.int64),  # timer period [cycles], 0: none
    ("tick_high", np.int64),
    ("device_low", np.int64),  # mean gap of device interrupts [cycles], 0: none
    ("device_high", np.int64),
    ("host_tick_low", np.int64),  # the host's own timer period [cycles], 0: nohz_full
    ("host_tick_high", np.int64),
    ("arm_cycles", np.int64),  # from entry to the TD exit that arms the timer, 0: none
    ("leaf", np.int64),  # HAMMER: the TDCALL
    ("is_shared_after", np.int64),  # CONVERT: pages are gone for good
    ("in_place", np.int64),  # CONVERT: 1: under the lock of the guest_memfd file
    ("signal_every", np.int64),  # every n-th device interrupt brings a signal, 0: none does
    ("is_hostile", np.int64),  # 1: what its vCPUs lose is their own fault
    ("falls_back", np.int64),  # ACCEPT: 1: refused, it tries 4K pages, then panics
]
GROUP = np.dtype(GROUP_FIELDS, align=True)

TASK_FIELDS = [
    ("kind", np.int64),  # a Task
    ("count_low", np.int64),
    ("count_high", np.int64),
    ("items_low", np.int64),
    ("items_high", np.int64),
    ("think_low", np.int64),
    ("think_high", np.int64),
    ("area", np.int64),
    ("stride", np.int64),
    ("step", np.int64),
    ("level", np.int64),
    ("chunk", np.int64),  # pages (2M: regions) in one item; OTHER_TDS: pages of a 2M block
    ("hold_low", np.int64),  # BLOCK_RESTORE: how long a page stays blocked [cycles]
    ("hold_high", np.int64),
    ("trigger_group", np.int64),  # wait for a vCPU of this group, or NONE
    ("trigger_period", np.int64),  # item i waits until the vCPU has begun item i * period
    ("trigger_lead", np.int64),  # and works on the page of that vCPU item plus lead
    ("is_shared_after", np.int64),  # ZAP: faults on the pages exit to user space from now on
    ("in_place", np.int64),  # ZAP: 1: under the lock of the guest_memfd file
    ("device_low", np.int64),  # mean gap of interrupts of its CPU [cycles], 0: none
    ("device_high", np.int64),
]
TASK = np.dtype(TASK_FIELDS, align=True)

AREA_FIELDS = [
    ("first_region", np.int64),
    ("n_regions", np.int64),
    ("initial", np.int64),  # an Initial
]
AREA = np.dtype(AREA_FIELDS, align=True)

SETUP_FIELDS = [
    ("n_vcpus_low", np.int64),
    ("n_vcpus_high", np.int64),
    ("n_vcpus_choices", np.int64, (MAX_CHOICES,)),  # sizes, if one of some is drawn ...
    ("n_vcpus_weights", np.int64, (MAX_CHOICES,)),  # ... with these weights; all 0: low to high
    ("n_groups", np.int64),
    ("n_tasks", np.int64),
    ("n_areas", np.int64),
    ("page_shift", np.int64),  # a region has 1 << page_shift 4K entries in the model
    ("clock_khz", np.int64),
    ("sept_ve_disable", np.int64),
    ("zero_step_threshold", np.int64),
    ("zero_step_capacity", np.int64),
    ("hp_timeout", np.int64),  # [cycles]
    ("freezes", np.int64),  # 1: a fault freezes the SPTE of the page that it adds
    ("break_on_contention", np.int64),  # zap drops mmu_lock between pages if contended
    ("module_versions", np.int64),  # bit set of places in `module.versions.MODULE_VERSIONS`
    ("resched", np.int64),  # a Resched
    ("kernel", np.int64),  # place in `state.kernels.KERNELS`
    ("guests_lock_free", np.int64),  # guests lock FREE entries, if the module lets them
    ("stops_on_timeout", np.int64),  # 1: user space stops a TD whose guest was refused too long
    ("dynamic_pamt", np.int64),  # a Pamt
    ("n_pcpus_low", np.int64),  # CPUs that the vCPU threads share, 0: one for each
    ("n_pcpus_high", np.int64),
    ("n_sockets", np.int64),
    ("ipi_cluster", np.int64),  # CPUs of a socket that one write of the ICR reaches
    ("irq_off_share", np.int64),  # windows with an irq-off section, of each CPU [1/1000]
    ("irq_off_window", np.int64),  # [cycles]
    ("stall_cycles", np.int64),
    ("time_cap", np.int64),  # [cycles]
    ("preempt_limit", np.int64),  # [cycles]
    ("yield_weight", np.int64),  # 0 or 1
    ("weights", np.float64, (len(WEIGHED),)),  # of the parts of the cost
    ("cost_bands", np.int64),  # bit set of allowed bands
    ("cost_low", np.int64, (N_COSTS,)),
    ("cost_high", np.int64, (N_COSTS,)),
    ("groups", GROUP, (MAX_GROUPS,)),
    ("tasks", TASK, (MAX_TASKS,)),
    ("areas", AREA, (MAX_AREAS,)),
]
SETUP = np.dtype(SETUP_FIELDS, align=True)
