"""Chooses where and in which number format a model runs; keeps this process's loaded models."""

import ctypes
import importlib.util
import logging
import os
import site
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resources.processes.native_threads import keep_freed_memory
from resources.shortages import shortage_of
from ytcaption.domain.errors import ModelCorrupt, SetupError

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

logger = logging.getLogger(__name__)

_WORK_BYTES = 1 << 30
"""GPU memory needed besides the weights: activations, beams, CUDA itself."""

_LARGE_BYTES = 2_000_000_000
"""Weights (float16) above this run as int8 on a GPU of unknown free memory: large-v3 then takes
2.1 GB instead of 4."""

_CUBLAS = "libcublas.so.12"

_GPU_TYPES = ("float16", "int8_float16", "int8_float32", "int8", "float32")
_CPU_TYPES = ("int8", "int8_float32", "float32")
_MAX_LOADED_MODELS = 2


@dataclass(frozen=True)
class Placement:
    """Where and how a model runs.

    Attributes:
        device: `cuda` or `cpu`.
        compute_type: CTranslate2's, such as `int8`.
        cpu_threads: of each worker, on a CPU.
        workers: how many use the same weights in parallel.
    """

    device: str
    compute_type: str
    cpu_threads: int
    workers: int = 1


def choose_placement(
    device: str, compute_type: str, cpu_threads: int, weights_bytes: int
) -> Placement:
    """Return the placement that the settings select on this machine.

    Args:
        device: `auto`, `cpu` or `cuda`.
        compute_type: `auto` or CTranslate2's.
        cpu_threads: 0: one for each core this process may use.
        weights_bytes: size of `model.bin`, which holds float16.

    Raises:
        SetupError: the device or format does not exist on this machine.
    """
    if device != "cpu":
        problem = _gpu_problem()
        if device == "cuda" and problem is not None:
            raise SetupError(
                f"YTCAPTION_DEVICE is cuda, but {problem}. Fix that, or set it to auto or cpu."
            )
        device = "cpu" if problem is not None else "cuda"
    supported = _supported_types(device)
    if compute_type == "auto":
        compute_type = _best_type(device, supported, weights_bytes)
    elif compute_type not in supported:
        raise SetupError(
            f"YTCAPTION_COMPUTE_TYPE is '{compute_type[:40]}', which the {device} of this machine "
            f"does not support. It supports: {', '.join(sorted(supported))}."
        )
    return Placement(device, compute_type, cpu_threads or _cores())


def _best_type(device: str, supported: set[str], weights_bytes: int) -> str:
    if device == "cpu":
        preferred = _CPU_TYPES
    elif _is_memory_short(weights_bytes):
        preferred = _GPU_TYPES[1:]
    else:
        preferred = _GPU_TYPES
    return next((each for each in preferred if each in supported), "default")


def _is_memory_short(weights_bytes: int) -> bool:
    free_bytes = _free_gpu_bytes()
    if free_bytes is None:
        return weights_bytes > _LARGE_BYTES
    return free_bytes < weights_bytes + _WORK_BYTES


def _free_gpu_bytes() -> int | None:
    """Return the free memory of the first GPU; None without torch (extra `gpu`), which reports
    it."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch  # pyright: ignore[reportMissingImports] - the extra gpu

    if not torch.cuda.is_available():
        return None
    return int(torch.cuda.mem_get_info(0)[0])


def _gpu_problem() -> str | None:
    """Return why no GPU can be used; None if one can."""
    import ctranslate2

    try:
        count = ctranslate2.get_cuda_device_count()
    except (RuntimeError, ValueError):  # a driver that is installed and does not work
        count = 0
    if not count:
        return "no CUDA device is visible (is NVIDIA's driver installed?)"
    if not _load_cublas():
        logger.warning("there is a GPU, but %s is missing", _CUBLAS)
        return f"the library {_CUBLAS} is missing (`pip install nvidia-cublas-cu12`)"
    return None


def _load_cublas() -> bool:
    """Load cuBLAS and return whether it worked.

    CTranslate2 opens it by name at its first matrix product; pip installs it where no loader looks.
    """
    folders = [Path(each) / "nvidia" / "cublas" / "lib" for each in site.getsitepackages()]
    installed = [folder for folder in folders if (folder / _CUBLAS).is_file()]
    try:
        for name in (_CUBLAS.replace("cublas", "cublasLt"), _CUBLAS):
            path = str(installed[0] / name) if installed else name
            ctypes.CDLL(path, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def _supported_types(device: str) -> set[str]:
    import ctranslate2

    return set(ctranslate2.get_supported_compute_types(device))


def _cores() -> int:
    return len(os.sched_getaffinity(0))


_models: "OrderedDict[tuple[Path, str, Placement], WhisperModel]" = OrderedDict()
_loading = threading.Lock()


def loaded_model(directory: Path, revision: str, placement: Placement) -> "WhisperModel":
    """Return the model, loaded once a process; the two used last are kept.

    Raises:
        ModelCorrupt: the files are not a Whisper model that CTranslate2 can read.
        SetupError: the model does not fit on the GPU.
    """
    key = (directory, revision, placement)
    with _loading:
        if key not in _models:
            _models[key] = _load(directory, placement)
        _models.move_to_end(key)
        while len(_models) > _MAX_LOADED_MODELS:
            _models.popitem(last=False)
        return _models[key]


def _load(directory: Path, placement: Placement) -> "WhisperModel":
    import ctranslate2
    from faster_whisper import WhisperModel

    if placement.device == "cpu":
        keep_freed_memory()
    ctranslate2.set_random_seed(0)  # the decoder samples when it is uncertain
    try:
        return WhisperModel(
            str(directory),
            device=placement.device,
            compute_type=placement.compute_type,
            cpu_threads=placement.cpu_threads,
            num_workers=placement.workers,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError, MemoryError) as error:
        if placement.device == "cuda":
            raise SetupError(
                f"The model cannot be loaded on the GPU ({str(error).splitlines()[0][:120]}). Free "
                "its memory, choose a smaller model, or set YTCAPTION_DEVICE=cpu."
            ) from error
        logger.warning("loading a model failed: %s", error)
        if shortage := shortage_of(error):
            raise shortage from error
        raise ModelCorrupt(
            f"The files of the model '{directory.name}' cannot be loaded. Delete its folder to "
            "fetch it again."
        ) from error


def loaded_model_names() -> list[str]:
    """Return the names of the models that this process has loaded."""
    return sorted({directory.name for directory, _, _ in list(_models)})


def unload_models() -> None:
    """Free the memory of all models; none may be in use. They are loaded again when needed."""
    with _loading:
        for model in _models.values():
            model.model.unload_model()  # other references to the object then hold no weights
        _models.clear()


def gpu_count() -> int:
    """Return how many GPUs this process can use; CUDA is queried only if there is a driver."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    import ctranslate2

    return 0 if _gpu_problem() is not None else ctranslate2.get_cuda_device_count()
