# nix-shell calls runHook, nix develop evaluates $shellHook: both end in nixgen_enter.
runHook() { eval "${!1:-}"; }

nixgen_enter() {
  # Nix's own build variables are of no use here, and some confuse other programs.
  unset PYTHONPATH PYTHONHOME PYTHONNOUSERSITE SOURCE_DATE_EPOCH
  nixgen_path
  nixgen_user_shell
  export VIRTUAL_ENV=$NIXGEN_ENVIRONMENT
  export UV_NO_SYNC=1 UV_PYTHON_DOWNLOADS=never UV_PYTHON=$NIXGEN_ENVIRONMENT/bin/python
  # uv does not ask a venv whether packages may be installed into it. Who may write into the store (root, where that is not
  # mounted read-only) is given the base's Python, which says no (PEP 668).
  [ -z "${NIXGEN_BASE:-}" ] || [ ! -w "$NIXGEN_ENVIRONMENT" ] || UV_PYTHON=$NIXGEN_BASE
  # Where a system keeps its certificates is the system's; Debian's OpenSSL knows only of Debian's place.
  local bundle
  for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    [ -n "${SSL_CERT_FILE:-}" ] || [ ! -e "$bundle" ] || export SSL_CERT_FILE=$bundle
  done
  local folder=$PWD
  while [ -n "$folder" ] && [ ! -e "$folder/nixgen.lock" ]; do folder=${folder%/*}; done
  export NIXGEN_ROOT=${folder:-$PWD}
  [ -z "$folder" ] || nixgen_link "$folder/.venv"
  [ -z "${NIXGEN_PRIVATE:-}" ] || nixgen_private
  if [ -n "${PS1:-}" ]; then
    PS1=$(nixgen_prompt)
    [ ! -t 2 ] || echo "$NIXGEN_TITLE" >&2
  fi
}

# The environment and its tools come first, once. nix-shell puts its bash's folder before everything: "." or nothing (which
# means the same) when it found none. And the PATH of Nix's builds, /path-not-set, is no folder.
nixgen_path() {
  case $PATH in
    .:* | :*) PATH=${PATH#*:} ;;
  esac
  local rest=$PATH: kept=$NIXGEN_PATH entry
  while [ -n "$rest" ]; do
    entry=${rest%%:*} rest=${rest#*:}
    [ "$entry" = /path-not-set ] || [[ :$NIXGEN_PATH: == *":$entry:"* ]] || kept=$kept:$entry
  done
  PATH=$kept
}

# Nix 2.8 takes SHELL over from its build, where it is /noshell; nix-shell has "bash". Programs that start a shell
# (script, Jupyter, editors) need one that exists: the user's, else the base's. bash sets SHELL itself where it is unset.
nixgen_user_shell() {
  nixgen_is_shell "${SHELL:-}" || SHELL=$(unset SHELL && "$NIXGEN_BASH" --norc -c 'printf %s "$SHELL"')
  nixgen_is_shell "$SHELL" || SHELL=$NIXGEN_BASH
  export SHELL
}

nixgen_is_shell() {
  case $1 in
    */nologin | */false) return 1 ;;
    /*) [ -x "$1" ] && [ ! -d "$1" ] ;;
    *) return 1 ;;
  esac
}

# The environment's name in front of the prompt, behind the empty lines that nix-shell's begins with.
nixgen_prompt() {
  local lines=
  while [[ $PS1 == '\n'* ]]; do
    lines+='\n' PS1=${PS1#'\n'}
  done
  printf %s "$lines($NIXGEN_NAME) $PS1"
}

# Editors look for .venv: a link is offered where there is none, and kept up to date where it is ours. Not to somebody who
# may write into the store (root, where the store is not mounted read-only): uv, run outside the shell, would install
# through the link into the environment itself.
nixgen_link() {
  local target=
  target=$(readlink "$1" 2>/dev/null) || [ ! -e "$1" ] || target=folder
  case $target in
    "" | /nix/store/*)
      if [ -w "$NIXGEN_ENVIRONMENT" ]; then
        [ -z "$target" ] || rm -f "$1" 2>/dev/null || :
      elif [ "$target" != "$NIXGEN_ENVIRONMENT" ]; then
        ln -sfn "$NIXGEN_ENVIRONMENT" "$1" 2>/dev/null || :
      fi
      ;;
    folder)
      [ ! -t 2 ] || echo "nixgen: .venv is a folder of its own; remove it to let editors find this environment" >&2
      ;;
  esac
}

# What huggingface_hub and transformers write (code of models, above all, which they later trust because it is there)
# goes into a folder that is new for every shell, and gone after it.
nixgen_private() {
  # These would go before HF_HUB_CACHE.
  unset TRANSFORMERS_CACHE PYTORCH_TRANSFORMERS_CACHE PYTORCH_PRETRAINED_BERT_CACHE SENTENCE_TRANSFORMERS_HOME
  # direnv takes the variables over into another process: this one's end means nothing then.
  local owner=$$
  [ -z "${DIRENV_IN_ENVRC:-}" ] || owner=0
  HF_HOME=$("$NIXGEN_ENVIRONMENT/bin/python" -ISB "$NIXGEN_PRIVATE" "$owner") || HF_HOME=/dev/null
  export HF_HOME HF_MODULES_CACHE=$HF_HOME/modules
  if [ "$owner" != 0 ] && [ -d "$HF_HOME" ]; then
    NIXGEN_PRIVATE_FOLDER=$HF_HOME
    # A trap that is set already stays.
    eval "set -- $(trap -p EXIT)"
    trap 'rm -rf "$NIXGEN_PRIVATE_FOLDER"'"${3:+; $3}" EXIT
  fi
}
