"""Policies over the values of one number of their discipline: ``compare --sweep max_issues=1,2,4``.

The doors are `specs.with_sweeps`, which adds a row for each value to the policies of a comparison,
and `page.sweep_section`, a section for its report: what each value costs and how long the longest
non-preemptible stretch is, scenario by scenario. The rows themselves are `tdx_agents.varied`.
"""
