"""`bursar double`: a provider that spends nothing."""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from bursar.double.batches.jobs import JobOptions
from bursar.double.calls import DoubleOptions

_BACKLOG = 2048


def double(
    *,
    files: Annotated[
        list[Path] | None, typer.Argument(help="Further transcripts: --transcripts takes one or several.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.", min=0, max=65535)] = 4010,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    transcripts: Annotated[
        list[Path] | None, typer.Option(help="JSONL of recorded conversations to answer from.")
    ] = None,
    tools: Annotated[
        Path | None, typer.Option(help="JSON of the tools that the transcripts may call.")
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="JSONL of items with their right answers: id, text, answer.")
    ] = None,
    label_fault_rate: Annotated[
        float, typer.Option(help="Share of them answered wrongly where several are asked.", min=0, max=1)
    ] = 0,
    latency_ms: Annotated[float, typer.Option(help="Time before anything happens to a call.", min=0)] = 0,
    ttft_ms: Annotated[float, typer.Option(help="Time from there to the first token.", min=0)] = 0,
    tokens_per_s: Annotated[float, typer.Option(help="Pace of the output; 0: all at once.", min=0)] = 0,
    error_rate: Annotated[
        float, typer.Option(help="Share of valid calls that fail with 429, 500 or 529 (503).", min=0, max=1)
    ] = 0,
    cut_rate: Annotated[
        float,
        typer.Option(help="Share of answers cut in mid-answer by closing the connection.", min=0, max=1),
    ] = 0,
    evict_rate: Annotated[
        float, typer.Option(help="Share of calls that find the cache has lost their prefixes.", min=0, max=1)
    ] = 0,
    token_skew: Annotated[
        float, typer.Option(help="The provider's token counts over Bursar's estimate.", min=0.1, max=10)
    ] = 1,
    batch_s: Annotated[float, typer.Option(help="How long a job of the batch APIs takes.", min=0)] = 5,
    batch_late_rate: Annotated[
        float, typer.Option(help="Share of a job's requests that expire unanswered.", min=0, max=1)
    ] = 0,
    time_scale: Annotated[
        float, typer.Option(help="Seconds that pass for its caches in one of the wall's.", min=0.001)
    ] = 1,
    seed: Annotated[int, typer.Option(help="What failures, cuts and invented answers depend on.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as JSON.")] = False,
) -> None:
    """Serve a local provider that answers, refuses, caches and bills as Anthropic and OpenAI do.

    A stream costs what the same answer costs whole. One that is aborted or cut bills its whole prompt, and
    the output generated until that was noticed; a whole answer that nobody waits for is billed whole.
    Refusals and injected failures bill nothing.

    In a client: `Anthropic(base_url="http://127.0.0.1:4010", api_key="any")`, or
    `OpenAI(base_url="http://127.0.0.1:4010/v1", api_key="any")`, and `GET /bill` shows what it cost.
    """
    # The server and the data are imported here: `bursar --help` should not wait for them.
    from bursar.cli.server import listen, run_server
    from bursar.wiring.double import Course, build_double_app

    options = DoubleOptions(
        latency_s=latency_ms / 1000,
        first_token_s=ttft_ms / 1000,
        tokens_per_s=tokens_per_s,
        error_rate=error_rate,
        cut_rate=cut_rate,
        evict_rate=evict_rate,
        token_skew=token_skew,
        seed=seed,
    )
    listener = listen(host, port)
    course = Course(
        transcripts=(*(transcripts or ()), *(files or ())),
        tools=tools,
        labels=labels,
        label_fault_rate=label_fault_rate,
        jobs=JobOptions(duration_s=batch_s, late_rate=batch_late_rate),
    )
    application = build_double_app(options, course, time_scale=time_scale)
    # A connection that is cut on purpose is an error to the server, and none to us.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    # From here on connections wait in line, so whoever reads the announcement can connect.
    listener.listen(_BACKLOG)
    address = f"[{host}]" if ":" in host else host
    typer.echo(_announcement(f"http://{address}:{listener.getsockname()[1]}", as_json=as_json))
    sys.stdout.flush()
    run_server(application, listener, grace_s=1)


def _announcement(url: str, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"anthropic": url, "openai": f"{url}/v1", "bill": f"{url}/bill"})
    return (
        f'Provider double at {url}: Anthropic(base_url="{url}", api_key="any"), '
        f'OpenAI(base_url="{url}/v1", api_key="any"); bill at {url}/bill'
    )
