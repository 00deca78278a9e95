"""How far long work is, on a terminal."""

from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TaskID, TextColumn


@contextmanager
def progress_bar(
    doing: str, total: float | None, *columns: ProgressColumn
) -> Generator[tuple[Progress, TaskID]]:
    """Show a bar on standard error until the block ends; nothing where that is no terminal.

    Args:
        doing: What is being done.
        total: How much there is to do; None where that is unknown.
        columns: What stands behind the bar.

    Yields:
        The bar, and the one task on it.
    """
    screen = Console(stderr=True, highlight=False)
    with Progress(
        TextColumn(doing),
        BarColumn(),
        *columns,
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as shown:
        yield shown, shown.add_task("", total=total)
