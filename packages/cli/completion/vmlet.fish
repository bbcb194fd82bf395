# vmlet completion for fish. Load it with: vmlet completion fish | source
function __vmlet_complete
    set -l words (commandline -opc) (commandline -ct)
    # "WORD<tab>WHAT" a line, then what the shell adds of its own.
    for line in ($words[1] __complete -- $words[2..-1] 2>/dev/null)
        switch $line
            case :none
            case :files
                __fish_complete_path (commandline -ct)
            case :folders
                __fish_complete_directories (commandline -ct)
            case '*'
                echo $line
        end
    end
end
complete -c vmlet -f -a '(__vmlet_complete)'
