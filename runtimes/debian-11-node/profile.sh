# In a shell, `nvm use` is for this shell alone; /usr/local/bin/nvm switches the whole machine.
nvm() {
  case ${1-} in
    use)
      shift
      _nvm_env=$(command nvm env "$@") || return
      eval "$_nvm_env"
      unset _nvm_env
      ;;
    *) command nvm "$@" ;;
  esac
}
