"""A summary, told: in sentences, in the terminal, and as one page with nothing outside of it.

The doors are `html.report_page` and `terminal.show_summary`; both take a
`comparing.summary.Summary` and play nothing. `answer` makes the first screen's sentences,
`verdicts` says what a difference comes to, `forest` and `shares` are the charts, which `charts`
draws; `sentences` and `wins` say the rest, `wording` how numbers, calls and conflicts read,
`templates/` holds the page. Calls go to `comparing` alone; a study that wants a section in the
report, or a picture of a scenario, hands it over as finished HTML.
"""
