"""How far the ranking of the policies depends on each cost, and docs/costs.md, which says it.

The doors: `whole.play_study` plays all scenarios, `page.page` makes the page of it, `check` says
whether page and study are current. `sensitivity` does one scenario by means of `runs` and `rank`;
`ranges` reads the costs from the scenario files; `study` is the record, `file` keeps it. Calls go
to `comparing`.
"""
