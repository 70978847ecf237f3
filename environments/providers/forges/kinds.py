"""Every kind of webhook."""

from environments.providers.forges.generic import Generic
from environments.providers.forges.gitea import Gitea
from environments.providers.forges.github import GitHub
from environments.providers.forges.gitlab import GitLab
from environments.service.webhook_kinds import WebhookKind

_ALL: tuple[WebhookKind, ...] = (GitHub(), GitLab(), Gitea(), Gitea("forgejo"), Generic())

KINDS: dict[str, WebhookKind] = {kind.name: kind for kind in _ALL}
"""By their names, as people write them."""
