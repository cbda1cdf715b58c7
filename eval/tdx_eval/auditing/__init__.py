"""Results that were written: judged, held against others, and played again.

The doors are `folder.read_results`, `gate.judge`, `versus.differences_of` and
`again.replay_rows`; each works on the folder that `tdx-eval compare` wrote. Calls go to
`comparing` and `reporting`.
"""
