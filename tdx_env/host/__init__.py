"""KVM: the call chains that issue SEAMCALLs, what they do when one is busy, and its locks.

What lives here, from below: locks and waiting (`mmu_lock`, `seamcall_lock`, `guard`, `srcu`,
`cpus`, `kick`), one SEAMCALL through its steps (`seamcalls`, `lock_words`, `effects`; what is known
of each leaf is a row of `leaves`), the chains (`fault`, `zap` with `split` and `track`, `restore`,
`slots`, `export`, `build`, `tasks`, `run_loop`, `enter`), where a chain goes on (`chains`, and
`vcpus` for what only vCPU threads do), and on top busy replies and decisions (`busy`). The doors
are the handlers that `engine.loop` calls, one for each state, `busy.decide` for the action of a
decision, and `discipline.Discipline`, the one class for users. Calls go from `busy` to `chains` to
the chains to `seamcalls` to the locks, and down into `guest`, `module` and `state`; never up: a
chain that has to wait sets its actor's state, and its handler is called again.
"""
