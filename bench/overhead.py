"""Added latency and throughput of the gateway, ledger on, against a constant-byte upstream.

Both run pinned: the gateway alone on one core, the upstream and the load on the other. The processor time
that the gateway took per request is printed beside the throughput: unlike it, it hardly depends on what else
the machine is doing.

    python -m bench.overhead [--requests 20000]
"""

import argparse
import os
import sys
import tempfile
from itertools import cycle
from pathlib import Path

import uvloop

from bench.conversations import bodies
from bench.load import Load, http_post, run_load
from bench.servers import GATEWAY_CORE, STUB_CORE, bursar, free_port, running, stub

# What any client library sends; SDKs send a dozen more.
HEADERS = {
    "accept": "application/json",
    "user-agent": "bench",
    "x-api-key": "bench",
    "anthropic-version": "2023-06-01",
}
CONVERSATIONS = 2_000


def _measure(port: int, requests: list[bytes], connections: int, total: int) -> Load:
    return uvloop.run(run_load(port, cycle(requests), total=total, connections=connections))


def processor_s(pid: int) -> float:
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--requests", type=int, default=20_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {STUB_CORE})
    stub_port, bare_port, port = free_port(), free_port(), free_port()
    print(" body  conns | upstream |        bare proxy         |               gateway              |  added")
    print(
        "bytes        |   p50 ms |   req/s  p50 ms   CPU µs  |   req/s  p50 ms   p99 ms   CPU µs  |  p50 ms"
    )
    bare_command = [sys.executable, "-m", "bench.bare_proxy", str(bare_port), str(stub_port)]
    with (
        tempfile.TemporaryDirectory() as data,
        running(stub(stub_port), port=stub_port, core=STUB_CORE, ready="/open"),
        running(bare_command, port=bare_port, core=GATEWAY_CORE, ready="/open") as bare_pid,
    ):
        where = f"anthropic=http://127.0.0.1:{stub_port}"
        serve = bursar("serve", "--port", str(port), "--data-dir", data, "--upstream", where)
        with running(serve, port=port, core=GATEWAY_CORE) as pid:
            for size in (1_000, 30_000):
                requests = [http_post("/v1/messages", b, HEADERS) for b in bodies(size, CONVERSATIONS)]
                _measure(port, requests, 64, CONVERSATIONS)
                for connections in (1, 16, 64):
                    total = options.requests if connections > 1 else options.requests // 8
                    alone = _measure(stub_port, requests, connections, total)
                    bare, bare_us = _with_processor(bare_pid, bare_port, requests, connections, total)
                    ours, ours_us = _with_processor(pid, port, requests, connections, total)
                    added_ms = ours.percentile_ms(50) - alone.percentile_ms(50)
                    print(
                        f"{size:6d} {connections:5d} | {alone.percentile_ms(50):8.2f} "
                        f"| {bare.a_second:7,.0f} {bare.percentile_ms(50):7.2f} {bare_us:8.0f}  "
                        f"| {ours.a_second:7,.0f} {ours.percentile_ms(50):7.2f} "
                        f"{ours.percentile_ms(99):8.2f} {ours_us:8.0f}  | {added_ms:7.2f}"
                        + (f"   {ours.failures} failed" if ours.failures else "")
                    )


def _with_processor(
    pid: int, port: int, requests: list[bytes], connections: int, total: int
) -> tuple[Load, float]:
    """Measure a server, and the processor time that it takes per request in microseconds."""
    before_s = processor_s(pid)
    load = _measure(port, requests, connections, total)
    return load, (processor_s(pid) - before_s) / total * 1e6


if __name__ == "__main__":
    main()
