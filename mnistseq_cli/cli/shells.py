"""Completion scripts of bash, zsh and fish, in the place of Typer's own.

Typer's zsh script does nothing at the first Tab, its fish script runs the program twice for each
Tab, none completes ``--option=value``, and all wait for Rich to take markup out of the help.
These ask once, and get a line for each value: the value, a tab, its help.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from typer.core import TyperArgument, TyperOption

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
        from typer._completion_classes import BashComplete, FishComplete, ZshComplete
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

        add_completion_class(Lines, LINES)
        ours = {BashComplete: BASH, ZshComplete: ZSH, FishComplete: FISH}
        for typers, script in ours.items():
            typers.source_template = script
            _completion_scripts[typers.name] = script


def _keep_words() -> None:
    """Leave values the words they are: no callback is run, and Typer loads no pydantic."""
    # For the rest of the process, which ends with the answer.
    for kind in (TyperArgument, TyperOption):
        kind.process_value = _keep  # type: ignore[method-assign, assignment]


def _keep(_parameter: object, _context: object, value: Any) -> Any:  # noqa: ANN401 - any value
    return value
