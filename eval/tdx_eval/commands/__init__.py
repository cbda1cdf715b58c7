"""The command lines of `tdx-eval`, one module each, put together in `app`.

A command reads options, checks what can be checked before work begins, calls the studies,
`comparing` and `reporting`, and says where the results are. What is slow to import is imported
inside of it, so that help and mistakes come at once. Nobody imports this package but
`tdx_eval.cli`, the door.
"""
