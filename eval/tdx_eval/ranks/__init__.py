"""Which policies rank otherwise on another version of the TDX module, and why.

The doors: `playing.compare_modules` plays every policy in every scenario on two versions, seed by
seed; `order` holds what is said of two rankings; `reasons` which conflicts came or went; `page` and
`terminal` show it. Calls go to `comparing`.
"""
