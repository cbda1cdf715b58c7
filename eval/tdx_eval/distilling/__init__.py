"""Trees from what each answer to a decision cost: grown for cost, chosen by cost in the simulator.

`growing` makes a tree of a number of leaves from a table of advantages, `choosing` makes many of
them and plays them on validation: how many leaves a tree has, and how many decisions a leaf needs,
is decided there, never by how well a tree foretells an answer.
"""
