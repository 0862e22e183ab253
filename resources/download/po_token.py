"""The one plugin of yt-dlp that an operator may name: a package that gets YouTube's PO tokens.

yt-dlp's own search for plugins stays off (docs/adr/security-rules.md#rule-4), so that no other
installed plugin is loaded. Only the processes of downloads and listings load the plugin.
"""

import importlib
from importlib.metadata import PackageNotFoundError, files

from ytcaption.domain.errors import SetupError

_FOLDER = ("yt_dlp_plugins", "extractor")


def check_provider(package: str | None) -> None:
    """Check that a package is installed and is a plugin of yt-dlp; None is valid.

    Raises:
        SetupError: it is not.
    """
    if package is not None and not _modules(package):
        raise SetupError(
            f"YTCAPTION_PO_TOKEN_PROVIDER: {package} is not installed here, or is no plugin of "
            f"yt-dlp. Install it beside ytcaption: pip install {package}"
        )


def load_provider(package: str) -> list[str]:
    """Import the package's modules, so that yt-dlp asks it for tokens.

    Returns:
        the keys of its providers.

    Raises:
        SetupError: it is not installed, no plugin of yt-dlp, or does not work with this yt-dlp.
    """
    check_provider(package)
    from yt_dlp.extractor.youtube.pot._registry import _pot_providers

    before = set(_pot_providers.value)
    try:
        for name in _modules(package):
            importlib.import_module(name)
    except Exception:
        raise SetupError(
            f"YTCAPTION_PO_TOKEN_PROVIDER: {package} does not work with this version of yt-dlp. "
            "Update both."
        ) from None
    return sorted(set(_pot_providers.value) - before)


def _modules(package: str) -> list[str]:
    try:
        installed = files(package) or ()
    except PackageNotFoundError:
        return []
    return sorted(
        ".".join(file.with_suffix("").parts)
        for file in installed
        if file.parts[:-1] == _FOLDER and file.suffix == ".py" and file.stem != "__init__"
    )
