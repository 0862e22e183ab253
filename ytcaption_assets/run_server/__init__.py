"""Run server: a process that holds the loaded definitions and forks each run (`server`).

It loads the definitions by name, so this package is above `ytcaption_assets.definitions`. The
protocol with the run launcher is in `resources.orchestration.launch_protocol`.
"""
