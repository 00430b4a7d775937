_mnistseq_completion() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        [ -z "$line" ] || COMPREPLY+=("${line%%$'\t'*}")
    done < <(env _TYPER_COMPLETE_ARGS="${COMP_LINE:0:COMP_POINT}" \
        _MNISTSEQ_COMPLETE=complete_lines "$1" 2>/dev/null)
}

complete -o default -F _mnistseq_completion mnistseq
