"""Added latency and throughput of the gateway, ledger on, against a constant-byte upstream.

Both run pinned: the gateway alone on one core, the upstream and the load on the other.

    python -m bench.overhead [--seconds 8]
"""

import argparse
import os
import socket
import tempfile

import uvloop

from bench.conversations import bodies
from bench.load import Load, http_post, run_load
from bench.servers import GATEWAY_CORE, STUB_CORE, bursar, running, stub

_HEADERS = {"x-api-key": "bench", "anthropic-version": "2023-06-01"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _measure(port: int, size_bytes: int, connections: int, total: int) -> Load:
    requests = [http_post("/v1/messages", body, _HEADERS) for body in bodies(size_bytes)]
    return uvloop.run(run_load(port, requests, total=total, connections=connections))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    options = parser.parse_args()
    os.sched_setaffinity(0, {STUB_CORE})
    stub_port, port = _free_port(), _free_port()
    print("size   conns  |  upstream alone: req/s  p50 ms | gateway: req/s  p50 ms  p99 ms | added p50 ms")
    with tempfile.TemporaryDirectory() as data, running(stub(stub_port), port=stub_port, core=STUB_CORE, ready="/open"):
        serve = bursar(
            "serve", "--port", str(port), "--data-dir", data, "--upstream", f"anthropic=http://127.0.0.1:{stub_port}"
        )
        with running(serve, port=port, core=GATEWAY_CORE):
            for size in (1_000, 30_000):
                _measure(port, size, 64, 2_000)
                for connections in (1, 16, 64):
                    total = options.requests if connections > 1 else options.requests // 8
                    alone = _measure(stub_port, size, connections, total)
                    ours = _measure(port, size, connections, total)
                    added = ours.percentile_ms(50) - alone.percentile_ms(50)
                    print(
                        f"{size:6d} {connections:5d}  | {alone.a_second:14,.0f} {alone.percentile_ms(50):12.2f}"
                        f" | {ours.a_second:11,.0f} {ours.percentile_ms(50):8.2f} {ours.percentile_ms(99):7.2f}"
                        f" | {added:8.2f}   failures {ours.failures}"
                    )


if __name__ == "__main__":
    main()
