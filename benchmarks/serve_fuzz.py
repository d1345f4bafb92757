"""Ten thousand random requests to a service, drawn from its own OpenAPI: how many it answers with an error of its own.

    uv run python benchmarks/serve_fuzz.py VECTORS [--recommender REC] [--model RUN] [--requests 10000]

Half of them fit what is promised, half break it on purpose. They go to the app in this process, as a client's would;
every answer from 500 on is printed with what was asked, but 503 (a part that is not named).
"""

from __future__ import annotations

import argparse
import contextlib
import time
from collections import Counter
from typing import Any
from unittest import SkipTest

import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.generation import GenerationMode

from audiomae.serve.app import make_app
from audiomae.verbs.serve import ServeSettings

LOCAL = {"host": "127.0.0.1"}
WITHOUT = ("/api/map",)
"""Begins a process that makes the map; asked by hand."""


def ask(
    operation: Any, mode: GenerationMode, examples: int, statuses: Counter[int], failures: list[str]
) -> None:
    """Send random requests to one path and method."""

    @seed(0)
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode))
    def one(case: Any) -> None:
        answer = case.call(headers=LOCAL)
        statuses[answer.status_code] += 1
        if answer.status_code >= 500 and answer.status_code != 503 and len(failures) < 20:
            failures.append(
                f"{operation.method} {operation.path} {case.query} {case.body}: {answer.text[:200]}"
            )

    one()


def main() -> None:
    """Ask, and print what came."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors")
    parser.add_argument("--recommender")
    parser.add_argument("--model")
    parser.add_argument("--requests", type=int, default=10_000)
    wanted = parser.parse_args()
    asked = ServeSettings(
        wanted.vectors, recommender=wanted.recommender, model=wanted.model, access_log=False
    )
    app = make_app(asked)
    app.state.serve.open_parts()  # what is imported late, before Hypothesis looks through the modules
    schema = schemathesis.openapi.from_asgi("/openapi.json", app, headers=LOCAL)
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [one for one in operations if one.path not in WITHOUT]
    statuses, failures = Counter[int](), list[str]()
    began = time.perf_counter()
    rounds = 0
    # Paths without parameters have few different requests; the others are asked more until the number is reached.
    while sum(statuses.values()) < wanted.requests and rounds < 20:
        left = wanted.requests - sum(statuses.values())
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                examples = max(1, left // len(operations) // 2)
                with contextlib.suppress(
                    Unsatisfiable, SkipTest
                ):  # nothing can break a request without parameters
                    ask(operation, mode, examples, statuses, failures)
        rounds += 1
    print(
        f"{sum(statuses.values())} requests to {len(operations)} paths in {time.perf_counter() - began:.0f} s"
    )
    print(", ".join(f"{status}: {count}" for status, count in sorted(statuses.items())))
    print(*failures, sep="\n")
    app.state.serve.close()


if __name__ == "__main__":
    main()
