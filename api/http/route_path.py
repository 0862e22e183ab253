"""The path that routes are matched by."""

from starlette.types import Scope


def route_path(scope: Scope) -> str:
    """Return a request's path without the prefix that a proxy added."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
