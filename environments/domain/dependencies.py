"""What depends on what: the steps of a template, and other nodes that need each other."""

from collections.abc import Iterable, Mapping


def ancestors(needs: Mapping[str, Iterable[str]], name: str) -> set[str]:
    """All nodes that a node needs, directly or not. One that isn't in `needs` needs nothing."""
    found: set[str] = set()
    queue = [name]
    while queue:
        for other in needs.get(queue.pop(), ()):
            if other not in found:
                found.add(other)
                queue.append(other)
    return found
