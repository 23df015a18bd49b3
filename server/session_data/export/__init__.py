"""Export sessions, days, minutes and blinks as CSV, CSV for Excel, JSON, Parquet or FHIR.

Begin with codebook.py: it lists the tables and their columns, and all files follow from it. rows.py
fills the columns.

    asked.py: parameters -> reading.py: sessions -> rows.py: rows -> lines.py, excel.py, parquet.py

fhir.py writes sessions by its own structure; views.py is the REST API. Nothing here holds more than
a few megabytes, however long the history is.
"""
