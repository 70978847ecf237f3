"""`calvinverse worker`: the workers that carry out deployments."""

from environments.cli.session import Session, command


@command(
    "worker",
    "list",
    more="""
        A lost worker was not heard of for longer than its lease: another one has taken its deployments over, or does so
        within 30 seconds.
    """,
    examples="""
        calvinverse worker list
        calvinverse worker list -o json | jq -r '.[] | select(.alive).name'
    """,
)
def list_workers(session: Session) -> None:
    from environments.cli.plan_tables import worker_lines

    found = session.client.workers()
    session.show(found, lambda: worker_lines(found, session.now()))
    if not any(worker.alive for worker in found):
        session.say("No worker is alive: nothing is carried out. Start one with `calvinverse serve`.")
