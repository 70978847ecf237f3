"""`calvinverse serve`: the only command that imports the service, when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from environments.cli.session import Session, command


@command(
    "serve",
    more="""
        Needs no cluster to start. Each option has a variable (CALVINVERSE_PORT and so on), which it overrides. On a
        machine without a context it creates a token for its user, which the other commands then use.
    """,
    examples="""
        calvinverse serve
        calvinverse serve --port 0 --data /var/lib/calvinverse
        calvinverse serve --role worker --port 0 --database postgresql://me@db/calvinverse --sealing-key key
        calvinverse serve --host 0.0.0.0 --tls-certificate cert.pem --tls-key key.pem
    """,
)
def serve(
    session: Session,
    role: Annotated[str | None, typer.Option("--role", help="all, api or worker; default: all.")] = None,
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="Folder of the SQLite database.")] = None,
    database: Annotated[
        str | None, typer.Option("--database", metavar="URL", help="PostgreSQL, without a password.")
    ] = None,
    database_password_file: Annotated[
        Path | None, typer.Option("--database-password-file", metavar="FILE", help="Holds that password.")
    ] = None,
    sealing_key: Annotated[
        Path | None,
        typer.Option("--sealing-key", metavar="FILE", help="Key that all processes of a database share."),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Address to listen on; default: 127.0.0.1.")] = None,
    port: Annotated[
        int | None, typer.Option("--port", help="Port to listen on; default: 8400; 0: any that is free.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option("--tls-certificate", metavar="FILE", help="PEM; needed beyond loopback.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="PEM.")] = None,
    connections: Annotated[
        Path | None, typer.Option("--connections", metavar="FILE", help="Says where Consul, OpenBao, Nomad are.")
    ] = None,
) -> None:
    import gc

    from environments.bootstrap.serving import run
    from environments.settings import read_settings

    # Imported modules stay for ever; scanning them for garbage doubled the slowest response times.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)

    given = {
        "role": role,
        "data": data,
        "database": database,
        "database_password_file": database_password_file,
        "sealing_key": sealing_key,
        "host": host,
        "port": port,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "connections": connections,
    }
    run(read_settings(given), session.say)
