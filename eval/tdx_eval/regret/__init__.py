"""Minimax regret over the grid of worlds that do not exist yet: which rule is never far off.

The door is `playing.play_grid`: what every rule costs in every cell. `rules` has the rules, fixed
ones and such that look at state; `reckoning` turns costs into regrets with their intervals; `page`
and `file` are docs/what-if.md and what it is made from. Calls go to `comparing` and `tdx_env`.
"""
