function _mnistseq_completion
    set --global _mnistseq_completion_option (commandline -ct | string match --regex -- '^--[^=]+=')
    set --global _mnistseq_completion_values (env _TYPER_COMPLETE_ARGS=(commandline -cp) \
        _MNISTSEQ_COMPLETE=complete_lines mnistseq 2>/dev/null)
    test -n "$_mnistseq_completion_values"
end

complete --command mnistseq --no-files --keep-order --condition _mnistseq_completion \
    --arguments '"$_mnistseq_completion_option"$_mnistseq_completion_values'
