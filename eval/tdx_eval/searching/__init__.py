"""Programs found by search against the simulator: one template, several ways to fill it.

The template is a tree (`tdx_agents.tree`) of at most 12 lines: a line for each test and each
answer. `socket` puts a tree into a compiled decision function without compiling anew, `arena` plays
trees in scenarios, `entrants` are those by hand, `breeding` makes and changes trees, `methods` are
the searches, `contest` chooses among all of them on validation.
"""
