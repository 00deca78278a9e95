"""The list of models, as each API writes it."""

import orjson

from bursar.double.models import ModelCatalogue, ModelLimits
from bursar.double.shapes import JsonObject

_UNKNOWN_DATE = "1970-01-01T00:00:00Z"


def list_models(dialect: str, models: ModelCatalogue) -> bytes:
    """Write the models that an API serves."""
    served = models.served(dialect)
    if dialect == "anthropic.messages":
        return orjson.dumps(
            {
                "data": [_anthropic(model) for model in served],
                "has_more": False,
                "first_id": served[0].model if served else None,
                "last_id": served[-1].model if served else None,
            }
        )
    return orjson.dumps({"object": "list", "data": [_openai(model) for model in served]})


def _anthropic(limits: ModelLimits) -> JsonObject:
    return {
        "type": "model",
        "id": limits.model,
        "display_name": limits.model,
        "created_at": _UNKNOWN_DATE,
        "lifecycle": "active",
        "max_input_tokens": limits.context_tokens,
        "max_tokens": limits.output_tokens_max,
    }


def _openai(limits: ModelLimits) -> JsonObject:
    return {"id": limits.model, "object": "model", "created": 0, "owned_by": "provider-double"}
