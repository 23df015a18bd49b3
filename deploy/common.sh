# Shared by the installers and wheel-house: releases side by side, one of them current.
# shellcheck shell=bash
#
#   $prefix/releases/VERSION/   a virtual environment, what belongs to it in deploy/, and complete, its digest
#   $prefix/current             -> releases/VERSION: switched by one rename, so there is never none
#   $prefix/previous            -> the one before, to go back to
#
# Who sources this sets prefix, unit_folder, user and scratch, a directory for what is thrown away. A power cut at any point leaves current whole; the next run mends the rest.

# Where nobody listens any more, as after an ssh that broke off, what is under way goes on all the same.
say() { printf '\033[1m== %s\033[0m\n' "$*" || true; }
note() { printf '   %s\n' "$*" || true; }
warn() { printf '\033[1;33m!! %s\033[0m\n' "$*" >&2 || true; }
die() { printf '\033[1;31m!! %s\033[0m\n' "$*" >&2 || true; exit 1; }

taken_back=3 try_later=4  # exit statuses; 1 is that of die

prefix=${prefix:-} unit_folder=${unit_folder:-} scratch=${scratch:-} user=${user:-}
system_python=/usr/bin/python3  # Debian's own: apt's packages (picamera2, lgpio) are for no other

# What the machine is

# known_pythons DIR ROLE: the versions there are pins for in DIR/requirements.
known_pythons() {
  local each found=''
  for each in "$1"/requirements/"$2"-*.txt; do
    each=${each##*-}
    found="$found ${each%.txt}"
  done
  echo "${found# }"
}

python_version() { "$system_python" -c 'import sys; print("%d.%d" % sys.version_info[:2])'; }

require_root() {
  [ "$(id -u)" = 0 ] || die "expected to be root: sudo $0"
}

# require_debian MACHINE...: one of these machines, with 64 bit programs, on a Debian.
require_debian() {
  local machine each
  machine=$(uname -m)
  command -v apt-get >/dev/null || die "expected Debian or Raspberry Pi OS, found no apt-get here"
  if [ "$(getconf LONG_BIT)" != 64 ]; then
    die "expected a 64 bit system, found 32 bit programs on $machine: use the 64 bit image of Raspberry Pi OS"
  fi
  for each; do
    if [ "$machine" = "$each" ]; then return; fi
  done
  die "expected a 64 bit machine ($*), found $machine"
}

# require_space MB: on the disk of /opt.
require_space() {
  local free
  free=$(df --output=avail --block-size=1M /opt | tail -n 1)
  [ "$free" -ge "$1" ] || die "expected $1 MB free on the disk of /opt, found $((free)) MB; nothing was changed"
}

# Debian's packages

# apt_install PACKAGE...: those that are missing. Without a network it works where none is.
apt_install() {
  local each missing=()
  for each; do
    is_installed "$each" || missing+=("$each")
  done
  if [ ${#missing[@]} = 0 ]; then return; fi
  say "Debian's packages: ${missing[*]}"
  apt_update
  # A machine that just booted may be updating itself.
  DEBIAN_FRONTEND=noninteractive apt-get install -o DPkg::Lock::Timeout=300 --yes --quiet=2 --no-install-recommends \
    "${missing[@]}" >/dev/null ||
    die "apt could not install ${missing[*]}: without internet, bring Debian's packages first (dpkg --install)"
}

is_installed() { case $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) in *'ok installed'*) ;; *) return 1 ;; esac; }

apt_updated=''
apt_update() {
  if [ -n "$apt_updated" ]; then return; fi
  apt_updated=yes
  apt-get update --quiet=2 >/dev/null || warn "apt-get update failed; going on with what apt knows"
}

# apt_knows PACKAGE: whether it is there or could be installed, by the lists that apt has, or gets where it has none.
apt_knows() {
  if [ -z "$(find /var/lib/apt/lists -name '*_Packages*' -print -quit 2>/dev/null)" ]; then apt_update; fi
  apt-cache show "$1" >/dev/null 2>&1
}

# Users

# system_user NAME HOME GROUP...: a user without a shell, in those of the groups that there are and in no other.
system_user() {
  local name=$1 home=$2 each groups=''
  shift 2
  for each; do
    if getent group "$each" >/dev/null; then groups=$groups,$each; fi
  done
  if ! getent passwd "$name" >/dev/null; then
    useradd --system --user-group --home-dir "$home" --no-create-home --shell /usr/sbin/nologin "$name"
  fi
  usermod --groups "${groups#,}" "$name"
}

# Folders that a service owns. Its user can replace any name in them, at any moment, by a link, a FIFO or a folder. So
# root does not work on names in there: as_user does, and a link leads it nowhere that the user could not go before.

# as_user COMMAND...: as the services' user. It starts in a folder that the user may read, and does not inherit the lock.
as_user() { as_other "$user" "$@"; }

# as_other USER COMMAND...
as_other() { (cd / && umask 077 && exec setpriv --reuid "$1" --regid "$1" --init-groups -- "${@:2}" 9>&-); }

# refuse_link PATH
refuse_link() {
  [ ! -L "$1" ] || die "expected no link at $1, found one to $(readlink "$1" | tr -cd '[:print:]'): remove it"
}

# own_folder DIR: makes it, for the services' user alone. For a DIR whose parent is root's: nobody replaces it meanwhile.
own_folder() {
  refuse_link "$1"
  install -d -m 0700 -o "$user" -g "$user" "$1"
}

# A wheel house: made by wheel-house, carried on a stick; or made here, for this machine alone

# open_house DIR ROLE: sets house, and version, digest, machine and pythons of what is in it.
open_house() {
  local dir=$1 role=$2
  house=$dir
  if [ ! -f "$house/SHA256SUMS" ]; then
    house=$scratch/house
    [ -x "$dir/wheel-house" ] || die "expected a wheel house or a checkout around $dir, found neither"
    say "gathering what is to be installed"
    # Nothing of it stays in root's home, and none of it in /tmp, which is memory.
    BLINKLOG_PYTHON=$system_python TMPDIR=$scratch XDG_CACHE_HOME=$scratch "$dir/wheel-house" --for "$role" \
      --machine "$(uname -m)" --python "$(python_version)" "$house" || die "it could not be gathered; nothing was changed"
  fi
  (cd "$house" && sha256sum --check --quiet --strict SHA256SUMS) ||
    die "$house is not as it was made (see above): copy it again; nothing was changed"
  # With the Python: after Debian's own upgrade to the next, the same house makes another release.
  digest=$({ cat "$house/SHA256SUMS"; python_version; } | sha256sum | cut -c 1-16)
  version=$(described version)
  case $version in '' | *[!A-Za-z0-9._+!-]*) die "$house/release: expected a version, found '$version'" ;; esac
  [ "$(described role)" = "$role" ] || die "expected a wheel house for a $role, found one for a $(described role)"
  [ "$(described machine)" = "$(uname -m)" ] ||
    die "expected a wheel house for $(uname -m), found one for $(described machine)"
  case " $(described pythons) " in
    *" $(python_version) "*) ;;
    *) die "expected Python $(described pythons | sed 's/ / or /g') (Bookworm has 3.11, Trixie 3.13), found $(python_version)" ;;
  esac
}

described() { sed -n "s/^$1=//p" "$house/release"; }

# Releases

# find_release: sets release, the directory for what is in the house. Another content under the same version gets
# another name, so that what runs is never changed under its feet.
find_release() {
  release=$prefix/releases/$version
  if [ -f "$release/complete" ] && [ "$(cat "$release/complete")" != "$digest" ]; then
    release=$release-${digest:0:8}
  fi
}

is_complete() { [ -f "$1/complete" ]; }

# build_release OPTION: makes $release from the house; the option is one of venv's, or empty.
build_release() {
  if is_complete "$release"; then
    note "$(basename "$release") is there already"
    return
  fi
  say "making $release"
  rm -rf "$release"  # what an interrupted installation left
  mkdir -p "$prefix/releases"
  "$system_python" -m venv --without-pip ${1:+"$1"} "$release"
  # pip runs from its own wheel: unpacking another one takes half a minute on a Pi.
  local pip=("$release/bin/python" "$(echo "$house"/wheels/pip-*.whl)/pip" --disable-pip-version-check --quiet
    --no-input install --no-index --find-links "$house/wheels" --no-deps)
  PIP_CONFIG_FILE=/dev/null "${pip[@]}" --require-hashes \
    --requirement "$house/requirements/$(described role)-$(python_version).txt"
  PIP_CONFIG_FILE=/dev/null "${pip[@]}" "$house"/wheels/blinklog-*.whl
  mkdir "$release/deploy"
  [ "$(described role)" = server ] || cp "$house"/wheels/pip-*.whl "$release/deploy/"  # runs blink-agent models fetch
  local each
  for each in "$house"/*; do
    case ${each##*/} in wheels | models | requirements | SHA256SUMS) ;; *) cp -r "$each" "$release/deploy/" ;; esac
  done
  chmod -R u=rwX,go=rX "$release/deploy"
  # A stick may know no modes.
  find "$release/deploy" \( -name '*.sh' -o -name last-resort -o -name blink-server \) -exec chmod 0755 {} +
  sync -f "$release"  # before it is called complete: power may be cut now
  echo "$digest" > "$release/complete"
  sync -f "$release"
}

# point LINK TARGET: one rename; who looks sees the old or the new.
point() {
  ln -sfn "$2" "$1.new"
  mv -T "$1.new" "$1"
}

current_release() { readlink -e "$prefix/current" 2>/dev/null || true; }
previous_release() { readlink -e "$prefix/previous" 2>/dev/null || true; }

# switch_to RELEASE: makes it current, and what was current previous.
switch_to() {
  local before
  before=$(current_release)
  if [ "$before" = "$1" ]; then return; fi
  if [ -d "$before" ]; then point "$prefix/previous" "releases/$(basename "$before")"; fi
  point "$prefix/current" "releases/$(basename "$1")"
  sync -f "$prefix"
}

# remove_release RELEASE: half of one must not be called complete, should power be cut meanwhile.
remove_release() {
  if is_complete "$1"; then
    rm "$1/complete"
    sync -f "$1"
  fi
  rm -rf "$1"
}

# prune_releases: keeps current and the one before.
prune_releases() {
  local each
  for each in "$prefix"/releases/*/; do
    each=$(readlink -f "$each")
    if [ "$each" != "$(current_release)" ] && [ "$each" != "$(previous_release)" ]; then
      note "removing $(basename "$each")"
      remove_release "$each"
    fi
  done
}

# Units. They are links into the current release, so that they change with it, and go back with it.

systemd_runs() { [ -d /run/systemd/system ]; }

# link_units UNIT...: each that the current release has is linked from where systemd looks to
# $prefix/current/deploy/$unit_folder; one that it does not have, as another release did, is taken away.
link_units() {
  local unit
  for unit; do
    if [ ! -e "$prefix/current/deploy/$unit_folder/$unit" ]; then
      rm -f "/etc/systemd/system/$unit" /etc/systemd/system/*.wants/"$unit"
      continue
    fi
    ln -sfn "$prefix/current/deploy/$unit_folder/$unit" "/etc/systemd/system/$unit.new"
    mv -T "/etc/systemd/system/$unit.new" "/etc/systemd/system/$unit"
  done
  if systemd_runs; then systemctl daemon-reload; fi
}

# enable_units UNIT...: those that are linked, all at once: each time costs a reload.
enable_units() {
  local unit linked=()
  for unit; do
    if [ -e "/etc/systemd/system/$unit" ]; then linked+=("$unit"); fi
  done
  systemctl --quiet enable "${linked[@]}"
}

# restart_unit UNIT: waits until it is ready, for as long as a start may take, and looks whether it stays so.
start_s=${BLINKLOG_START_S:-90}
restart_unit() {
  systemctl reset-failed "$1" 2>/dev/null || true
  timeout "$start_s" systemctl restart "$1" 2>/dev/null || return 1
}

stays_up() {
  [ "$(systemctl show --property ActiveState --value "$1")" = active ] &&
    [ "$(systemctl show --property NRestarts --value "$1")" = 0 ]
}

# last_words UNIT: why it did not start, as it said itself.
last_words() {
  journalctl --unit "$1" --lines 20 --no-pager --output cat 2>/dev/null | sed 's/^/   | /' >&2 || true
}

# One installation at a time

# In a folder that only root enters: a lock that others can open is one that others can hold.
take_lock() {
  install -d -m 0700 "/run/$1"
  exec 9> "/run/$1/lock"
  flock --nonblock 9 || { (die "another installation is under way") || exit "$try_later"; }
}
