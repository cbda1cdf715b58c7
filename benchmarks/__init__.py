"""Speed, measured side by side in one run; no test depends on it.

`python -m benchmarks` writes `benchmarks/results.json` and `docs/benchmarks.md`.
"""
