"""What a request asks for beyond the texts that it holds, as far as that may cost.

Most requests ask for nothing of the kind, which is told from the names of their fields and from what was
noted of their pieces when these were first read.

Sources: the types of the anthropic SDK 2.12 and of the openai SDK 3.54, checked 2026-11-24.
"""

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec

from bursar.domain.usage import ServerTool
from bursar.wire import raw_json as raw
from bursar.wire.anthropic import NAME as ANTHROPIC
from bursar.wire.anthropic_prompt import PROVIDER_TOOLS
from bursar.wire.dialect import Request
from bursar.wire.drafts import MEDIA


class Extras(msgspec.Struct, frozen=True, gc=False):
    """What one request asks for besides.

    Attributes:
        choices: How many answers.
        images: Images in its messages.
        documents: Documents.
        remote_documents: Sources that it names by address or id; their bytes are not in the request.
        provider_tools: Tools that the provider defines, so that their text is not in the request.
        uses: How often tools that are billed per use may run; None where the model decides.
        runs_tools: Whether the provider runs tools and then has the model read on, within one request.
        compacts: Whether the provider may have the model summarise the prompt first.
        predicted_bytes: Length of a predicted answer: what of it does not come true is billed as output.
        adds_unseen: Whether the provider adds text of its own choice, such as definitions of remote tools.
        unpriced: What it asks for that no price covers; empty for nothing.
    """

    choices: int = 1
    images: int = 0
    documents: int = 0
    remote_documents: int = 0
    provider_tools: int = 0
    uses: Mapping[ServerTool, int | None] = msgspec.field(default_factory=dict[ServerTool, int | None])
    runs_tools: bool = False
    compacts: bool = False
    predicted_bytes: int = 0
    adds_unseen: bool = False
    unpriced: str = ""


NO_EXTRAS = Extras()

_FEATURES = frozenset((MEDIA, PROVIDER_TOOLS))
_ANTHROPIC_FIELDS = frozenset(("container", "context_management", "mcp_servers"))
_OPENAI_FIELDS = frozenset(("audio", "n", "prediction", "web_search_options"))

# Quotes inside JSON strings are escaped, so that these match structure only.
_MEDIA = re.compile(rb'"type"\s*:\s*"(image|image_url|document|file|input_audio|url)"|"(file_id)"\s*:')
_COMPACTION = re.compile(rb'"type"\s*:\s*"compact_')

# Of the tools that Anthropic defines, those that it runs itself, by the start of their type.
_RUN_BY_PROVIDER = ("web_search_", "web_fetch_", "code_execution_", "tool_search_tool_", "advisor_", "mcp_")
_BILLED_PER_USE = {"web_search_": ServerTool.WEB_SEARCH, "web_fetch_": ServerTool.WEB_FETCH}


class _Tool(msgspec.Struct):
    type: str | None = None
    max_uses: int | None = None


_TOOLS = msgspec.json.Decoder(list[_Tool])
# A whole number may be written as 3.0; more than the bound is refused by any provider.
_COUNT = msgspec.json.Decoder(Annotated[float, msgspec.Meta(ge=1, le=1_000_000)])


def read_extras(request: Request) -> Extras:
    """Read what a request asks for besides; what is malformed is its provider's to refuse."""
    anthropic = request.dialect == ANTHROPIC
    fields = request.fields
    if (_ANTHROPIC_FIELDS if anthropic else _OPENAI_FIELDS).isdisjoint(fields) and _FEATURES.isdisjoint(
        request.features
    ):
        return NO_EXTRAS
    found = _anthropic(request) if anthropic else _openai(fields)
    return _with_media(found, fields["messages"]) if MEDIA in request.features else found


def _anthropic(request: Request) -> Extras:
    fields = request.fields
    edits = fields.get("context_management")
    remote = not raw.is_null(fields.get("mcp_servers"))
    # A container's skills bring texts of their own, and code that the provider runs.
    contained = "container" in fields and raw.is_object(fields["container"])
    found = Extras(
        runs_tools=remote or contained,
        compacts=edits is not None and _COMPACTION.search(edits) is not None,
        adds_unseen=remote or contained,
    )
    return _with_tools(found, fields["tools"]) if PROVIDER_TOOLS in request.features else found


def _with_tools(found: Extras, tools: bytes) -> Extras:
    """Add the tools that the provider defines."""
    count, runs, unpriced = 0, found.runs_tools, ""
    uses: dict[ServerTool, int | None] = {}
    for tool in raw.attempt(_TOOLS, tools) or ():
        kind = tool.type or "custom"
        if kind == "custom":
            continue
        count += 1
        runs = runs or kind.startswith(_RUN_BY_PROVIDER)
        if kind.startswith("advisor_"):
            # Another model's tokens, which usage does not bring under this one's classes.
            unpriced = "an advisor model"
        for start, billed in _BILLED_PER_USE.items():
            if kind.startswith(start):
                known = uses.get(billed, 0)
                uses[billed] = None if known is None or tool.max_uses is None else known + tool.max_uses
    return msgspec.structs.replace(found, provider_tools=count, uses=uses, runs_tools=runs, unpriced=unpriced)


def _openai(fields: Mapping[str, bytes]) -> Extras:
    choices = int(raw.attempt(_COUNT, fields.get("n", raw.NULL)) or 1)
    prediction = fields.get("prediction", raw.NULL)
    searches = not raw.is_null(fields.get("web_search_options"))
    return Extras(
        choices=choices,
        uses={ServerTool.WEB_SEARCH: None} if searches else {},
        predicted_bytes=0 if prediction == raw.NULL else len(prediction),
        unpriced="" if raw.is_null(fields.get("audio")) else "spoken answers",
    )


def _with_media(found: Extras, messages: bytes) -> Extras:
    """Add what messages hold beside text. What merely looks like it counts too: this is for a bound."""
    images = documents = remote = recordings = 0
    for kind, reference in _MEDIA.findall(messages):
        if kind in {b"image", b"image_url"}:
            images += 1
        elif kind in {b"document", b"file"}:
            documents += 1
        elif kind == b"input_audio":
            recordings += 1
        if reference or kind == b"url":
            remote += 1
    return msgspec.structs.replace(
        found,
        images=images,
        documents=documents,
        remote_documents=min(remote, documents),
        unpriced=found.unpriced or ("recordings" if recordings else ""),
    )
