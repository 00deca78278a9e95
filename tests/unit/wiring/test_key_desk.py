"""Keys that two people change at the same time."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bursar.adapters.admin.sqlite import SqliteAdmin
from bursar.domain.admin import AdminState, ItemKind
from bursar.errors import CallerMistake, ChangedMeanwhile
from bursar.policy.keys.ring import read_keys
from bursar.settings.stored import Act
from bursar.wiring.keys import KeyDesk

NOW_S = 1_764_000_000.0


class CrowdedAdmin(SqliteAdmin):
    """A store that somebody else changes right after it was read.

    Attributes:
        others: What they do, one after another.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.others: list[Callable[[], object]] = []

    def read(self) -> AdminState:
        state = super().read()
        if self.others:
            self.others.pop(0)()
        return state


def test_a_key_that_is_revoked_while_it_is_rotated_stays_revoked(tmp_path: Path) -> None:
    admin, other = CrowdedAdmin.open(tmp_path), KeyDesk(SqliteAdmin.open(tmp_path), Act("bob", NOW_S))
    key_id = other.create({"tenant": "acme"})["id"]
    admin.others = [lambda: other.revoke(key_id)]
    with pytest.raises(CallerMistake, match="revoked"):
        KeyDesk(admin, Act("ann", NOW_S)).rotate(key_id, "1h")
    [key] = read_keys(admin.read())
    assert key.revoked_at_s == NOW_S


def test_a_key_that_is_rotated_while_it_is_revoked_is_revoked_with_all_its_secrets(tmp_path: Path) -> None:
    admin, other = CrowdedAdmin.open(tmp_path), KeyDesk(SqliteAdmin.open(tmp_path), Act("bob", NOW_S))
    key_id = other.create({"tenant": "acme"})["id"]
    admin.others = [lambda: other.rotate(key_id, "1h")]
    assert KeyDesk(admin, Act("ann", NOW_S)).revoke(key_id)["changed"]
    [key] = read_keys(admin.read())
    assert key.revoked_at_s == NOW_S
    assert len(key.secrets) == 2


def test_who_is_overtaken_again_and_again_is_told(tmp_path: Path) -> None:
    admin, other = CrowdedAdmin.open(tmp_path), KeyDesk(SqliteAdmin.open(tmp_path), Act("bob", NOW_S))
    key_id = other.create({"tenant": "acme"})["id"]
    admin.others = [lambda: other.rotate(key_id, "1h")] * 2
    with pytest.raises(ChangedMeanwhile, match="somebody else"):
        KeyDesk(admin, Act("ann", NOW_S)).rotate(key_id, "1h")
    assert len(admin.read().items[ItemKind.KEY]) == 1
