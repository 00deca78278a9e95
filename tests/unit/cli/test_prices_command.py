import json

import pytest
from typer.testing import CliRunner

from bursar.cli.prices import prices_app
from bursar.errors import BadSetting, CallerMistake

RUNNER = CliRunner(env={"COLUMNS": "100", "NO_COLOR": "1"})


def run(*args: str):
    return RUNNER.invoke(prices_app, args, catch_exceptions=True)


@pytest.fixture
def config(tmp_path):
    file = tmp_path / "bursar.toml"
    file.write_text(
        """
        [prices."my-model"]
        from = 2026-11-01
        input = "0.20"
        output = "0.80"
        cache_write_1h = "0.25"

        [prices."claude-sonnet-4-6"]
        input = "2.40"
        output = "12"
        """
    )
    return str(file)


def test_one_models_price_is_shown_with_all_that_belongs_to_it():
    result = run("show", "claude-haiku-5-5", "--at", "2026-11-23")
    assert result.exit_code == 0
    for part in ("0.125", "prompt > 100,000", "2.50", "batch 0.5x", "us 1.1x", "web_search 10.00", "genai"):
        assert part in result.output


def test_a_tier_with_rates_of_its_own_has_rows_of_its_own():
    output = run("show", "gpt-5.4", "--at", "2026-11-23").output
    assert "tier flex" in output
    assert "0.13" in output
    assert "flex (see its rates)" in output


def test_another_name_and_a_coming_change_are_told():
    output = run("show", "google/gemini-4-argon", "--at", "2026-11-23").output
    assert "priced as gemini-4-argon" in output
    assert "changes on 2026-12-01" in output


def test_all_models_fit_in_a_hundred_columns():
    lines = run("show").output.splitlines()
    assert any(line.startswith("gpt-6-astra") for line in lines)
    assert max(len(line) for line in lines) <= 100


def test_json_gives_amounts_as_decimal_text():
    (shown,) = json.loads(run("show", "gpt-6-astra", "--json", "--at", "2026-11-23").output)["prices"]
    assert shown["usd_per_million_tokens"] == {
        "input": "10.000000000",
        "cache_read": "1.000000000",
        "cache_write_30m": "12.500000000",
        "cache_write_12h": "25.000000000",
        "output": "50.000000000",
    }
    assert shown["steps"][0]["above_tokens"] == 272_000
    assert shown["tiers"]["flex"] == "0.5"
    assert shown["usd_per_thousand_requests"] == {"web_search": "10.000000000"}


def test_a_day_chooses_the_price_and_the_next_change_is_named():
    (before,) = json.loads(run("show", "claude-sonnet-4-6", "--json", "--at", "2026-03-12").output)["prices"]
    (after,) = json.loads(run("show", "claude-sonnet-4-6", "--json", "--at", "2026-03-13").output)["prices"]
    assert (len(before["steps"]), before["changes_on"]) == (1, "2026-03-13")
    assert (len(after["steps"]), after["from"]) == (0, "2026-03-13")


def test_a_pattern_shows_every_model_that_fits():
    shown = json.loads(run("show", "claude-opus-5*", "--json").output)["prices"]
    assert [price["model"] for price in shown] == ["claude-opus-5", "claude-opus-5-5"]


def test_another_name_is_priced_as_its_model():
    (shown,) = json.loads(run("show", "anthropic/claude-sonnet-4.6", "--json").output)["prices"]
    assert shown["priced_as"] == "claude-sonnet-4-6"


def test_the_operators_prices_win(config):
    shown = json.loads(run("show", "claude-sonnet-4-6", "my-model", "--json", "--config", config).output)
    assert [price["usd_per_million_tokens"]["input"] for price in shown["prices"]] == [
        "2.400000000",
        "0.200000000",
    ]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ("claude-sonet-4-6",),
            'no price is known for model "claude-sonet-4-6"; did you mean claude-sonnet-4-6',
        ),
        (("zzz",), r'add [prices."zzz"] to bursar.toml'),
        (("zzz-*",), 'no model fits "zzz-*"'),
        (("gpt-5", "--at", "yesterday"), '--at: "yesterday" is no day; write it as 2026-11-01'),
    ],
)
def test_a_callers_mistake_is_named_with_its_mend(args, message):
    error = run("show", *args).exception
    assert isinstance(error, CallerMistake)
    assert message in str(error)


def test_a_price_that_has_not_started_says_when_it_does(config):
    error = run("show", "my-model", "--config", config, "--at", "2026-10-31").exception
    assert str(error) == (
        'the price of "my-model" starts on 2026-11-01, after 2026-10-31; ask for a later --at'
    )


def test_a_broken_file_is_named_with_its_place(tmp_path):
    file = tmp_path / "bursar.toml"
    file.write_text('[prices.m]\ninput = 0.2\noutput = "1"\n')
    error = run("check", "--config", str(file)).exception
    assert isinstance(error, BadSetting)
    assert 'prices.m.0.input: 0.2 is a binary fraction; quote the number: "0.2"' in str(error)


def test_check_fails_on_a_price_that_cannot_be_right(config):
    result = run("check", "--config", config)
    assert result.exit_code == 1
    assert "my-model 2026-11-01.cache_write_1h" in result.output
    assert "errors: 1, warnings: 0" in result.output


def test_check_as_json_says_where_and_how_to_mend(config):
    result = run("check", "--config", config, "--json")
    assert result.exit_code == 1
    report = json.loads(result.output)
    assert report["errors"] == 1
    assert report["findings"] == [
        {
            "model": "my-model",
            "place": "2026-11-01.cache_write_1h",
            "severity": "error",
            "problem": "0.25 USD is 1.25x the input rate",
            "mend": "providers charge 2x; 2x would be 0.4 USD",
        }
    ]


def test_check_passes_without_prices_of_ones_own():
    result = run("check")
    assert result.exit_code == 0
    assert "errors: 0, warnings: 0" in result.output


@pytest.mark.parametrize("command", ["show", "check"])
def test_help_has_examples(command):
    assert f"bursar prices {command}" in run(command, "--help").output
