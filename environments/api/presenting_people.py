"""Maps what use cases of people and groups return to the models of the API."""

from environments.domain.access import Membership
from environments.service.groups import GroupDeletion, GroupDetails
from environments.service.old_owners import Assignment
from environments.service.people import Departure, PersonDetails
from environments.wire.people import (
    AssignmentView,
    DepartureView,
    GroupDeletionView,
    GroupView,
    MembershipView,
    PersonView,
)

_SAME = ("name", "kind", "display_name", "email", "issuer", "signed_in_at", "created_at", "created_by")
_MORE = ("disabled_at", "disabled_by", "successor", "responsible", "became", "note")


def person(found: PersonDetails) -> PersonView:
    """Somebody, with what they have."""
    known = {name: getattr(found.person, name) for name in (*_SAME, *_MORE)}
    groups = tuple(membership(one) for one in found.groups)
    return PersonView(**known, groups=groups, role=found.role, reasons=found.reasons, **found.owned._asdict())


def membership(found: Membership) -> MembershipView:
    """A person in a group."""
    return MembershipView(**found.model_dump())


def departure(found: Departure) -> DepartureView:
    """What disabling somebody did."""
    return DepartureView(
        person=person(found.details),
        heir=found.heir,
        why=found.why,
        moved=found.moved,
        environments=found.names,
        ended=found.ended,
        accounts=found.accounts,
    )


def assignment(found: Assignment) -> AssignmentView:
    """An old owner that is a person's."""
    return AssignmentView(name=found.name, given_up=found.given_up, moved=dict(found.moved), applied=found.applied)


def group(found: GroupDetails) -> GroupView:
    """A group."""
    return GroupView(**found.group.model_dump(), members=found.members)


def group_deletion(found: GroupDeletion) -> GroupDeletionView:
    """What deleting a group takes away."""
    return GroupDeletionView(group=found.group.name, takes_away=dict(found.takes_away), applied=found.applied)
