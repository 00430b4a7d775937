#!/bin/sh
# Writes the completion scripts of all shells beside this file.
set -eu
cd "$(dirname "$0")"
write_script() {
    script=$(_MNISTSEQ_COMPLETE="source_$1" mnistseq)
    # A zsh script must begin with its #compdef; the program writes a blank line before it.
    printf '%s\n' "$script" | sed '1{/^$/d}' >"$2"
}
write_script bash mnistseq.bash
write_script zsh _mnistseq
write_script fish mnistseq.fish
write_script powershell mnistseq.ps1
