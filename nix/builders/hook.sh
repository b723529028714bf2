# nix-shell calls runHook, nix develop evaluates $shellHook: both end in nixgen_enter.
runHook() { eval "${!1:-}"; }

nixgen_enter() {
  # Nix's own build variables are of no use here, and some confuse other programs.
  unset PYTHONPATH PYTHONHOME PYTHONNOUSERSITE SOURCE_DATE_EPOCH
  export VIRTUAL_ENV=$NIXGEN_ENVIRONMENT
  export UV_NO_SYNC=1 UV_PYTHON_DOWNLOADS=never UV_PYTHON=$NIXGEN_ENVIRONMENT/bin/python
  # Where a system keeps its certificates is the system's; Debian's OpenSSL knows only of Debian's place.
  local bundle
  for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem; do
    [ -n "${SSL_CERT_FILE:-}" ] || [ ! -e "$bundle" ] || export SSL_CERT_FILE=$bundle
  done
  local folder=$PWD
  while [ -n "$folder" ] && [ ! -e "$folder/nixgen.lock" ]; do folder=${folder%/*}; done
  export NIXGEN_ROOT=${folder:-$PWD}
  # Editors look for .venv: a link is offered where there is none, and kept up to date where it is ours.
  local link=$NIXGEN_ROOT/.venv
  if [ -n "$folder" ]; then
    if [ -L "$link" ] || [ ! -e "$link" ]; then
      case $(readlink "$link" 2>/dev/null) in
        "$NIXGEN_ENVIRONMENT") ;;
        "" | /nix/store/*) ln -sfn "$NIXGEN_ENVIRONMENT" "$link" 2>/dev/null || : ;;
      esac
    elif [ -t 2 ]; then
      echo "nixgen: .venv is a folder of its own; remove it to let editors find this environment" >&2
    fi
  fi
  [ ! -t 2 ] || [ -z "${PS1:-}" ] || echo "$NIXGEN_TITLE" >&2
}
