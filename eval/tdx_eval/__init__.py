"""Evaluation: policies compared with each other, and the simulator with what was observed.

Three wings. `commands` holds the command lines and nothing else: each reads its options, calls the
others and prints. `comparing` plans a comparison, carries it out and sums it up; it knows nothing
of pages and terminals. `reporting` turns a summary into sentences, tables, plots and a page. Beside
them stand three studies of their own: `reality` (what was observed, beside what the simulator
gives), `costs` (how far the ranking depends on each cost) and `lost` (which policy loses the TD
where, and how).

The doors: `tdx_eval.cli` for the shell, `comparing.plan.planned` for a comparison from Python.
Calls go one way: `commands` -> `reality`, `costs`, `lost` -> `reporting` -> `comparing` ->
`tdx_agents`, `tdx_env`. The studies don't know each other.
"""
