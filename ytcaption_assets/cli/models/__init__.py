"""`ytcaption models` and `bench-model`: list, download and measure models.

Public: `commands.app` and `bench_model`. `bench_process` measures in a separate process. The room
must not know where model files come from: that is resources/models.
"""
