"""Every private name of Dagster that we use is still there."""

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from inspect import getsource

import pytest
import yaml

from resources.orchestration import dagster_internals
from resources.orchestration.dagster_internals import (
    ARTIFACT_STORAGE,
    PRELOADED_MODULES,
    PRIVATE_NAMES,
)
from tests.support.paths import ROOT


@pytest.mark.parametrize("name", PRIVATE_NAMES)
def test_dagster_still_has_the_name(name):
    """An upgrade of Dagster that moves or removes a name fails here, and names it."""
    private = PRIVATE_NAMES[name]
    expected = getattr(import_module(private.module), name)
    assert getattr(dagster_internals, name) is expected
    assert private.reason.endswith(".")


@pytest.mark.parametrize("module", PRELOADED_MODULES)
def test_dagster_still_has_the_preloaded_module(module):
    """The run server imports these by name."""
    assert find_spec(module) is not None


def test_dagster_still_has_what_dagster_yaml_names():
    """Our dagster.yaml names one private module."""
    text = (ROOT / "ytcaption_assets/dagster.yaml").read_text()
    artifacts = yaml.safe_load(text)["local_artifact_storage"]
    assert artifacts["module"] == ARTIFACT_STORAGE.module
    assert hasattr(import_module(ARTIFACT_STORAGE.module), artifacts["class"])


def test_the_type_checker_reads_the_same_names():
    """What the type checker imports and what is imported at run time is one list."""
    typed = {
        alias.name: node.module
        for node in ast.walk(ast.parse(getsource(dagster_internals)))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster.")
        for alias in node.names
    }
    assert typed == {name: private.module for name, private in PRIVATE_NAMES.items()}


def test_a_name_that_is_not_listed_is_refused():
    """A misspelt name is an AttributeError, as in any module."""
    with pytest.raises(AttributeError, match="no attribute 'WorkerState'"):
        dagster_internals.WorkerState  # noqa: B018 # pyright: ignore[reportAttributeAccessIssue]


def test_importing_the_list_does_not_import_dagster():
    """Each name costs its own module's import, at its first use."""
    check = (
        "import sys, resources.orchestration.dagster_internals; assert 'dagster' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", check], check=True, cwd=ROOT)
