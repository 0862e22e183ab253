"""The engines that are compared."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """An engine.

    Attributes:
        title: for tables and plots.
        engine: `module:function` in `benchmarks.peer_engines`.
        packages: whose versions are reported.
        is_in_product: runs in ytcaption's environment; the others in `.venv-peers`.
        has_our_environment: see `resources.processes.native_threads`.
        runs_all_sets: is never skipped, however long it takes.
    """

    title: str
    engine: str
    packages: tuple[str, ...]
    is_in_product: bool = False
    runs_all_sets: bool = False
    has_our_environment: bool = False


_OURS = ("ytcaption", "faster-whisper", "ctranslate2")
_PLAIN = _OURS[1:]

REFERENCE = "faster-whisper"
ARMS = {
    REFERENCE: Arm("faster-whisper sequential", "plain:sequential", _PLAIN, True, True),
    "ytcaption-batched": Arm("ytcaption batched", "ours:batched", _OURS, True, True, True),
    "faster-whisper-batched": Arm("faster-whisper batched", "plain:batched", _PLAIN, True, True),
    "ytcaption-sequential": Arm(
        "ytcaption sequential", "ours:sequential", _OURS, True, False, True
    ),
    "faster-whisper-tuned": Arm(
        "faster-whisper, memory kept", "plain:tuned", _PLAIN, True, False, True
    ),
    "whisper.cpp": Arm("whisper.cpp", "whisper_cpp:sequential", ("pywhispercpp",)),
    "openai-whisper": Arm("openai-whisper", "openai_torch:sequential", ("openai-whisper", "torch")),
    "transformers": Arm("transformers", "hugging_face:pipeline", ("transformers", "torch")),
}
"""By name, in the order they take turns."""
