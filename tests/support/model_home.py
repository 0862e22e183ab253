"""The models that tests transcribe with, fetched once per machine."""

from pathlib import Path

import pytest

from resources.models.store import ensure_model


@pytest.fixture(scope="session")
def model_home() -> Path:
    """A models' home with tiny.en in it, kept between test runs: a folder that CI can cache."""
    home = Path.home() / ".cache" / "ytcaption-test-models"
    ensure_model("tiny.en", home)
    return home


@pytest.fixture(scope="session")
def base_model_home(model_home: Path) -> Path:
    """The same with base, which is multilingual."""
    ensure_model("base", model_home)
    return model_home
