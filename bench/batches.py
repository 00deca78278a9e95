"""100 support tickets: batches of ten against one by one, the provider's batch API, and being killed.

Bills are the double's. One by one each ticket is a call of its own with the same instruction and schema,
without any caching; the labels that come back are compared. Then batches are killed with -9 again and again,
at every stage, and resumed.

    python -m bench.batches [--kills 12] [--model claude-haiku-4-5]
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.servers import bursar, free_port, running

_COUNT = 100
_SIZE = 10
_BOUNDS = {"batches / one by one": 0.25, "provider's jobs / batches": 0.5}
_ENVIRONMENT = {**os.environ, "ANTHROPIC_API_KEY": "bench", "OPENAI_API_KEY": "bench"}
_INSTRUCTION = Path(__file__).parent / "batch_work" / "triage.md"
_SCHEMA = {
    "type": "object",
    "properties": {
        "topic": {"enum": ["billing", "shipping", "returns", "account", "product", "other"]},
        "urgency": {"enum": ["low", "normal", "high"]},
        "review": {"type": "boolean"},
    },
    "required": ["topic", "urgency", "review"],
    "additionalProperties": False,
}
_OPENINGS = ("Hello,", "Hi there,", "Good morning,", "Dear team,", "To whom it may concern:")
_CAUSES = (
    "I ordered a {thing} ({number}) {when} and it has not arrived, although the tracking page says delivered",
    "the {thing} from order {number} came with a crack along its side and one part is missing",
    "my card was charged twice for order {number}, once {when} and once the day after",
    "I cannot sign in any more since {when}; the link for a new password never comes (customer {number})",
    "which cleaning tablets fit the {thing} that I bought {when} (order {number})",
    "I sent the {thing} of order {number} back {when} and have heard nothing of my refund",
)
_ENDS = (
    "Please tell me what happens next, since I am away from Friday on.",
    "I have written before and nobody answered. Could somebody have a look?",
    "A short answer is enough. Thank you for your help.",
    "Photographs are attached. I would rather have it replaced than money back.",
)
_THINGS = ("kettle", "table lamp", "coffee grinder", "vacuum cleaner", "bread knife", "blender", "desk fan")


def write_work(directory: Path) -> list[dict[str, Any]]:
    """Write items, labels, instruction and schema; returns the labels."""
    draw = random.Random(6)  # noqa: S311 - seeded tickets, not secrets
    labels: list[dict[str, Any]] = []
    for number in range(_COUNT):
        cause = draw.choice(_CAUSES).format(
            thing=draw.choice(_THINGS),
            number=10_000 + 137 * number,
            when=draw.choice(("last week", "on Monday", "three days ago", "in October")),
        )
        answer = {name: draw.choice(part.get("enum", [True, False])) for name, part in _parts().items()}
        text = f"{draw.choice(_OPENINGS)} {cause}. {draw.choice(_ENDS)}"
        labels.append({"id": f"ticket-{number:03d}", "text": text, "answer": answer})
    _write_lines(directory / "labels.jsonl", labels)
    _write_lines(directory / "items.jsonl", [{"id": each["id"], "text": each["text"]} for each in labels])
    (directory / "schema.json").write_text(json.dumps(_SCHEMA))
    (directory / "triage.md").write_text(_INSTRUCTION.read_text())
    return labels


def _parts() -> dict[str, dict[str, Any]]:
    properties: Any = _SCHEMA["properties"]
    return properties


def _write_lines(path: Path, rows: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _ask(url: str, body: Any = None, method: str = "GET") -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json", "x-api-key": "bench", "anthropic-version": "2023-06-01"}
    request = urllib.request.Request(url, data, headers, method=method)  # noqa: S310 - loopback, our own server
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - the same
        return json.load(answer)


class Bench:
    """The double, a gateway in front of it, and the work.

    Args:
        double: The double's URL.
        gateway: The gateway's.
        directory: Where the work is.
        model: The model that is asked.
    """

    def __init__(self, double: str, gateway: str, directory: Path, model: str) -> None:
        self._double = double
        self.gateway = gateway
        self._directory = directory
        self._model = model

    @property
    def double(self) -> str:
        """The double's base URL, as the model's SDK takes it."""
        return self._double if self._model.startswith("claude") else f"{self._double}/v1"

    def bill(self) -> tuple[int, int]:
        """Return the double's calls and cost in nusd."""
        bill = _ask(f"{self._double}/bill")
        return bill["calls"], int(bill["cost_usd"].replace(".", ""))

    def reset(self) -> None:
        _ask(f"{self._double}/reset", {}, "POST")

    def one_by_one(self, labels: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Ask about each ticket alone; returns the answers by id."""
        system = (
            f"{_INSTRUCTION.read_text()}\nAnswer with JSON alone, as this schema says:\n{json.dumps(_SCHEMA)}"
        )
        found: dict[str, Any] = {}
        for label in labels:
            user = {"role": "user", "content": label["text"]}
            if self._model.startswith("claude"):
                body = {"model": self._model, "max_tokens": 300, "system": system, "messages": [user]}
                said = _ask(f"{self._double}/v1/messages", body, "POST")["content"][0]["text"]
            else:
                raise SystemExit("one by one is asked at Anthropic's API only")
            found[label["id"]] = json.loads(said)
        return found

    def command(self, *more: str) -> list[str]:
        given = ["--instruction", "triage.md", "--schema", "schema.json", "--size", str(_SIZE), "--json"]
        return bursar("batch", "run", "items.jsonl", *given, "--model", self._model, *more)

    def run(self, *more: str) -> Any:
        """Run a batch to its end; returns what it says."""
        done = subprocess.run(
            self.command(*more), cwd=self._directory, env=_ENVIRONMENT, capture_output=True, check=False
        )
        if done.returncode:
            raise SystemExit(f"bursar batch run ended with {done.returncode}: {done.stderr.decode()}")
        return json.loads(done.stdout)

    def answers(self) -> dict[str, Any]:
        rows = (self._directory / "items.answers.jsonl").read_text().splitlines()
        return {row["id"]: row["answer"] for row in map(json.loads, rows)}

    def forget(self, salt: str) -> None:
        """Begin anew, with an instruction that no kept answer knows."""
        for file in self._directory.glob("items.answers*"):
            file.unlink()
        (self._directory / "triage.md").write_text(f"{_INSTRUCTION.read_text()}\n{salt}\n")
        self.reset()

    def kill(self, records: int, *more: str) -> None:
        """Run a batch, and kill it once its journal has so many records, or a little later."""
        process = subprocess.Popen(
            self.command(*more),
            cwd=self._directory,
            env=_ENVIRONMENT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        journal = self._directory / "items.answers.jsonl.journal"
        while process.poll() is None:
            if journal.exists() and journal.read_bytes().count(b"\n") >= records:
                break
            time.sleep(0.001)
        time.sleep(0.01 * (records % 5))
        process.kill()
        process.wait()


def compare(bench: Bench, labels: Sequence[dict[str, Any]]) -> bool:
    """Compare the bills of the three ways, and their labels."""
    wanted = {label["id"]: label["answer"] for label in labels}
    bench.reset()
    equal = bench.one_by_one(labels) == wanted
    (calls, alone_nusd), rows = bench.bill(), list[tuple[str, int, int]]()
    rows.append(("one by one", calls, alone_nusd))
    bench.forget("")
    bench.run("--gateway", bench.gateway)
    equal &= bench.answers() == wanted
    calls, batch_nusd = bench.bill()
    rows.append((f"batches of {_SIZE}", calls, batch_nusd))
    bench.forget("")
    bench.run("--upstream", bench.double, "--via", "provider", "--poll-s", "0.2")
    equal &= bench.answers() == wanted
    calls, job_nusd = bench.bill()
    rows.append(("the same, by a job", calls, job_nusd))
    print(f"{'':<22}{'calls':>7}{'USD':>12}{'of one by one':>15}")
    for name, calls, nusd in rows:
        print(f"{name:<22}{calls:>7}{nusd / 1e9:>12.6f}{nusd / alone_nusd:>15.3f}")
    found = {
        "batches / one by one": batch_nusd / alone_nusd,
        "provider's jobs / batches": job_nusd / batch_nusd,
    }
    holds = equal
    for name, bound in _BOUNDS.items():
        print(f"{name}: {found[name]:.3f} (at most {bound})")
        holds &= found[name] <= bound
    print(f"labels equal: {equal}")
    return holds


def kill_again_and_again(
    bench: Bench, labels: Sequence[dict[str, Any]], kills: int, name: str, *to: str
) -> bool:
    """Kill and resume batches; returns whether nothing was lost or paid twice."""
    wanted = {label["id"]: label["answer"] for label in labels}
    lost = twice = 0
    for number in range(kills):
        bench.forget(f"{name} {number}")
        bench.kill(2 + number, *to)
        said = bench.run(*to)
        calls, nusd = bench.bill()
        answers = bench.answers()
        lost += sum(answers.get(each) != answer for each, answer in wanted.items())
        twice += calls - said["calls"]
        if nusd != int(said["spent_usd"].replace(".", "")):
            print(f"the bill is {nusd} nusd, and the batch says {said['spent_usd']}")
            twice += 1
    print(f"killed with -9 and resumed, {name}, {kills} times: items lost {lost}, paid twice {twice}")
    return not lost and not twice


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--model", default="claude-haiku-4-5")
    options = parser.parse_args()
    double_port, port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        labels = write_work(directory)
        double = bursar("double", "--port", str(double_port), "--labels", str(directory / "labels.jsonl"))
        url = f"http://127.0.0.1:{double_port}"
        serve = bursar("serve", "--port", str(port), "--data-dir", str(directory / "data"))
        serve += ["--upstream", f"anthropic={url}", "--upstream", f"openai={url}/v1"]
        own = ["--batch-s", "0.5"]
        with running([*double, *own], port=double_port), running(serve, port=port):
            holds = compare(Bench(url, f"http://127.0.0.1:{port}", directory, options.model), labels)
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        labels = write_work(directory)
        double = bursar("double", "--port", str(double_port), "--labels", str(directory / "labels.jsonl"))
        serve = bursar("serve", "--port", str(port), "--data-dir", str(directory / "data"))
        serve += ["--upstream", f"anthropic={url}", "--upstream", f"openai={url}/v1"]
        own = ["--batch-s", "0.5", "--latency-ms", "150", "--label-fault-rate", "0.05"]
        with running([*double, *own], port=double_port), running(serve, port=port):
            bench = Bench(url, f"http://127.0.0.1:{port}", directory, options.model)
            holds &= kill_again_and_again(
                bench, labels, options.kills, "at the gateway", "--gateway", bench.gateway
            )
            job = ("--upstream", bench.double, "--via", "provider", "--poll-s", "0.1")
            holds &= kill_again_and_again(bench, labels, options.kills, "as a job", *job)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
