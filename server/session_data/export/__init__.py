"""Export a person's history as CSV, JSON or FHIR.

lines.py and fhir.py write the files, independently of requests; views.py is the REST API. The
metrics in a file are the columns of `MetricColumns` in session_data/models.py.
"""
