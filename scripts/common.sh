# Shared by ./demo and ./check: finds Python, makes environments, installs Debian's packages.
# shellcheck shell=bash

say() { printf '\033[1m== %s\033[0m\n' "$*"; }
warn() { printf '\033[1;33m!! %s\033[0m\n' "$*" >&2; }
die() { printf '\033[1;31m!! %s\033[0m\n' "$*" >&2; exit 1; }

# python_for 3.13: the first interpreter of that version that runs; nothing where there is none.
python_for() {
  local each
  for each in "python$1" python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$1"*/bin/python3; do
    if "$each" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$1')" 2>/dev/null; then
      echo "$each"
      return
    fi
  done
}

# any_python: python3 where it is new enough, else the newest that is.
any_python() {
  if python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo python3
    return
  fi
  local version found
  for version in 3.14 3.13 3.12 3.11; do
    found=$(python_for "$version")
    if [ -n "$found" ]; then echo "$found"; return; fi
  done
}

made_of() { "$1" -V; cat "$2" pyproject.toml; pwd; }

# environment DIR PYTHON REQUIREMENTS: makes DIR hold what REQUIREMENTS pins, and this project. Done
# again only when the requirements, the project's own metadata or the Python changed; one made from
# requirements/dev.txt, which holds the demo's too, is kept.
environment() {
  local dir=$1 python=$2 requirements=$3 each
  if [ -L "$dir" ]; then die "expected $dir to be a folder, found a link to $(readlink "$dir"), which would be emptied"; fi
  for each in "$requirements" requirements/dev.txt; do
    if [ -f "$dir/.made-of" ] && [ "$(cat "$dir/.made-of")" = "$(made_of "$python" "$each")" ]; then
      return
    fi
  done
  say "making $dir from $requirements ($("$python" -V))"
  "$python" -m venv --clear "$dir" || die "python's venv module is needed (Debian: python3-venv)"
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check -r "$requirements"
  "$dir/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
  made_of "$python" "$requirements" > "$dir/.made-of"
}

# debian COMMAND PACKAGE...: installs the packages where COMMAND is missing and we may.
debian() {
  local command=$1
  shift
  PATH=$PATH:/usr/sbin
  if command -v "$command" >/dev/null; then return; fi
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    warn "$command is missing; install: $*"
    return
  fi
  say "installing $* with apt"
  apt-get update -qq >/dev/null || true
  # Only the program is wanted: a service that came with it is not started.
  local policy=/usr/sbin/policy-rc.d ours=''
  if [ ! -e "$policy" ]; then
    ours=yes
    printf '#!/bin/sh\nexit 101\n' > "$policy" && chmod +x "$policy"
  fi
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null ||
    warn "apt could not install $*"
  if [ -n "$ours" ]; then rm -f "$policy"; fi
  if [ -d /run/systemd/system ]; then
    systemctl disable --quiet "$1" 2>/dev/null || true
  fi
}
