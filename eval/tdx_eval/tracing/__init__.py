"""One episode, event by event: every slice of every CPU's time, lock holds, IPIs, decisions.

The doors are `record.record_episode`, which plays an episode and keeps what happened, and
`chrome.trace_json`, which writes it down as Chrome trace events, for Perfetto and the like.
`steps` is a batch that is looked at after each event; nothing is played differently by that.
Calls go to `comparing`.
"""
