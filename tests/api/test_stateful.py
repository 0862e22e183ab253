"""Chains of requests that use earlier responses: no 5xx, and the document holds."""

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, seed
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import FlakyStrategyDefinition
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig

from resources.auth.api_keys import ApiKeys
from tests.api.conftest import AUDIO, AUDIO_KEY, World, serving
from tests.api.test_openapi import REFUSALS, is_no_http
from ytcaption.settings.settings import Settings

SEEDS, CHAINS, STEPS = 60, 7, 10
"""Few chains a seed: the server has a clock and ids of its own, and Hypothesis, which expects equal
beginnings to go on equally, gives up sooner or later."""

ALONE = {
    "streamTranscriptionEvents": "its answer lasts as long as the work does: test_events.py",
    "dryRunChannel": "it asks the site: test_channels.py",
    "pausePart": "all others would be refused from then on: tests/api/admin/test_routes.py",
    "listOpenAIModels": "it has no state, and would be half of all requests",
    "getOpenAIModel": "the same: tests/api/openai/test_routes.py",
    "revokeApiKey": "a chain would lock itself out: test_authentication.py",
    "rotateApiKey": "the same",
}
"""Operations that have tests of their own, and why."""

CHECKS = {
    # What no schema can say: which links are of a known site, which ids exist.
    "positive_data_acceptance": {
        "expected-statuses": ["2xx", 304, 400, 404, 409, 410, 412, 416, 422]
    },
    "negative_data_rejection": {"expected-statuses": REFUSALS},
    # What was erased may be requested again.
    "use_after_free": {"enabled": False},
    "ensure_resource_availability": {"enabled": False},
}


ONCE = hypothesis_settings(
    max_examples=CHAINS,
    stateful_step_count=STEPS,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # a failure is shown as it was found; others trace every line
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("least", [200, pytest.param(3_000, marks=pytest.mark.slow)])
def test_chains_of_requests_keep_what_the_document_says(
    settings: Settings, world: World, dagster_home: Path, least: int
) -> None:
    """At least that number of requests over real HTTP, with ids taken from answers and links that
    can be opened.

    Each chain begins with one completed transcription and no other, so that it can be repeated.
    """
    key = ApiKeys.from_settings(settings).create("chains", ["admin"])
    answers: Counter[tuple[str, int]] = Counter()
    failures: list[BaseException] = []
    unlimited = settings.changed(requests_per_minute=1_000_000)
    with serving(unlimited) as server_url:
        config = SchemathesisConfig.from_dict(
            {
                "base-url": server_url,
                "headers": {"Authorization": f"Bearer {key.token}"},
                "checks": CHECKS,
            }
        )
        schema = schemathesis.openapi.from_url(f"{server_url}/openapi.json", config=config)
        machine = schema.exclude(operation_id=list(ALONE)).as_state_machine()

        class Chains(machine):
            """Gives links that can be opened to most of those who ask as they may."""

            number = 0

            def setup(self) -> None:
                self.number = 0
                _reset(world, key.row.id)

            def before_call(self, case: schemathesis.Case) -> None:
                self.number += 1
                positive = case.meta and case.meta.generation.mode is GenerationMode.POSITIVE
                if positive and self.number % 4:
                    _make_possible(case.body, self.number, case.operation.path)
                if case.method in ("GET", "HEAD") and "wait" in case.query:
                    # A wait that holds would outlast the client; one that does not stays.
                    with suppress(TypeError, ValueError):
                        if 0 <= float(case.query["wait"]) <= 60:
                            case.query["wait"] = 0

            def validate_response(self, response: Any, *args: Any, **kwargs: Any) -> None:
                if is_no_http(response):
                    return
                try:
                    super().validate_response(response, *args, **kwargs)
                except BaseException as error:
                    failures.append(error)
                    raise

            def after_call(self, response: Any, case: schemathesis.Case) -> None:
                answers[f"{case.method} {case.operation.path}", response.status_code] += 1

        for number in range(SEEDS):
            with suppress(FlakyStrategyDefinition):
                seed(number)(Chains).run(settings=ONCE)
            assert not failures, failures[0]
            if answers.total() >= least:
                break

    assert answers.total() >= least, answers.total()
    assert {status for _, status in answers} >= {200, 202, 204, 404, 409, 422}


def _reset(world: World, key_id: str) -> None:
    with world.request_store.postgres.transaction() as connection:
        connection.execute(
            "truncate ytcaption.request, ytcaption.segment, ytcaption.draft_segment, "
            "ytcaption.checkpoint, ytcaption.caption_track, ytcaption.caption_accuracy, "
            "ytcaption.delivery, ytcaption.delivery_attempt, "
            "ytcaption.transcription, ytcaption.media, ytcaption.idempotency, ytcaption.tombstone, "
            "ytcaption.channel, ytcaption.channel_item, ytcaption.channel_page cascade"
        )
        connection.execute("delete from ytcaption.api_key where id <> %s", (key_id,))
    world.completed()
    world.object_store.write_bytes(AUDIO_KEY, AUDIO)


def _make_possible(body: Any, number: int, path: str) -> None:
    if not isinstance(body, dict):
        return
    if path == "/api/v1/channels" and "url" in body:
        link = f"https://www.youtube.com/channel/UC{number:022d}"
        body |= {"url": link, "model": "base", "language": "en", "filters": {}}
        body["schedule"] = {"every": "1h"}
        return
    for item in body.get("items", [body]):
        if isinstance(item, dict) and "url" in item:
            item |= {"url": f"https://youtu.be/{number:011d}", "model": "base", "language": "en"}
