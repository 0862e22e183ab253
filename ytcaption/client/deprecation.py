"""Old names that still work in this release, with a `DeprecationWarning`."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any


def warn_renamed(old: str, new: str, stacklevel: int = 3) -> None:
    """Warn that `old` is now `new`; `stacklevel` 3 blames the caller of the calling function."""
    warnings.warn(
        f"{old} is deprecated and will be removed in the next release: use {new}.",
        DeprecationWarning,
        stacklevel=stacklevel,
    )


def with_new_names(options: Mapping[str, Any], **renamed: str) -> dict[str, Any]:
    """Return the options under their new names.

    Args:
        renamed: old name -> new name.
    """
    values = dict(options)
    for old, new in renamed.items():
        if old in values:
            warn_renamed(old, new, stacklevel=4)
            values.setdefault(new, values.pop(old))
    return values


def old_attribute(old: str, new: str) -> Any:
    """Return a property that reads the attribute `new` under its old name."""

    def read(self: object) -> Any:
        warn_renamed(old, new)
        return getattr(self, new)

    return property(read, doc=f"Old name of `{new}`.")


def old_module_names(module: str, renamed: Mapping[str, Any]) -> Callable[[str], Any]:
    """Return a module's `__getattr__` for classes that were renamed.

    Args:
        renamed: old name -> the class.
    """

    def read(name: str) -> Any:
        if name in renamed:
            warn_renamed(f"{module}.{name}", renamed[name].__name__)
            return renamed[name]
        raise AttributeError(f"module {module!r} has no attribute {name!r}")

    return read
