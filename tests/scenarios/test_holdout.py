"""Conversations that are left as they came, to compare the others with."""

import json

from provider_answers import message
from scripted_world import Scene, ask, whole

POLICY = "You help travellers and follow the rules of the house. " * 300


def talk(turns: int) -> bytes:
    messages = [{"role": "user", "content": "Hello"}]
    for number in range(turns):
        messages += [{"role": "assistant", "content": f"Yes {number}"}, {"role": "user", "content": "And?"}]
    return json.dumps(ask(system=POLICY, messages=messages)).encode()


async def test_about_the_share_of_conversations_is_held_out_as_a_whole() -> None:
    scene = Scene(whole(message()), holdout_per_mille=200)
    for conversation in range(200):
        for turns in (0, 1):
            await scene.play(talk(turns), {"x-bursar-conversation": f"c-{conversation}"})
    modes = {
        c: {e.mode for e in scene.ledger.entries if e.attribution.conversation == f"c-{c}"}
        for c in range(200)
    }
    assert all(len(each) == 1 for each in modes.values())
    held_out = sum(each == {"holdout"} for each in modes.values())
    assert 20 <= held_out <= 60
    assert all(entry.saved_nusd == 0 for entry in scene.ledger.entries if entry.mode == "holdout")


async def test_what_is_held_out_goes_out_byte_for_byte() -> None:
    scene = Scene(whole(message()), holdout_per_mille=1000)
    await scene.play(talk(2))
    assert scene.upstream.requests[0].body == talk(2)
    assert scene.entry.mode == "holdout"


async def test_a_call_that_states_its_mode_is_not_held_out() -> None:
    scene = Scene(whole(message()), holdout_per_mille=1000)
    await scene.play(talk(2), {"x-bursar-mode": "optimise"})
    assert scene.entry.mode == "optimise"


async def test_modes_that_change_nothing_hold_nothing_out() -> None:
    scene = Scene(whole(message()), holdout_per_mille=1000, mode="observe")
    await scene.play(talk(2))
    assert scene.entry.mode == "observe"
