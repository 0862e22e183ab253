"""A pytest plugin for `make mutants`, which runs the same tests thousands of times.

Plain tests run before generated ones, since the first that fails decides. Hypothesis takes the same
few examples each time and does not look for a simpler one.
"""

import hypothesis
import pytest

hypothesis.settings.register_profile(
    "mutants",
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=(hypothesis.Phase.explicit, hypothesis.Phase.generate),
    suppress_health_check=list(hypothesis.HealthCheck),
)
hypothesis.settings.load_profile("mutants")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the tests."""
    items.sort(key=lambda item: hypothesis.is_hypothesis_test(getattr(item, "obj", None)))
