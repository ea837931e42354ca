"""The Kubernetes API: calls, credentials, projections of objects, and an index that lists and watches fill."""
