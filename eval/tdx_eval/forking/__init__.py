"""One busy reply, the same world played on with each answer: what follows, and what it costs.

The door is `page.fork_pictures`: HTML for the report, by scenario. `conflicts` finds the typical
and the worst conflict of an episode, `branches` plays each answer on from one snapshot with the
same draws, `picture` draws it. Calls go to `comparing` and `tracing`.
"""
