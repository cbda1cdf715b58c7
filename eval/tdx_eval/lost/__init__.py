"""Which policy loses the TD where, and by which chain of events.

The doors: `pairs.run_pairs` plays every policy in every scenario, `table.stories_of` tells those
lost by one chain once; `page`, `terminal` and `file` show, print and keep it. `replay` plays a lost
episode again, `chain` and `trace` say what happened in it with the words of `telling`; `expected`
holds what was expected. Calls go to `reporting` (words) and `comparing`.
"""
