#compdef vmlet
# vmlet completion for zsh. Load it with: source <(vmlet completion zsh), after compinit
_vmlet() {
  local -a found
  local line value what files=:none
  # "WORD<tab>WHAT" a line, then what the shell adds of its own.
  for line in "${(@f)$("${words[1]}" __complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      :*) files=$line ;;
      ?*)
        value=${line%%$'\t'*} what=${line#*$'\t'}
        found+=("${value//:/\\:}:$what")
        ;;
    esac
  done
  (( $#found )) && _describe vmlet found
  case $files in
    :files) _files ;;
    :folders) _files -/ ;;
  esac
}
if [[ ${funcstack[1]} == _vmlet ]]; then _vmlet "$@"; else compdef _vmlet vmlet; fi
