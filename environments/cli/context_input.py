"""What `calvinverse context` reads: an address with its authority, and tokens, which never come from a command line."""

import getpass
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from environments.addresses import check_safe_address, is_encrypted
from environments.authorities import check_authorities, read_authority_file
from environments.domain.errors import InvalidInput, Unauthenticated
from environments.exported_contexts import LARGEST, ExportedContext, read_export

if TYPE_CHECKING:
    from environments.cli.session import Session
    from environments.context import Context

_STANDARD_INPUT = Path("-")
_LONGEST_TOKEN = 4096


def read_wanted(session: "Session", exported: Path | None, ca: Path | None) -> ExportedContext:
    """The context that is to be added: of the file `exported`, or of --address and the file `ca`, without a token.

    Raises `InvalidInput`, and `UnsafeAddress` for plain HTTP beyond loopback.
    """
    now = datetime.now(UTC)
    if exported is not None:
        if session.address or ca is not None:
            raise InvalidInput("The file of --from holds address and authority.", hint="Leave --address and --ca out.")
        where = "Standard input" if exported == _STANDARD_INPUT else str(exported)
        wanted = read_export(_read(exported, LARGEST), where)
        check_safe_address(wanted.address)
        if wanted.authority:
            authority = check_authorities(wanted.authority, where, now)
            wanted = wanted.model_copy(update={"authority": authority})
        # A token that is given is preferred to that of the file.
        return wanted if session.token_file is None else wanted.model_copy(update={"token": ""})
    if not session.address:
        raise InvalidInput(
            "No address is given.", hint="Give --address URL, or --from FILE with what `context export` wrote."
        )
    address = check_safe_address(session.address)
    if ca is not None and not is_encrypted(address):
        raise InvalidInput(
            f"{address} is plain HTTP and has no certificate that --ca could verify.", hint="Leave --ca out."
        )
    return ExportedContext(address=address, authority=read_authority_file(ca, now) if ca is not None else "")


def read_token(file: Path | None, address: str, *, taken: bool = False) -> str:
    """The token: of `file` (`-`: standard input), else of standard input, else typed without being shown.

    `taken`: standard input was read for something else. Raises `Unauthenticated` if there is none.
    """
    if file is not None and file != _STANDARD_INPUT:
        return _checked(_read(file, _LONGEST_TOKEN), str(file))
    if not taken and (file == _STANDARD_INPUT or not sys.stdin.isatty()):
        return _checked(_read(_STANDARD_INPUT, _LONGEST_TOKEN), "Standard input")
    if not sys.stdin.isatty():
        raise Unauthenticated("There is no token.", hint="Give its file with --token-file.")
    try:
        typed = getpass.getpass(f"Token for {address}: ", stream=sys.stderr)
    except EOFError:
        typed = ""
    return _checked(typed, "What was typed")


def read_line(file: Path) -> str:
    """A secret in a file (`-`: standard input), without space around it. Raises `InvalidInput`."""
    return _read(file, _LONGEST_TOKEN).strip()


def read_token_to_hand_over(file: Path, context: "Context") -> str:
    """A token for another machine. Raises `InvalidInput` for the token that this machine uses itself."""
    token = read_token(file, context.address)
    try:
        own = context.read_token()
    except Unauthenticated:
        return token
    if token == own:
        raise InvalidInput(
            f"That is the token that this machine uses in the context {context.name!r}.",
            hint="Make one for the other machine with `calvinverse token create --to FILE`, so that it can be revoked "
            "alone.",
        )
    return token


def _checked(text: str, where: str) -> str:
    token = text.strip()
    if not token:
        raise Unauthenticated(f"{where} holds no token.", hint="`calvinverse token create` makes one.")
    return token


def _read(file: Path, most: int) -> str:
    """The text of a file or of standard input. Raises `InvalidInput`, which repeats nothing of it."""
    try:
        if file == _STANDARD_INPUT:
            text = sys.stdin.read(most + 1)
        else:
            with file.open(encoding="utf-8") as opened:
                text = opened.read(most + 1)
    except OSError as error:
        raise InvalidInput(f"{file} can't be read: {error.strerror or error}.", hint="Check its path.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{file} can't be read: it is no text in UTF-8.", hint="Check which file it is.") from error
    if len(text) > most:
        raise InvalidInput(f"{file} is too long for what it should hold.", hint="Check which file it is.")
    return text
