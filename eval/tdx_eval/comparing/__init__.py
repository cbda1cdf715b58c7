"""A comparison from its plan to its summary, without a word of how that is shown.

The door is `plan.planned`: it loads each scenario and each policy once, and all that follows takes
them from the plan. `carrying_out` makes `jobs` of it, runs them by `backends` (whose processes are
`workers`; `signals` says when Ctrl-C waits) and keeps their `chunks`, so that a stopped run goes
on. `episodes` is what a chunk holds; `analysis` makes the `summary` of it, with `statistics`;
`manifest` and `identity` say what it depends on. `answers` compares answers, not policies: all
under one discipline. `yardsticks`, `seeds`, `output`, `versions` and `read_back` serve the studies
too. Calls go to `tdx_agents` and `tdx_env`, never to another wing.

All sources here are part of the digest by which finished chunks are known
(`identity.code_digest`): a change of any of them plays all episodes anew.
"""
