"""What /openapi.json promises, asked at random: whatever is sent, the service has no error of its own."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error

from audiomae.serve.app import make_app
from audiomae.verbs.serve import ServeSettings

EXAMPLES = 8
"""Random requests for each path and method."""


@pytest.fixture(scope="module")
def api(collection, recommender):
    app = make_app(ServeSettings(str(collection), recommender=str(recommender), most_songs=100))
    schema = schemathesis.openapi.from_asgi("/openapi.json", app)
    return schema


lazy = schemathesis.pytest.from_fixture("api")


@lazy.parametrize()
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_whatever_is_sent_the_service_has_no_error_of_its_own(case):
    response = case.call(headers={"host": "127.0.0.1"})
    if response.status_code != 503:  # a part that is not named, or not here
        not_a_server_error(None, response, case)
