"""``tocsin up``: read the settings and hand them to the wiring."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from tocsin.cli.place import DEFAULT_DATA


@click.command()
@click.option(
    "--data",
    envvar="TOCSIN_DATA",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(DEFAULT_DATA),
    show_default=f"./{DEFAULT_DATA}",
    show_envvar=True,
    metavar="DIR",
    help="Folder for everything Tocsin keeps; it is made when missing.",
)
@click.option(
    "--plan",
    envvar="TOCSIN_PLAN",
    type=click.Path(file_okay=False, path_type=Path),
    show_default="DATA/plan",
    show_envvar=True,
    metavar="DIR",
    help="Folder with the plan's YAML files; it must be there.",
)
@click.option(
    "--host",
    envvar="TOCSIN_HOST",
    default="127.0.0.1",
    show_default=True,
    show_envvar=True,
    metavar="ADDRESS",
    help="Address to listen on. The default is reached from this machine alone.",
)
@click.option(
    "--port",
    envvar="TOCSIN_PORT",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    show_envvar=True,
    metavar="N",
    help="Port to listen on.",
)
@click.option(
    "--database",
    envvar="TOCSIN_DATABASE",
    show_default="SQLite in DATA",
    show_envvar=True,
    metavar="URL",
    help="Database, such as postgresql://tocsin@db/tocsin. A password is better given by the environment variable.",
)
@click.option(
    "--public-url",
    envvar="TOCSIN_PUBLIC_URL",
    show_default="where it listens",
    show_envvar=True,
    metavar="URL",
    help="Address people and monitors reach it by; it stands in the links of pages.",
)
@click.option(
    "--tls-cert",
    envvar="TOCSIN_TLS_CERT",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    show_envvar=True,
    metavar="FILE",
    help="Certificate chain (PEM) to serve HTTPS with.",
)
@click.option(
    "--tls-key",
    envvar="TOCSIN_TLS_KEY",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    show_envvar=True,
    metavar="FILE",
    help="Private key (PEM) of that certificate.",
)
@click.option(
    "--paging",
    envvar="TOCSIN_PAGING",
    type=click.Choice(["on", "off"]),
    default="on",
    show_default=True,
    show_envvar=True,
    help="off: judge everything and page nobody, to run beside another pager for a trial.",
)
@click.option(
    "--secrets-command",
    envvar="TOCSIN_SECRETS_COMMAND",
    show_envvar=True,
    metavar="COMMAND",
    help="Asked for secrets that are neither in the environment nor in a file, such as 'pass show'; a name comes last.",
)
@click.option(
    "--log-format",
    envvar="TOCSIN_LOG_FORMAT",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    show_envvar=True,
    help="text for people, json for a log collector.",
)
def up(
    data: Path,
    plan: Path | None,
    host: str,
    port: int,
    database: str | None,
    public_url: str | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    paging: str,
    secrets_command: str | None,
    log_format: str,
) -> int:
    """Run Tocsin.

    Without any option it listens on http://127.0.0.1:8080, keeps its data in ./tocsin-data, writes a starter plan
    there, and prints a sign-in link and what to paste into Prometheus. Ctrl-C stops it; kill -HUP reads the plan again.

    \b
    Examples:
      tocsin up
      tocsin up --host 0.0.0.0 --public-url https://tocsin.example.com --tls-cert chain.pem --tls-key key.pem
      tocsin up --paging off
    """
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together.")
    try:
        shlex.split(secrets_command or "")
    except ValueError as error:
        raise click.UsageError(f"--secrets-command cannot be read: {error}") from None
    if public_url:
        from tocsin.cli.place import read_address

        read_address(public_url)
    from tocsin.settings import Settings
    from tocsin.wiring import up as run_up

    return run_up(
        Settings(
            data=data,
            plan=plan,
            host=host,
            port=port,
            database=database or "",
            public_url=(public_url or "").rstrip("/"),
            tls_cert=tls_cert,
            tls_key=tls_key,
            paging=paging == "on",
            secrets_command=secrets_command or "",
            log_format="json" if log_format == "json" else "text",
        )
    )
