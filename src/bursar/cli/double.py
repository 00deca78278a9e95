"""`bursar double`: a provider that spends nothing."""

import json
from pathlib import Path
from typing import Annotated

import typer

from bursar.double.calls import DoubleOptions
from bursar.errors import BadSetting
from bursar.wiring.double import DoubleServing, serve_double

_ABORTS = """
What it bills. A whole answer: its prompt by where it stood in the cache, and its output. A stream costs the
same. A stream that is aborted or cut bills its whole prompt and the output generated until the abort was
noticed; a whole answer that nobody waits for is billed whole. Refusals and injected failures bill nothing.

Example: bursar double --port 4010 --latency-ms 50 --tokens-per-s 80
"""


def double(
    *,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 for a free one.", min=0, max=65535)] = 4010,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    transcripts: Annotated[
        list[Path] | None, typer.Option(help="JSONL of recorded conversations to answer from.")
    ] = None,
    tools: Annotated[
        Path | None, typer.Option(help="JSON of the tools that the transcripts may call.")
    ] = None,
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
    time_scale: Annotated[
        float, typer.Option(help="Seconds that pass for its caches in one of the wall's.", min=0.001)
    ] = 1,
    seed: Annotated[int, typer.Option(help="What failures, cuts and invented answers depend on.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Say where it listens as JSON.")] = False,
) -> None:
    """Serve a local provider that answers, refuses, caches and bills as Anthropic and OpenAI do."""
    if not host:
        raise BadSetting("an address is needed here, such as 127.0.0.1", place="--host")
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
    serving = DoubleServing(host, port, options, tuple(transcripts or ()), tools, time_scale)
    serve_double(serving, lambda url: typer.echo(_announcement(url, as_json=as_json)))


double.__doc__ = f"{double.__doc__}\n{_ABORTS}"


def _announcement(url: str, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"anthropic": url, "openai": f"{url}/v1", "bill": f"{url}/bill"})
    return (
        f'Provider double at {url}: Anthropic(base_url="{url}", api_key="any"), '
        f'OpenAI(base_url="{url}/v1", api_key="any"); bill at {url}/bill'
    )
