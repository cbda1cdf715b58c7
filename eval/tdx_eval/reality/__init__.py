"""The reality table: what was observed of TDX and KVM, beside what the simulator gives.

The doors: `catalogue` has all rows in order and puts one to the simulator; `page`, `terminal` and
`file` show, print and keep what came of them. `row` says what a row is, `criteria` when it holds,
`worlds` runs the small worlds of the scenario files here; the other modules hold the rows, one kind
each. Calls go to `reporting` (words, the page's frame) and `comparing`.
"""
