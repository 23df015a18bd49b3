"""Sessions: receive documents, store the newest revision of each, and serve the history.

Imports `devices`, `care` and `common`. Start with receive.py, which HTTP and MQTT share, and
accept.py, the revision rule; then history.py, which reads sessions. filters.py has the history's
query parameters with their defaults and limits, such as how many sessions are in a page.

A metric is a column of models.py (`MetricColumns`) and a field of serializers.py; history, exports
and pages follow from these. Add a migration, a FHIR code in export/fhir.py, a meaning in
export/codebook.py and a line in the metrics.py of `dashboard`. The device computes it in
agent/measure/metrics.py.
"""
