"""Examples below a command's `--help`."""

_BY_COMMAND = {
    "serve": (
        "bursar serve",
        "bursar serve --config bursar.toml",
        "bursar serve --port 4100 --upstream anthropic=http://127.0.0.1:4010",
    ),
    "double": (
        "bursar double --port 4010 --latency-ms 50 --tokens-per-s 80",
        "bursar double --transcripts talks.jsonl --tools tools.json --error-rate 0.05",
    ),
    "batch run": (
        "bursar batch run tickets.jsonl --instruction triage.txt --schema triage.json",
        (
            "bursar batch run tickets.jsonl --instruction triage.txt --schema triage.json --via provider "
            "--upstream https://api.anthropic.com"
        ),
    ),
    "batch cancel": (
        "bursar batch cancel tickets.answers.jsonl.journal --upstream https://api.anthropic.com",
    ),
    "demo": ("bursar demo", "bursar demo --transcripts talks.jsonl --tools tools.json"),
    "replay": (
        "bursar replay talks.jsonl --tools tools.json --bound",
        "bursar replay traffic.jsonl --config new.toml --by tenant,agent",
        "bursar replay traffic.jsonl --without history,tool_results",
    ),
    "route train": (
        "bursar route train outcomes.jsonl --out route.model",
        "bursar route train outcomes.jsonl --models claude-haiku-4-5,claude-sonnet-4-6 --group-by subject",
    ),
    "route eval": (
        "bursar route eval outcomes.jsonl --price weak=0.24 --price strong=24.7 --plot curve.svg",
        "bursar route eval outcomes.jsonl --price weak=0.24 --price strong=24.7 --quality 0.98 --json",
    ),
    "report": (
        "bursar report --by tenant,agent",
        "bursar report --by conversation --since 24h --limit 20",
        "bursar report --by component --since 2026-11-01 --json",
    ),
    "doctor": (
        "bursar doctor",
        "bursar doctor --since 7d --json",
        "bursar doctor traffic.jsonl",
        "bursar doctor talks.jsonl --tools tools.json --model claude-sonnet-4-6",
    ),
    "budget show": (
        "bursar budget show",
        "bursar budget show --scope tenant:acme --json",
        'bursar budget show --scope "conversation:acme/*" --all',
    ),
    "budget set": (
        "bursar budget set --scope tenant:acme --limit-usd 500 --window month --timezone Europe/Berlin",
        'bursar budget set --scope "conversation:*" --limit-turns 40',
        "bursar budget set --scope agent:acme/desk --limit-usd 20 --window day --ladder none",
    ),
    "budget unset": ("bursar budget unset --scope tenant:acme --window month",),
    "budget reconcile": ("bursar budget reconcile --config bursar.toml --fix",),
    "budget dry-run": (
        "bursar budget dry-run --scope tenant:acme --limit-usd 500 --window month",
        'bursar budget dry-run --scope "conversation:*" --limit-usd 0.50 --window total --since 7d --json',
    ),
    "key create": (
        "bursar key create --tenant acme --agent help-desk --limit-usd 50 --window month --expires 90d",
        'bursar key create --tenant acme --models "claude-haiku-*" --tasks triage --json',
        "bursar key create --tenant acme --role reader",
    ),
    "key list": ("bursar key list", "bursar key list --json"),
    "key rotate": ("bursar key rotate k-3f0c91d27a44 --overlap 24h",),
    "key revoke": ("bursar key revoke k-3f0c91d27a44",),
    "alert test": ("bursar alert test slack --config bursar.toml",),
    "alert list": ("bursar alert list", "bursar alert list --all --json"),
    "anomaly list": ("bursar anomaly list", "bursar anomaly list --limit 5 --json"),
    "audit list": ("bursar audit list", "bursar audit list --limit 5 --json"),
    "alert ack": ("bursar alert ack 17",),
    "stop": ('bursar stop tenant:acme --reason "a loop since 3 o\'clock"', "bursar stop agent:acme/desk"),
    "resume": ("bursar resume tenant:acme",),
    "conversation resume": (
        "bursar conversation resume c-1842 --tenant acme",
        "bursar conversation resume c-1842 --tenant acme --limit-usd 2",
        "bursar conversation resume c-1842 --tenant acme --limit-turns 80",
    ),
    "tenant erase": ("bursar tenant erase acme --dry-run", "bursar tenant erase acme --yes --json"),
    "prices show": (
        "bursar prices show",
        "bursar prices show claude-sonnet-4-6 gpt-6-astra",
        'bursar prices show "claude-*" --at 2026-03-01',
        "bursar prices show my-model --config bursar.toml --json",
    ),
    "config check": (
        "bursar config check --config bursar.toml",
        "bursar config check --config bursar.toml --tenant acme --agent help-desk",
        "bursar config check --config bursar.toml --json",
    ),
    "prices check": ("bursar prices check", "bursar prices check --config bursar.toml --json"),
}


def examples(command: str) -> str:
    """Return a command's examples as the Markdown that Typer shows below its options."""
    return "\n\n".join(["**Examples**", *(f"- `{line}`" for line in _BY_COMMAND[command])])
