"""All that can be configured, one group of settings per subject.

`ytcaption.settings.settings` has `Settings` and `load_settings`, the one place that reads the
environment. Each other module defines one group. Only the domain is imported here: settings know
types and limits of values, never the parts that use them.
"""
