"""What the commands of operators have in common: where they write, and in whose name."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from bursar.errors import CallerMistake
from bursar.settings import Settings, load

if TYPE_CHECKING:
    from bursar.adapters.admin.sqlite import SqliteAdmin
    from bursar.domain.scopes import ScopePattern
    from bursar.settings.stored import Act

ConfigOption = Annotated[
    str | None, typer.Option("--config", metavar="FILE", help="The bursar.toml that bursar serve uses.")
]
DataDirOption = Annotated[
    str | None, typer.Option(help="The directory that bursar serve keeps its data in (default bursar-data).")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, amounts with nine places.")]


def read_settings(config: str | None, data_dir: str | None) -> Settings:
    """Read settings, with the data directory that was named in the place of theirs."""
    settings = load(config)
    if data_dir is None:
        return settings
    storage = settings.storage.model_copy(update={"dir": data_dir})
    return settings.model_copy(update={"storage": storage})


def open_admin(settings: Settings) -> "SqliteAdmin":
    """Open the admin store to write to it, and say so where no server may ever read it."""
    from bursar.adapters.admin.sqlite import SqliteAdmin

    directory = Path(settings.storage.dir)
    if not _is_used(directory):
        print(  # noqa: T201 - this is the terminal
            f"bursar: no bursar serve has used {directory} yet; it is set there for the first one that does",
            file=sys.stderr,
        )
    return SqliteAdmin.open(directory)


def used_directory(settings: Settings) -> Path:
    """Return the data directory, for what only means something where a server has run.

    Raises:
        CallerMistake: None has: it is most likely another directory than was meant.
    """
    directory = Path(settings.storage.dir)
    if not _is_used(directory):
        raise CallerMistake(
            f"no bursar serve has used {directory}: name its directory with --data-dir, or its settings with "
            f"--config"
        )
    return directory


def _is_used(directory: Path) -> bool:
    from bursar.adapters.ledger.sqlite import FILE_NAME

    # Every server makes the ledger when it starts; commands never do.
    return (directory / FILE_NAME).exists()


def act_now() -> "Act":
    """Return who makes a change by a command, `cli:LOGIN`, and when."""
    from getpass import getuser

    from bursar.settings.stored import Act

    try:
        login = getuser()
    except (OSError, KeyError):
        # A user of a container may have no name.
        return Act("cli", time.time())
    return Act(f"cli:{login}", time.time())


def read_scope_option(text: str, place: str) -> "ScopePattern":
    """Read the scopes that an argument names.

    Raises:
        BadSetting: It names none.
    """
    from bursar.settings import parse_budget

    return parse_budget({"scope": text, "limit_turns": 1, "window": "total"}, place).pattern


def print_json(found: Any) -> None:
    """Print a result of `--json`."""
    typer.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
