"""What /openapi.json promises, asked at random: whatever is sent, the service has no error of its own."""

from __future__ import annotations

import contextlib
from unittest import SkipTest

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from audiomae.serve.app import make_app
from audiomae.verbs.serve import ServeSettings

EXAMPLES = 6
"""Random requests for each path and method that fit what is promised, and as many that break it."""


@pytest.fixture(scope="module")
def operations(collection, recommender):
    """Every path and method, of a service with all parts but a model."""
    app = make_app(ServeSettings(str(collection), recommender=str(recommender), most_songs=100))
    local = {"host": "127.0.0.1"}
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=local)
    yield [found.ok() for found in schema.get_all_operations()]
    app.state.serve.close()


def test_whatever_is_sent_the_service_has_no_error_of_its_own(operations):
    answered: dict[str, list[int]] = {}

    def check(operation, mode):
        name = f"{operation.method.upper()} {operation.path}"

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def asked(case):
            response = case.call(headers={"host": "127.0.0.1"})
            assert response.status_code < 500, f"{name} {case.query} {case.body}: {response.text[:300]}"
            answered.setdefault(name, []).append(response.status_code)

        with contextlib.suppress(Unsatisfiable, SkipTest):  # nothing can break a request without parameters
            asked()

    for operation in operations:
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            check(operation, mode)
    assert len(answered) >= 25
    assert sum(map(len, answered.values())) > 150
    assert {200, 404, 422} <= {status for statuses in answered.values() for status in statuses}
