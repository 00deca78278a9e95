"""Commands that people are told to run, written so that they may be pasted into a shell.

Callers choose names, and whoever pastes a command would run what a name holds.
"""

import shlex


def shell_word(name: str, otherwise: str = "NAME") -> str:
    """Write a name as one word of a shell's.

    Args:
        name: The name.
        otherwise: What stands for a name that could not be pasted, for people to find it.
    """
    return shlex.quote(name) if name.isprintable() else otherwise


def resume_command(tenant: str, conversation: str) -> str:
    """Write the command that lets a conversation go on."""
    name, whose = shell_word(conversation), f"--tenant {shell_word(tenant)}"
    if conversation.startswith("-"):
        # It would be read as an option.
        return f"bursar conversation resume {whose} -- {name}"
    return f"bursar conversation resume {name} {whose}"
