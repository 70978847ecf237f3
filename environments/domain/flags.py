"""Names that no parameter of a template may have: on the command line they are options of the commands that take it.

`calvinverse env create shop1 --template shop --ttl 2h` sets the lifetime, so a parameter `ttl` could only be given as
`-p ttl=…`. Templates that are in the catalogue already keep such parameters, and take them with `-p`.
"""

TAKEN = frozenset(
    {
        "address",
        "context",
        "debug",
        "destroy_at",
        "digest",
        "help",
        "no_wait",
        "output",
        "parameter",
        "plan",
        "run_again",
        "start_at",
        "stop_at",
        "template",
        "token_file",
        "ttl",
        "until",
        "wait",
    }
)
"""The long options of `env create` and `env update`, written as parameters are; a test compares them."""


def flag_fault(parameter: str) -> str | None:
    """Why a parameter can't have this name; None if it can."""
    name = parameter.lower().replace("-", "_")
    if name not in TAKEN:
        return None
    return (
        f"the parameter {parameter!r} has the name of an option of the command line: `--{name.replace('_', '-')}` of "
        "`calvinverse env create` and `env update` would never be the parameter; give it another name"
    )
