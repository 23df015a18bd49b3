"""For the doctor: one printed page about a person, for a span of days, and links that show just it.

`sheet.py` puts the page together; `document.py` makes a file of it, for FHIR; a link is a
`SheetLink`. Imports the figures of `dashboard`, `notes`, and what `dashboard` imports. Begin with
sheet.py.
"""
