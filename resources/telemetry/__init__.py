"""Logs and traces of all our processes.

Public: `configure_own_logging`, `log_handler` and `redact_secrets` (logs.py); `start_telemetry`,
`span`, `record_span` and `traced` (spans.py), OpenTelemetry spans that cost nothing without a
collector; `TraceContext`, `current_trace` and `in_trace` (trace_context.py). span_exporter.py sends
spans to the collector.

It must not know what is logged or traced: no transcripts, database or HTTP routes.
"""
