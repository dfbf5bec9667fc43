"""Kubernetes: the only place that speaks its API."""
