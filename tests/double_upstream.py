"""The provider double where a scene's provider stands: it judges, caches and bills what is sent."""

from bursar.adapters.model_limits import load_model_limits
from bursar.double.calls import DoubleCall, DoubleOptions
from bursar.double.models import ModelCatalogue
from bursar.double.provider import ProviderDouble, Provisions
from bursar.ports import UpstreamRequest
from scripted_world import Scene, ScriptedResponse, stream, whole, world_data

_KEYS = {
    "anthropic": {"x-api-key": "k", "anthropic-version": "2023-06-01"},
    "openai": {"authorization": "Bearer k"},
}


class DoubleUpstream:
    """The provider double as an upstream, on the scene's clock.

    Args:
        scene: The scene.
        models: The double's models; None for all that we know.
    """

    def __init__(self, scene: Scene, models: ModelCatalogue | None = None) -> None:
        prices, rules, ratios = world_data()
        has = Provisions(prices, rules, ratios, models or load_model_limits(), scene.world.tokenizer)
        self._double = ProviderDouble(has, DoubleOptions())
        self._scene = scene
        self.bodies: list[bytes] = []
        self.refused: list[bytes] = []
        self.costs_nusd: list[int] = []

    async def send(self, request: UpstreamRequest) -> ScriptedResponse:
        path = request.path if request.path.startswith("/v1") else f"/v1{request.path}"
        call = DoubleCall(path, _KEYS[request.upstream], request.body)
        answer, row = self._double.play(call, self._scene.clock.now())
        self.bodies.append(request.body)
        self.costs_nusd.append(row.cost_nusd)
        if answer.status != 200:
            self.refused.append(answer.body)
        if answer.events:
            return ScriptedResponse(stream(*[event.data for event in answer.events]))
        return ScriptedResponse(whole(answer.body, answer.status))
