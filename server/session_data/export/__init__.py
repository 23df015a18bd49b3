"""A person's history as a file: CSV, JSON or FHIR.

lines.py and fhir.py write it and know no request; views.py is the REST API.
"""
