"""Groups: local ones, whose members an admin chooses, and those that a provider's claim names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from environments.domain.access import EVERYONE, LOCAL_GROUP, Group, Membership, Share, group_subject
from environments.domain.errors import InvalidName, NotAllowedNow, NotFound
from environments.service.auditing import entry_of, on_environment
from environments.service.authorization import Action, Principal, check_service, may
from environments.service.pages import Page, ended_in_time, shown_size
from environments.service.storage.transaction import Storage, Transaction
from environments.service.subjects import known_group, known_person, lists_people

RESERVED = frozenset({EVERYONE, "me"})
"""Names of groups that commands would take for something else."""


@dataclass(frozen=True)
class GroupDetails:
    """A group and the number of its members."""

    group: Group
    members: int


@dataclass(frozen=True)
class GroupDeletion:
    """A group, and how many things depend on it, by kind; `applied` False: it was only computed."""

    group: Group
    takes_away: Mapping[str, int]
    applied: bool


class Groups:
    """Makes, shows and deletes groups, and chooses members. Both have effect at once, also for open streams.

    Admins and auditors see all groups, others those that they are in.
    """

    def __init__(self, storage: Storage, clock: Callable[[], datetime]) -> None:
        self._storage = storage
        self._clock = clock

    def all(self, principal: Principal, *, after: str = "", limit: int | None = None) -> Page[GroupDetails]:
        """By name, behind the name `after`."""
        with self._storage.read() as tx:
            if lists_people(principal):
                found = tx.groups.all(after=after, limit=limit)
            else:
                theirs = islice(_theirs(tx, principal, after), limit)
                found = Page(theirs) if limit is None else ended_in_time(theirs, shown_size)
            sizes = tx.groups.sizes([group.name for group in found])
            return Page([GroupDetails(group, sizes.get(group.name, 0)) for group in found], more=found.more)

    def one(self, principal: Principal, name: str) -> GroupDetails:
        """One group. Raises `NotFound`, also for one that the principal isn't in and may not see."""
        with self._storage.read() as tx:
            return _details(tx, _seen(tx, principal, name))

    def members(
        self, principal: Principal, name: str, *, after: str = "", limit: int | None = None
    ) -> Page[Membership]:
        """Its members by name, behind the name `after`; whoever is in it sees the others. Raises `NotFound`."""
        with self._storage.read() as tx:
            _seen(tx, principal, name)
            return tx.groups.members(name, after=after, limit=limit)

    def create(self, principal: Principal, name: str, description: str = "") -> GroupDetails:
        """Makes a local group without members. Raises `Forbidden`, `InvalidName`, `NameTaken`."""
        if LOCAL_GROUP.fullmatch(name) is None:
            raise InvalidName(
                f"{name!r} can't be the name of a group.",
                hint="Use 1 to 63 lower-case letters, digits and hyphens, with a letter or a digit at both ends.",
            )
        if name in RESERVED:
            raise InvalidName(f"{name!r} can't be the name of a group: it has a meaning of its own in commands.")
        group = Group(name=name, description=description, created_at=self._clock(), created_by=principal.owner)
        with self._storage.write() as tx:
            may(tx, principal, Action.GROUP_MANAGE)
            tx.groups.add(group)
            _note(tx, name, {}, {"description": description})
        return GroupDetails(group, 0)

    def describe(self, principal: Principal, name: str, description: str) -> GroupDetails:
        """Replaces what is said of a group, also of one of a claim. Raises `Forbidden`, `NotFound`."""
        with self._storage.write() as tx:
            may(tx, principal, Action.GROUP_MANAGE)
            group = _group(tx, principal, name)
            tx.groups.change(name, description=description)
            _note(tx, name, {"description": group.description}, {"description": description})
            return _details(tx, group.model_copy(update={"description": description}))

    def delete(self, principal: Principal, name: str, *, dry_run: bool = False) -> GroupDeletion:
        """Deletes a local group: what was shared with it, its roles and memberships go too.

        Raises `Forbidden`, `NotFound`, and `NotAllowedNow` while it owns environments, answers for service accounts,
        or comes from a claim.
        """
        check_service(principal, Action.GROUP_MANAGE)
        with self._storage.read() if dry_run else self._storage.write() as tx:
            if not dry_run:
                may(tx, principal, Action.GROUP_MANAGE)
            group = _local(tx, principal, name)
            gives = {kind: count for kind, count in tx.groups.gives(name).items() if count}
            if not dry_run:
                _check_unused(name, gives)
                shares = tx.shares.with_subject(group_subject(name), gives.get("shares", 0))
                tx.groups.remove(name)
                _note(tx, name, gives, {})
                _note_shares(tx, principal, shares)
        return GroupDeletion(group, gives, applied=not dry_run)

    def add(self, principal: Principal, name: str, member: str) -> Membership:
        """Adds somebody to a local group; a member stays one. Raises `Forbidden`, `NotFound`, `NotAllowedNow`."""
        now = self._clock()
        with self._storage.write() as tx:
            may(tx, principal, Action.GROUP_MANAGE)
            person = known_person(tx, principal, member)
            _local(tx, principal, name)
            joined = tx.groups.join(name, person.name, now)
            _note(tx, name, {}, {"member": person.name} if joined else {})
        return Membership(group=name, person=person.name, source="local", since=now)

    def remove(self, principal: Principal, name: str, member: str) -> Membership:
        """Takes a member out of a local group. Raises `Forbidden`, `NotFound`, `NotAllowedNow`."""
        now = self._clock()
        with self._storage.write() as tx:
            may(tx, principal, Action.GROUP_MANAGE)
            _local(tx, principal, name)
            if not tx.groups.leave(name, member):
                raise NotFound(f"{member!r} isn't in the group {name!r}.", hint=f"See `calvinverse group show {name}`.")
            _note(tx, name, {"member": member}, {})
        return Membership(group=name, person=member, source="local", since=now)


def _details(tx: Transaction, group: Group) -> GroupDetails:
    return GroupDetails(group, tx.groups.sizes([group.name]).get(group.name, 0))


def _group(tx: Transaction, principal: Principal, name: str) -> Group:
    found = tx.groups.get(known_group(tx, principal, name))
    assert found is not None
    return found


def _theirs(tx: Transaction, principal: Principal, after: str) -> Iterator[Group]:
    """Those that the principal is in, by name, behind the name `after`."""
    for name in sorted(name for name in principal.groups if name > after):
        if (group := tx.groups.get(name)) is not None:
            yield group


def _seen(tx: Transaction, principal: Principal, name: str) -> Group:
    if name in principal.groups or lists_people(principal):
        return _group(tx, principal, name)
    raise NotFound(f"There is no group {name!r}, or you aren't in it.", hint="See `calvinverse group list`.")


def _local(tx: Transaction, principal: Principal, name: str) -> Group:
    group = _group(tx, principal, name)
    if group.provider:
        raise NotAllowedNow(
            f"The group {name!r} comes from a claim of the provider {group.provider}.",
            hint="Change its members there; it counts at their next sign-in.",
        )
    return group


def _check_unused(name: str, gives: Mapping[str, int]) -> None:
    if gives.get("environments"):
        raise NotAllowedNow(
            f"The group {name!r} owns {_count(gives['environments'], 'environment')}.",
            hint="Transfer them first: `calvinverse env transfer NAME TO`.",
        )
    if gives.get("accounts"):
        raise NotAllowedNow(
            f"The group {name!r} is responsible for {_count(gives['accounts'], 'service account')}.",
            hint="Make somebody else responsible first.",
        )


def _note(tx: Transaction, name: str, before: Mapping[str, object], after: Mapping[str, object]) -> None:
    tx.audit.changed(before=before, after=after, object_kind="group", object_id=name, object_name=name)


def _note_shares(tx: Transaction, principal: Principal, ended: Sequence[Share]) -> None:
    """Writes to the log of each environment that what was shared with the group has ended."""
    for share in ended:
        environment = tx.environments.get(share.environment_id)
        if environment is not None:
            entry = on_environment(entry_of(principal, Action.ENVIRONMENT_SHARE), environment)
            before = {"share": share.model_dump(mode="json", include={"subject", "role", "reveal", "until"})}
            tx.audit.add(replace(entry, before=before, rule=f"{share.subject} was deleted"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
