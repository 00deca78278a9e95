import json
import subprocess
import sys

import pytest

import bursar

_HEAVY = {
    "aiohttp",
    "alembic",
    "genai_prices",
    "httptools",
    "prometheus_client",
    "pydantic",
    "splintr",
    "sqlalchemy",
    "sqlite3",
    "typer",
    "uvicorn",
    "uvloop",
}


def test_the_public_names_are_those_that_exist() -> None:
    assert bursar.__all__ == ["__version__", "batch"]
    for name in bursar.__all__:
        assert getattr(bursar, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        _ = bursar.nonsense  # type: ignore[attr-defined]


def test_importing_bursar_takes_in_nothing_heavy() -> None:
    script = "import bursar, json, sys; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", script]))
    assert not _HEAVY & set(loaded)
    assert "asyncio" not in loaded
