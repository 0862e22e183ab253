"""Secrets in environments."""

import pytest

from ytcaption.settings.secret_variables import SECRETS, only_secrets
from ytcaption.settings.settings import Settings

pytestmark = pytest.mark.unit


def test_a_new_secret_setting_is_withheld_until_a_process_is_said_to_need_it():
    """Every setting whose type hides its value is in the list."""
    hidden = {
        f"YTCAPTION_{name.upper()}"
        for name, field in Settings.fields()
        if "SecretStr" in str(field.annotation)
    }
    assert len(hidden) >= 10 and hidden <= SECRETS


def test_only_what_is_needed_is_left():
    """Everything that is no secret stays."""
    environment = {"PATH": "/bin", "YTCAPTION_JWT_SECRET": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    assert only_secrets(environment, ()) == {"PATH": "/bin"}
    assert only_secrets(environment, {"YTCAPTION_JWT_SECRET"}) == {
        "PATH": "/bin",
        "YTCAPTION_JWT_SECRET": "a",
    }
