"""Speed, measured side by side in one run; no test depends on it."""
