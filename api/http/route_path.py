"""The path that routes are found by."""

from starlette.types import Scope


def route_path(scope: Scope) -> str:
    """A request's path, without what a proxy has put before it."""
    path, root = scope["path"], scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
