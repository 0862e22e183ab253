"""Monitoring: liveness and readiness probes, and metrics for Prometheus.

Public: `readiness.Readiness` (parallel probes with a time limit), `metrics` (request metrics of the
process and a collector of the queue). Reads state only; it must not change any.
"""
