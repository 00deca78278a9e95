"""What every table of bursar.toml has in common."""

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A table of bursar.toml: its keys are known, and unknown ones are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)
