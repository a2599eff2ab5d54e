function _icectl_completion
    set --local option (string match --regex '^--[^=]+=' -- (commandline -ct))
    env _ICECTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args _TYPER_COMPLETE_ARGS=(commandline -cp) icectl | string replace --regex -- '^' "$option"
end

complete --command icectl --no-files --arguments "(_icectl_completion)" --condition "env _ICECTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args _TYPER_COMPLETE_ARGS=(commandline -cp) icectl"
