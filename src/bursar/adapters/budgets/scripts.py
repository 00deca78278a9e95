"""The steps that run inside Redis."""

import hashlib
from importlib import resources

import msgspec


class Script(msgspec.Struct, frozen=True):
    """A step.

    Attributes:
        text: Its whole text.
        digest: What Redis knows it by.
    """

    text: str
    digest: str

    @classmethod
    def load(cls, name: str) -> "Script":
        """Read a step from its file, and put what all steps share behind its first line.

        Args:
            name: Name of the file, with its version: while a new version is brought out, the old one runs
                beside it, so a step that changes what is kept gets a new number.
        """
        folder = resources.files("bursar.adapters.budgets") / "lua"
        shared = (folder / "shared_1.lua").read_text("utf-8")
        declaration, _, step = (folder / f"{name}.lua").read_text("utf-8").partition("\n")
        text = f"{declaration}\n{shared}\n{step}"
        return cls(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
