"""How far the ranking of the policies depends on each cost, and the page that says so.

`ranges` reads the costs, `rank` compares two rankings, `runs` plays, `sensitivity` does one
scenario, `study` holds what came of all, `file` keeps it and `page` writes docs/costs.md.
"""
