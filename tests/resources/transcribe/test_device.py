"""Choice of device and number format, with simulated answers of ctranslate2 and torch."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import ctranslate2
import pytest

from resources.transcribe import device
from resources.transcribe.device import Placement, choose_placement, loaded_model
from ytcaption.domain.errors import ModelCorrupt, SetupError

GPU_TYPES = {"float16", "int8_float16", "int8_float32", "int8", "float32"}
BASE_BYTES, LARGE_BYTES = 145_217_532, 3_087_284_237


@pytest.fixture
def machine(monkeypatch):
    """Simulate a machine with GPUs, free GPU memory (None: no torch) and number formats."""

    def build(*, gpus: int = 0, free_bytes: int | None = None, gpu_types=GPU_TYPES, cublas=True):
        monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: gpus)
        monkeypatch.setattr(
            ctranslate2,
            "get_supported_compute_types",
            lambda device: gpu_types if device == "cuda" else {"int8", "int8_float32", "float32"},
        )
        monkeypatch.setattr(device, "_load_cublas", lambda: cublas)
        cuda = SimpleNamespace(
            is_available=lambda: gpus > 0, mem_get_info=lambda _index: (free_bytes, 80 << 30)
        )
        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
        find_spec = device.importlib.util.find_spec
        monkeypatch.setattr(
            device.importlib.util,
            "find_spec",
            lambda name, *rest: (
                (object() if free_bytes is not None else None)
                if name == "torch"
                else find_spec(name, *rest)
            ),
        )

    return build


def test_cpu_runs_int8_on_every_core(machine):
    """Without a GPU the model runs as int8 with as many threads as cores."""
    machine()
    result = choose_placement("auto", "auto", 0, BASE_BYTES)
    assert result == Placement("cpu", "int8", len(device.os.sched_getaffinity(0)))


@pytest.mark.parametrize(
    ("free_bytes", "weights_bytes", "expected"),
    [
        (70 << 30, LARGE_BYTES, "float16"),
        (3 << 30, LARGE_BYTES, "int8_float16"),
        (3 << 30, BASE_BYTES, "float16"),
        (None, BASE_BYTES, "float16"),
        (None, LARGE_BYTES, "int8_float16"),
    ],
)
def test_gpu_runs_float16_unless_its_memory_is_short(machine, free_bytes, weights_bytes, expected):
    """torch reports free memory; without torch large weights run as int8."""
    machine(gpus=1, free_bytes=free_bytes)
    result = choose_placement("auto", "auto", 2, weights_bytes)
    assert (result.device, result.compute_type) == ("cuda", expected)


def test_old_gpu_runs_a_format_it_supports(machine):
    """A GPU without float16 runs what it supports."""
    machine(gpus=1, gpu_types={"int8_float32", "float32"})
    assert choose_placement("auto", "auto", 2, BASE_BYTES).compute_type == "int8_float32"


def test_gpu_without_its_libraries_is_not_used(machine):
    """`auto` falls back to the CPU; `cuda` reports what is missing."""
    machine(gpus=1, cublas=False)
    assert choose_placement("auto", "auto", 2, BASE_BYTES).device == "cpu"
    with pytest.raises(SetupError, match="nvidia-cublas-cu12"):
        choose_placement("cuda", "auto", 2, BASE_BYTES)


def test_cuda_without_a_gpu_is_reported(machine):
    """A missing device is an error in one sentence with the setting's name."""
    machine()
    with pytest.raises(SetupError, match="YTCAPTION_DEVICE is cuda"):
        choose_placement("cuda", "auto", 2, BASE_BYTES)


def test_settings_take_precedence(machine):
    """An explicit device and format are used as they are."""
    machine(gpus=1, free_bytes=70 << 30)
    assert choose_placement("cpu", "float32", 3, BASE_BYTES) == Placement("cpu", "float32", 3)
    assert choose_placement("cuda", "int8", 3, BASE_BYTES).compute_type == "int8"


def test_unsupported_format_is_reported(machine):
    """The message lists the supported formats."""
    machine()
    with pytest.raises(SetupError, match=r"YTCAPTION_COMPUTE_TYPE.*float32, int8"):
        choose_placement("cpu", "float16", 2, BASE_BYTES)


def test_model_is_loaded_once_a_process(monkeypatch):
    """Concurrent threads get one model; only two models stay loaded."""
    loads: list[Path] = []

    def slow_load(directory: Path, _placement: Placement) -> object:
        loads.append(directory)
        time.sleep(0.05)  # long enough for the other threads to arrive
        return object()

    monkeypatch.setattr(device, "_models", device.OrderedDict())
    monkeypatch.setattr(device, "_load", slow_load)
    placement = Placement("cpu", "int8", 1)
    threads = [
        threading.Thread(target=loaded_model, args=(Path("a"), "1", placement)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loads == [Path("a")]
    for name in ("b", "c", "a"):
        loaded_model(Path(name), "1", placement)
    assert loads == [Path(each) for each in ("a", "b", "c", "a")]
    assert len(device._models) == 2


def test_unreadable_weights_are_corrupt(tmp_path):
    """Weights that CTranslate2 cannot read are a `ModelCorrupt` error."""
    (tmp_path / "model.bin").write_bytes(b"no model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelCorrupt):
        loaded_model(tmp_path, "0", Placement("cpu", "int8", 1))


_LOAD_WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
import faster_whisper
from resources.transcribe.device import Placement, loaded_model
from ytcaption.domain.errors import OutOfMemory

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 40_000_000,) * 2)
try:
    loaded_model(Path(sys.argv[1]), "1", Placement("cpu", "int8", 1))
except OutOfMemory as error:
    print(error.message)
"""


@pytest.mark.long
@pytest.mark.model
def test_too_little_memory_is_not_called_a_corrupt_model(model_home):
    """Its files are whole: fetching them again would not help."""
    command = [sys.executable, "-c", _LOAD_WITH_LITTLE_MEMORY, str(model_home / "tiny.en")]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert "too little memory" in result.stdout, result.stderr
