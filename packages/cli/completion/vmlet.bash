# vmlet completion for bash. Load it with: source <(vmlet completion bash)
_vmlet() {
  local -a words=()
  local word glue= value current
  # bash takes "=" for a word of its own.
  for word in "${COMP_WORDS[@]:1:COMP_CWORD}"; do
    if [[ ${#words[@]} -gt 0 && ( -n $glue || $word == = ) ]]; then
      words[-1]+=$word
      if [[ -n $glue ]]; then glue=; else glue=1; fi
    else
      words+=("$word")
    fi
  done
  current=${words[-1]}
  COMPREPLY=()
  # "WORD<tab>WHAT" a line, then what the shell adds of its own.
  while IFS=$'\t' read -r value _; do
    case $value in
      :none) ;;
      :files)
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
        ;;
      :folders)
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$current")
        ;;
      *)
        [[ $current == --*=* ]] && value=${value#*=}
        COMPREPLY+=("$value")
        ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete -- "${words[@]}" 2>/dev/null)
}
complete -F _vmlet vmlet
