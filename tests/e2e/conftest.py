"""A provider double, and a gateway in front of it, as real processes."""

from collections.abc import Iterator

import pytest

from served_processes import Served, serving


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving("double", tmp_path_factory.mktemp("double")) as served:
        yield served


@pytest.fixture(scope="module")
def gateway(double: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    upstreams = ["--upstream", f"anthropic={double.url}", "--upstream", f"openai={double.url}/v1"]
    with serving("serve", tmp_path_factory.mktemp("gateway"), *upstreams) as served:
        yield served
