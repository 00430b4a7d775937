"""Completion: the scripts of shells, and the values of options."""

from __future__ import annotations

from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from typer.core import TyperArgument, TyperOption

from mnistseq_cli.cli.console import print_result, say
from mnistseq_cli.errors import UsageError
from mnistseq_cli.validation import check_choice

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SHELLS = ("bash", "zsh", "fish", "powershell")
PROGRAM, VARIABLE = "mnistseq", "_MNISTSEQ_COMPLETE"
LINES = "lines"  # the name under which Typer knows who answers

BASH = """
%(complete_func)s() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        [ -z "$line" ] || COMPREPLY+=("${line%%%%$'\\t'*}")
    done < <(env _TYPER_COMPLETE_ARGS="${COMP_LINE:0:COMP_POINT}" \\
        %(autocomplete_var)s=complete_lines "$1" 2>/dev/null)
}

complete -o default -F %(complete_func)s %(prog_name)s
"""

# The first Tab loads the file: it has to answer as well as to define.
ZSH = """
#compdef %(prog_name)s

%(complete_func)s() {
  local -a values
  values=(${(f)"$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" \\
    %(autocomplete_var)s=complete_lines %(prog_name)s 2>/dev/null)"})
  compset -P '--*='
  if (( $#values )); then
    values=("${(@)values//:/\\\\:}")
    values=("${(@)values/$'\\t'/:}")
    _describe -V value values
  else
    _files
  fi
}

compdef %(complete_func)s %(prog_name)s
[[ $zsh_eval_context[-1] != loadautofunc ]] || %(complete_func)s "$@"
"""

FISH = """
function %(complete_func)s
    set --global %(complete_func)s_option (commandline -ct | string match --regex -- '^--[^=]+=')
    set --global %(complete_func)s_values (env _TYPER_COMPLETE_ARGS=(commandline -cp) \\
        %(autocomplete_var)s=complete_lines %(prog_name)s 2>/dev/null)
    test -n "$%(complete_func)s_values"
end

complete --command %(prog_name)s --no-files --keep-order --condition %(complete_func)s \\
    --arguments '"$%(complete_func)s_option"$%(complete_func)s_values'
"""


def use_scripts() -> None:
    """Have Typer show and install these scripts, and answer them.

    Typer keeps what this needs to itself. Where it moves, Typer's own scripts are used.
    """
    with suppress(ImportError):
        from typer._click.shell_completion import CompletionItem, add_completion_class
        from typer._completion_classes import (
            BashComplete,
            FishComplete,
            ZshComplete,
            completion_init,
        )
        from typer._completion_shared import _completion_scripts

        class Lines(ZshComplete):
            name = LINES

            def format_completion(self, item: CompletionItem) -> str:
                about = " ".join((item.help or "").split())
                return f"{item.value}\t{about}".rstrip()

            def complete(self) -> str:
                _keep_words()
                found = self.get_completions(*self.get_completion_args())
                return "\n".join(map(self.format_completion, found))

        completion_init()
        add_completion_class(Lines, LINES)
        ours = {BashComplete: BASH, ZshComplete: ZSH, FishComplete: FISH}
        for typers, script in ours.items():
            typers.source_template = script
            _completion_scripts[typers.name] = script


def _keep_words() -> None:
    """Leave values the words they are: no callback is run, and Typer loads no pydantic."""

    def keep(_parameter: object, _context: object, value: Any) -> Any:
        return value

    # For the rest of the process, which ends with the answer.
    for kind in (TyperArgument, TyperOption):
        kind.process_value = keep  # type: ignore[method-assign, assignment]


def install_script(shell: str = "") -> None:
    """Install completion for a shell, by default the one that runs the program."""
    from typer._completion_shared import install

    name = _choose_shell(shell, "--install-completion")
    _, path = install(shell=name, prog_name=PROGRAM, complete_var=VARIABLE)
    print_result(f"{name} completion installed in {path}")
    say("It takes effect in a new shell.")


def show_script(shell: str = "") -> None:
    """Write the script of a shell, by default the one that runs the program."""
    from typer._completion_shared import get_completion_script

    name = _choose_shell(shell, "--show-completion")
    script = get_completion_script(prog_name=PROGRAM, complete_var=VARIABLE, shell=name)
    for line in script.splitlines():
        print_result(line)


def _choose_shell(name: str, option: str) -> str:
    known = (*SHELLS, "pwsh")
    if not name:
        import shellingham  # Typer needs it too

        with suppress(shellingham.ShellDetectionFailure):
            name = shellingham.detect_shell()[0]
        if name not in known:
            raise UsageError(
                f"cannot tell for which shell: the program runs in {name or 'none that it knows'}",
                f"Name it: mnistseq {option} {'|'.join(SHELLS)}",
            )
    check_choice(option, name, known)
    return name


def complete(
    known: Iterable[str] | str, *before: str, explained: bool = False
) -> Callable[[str], list[Any]]:
    """Return a completer of values: a list, or the name of a table, loaded when it is asked.

    Parameters
    ----------
    known : iterable of str, or str
        A table is named by its module in `mnistseq_cli` and its name there.
    before : str
        More values, before the others.
    explained : bool
        Whether what stands in the table under a value says what that is.
    """

    def answer(incomplete: str) -> list[Any]:
        table: Any = known
        if isinstance(known, str):
            module, _, name = f"mnistseq_cli.{known}".rpartition(".")
            table = getattr(import_module(module), name)
        found = [value for value in (*before, *table) if value.startswith(incomplete)]
        return [(value, table[value]) for value in found] if explained else found

    return answer
