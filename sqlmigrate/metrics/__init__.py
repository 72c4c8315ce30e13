"""Metrics of the history for Prometheus."""
