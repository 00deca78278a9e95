"""What importing bursar takes: milliseconds, and packages that it must not take in.

python -m bench.imports
"""

import json
import statistics
import subprocess
import sys

HEAVY = ("aiohttp", "uvicorn", "sqlalchemy", "sqlite3", "splintr", "pydantic", "genai_prices", "typer")
_RUNS = 9

_SCRIPT = """
import json, sys, time
started = time.perf_counter()
import bursar
print(json.dumps([(time.perf_counter() - started) * 1000, sorted(sys.modules)]))
"""


def main() -> None:
    runs = [json.loads(subprocess.check_output([sys.executable, "-c", _SCRIPT])) for _ in range(_RUNS)]
    taken_in = sorted(set(HEAVY) & set(runs[0][1]))
    print(f"import bursar: {statistics.median(r[0] for r in runs):.1f} ms (median of {_RUNS}); must be ≤ 100")
    print(f"web, database and tokenizer packages taken in: {', '.join(taken_in) or 'none'}")


if __name__ == "__main__":
    main()
