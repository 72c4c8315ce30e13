"""Metrics of the history tables for Prometheus."""
