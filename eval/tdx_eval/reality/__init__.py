"""The reality table: what was observed of TDX and KVM, beside what the simulator gives.

`tdx_eval.reality.table` has all rows in order, `tdx_eval.reality.run` puts them to the simulator;
the other modules hold the rows, one kind each, and the scenario files the small worlds that they
need.
"""
