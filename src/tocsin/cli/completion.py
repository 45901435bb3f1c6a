"""``tocsin completion``."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

SHELLS = ("bash", "zsh", "fish")


@click.command()
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Print the completion script for a shell.

    \b
    Examples:
      bash:  tocsin completion bash > ~/.local/share/bash-completion/completions/tocsin
      zsh:   tocsin completion zsh > ~/.zfunc/_tocsin      (with ~/.zfunc in fpath, before compinit)
      fish:  tocsin completion fish > ~/.config/fish/completions/tocsin.fish
    """
    from tocsin.cli.root import tocsin

    made = get_completion_class(shell)
    assert made is not None, shell
    click.echo(made(tocsin, {}, "tocsin", "_TOCSIN_COMPLETE").source())
