"""What vCPUs do inside the TD: compute, touch, accept, convert, hammer.

What lives here: the programs and their work items (`items`), the guest from one instruction to the
next (`run`), TDCALLs and the entry locks they hold (`tdcalls`), where a walk of the S-EPT ends
(`walk`), interrupts (`interrupts`), and the way out (`exits`). The doors are the handlers of `run`
and `tdcalls`, which `engine.loop` calls for the states that a vCPU is in while in the guest, and
`run.continue_guest`, by which the host lets it go on after VP.ENTER. Calls go down into `module`
and `state` only: an exit leaves the actor in TD_EXIT, and the host takes over at its next event.
"""
