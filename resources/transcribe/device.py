"""Where the model runs and in which number format, and the loaded models of this process."""

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

from resources.processes.native_threads import keep_blocks
from ytcaption.domain.errors import ModelCorrupt, SetupError

if TYPE_CHECKING:
    from faster_whisper import WhisperModel

logger = logging.getLogger(__name__)

_WORK_BYTES = 1 << 30
"""On a GPU beside the weights: activations, beams, CUDA itself."""

_LARGE_BYTES = 2_000_000_000
"""Weights (float16) that go as int8 on a GPU of unknown free memory: large-v3 then takes 2.1 GB
instead of 4."""

_CUBLAS = "libcublas.so.12"

_GPU_TYPES = ("float16", "int8_float16", "int8_float32", "int8", "float32")
_CPU_TYPES = ("int8", "int8_float32", "float32")
_LOADED_MODELS = 2


@dataclass(frozen=True)
class Placement:
    """Where and how a model runs.

    Attributes:
        device: `cuda` or `cpu`.
        compute_type: CTranslate2's, such as `int8`.
        cpu_threads: of each worker, on a CPU.
        workers: that use the same weights side by side.
    """

    device: str
    compute_type: str
    cpu_threads: int
    workers: int = 1


def placement(device: str, compute_type: str, cpu_threads: int, weights_bytes: int) -> Placement:
    """What the settings and this machine come to.

    Args:
        device: `auto`, `cpu` or `cuda`.
        compute_type: `auto` or CTranslate2's.
        cpu_threads: 0: one for each core this process may use.
        weights_bytes: size of `model.bin`, which holds float16.

    Raises:
        SetupError: no such device or format here.
    """
    if device != "cpu":
        hindrance = _gpu_hindrance()
        if device == "cuda" and hindrance is not None:
            raise SetupError(
                f"YTCAPTION_DEVICE is cuda, but {hindrance}. Mend that, or set it to auto or cpu."
            )
        device = "cpu" if hindrance is not None else "cuda"
    supported = _supported(device)
    if compute_type == "auto":
        compute_type = _best_type(device, supported, weights_bytes)
    elif compute_type not in supported:
        raise SetupError(
            f"YTCAPTION_COMPUTE_TYPE is '{compute_type[:40]}', which the {device} of this machine "
            f"does not have. It has: {', '.join(sorted(supported))}."
        )
    return Placement(device, compute_type, cpu_threads or _cores())


def _best_type(device: str, supported: set[str], weights_bytes: int) -> str:
    if device == "cpu":
        wanted = _CPU_TYPES
    elif _is_memory_short(weights_bytes):
        wanted = _GPU_TYPES[1:]
    else:
        wanted = _GPU_TYPES
    return next((each for each in wanted if each in supported), "default")


def _is_memory_short(weights_bytes: int) -> bool:
    free_bytes = _free_gpu_bytes()
    if free_bytes is None:
        return weights_bytes > _LARGE_BYTES
    return free_bytes < weights_bytes + _WORK_BYTES


def _free_gpu_bytes() -> int | None:
    """Free memory of the first GPU; None without torch (extra `gpu`), which knows it."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch  # pyright: ignore[reportMissingImports] - the extra gpu

    if not torch.cuda.is_available():
        return None
    return int(torch.cuda.mem_get_info(0)[0])


def _gpu_hindrance() -> str | None:
    """Why no GPU can be used; None where one can."""
    import ctranslate2

    try:
        count = ctranslate2.get_cuda_device_count()
    except (RuntimeError, ValueError):  # a driver that is there and does not work
        count = 0
    if not count:
        return "no CUDA device can be seen here (is NVIDIA's driver installed?)"
    if not _load_cublas():
        logger.warning("a GPU is there, but %s is not", _CUBLAS)
        return f"the library {_CUBLAS} is missing (`pip install nvidia-cublas-cu12`)"
    return None


def _load_cublas() -> bool:
    """CTranslate2 opens it by name at its first product; pip puts it where no loader looks."""
    folders = [Path(each) / "nvidia" / "cublas" / "lib" for each in site.getsitepackages()]
    found = [folder for folder in folders if (folder / _CUBLAS).is_file()]
    try:
        for name in (_CUBLAS.replace("cublas", "cublasLt"), _CUBLAS):
            ctypes.CDLL(str(found[0] / name) if found else name, mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


def _supported(device: str) -> set[str]:
    import ctranslate2

    return set(ctranslate2.get_supported_compute_types(device))


def _cores() -> int:
    return len(os.sched_getaffinity(0))


_models: "OrderedDict[tuple[Path, str, Placement], WhisperModel]" = OrderedDict()
_loading = threading.Lock()


def loaded_model(directory: Path, revision: str, where: Placement) -> "WhisperModel":
    """The model, loaded once a process; the two used last are kept.

    Raises:
        ModelCorrupt: the files are no Whisper model that CTranslate2 reads.
        SetupError: the GPU cannot take it.
    """
    key = (directory, revision, where)
    with _loading:
        if key not in _models:
            _models[key] = _load(directory, where)
        _models.move_to_end(key)
        while len(_models) > _LOADED_MODELS:
            _models.popitem(last=False)
        return _models[key]


def _load(directory: Path, where: Placement) -> "WhisperModel":
    import ctranslate2
    from faster_whisper import WhisperModel

    if where.device == "cpu":
        keep_blocks()
    ctranslate2.set_random_seed(0)  # the decoder samples where it is in doubt
    try:
        return WhisperModel(
            str(directory),
            device=where.device,
            compute_type=where.compute_type,
            cpu_threads=where.cpu_threads,
            num_workers=where.workers,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        if where.device == "cuda":
            raise SetupError(
                f"The GPU cannot take the model ({str(error).splitlines()[0][:120]}). Free its "
                "memory, choose a smaller model, or set YTCAPTION_DEVICE=cpu."
            ) from error
        logger.warning("loading a model failed: %s", error)
        raise ModelCorrupt(
            f"The files of the model '{directory.name}' cannot be loaded. Delete its folder to "
            "have it fetched again."
        ) from error


def loaded_names() -> list[str]:
    """Of the models that this process holds."""
    return sorted({directory.name for directory, _, _ in list(_models)})


def unload_models() -> None:
    """Gives their memory back; nobody may be using them. They are loaded again when asked for."""
    with _loading:
        for model in _models.values():
            model.model.unload_model()  # whoever still holds the object holds no weights
        _models.clear()


def gpu_count() -> int:
    """GPUs that this process may use; 0 where none would work. CUDA is asked where a driver is."""
    if not any(Path("/dev").glob("nvidia[0-9]*")) and not Path("/dev/dxg").exists():
        return 0
    import ctranslate2

    return 0 if _gpu_hindrance() is not None else ctranslate2.get_cuda_device_count()
