"""`calvinverse env heartbeat`: say that an environment is in use."""

from environments.cli.options import Name
from environments.cli.session import Session, command


@command(
    "env",
    "heartbeat",
    more="""
        One in five seconds is written. A token for this alone is made with
        `calvinverse token create --action environment:heartbeat --environment NAME`.
    """,
    examples="""
        calvinverse env heartbeat demo
        while sleep 60; do calvinverse env heartbeat demo; done
    """,
)
def heartbeat(session: Session, name: Name) -> None:
    from environments.moments import moment

    found = session.client.heartbeat(name)
    session.show(found, lambda: [f"{name} is in use; its last heartbeat: {moment(found.at, session.zone)}."])
