"""A tree as a kernel would have it: C, the rules as text, a picture, and what it would change.

`terms` says how each input is written in C, `header` writes the header, `compiling` gives it to gcc
and measures it, `equality` holds it against the tree in Python. `spoken` and `drawing` are for
readers, `proposal` for a mail to the list. Calls go to `tdx_agents` and `tdx_eval.worst`.
"""
