"""The version of this installation."""

from importlib import metadata

VERSION = metadata.version("ytcaption")
