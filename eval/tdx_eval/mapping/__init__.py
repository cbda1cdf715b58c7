"""Two policies over two parameters of a scenario: who is cheaper where, and the border between.

The doors are `axis.axis_from` for what a user writes, `grid.play_grid`, which plays every cell on
the same seeds, and `page.map_page`, which draws it. `border` finds where the two cost the same.
Calls go to `comparing` and `reporting`.
"""
