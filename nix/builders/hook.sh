# nix-shell calls runHook, nix develop evaluates $shellHook: both end in nixgen_enter.
runHook() { eval "${!1:-}"; }

nixgen_enter() {
  # Nix's own build variables are of no use here, and some confuse other programs.
  unset PYTHONPATH PYTHONHOME PYTHONNOUSERSITE SOURCE_DATE_EPOCH
  # direnv takes the variables over into another process: this one's end means nothing then.
  NIXGEN_OWNER=$$
  [ -z "${DIRENV_IN_ENVRC:-}" ] || NIXGEN_OWNER=0
  nixgen_venv
  nixgen_path "$VIRTUAL_ENV/bin${NIXGEN_TOOLS:+:$NIXGEN_TOOLS}"
  nixgen_user_shell
  nixgen_driver
  # UV_PYTHON is a Python that says no to packages (PEP 668): uv asks no venv, and what is in no lock does not belong here.
  # And no variable of the user's makes `uv run` run another environment, or another project's.
  unset UV_ISOLATED UV_NO_PROJECT UV_PROJECT UV_WORKING_DIR UV_MANAGED_PYTHON
  export UV_PROJECT_ENVIRONMENT=$VIRTUAL_ENV UV_NO_SYNC=1 UV_PYTHON_DOWNLOADS=never UV_PYTHON=$NIXGEN_BASE
  # Where a system keeps its certificates is the system's; Debian's OpenSSL knows only of Debian's place.
  local bundle
  for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    [ -n "${SSL_CERT_FILE:-}" ] || [ ! -e "$bundle" ] || export SSL_CERT_FILE=$bundle
  done
  [ -z "$NIXGEN_HUB" ] || nixgen_private
  if [ -n "${PS1:-}" ]; then
    PS1=$(nixgen_prompt)
    nixgen_watch
    [ ! -t 2 ] || nixgen_greet >&2
  fi
}

# The same for who sources this file without Nix, when it has built the shell: a notebook's kernel, direnv (.envrc). $1 is
# the project's folder.
nixgen_enter_again() {
  export NIXGEN_PLACE=$1 NIXGEN_AGAIN=1
  nixgen_enter
  unset NIXGEN_PLACE NIXGEN_AGAIN
}

# nix-shell takes its bash from <nixpkgs>; where there is none, it prints a long error and goes on with "bash".
nixgen_greet() {
  if [ "$BASH" = bash ] && [ -z "${NIX_BUILD_SHELL:-}" ]; then
    echo "The error about <nixpkgs> does no harm: nix-shell looked for a bash there. To avoid it: NIX_BUILD_SHELL=bash nix-shell"
  fi
  echo "$NIXGEN_TITLE"
}

# Sets NIXGEN_ROOT, the folder of the project that was entered, and VIRTUAL_ENV, the venv over the environment with the
# project's own code: a folder in the project, where it can be. A program makes it; its note is looked at here, which is
# quick.
nixgen_venv() {
  local folder=$PWD/ answer
  NIXGEN_ROOT=
  if [ -n "${NIXGEN_PLACE:-}" ]; then
    nixgen_is_current "$NIXGEN_PLACE" || :
  else
    while [ -n "$folder" ]; do
      folder=${folder%/*}
      ! nixgen_is_current "$folder${NIXGEN_BELOW:+/$NIXGEN_BELOW}" || break
    done
  fi
  if [ -z "$NIXGEN_ROOT" ]; then
    answer=$("$NIXGEN_BASE" -ISB "$NIXGEN_SETUP/lib/enter.py" "$PWD" "$NIXGEN_OWNER") || answer=$'\n'$NIXGEN_ENVIRONMENT
    NIXGEN_ROOT=${answer%%$'\n'*} VIRTUAL_ENV=${answer#*$'\n'}
    case $VIRTUAL_ENV in
      */nixgen-venv-*/venv) nixgen_remove_at_exit "${VIRTUAL_ENV%/venv}" ;;
    esac
  fi
  export NIXGEN_ROOT NIXGEN_LABEL VIRTUAL_ENV VIRTUAL_ENV_PROMPT=$NIXGEN_NAME
}

# Whether a folder has the venv of this shell, as its note says (enter.py writes it), with nothing put into it, and .venv
# leads to it or is somebody else's. A note that another user wrote is not believed.
nixgen_is_current() {
  local venv=$1/.venv-$NIXGEN_KEY setup= root= count= seen= entries
  [ -O "$venv/nixgen" ] || return
  { read -r _ && IFS= read -r setup && IFS= read -r root && read -r count && IFS= read -r seen; } < "$venv/nixgen"
  entries=("$venv"/lib/python3.*/site-packages/*[!_]) # all but __pycache__, as enter.py counts them
  [ "$setup" = "$NIXGEN_SETUP" ] && [ "$root" = "$1" ] && [ "$count" = "${#entries[@]}" ] || return
  [ -n "${NIXGEN_AGAIN:-}" ] || [ "${seen%% *}" = "${NIXGEN_DIGEST:-}" ] || return
  [ -n "${NIXGEN_PLACE:-}" ] || [ "${seen#* }" = "${NIXGEN_SOURCE:-}" ] || return
  [ "$1/.venv" -ef "$venv" ] || { [ -e "$1/.venv" ] && [ ! -L "$1/.venv" ]; } || return
  NIXGEN_ROOT=$1 VIRTUAL_ENV=$venv
}

# A trap that is set already stays.
nixgen_remove_at_exit() {
  [ "$NIXGEN_OWNER" != 0 ] || return 0
  eval "set -- $(printf %q "$1") $(trap -p EXIT)"
  trap "rm -rf $(printf %q "$1")${4:+; $4}" EXIT
}

# What is given comes first in PATH, once. nix-shell puts its bash's folder before everything: "." or nothing (which
# means the same) when it found none. And the PATH of Nix's builds, /path-not-set, is no folder.
nixgen_path() {
  case $PATH in
    .:* | :*) PATH=${PATH#*:} ;;
  esac
  local rest=$PATH: kept=$1 entry
  while [ -n "$rest" ]; do
    entry=${rest%%:*} rest=${rest#*:}
    [ "$entry" = /path-not-set ] || [[ :$1: == *":$entry:"* ]] || kept=$kept:$entry
  done
  export PATH=$kept
}

# Leads the environment to the GPU's driver, and LD_LIBRARY_PATH past what has other versions of its libraries (driver.py).
# Without either no Python is started.
nixgen_driver() {
  [ -n "${LD_LIBRARY_PATH:-}" ] || { [ "$NIXGEN_CUDA" != off ] && nixgen_has_driver; } || return 0
  local answer
  answer=$("$NIXGEN_BASE" -ISB "$NIXGEN_SETUP/lib/driver.py" "$NIXGEN_CUDA" "$NIXGEN_ENVIRONMENT") || return 0
  { IFS= read -r LD_LIBRARY_PATH; IFS= read -r TRITON_LIBCUDA_PATH; } <<< "$answer" || : # the last line may be empty
  export LD_LIBRARY_PATH TRITON_LIBCUDA_PATH
  [ -n "$LD_LIBRARY_PATH" ] || unset LD_LIBRARY_PATH
  [ -n "$TRITON_LIBCUDA_PATH" ] || unset TRITON_LIBCUDA_PATH
}

nixgen_has_driver() {
  local sign cache=
  [ -z "${NIXGEN_DRIVER:-}" ] || return 0
  for sign in $NIXGEN_SIGNS; do
    [ ! -e "$sign" ] || return 0
  done
  # What ldconfig prints is longer to wait for. It holds zeros, of which bash complains.
  { cache=$(< /etc/ld.so.cache); } 2> /dev/null
  [[ $cache == *libcuda.so.1* ]]
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

# From now on the prompt says, once, that a file changed which the environment follows from.
nixgen_watch() {
  nixgen_mark || return 0
  PROMPT_COMMAND="nixgen_look${PROMPT_COMMAND:+; $PROMPT_COMMAND}"
}

# Sets NIXGEN_MARK, an empty file which has the time, and NIXGEN_WATCHED, those that are to be older.
nixgen_mark() {
  local file
  NIXGEN_MARK=$VIRTUAL_ENV/entered-$$ NIXGEN_WATCHED=
  [[ $VIRTUAL_ENV != /nix/store/* ]] && { : > "$NIXGEN_MARK"; } 2>/dev/null || return
  export NIXGEN_MARK
  nixgen_remove_at_exit "$NIXGEN_MARK"
  for file in pyproject.toml uv.lock nixgen.lock; do
    [ "$NIXGEN_ROOT/$file" -nt "$NIXGEN_MARK" ] || NIXGEN_WATCHED+=" $file"
  done
}

nixgen_look() {
  local status=$? file
  for file in $NIXGEN_WATCHED; do
    [ "$NIXGEN_ROOT/$file" -nt "$NIXGEN_MARK" ] || continue
    NIXGEN_WATCHED=
    unset NIXGEN_MARK
    echo "nixgen: $file changed since this shell was entered. To renew it: exit, then: nixgen sync && nixgen shell" >&2
    break
  done
  return $status
}

# The environment's name in front of the prompt, behind the empty lines that nix-shell's begins with.
nixgen_prompt() {
  local lines=
  while [[ $PS1 == '\n'* ]]; do
    lines+='\n' PS1=${PS1#'\n'}
  done
  printf %s "$lines($NIXGEN_NAME) $PS1"
}

# What huggingface_hub and transformers write (code of models, above all, which they later trust because it is there)
# goes into a folder that is new for every shell, and gone after it.
nixgen_private() {
  # These would go before HF_HUB_CACHE.
  unset TRANSFORMERS_CACHE PYTORCH_TRANSFORMERS_CACHE PYTORCH_PRETRAINED_BERT_CACHE SENTENCE_TRANSFORMERS_HOME
  HF_HOME=$("$NIXGEN_BASE" -ISB "$NIXGEN_SETUP/lib/private.py" "$NIXGEN_OWNER") || HF_HOME=/dev/null
  export HF_HOME HF_MODULES_CACHE=$HF_HOME/modules
  [ ! -d "$HF_HOME" ] || nixgen_remove_at_exit "$HF_HOME"
}
