"""OpenID providers of a deployment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from environments.identity_settings import check_whole

NONE = "none"


def provider_parameters(choice: str, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """The parameters of `meta` for providers, with the content of a new file of them.

    `choice` is the path of that file, `none` for the built-in provider alone, or empty: as before. Raises
    `InvalidInput` for a file that can't be used, or that names other files.
    """
    if not choice:
        return {"providers": bool((before or {}).get("providers"))}
    if choice == NONE:
        return {"providers": False}
    return {"providers": True, "identity_providers": check_whole(Path(choice))}
