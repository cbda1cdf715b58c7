"""A summary, told: in sentences, in the terminal, and as one page with nothing outside of it.

The doors are `html.report_page` and `terminal.show_summary`; both take a
`comparing.summary.Summary` and play nothing. `sentences` and `wins` say what the numbers say,
`wording` how numbers, calls and conflicts read, `plots` draws, `templates/` holds the page. Calls
go to `comparing` alone; a study that wants a section in the report hands it over as finished HTML.
"""
