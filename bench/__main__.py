"""Runs the benchmarks one after another. Give names to run only those: `python -m bench bill overhead`."""

import subprocess
import sys

BENCHMARKS = (
    "imports",
    "bill",
    "replay_accuracy",
    "techniques",
    "worst_case",
    "cold_start",
    "long_conversation",
    "retention",
    "tool_results",
    "stable_prefix",
    "identical_calls",
    "aborts",
    "kill",
    "overspend",
    "alerts",
    "budget_store",
    "budgets_overhead",
    "keys",
    "guards",
    "loops",
    "anomalies",
    "batches",
    "routing_quality",
    "routing_decision",
    "exchange",
    "wire",
    "ledger",
    "budget_store",
    "overhead",
)


def main() -> int:
    chosen = sys.argv[1:] or BENCHMARKS
    unknown = sorted(set(chosen) - set(BENCHMARKS))
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    failed: list[str] = []
    for name in chosen:
        print(f"\n== {name}", flush=True)
        if subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
