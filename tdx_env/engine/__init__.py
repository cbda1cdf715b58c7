"""The event loop, and the episodes that it runs side by side.

What lives here: the start of an episode (`start`, `layout`, `prices`), the loop (`loop`), compiled
functions over many worlds and their memory (`run`, `memory`), and what reads worlds from outside
(`metrics`, `scene`, `causes`, `waiting`, `render`, `broken`). The door is `batch.Batch`: reset it,
advance it, read its features, masks and numbers; environments, evaluation and tests go through it
alone. Calls go from `batch` to `run` to `loop` and from there into `host` and `guest`; readers look
at a batch between two calls of `advance` and change nothing.
"""
