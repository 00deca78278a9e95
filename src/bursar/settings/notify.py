"""`[notify.NAME]` of bursar.toml: whom a ladder's `notify:NAME` tells."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, model_validator

from bursar.domain.budgets import Budget
from bursar.settings.sections import Section
from bursar.settings.values import wrong

# What is wrong is told without the value: it may be a secret.
_NOTIFY = "notify"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _check_variable(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise wrong(
            _NOTIFY,
            "url_env names an environment variable, such as BURSAR_SLACK, which holds the URL; that "
            "itself does not belong into a file",
        )
    return name


class NotifySection(Section):
    """`[notify.NAME]`.

    Attributes:
        url_env: Environment variable with an Apprise URL, such as `slack://…` or `mailtos://…`.
    """

    url_env: Annotated[str, AfterValidator(_check_variable)]

    @model_validator(mode="before")
    @classmethod
    def _refuse_secrets(cls, table: Any) -> Any:
        if isinstance(table, Mapping) and "url" in table:
            raise wrong(
                _NOTIFY,
                "a notifier's URL holds secrets, which do not belong into a file: put it into an environment "
                'variable, and name that by url_env = "NAME"',
            )
        return table  # pyright: ignore[reportUnknownVariableType] - Its members are checked next.


def unknown_notifiers(budgets: Iterable[Budget], notifiers: Iterable[str]) -> Iterator[str]:
    """Yield the names that ladders tell and that nobody has set up, each once."""
    known = set(notifiers)
    for budget in budgets:
        for step in budget.ladder:
            for action in step.actions:
                if action.notifier and action.notifier not in known:
                    known.add(action.notifier)
                    yield action.notifier
