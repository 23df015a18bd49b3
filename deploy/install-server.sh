#!/usr/bin/env bash
# Installs or upgrades the Blinklog server: Debian 12 or 13, 64 bit.
#
#   sudo ./install-server.sh --name blinklog.example.org
#                                    from a wheel house without internet, or from a checkout with it
#   sudo ./install-server.sh         an upgrade: the settings stay as they are
#   sudo ./install-server.sh --uninstall --keep-data | --delete-data
#
#   --postgres             with PostgreSQL in place of SQLite: installs it, makes role and database
#   --broker               with Mosquitto, so that sessions and commands arrive at once; its
#                          certificate comes from an authority made here, unless there is one already
#
# What is asked for once stays. Before the database is changed it is backed up, below /var/lib/blinklog-server/backups.
# A release that fails its trial is taken back, database included, before any device could deliver to it; the script
# says so and ends with an exit status that is not 0. Running it twice is running it once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/server/broker.sh"

prefix=/opt/blinklog-server unit_folder=server/systemd user=blinklog-server
config=/etc/blinklog-server state=/var/lib/blinklog-server broker=/etc/mosquitto/blinklog
services=(blinklog-serve.service blinklog-consume.service)
timers=(blinklog-backup.timer blinklog-judge.timer blinklog-tidy.timer blinklog-certificate.timer)
jobs=(blinklog-backup.service blinklog-judge.service blinklog-tidy.service blinklog-certificate.service)
units=("${services[@]}" "${timers[@]}" "${jobs[@]}" blinklog-server-undo.service)
dropin=/etc/systemd/system/mosquitto.service.d/blinklog.conf
unproven=$prefix/unproven  # holds the backup to go back to; as long as it is there, the next boot does
trial=/run/blinklog-server-trial trial_port=${BLINKLOG_TRIAL_PORT:-18999}
ready_s=${BLINKLOG_READY_S:-60}

action=install data='' name='' postgres='' with_broker='' scratch=''
stopped=''  # by us: to be started again, however this ends
stuck=''  # there was no going back

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --name) name=${2:?the name that the server is reached by}; shift ;;
      --postgres) postgres=yes ;;
      --broker) with_broker=yes ;;
      --undo) action=undo ;;
      --uninstall) action=uninstall ;;
      --keep-data | --delete-data) data=${1#--} ;;
      --help | -h) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 0 ;;
      *) die "unknown option $1: see $0 --help" ;;
    esac
    shift
  done
  if [ -n "$data" ] && [ "$action" != uninstall ]; then die "--$data goes with --uninstall"; fi
  case $name in *[!A-Za-z0-9.-]*) die "expected a host name, found '$name'" ;; esac
  if [ "$action" = install ] && [ -z "$name" ] && [ ! -f "$config/environment" ]; then
    die "expected --name and the name that the server will be reached by, such as blinklog.example.org"
  fi
}

check_machine() {
  require_debian x86_64 aarch64
  require_space 250  # a release is 100 MB, a wheel house 30
  [ ! -x "$system_python" ] || case $(python_version) in
    3.11 | 3.13) ;;
    *) die "expected Python 3.11 (Debian 12) or 3.13 (Debian 13) as $system_python, found $(python_version)" ;;
  esac
}

install_packages() {
  local wanted=(python3 python3-venv)
  if [ -n "$postgres" ]; then wanted+=(postgresql); fi
  if [ -n "$with_broker" ]; then wanted+=(mosquitto openssl); fi
  apt_install "${wanted[@]}"
}

# Settings

install_config() {
  install -d -m 0750 -o root -g "$user" "$config"
  own_folder "$state"
  refuse_link "$state/backups"
  as_user install -d -m 0700 "$state/backups" || die "expected $state/backups to be a folder of $user's (see above)"
  if [ ! -f "$config/environment" ]; then
    sed "s/@NAME@/$name/g" "$here/server/environment" > "$config/environment.new"
    chgrp "$user" "$config/environment.new"
    chmod 0640 "$config/environment.new"
    mv "$config/environment.new" "$config/environment"
  elif [ -n "$name" ] && ! grep -q "^BLINKLOG_URL=https://$name$" "$config/environment"; then
    warn "$config/environment is kept as it is; change the name there"
  fi
  chown -h "root:$user" "$config/environment"  # it may come from another machine, with other numbers
}

# setting NAME: its value; empty where there is none. A file that can't be read is no answer.
setting() {
  if [ ! -e "$config/environment" ]; then return; fi
  sed -n "s/^$1=//p" "$config/environment" | tail -n 1 | sed 's/^"\(.*\)"$/\1/'
}

# set_once NAME VALUE: a setting that is there already stays.
set_once() {
  if grep -q "^$1=" "$config/environment"; then return; fi
  echo "$1=$2" >> "$config/environment"
}

# The role is named as the system's user, so PostgreSQL knows who it is without a password (peer).
set_up_postgres() {
  if [ -z "$postgres" ]; then return; fi
  if [ -e "$state/blinklog.sqlite3" ] && [ -z "$(setting DATABASE_URL)" ]; then
    die "expected a new server for --postgres, found a SQLite database: see docs/install.md"
  fi
  wait_for "PostgreSQL" as_postgres psql --quiet --command 'SELECT 1'
  local found
  found=$(ask_postgres "SELECT 1 FROM pg_roles WHERE rolname = '$user'")
  [ -n "$found" ] || as_postgres createuser "$user"
  found=$(ask_postgres "SELECT 1 FROM pg_database WHERE datname = 'blinklog'")
  [ -n "$found" ] || as_postgres createdb --owner "$user" --encoding UTF8 --template template0 blinklog
  set_once DATABASE_URL "postgres://$user@%2Frun%2Fpostgresql/blinklog"
}

ask_postgres() { as_postgres psql --tuples-only --no-align --command "$1"; }

as_postgres() { as_other postgres "$@"; }

# wait_for WHAT COMMAND...: until the command succeeds.
wait_for() {
  local what=$1 tries=0
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries + 1))
    [ "$tries" -lt "$ready_s" ] || die "$what did not answer within $ready_s s"
    sleep 1
  done
}

# What the services are, and how they are tried

# server RELEASE COMMAND...: blink-server of that release, as the services' user, with their settings.
server() { BLINKLOG_RELEASE=$1 "$1/deploy/server/blink-server" "${@:2}" 9>&-; }

# On an empty database of its own: whether this release works here at all.
self_test() {
  say "self-test of $(basename "$1")"
  local folder status=1
  as_user find "$state" -maxdepth 1 -name 'self-test.*' -exec rm -rf {} +  # what an interrupted installation left
  folder=$(as_user mktemp -d "$state/self-test.XXXXXX")
  if as_user env --ignore-environment --chdir="$folder" PATH=/usr/bin:/bin BLINKLOG_DATA_DIR="$folder" \
    "$1/bin/blink-server" migrate --quiet && answers "$1" "$folder"; then
    status=0
  fi
  as_user rm -rf "$folder"
  return "$status"
}

# answers RELEASE FOLDER: serves the database in FOLDER until it says that it is ready.
answers() {
  local pid status=1
  setpriv --reuid "$user" --regid "$user" --init-groups -- env --ignore-environment --chdir="$2" PATH=/usr/bin:/bin \
    BLINKLOG_DATA_DIR="$2" "$1/bin/blink-server" serve --workers 1 --bind "127.0.0.1:$trial_port" 9>&- &
  pid=$!  # not as_user: its subshell would be what is killed below
  if ready_at "$trial_port" "$pid"; then status=0; fi
  kill "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null || true
  return "$status"
}

# ready_at PORT [PID]: whether /readyz says so within the time; PID's end is an answer, too.
ready_at() {
  "$system_python" -I - "$1" "$ready_s" "${2:-}" <<'PYTHON'
import os, sys, time, urllib.error, urllib.request
port, limit, pid = sys.argv[1], float(sys.argv[2]), sys.argv[3]
address, end, said = f"http://127.0.0.1:{port}/readyz", time.monotonic() + float(limit), "nothing"
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
while time.monotonic() < end and not (pid and not os.path.exists(f"/proc/{pid}")):
    try:
        with opener.open(address, timeout=5):
            sys.exit(0)
    except urllib.error.HTTPError as error:
        said = f"{error.code} {error.read(500).decode(errors='replace')}"
    except OSError as error:
        said = str(error)
    time.sleep(0.3)
print(f"   expected {address} to be ready, found {said}", file=sys.stderr)
sys.exit(1)
PYTHON
}

# The whole

install_release() {
  check_machine
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/blinklog-install.XXXXXX")
  mend
  trap 'exit 1' HUP INT TERM  # once the command under way has ended: nothing is mended beside a migration
  trap clean_up EXIT
  check_broker
  install_packages
  open_house "$here" server
  system_user "$user" "$state"
  find_release
  build_release ''
  install_config
  set_up_postgres
  set_up_broker
  self_test "$release" || refuse_release
  start_broker
  if [ "$(current_release)" = "$release" ] && all_run; then
    note "$(basename "$release") is current and runs: nothing to do"
    finish
    return
  fi
  upgrade
}

# However this ends. Where a terminal or a pipe is gone, nothing that is told to it may stop the mending.
clean_up() {
  trap '' HUP INT TERM PIPE
  jobs -p | xargs --no-run-if-empty kill 2>/dev/null || true  # a self-test's server
  rm -rf "$scratch" "$trial"
  if [ ! -e "$unproven" ] && [ -z "$stopped" ]; then return; fi
  { echo '   broken off: what ran before is started again' >&3; } 3>&2 2>/dev/null || exec 2>/dev/null
  echo 2>/dev/null || exec >/dev/null
  mend
}

refuse_release() {
  if [ "$(current_release)" != "$release" ]; then remove_release "$release"; fi
  die "the self-test of $version failed: nothing was changed"
}

wanted_services() {
  echo blinklog-serve.service
  if [ -n "$(setting BLINKLOG_MQTT_URL)" ]; then echo blinklog-consume.service; fi
}

all_run() {
  local each
  systemd_runs || return 1
  for each in $(wanted_services) "${timers[@]}"; do systemctl --quiet is-active "$each" || return 1; done
}

upgrade() {
  local found before
  found=$(current_release)
  before=$found
  stopped=$found
  stop_all
  if [ -n "$found" ] && ! can_run "$found"; then
    warn "$(basename "$found") does not run here any more (another Python?): $version backs up, and is not taken back"
    before=''
    back_up "$release"
  elif [ -n "$found" ]; then
    back_up "$found"
    point_undo "$found"
    switch_to "$release"  # before the database changes: what is current is always what knows it
  fi
  prune_backups
  say "bringing the database up to date"
  if ! { server "$release" migrate --quiet && switch_to "$release" && finish && try_it; }; then
    if [ -z "$before" ]; then die "$version is installed, but does not stand (see above)"; fi
    mend
    if [ -n "$stuck" ]; then die "$version failed, and could not be taken back (see above)"; fi
    remove_release "$release"
    die "$version failed, and was taken back: $(basename "$before") runs again, with the database as it was"
  fi
  rm -f "$unproven" "$prefix/not-taken-back"
  sync -f "$prefix"  # a power cut must not take back what is stored from now on
  start_all || die "$(basename "$release") passed its trial, but not all of it stands: systemctl status 'blinklog-*'"
  say "$(basename "$release") runs"
  meet_broker
  if [ -z "$found" ]; then
    note "next: a reverse proxy for TLS ($prefix/current/deploy/server/Caddyfile or nginx.conf), and somebody to log in:"
    note "sudo blink-server create-person NAME --admin --password-stdin"
  fi
}

stop_all() {
  if systemd_runs; then systemctl stop "${services[@]}" "${timers[@]}" "${jobs[@]}" 2>/dev/null || true; fi
}

start_all() {
  if ! systemd_runs; then
    note "systemd does not run here: the services start with the next boot"
    stopped=''
    return
  fi
  local each
  for each in $(wanted_services); do
    restart_unit "$each" || { stopped=''; last_words "$each"; return 1; }
  done
  systemctl restart "${timers[@]}"
  stopped=''
}

# can_run RELEASE: not after Debian's own upgrade to the next Python.
can_run() { as_user env --ignore-environment PATH=/usr/bin:/bin "$1/bin/blink-server" --help >/dev/null 2>&1; }

# back_up RELEASE: of the database, by that release. Nobody writes: the services are down.
back_up() {
  backup=$state/backups/before-$(basename "$release")-$(date +%Y%m%dT%H%M%S).zip
  say "backing up to $backup"
  server "$1" backup "$backup" >/dev/null || die "the backup failed; nothing was changed"
}

# prune_backups: of those made before upgrades the newest few stay, and the one that there is to go back to. A name may
# hold anything but a null byte.
prune_backups() {
  local keep
  keep=$(setting BLINKLOG_UPGRADE_BACKUPS)
  case $keep in '' | 0 | *[!0-9]*) keep=3 ;; esac
  as_user find "$state/backups" -maxdepth 1 -type f -name 'before-*.zip' -printf '%T@ %p\0' | sort -zrn |
    tail -z -n "+$((keep + 1))" | cut -z -d ' ' -f 2- |
    { grep -zvxF -e "$(cat "$unproven" 2>/dev/null)" || true; } | as_user xargs --null --no-run-if-empty rm -f --
}

# point_undo RELEASE: from now on the next boot goes back to it.
point_undo() {
  point "$prefix/previous" "releases/$(basename "$1")"
  echo "$backup" > "$unproven.new"
  sync -f "$prefix"  # a power cut must not leave the name without the content
  mv -T "$unproven.new" "$unproven"
  sync -f "$prefix"
}

# The real unit with the real database, at an address where no device and no person finds it: what is acknowledged
# by a release that is then taken back would be lost.
try_it() {
  if ! systemd_runs; then return 0; fi
  say "trying it"
  echo "BLINKLOG_BIND=127.0.0.1:$trial_port" > "$trial"
  if ! { restart_unit blinklog-serve.service && ready_at "$trial_port" && stays_up blinklog-serve.service; }; then
    last_words blinklog-serve.service
    rm -f "$trial"
    return 1
  fi
  rm -f "$trial"
  systemctl stop blinklog-serve.service
}

# Also at boot, before the services: power was cut while an upgrade was being tried.
undo() {
  [ -e "$unproven" ] || return 0
  local before
  before=$(previous_release)
  backup=$(cat "$unproven")
  say "going back to $(basename "$before") and to the database in $backup"
  if ! { can_run "$before" && is_whole "$backup" && patiently server "$before" restore --replace "$backup"; }; then
    go_on
    return
  fi
  point "$prefix/current" "releases/$(basename "$before")"
  rm -f "$unproven" "$prefix/previous"
  sync -f "$prefix"
  if systemd_runs; then systemctl daemon-reload; fi
}

# Without what there was to go back to, current is the only release that knows the database as it is.
go_on() {
  stuck=yes
  warn "'$backup' could not be restored: going on with $(basename "$(current_release)") and the database as it is." \
    "Run the installer again: see docs/install.md, \"Upgrading\""
  patiently server "$(current_release)" migrate --quiet || warn "the database could not be brought up to date"
  mv "$unproven" "$prefix/not-taken-back"
  sync -f "$prefix"
}

# is_whole BACKUP: whether it can be read. If not, trying again does not help.
is_whole() {
  as_user "$system_python" - "$1" <<'PYTHON'
import os, stat, sys, zipfile
try:
    # Not blocking: opening a FIFO would wait until somebody writes to it.
    backup = os.open(sys.argv[1], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(backup).st_mode):
        raise ValueError("no file")
    damaged = zipfile.ZipFile(os.fdopen(backup, "rb")).testzip()
except Exception as error:
    sys.exit(f"   expected a zip file that can be read, found: {error}")
if damaged:
    sys.exit(f"   expected every file in the backup to match its checksum, found {damaged} damaged")
PYTHON
}

# patiently COMMAND...: for five minutes; at boot, as long as the database is not up, until the unit's time is over.
patiently() {
  local tries=0
  until "$@"; do
    if [ "$action" != undo ] || database_answers; then tries=$((tries + 1)); fi
    [ "$tries" -lt 30 ] || return 1
    sleep 10
  done
}

# Whoever asks needs no password.
database_answers() {
  local url
  url=$(setting DATABASE_URL | sed 's,//\([^:@/]*\):[^@/]*@,//\1@,')
  [ -z "$url" ] || pg_isready --quiet --dbname "$url"
}

# What was broken off, by whatever: goes back where a release was being tried, at once and not only at the next boot.
mend() {
  if [ -e "$unproven" ]; then
    stop_all
    stopped=yes stuck=''
    undo
  fi
  if [ -n "$stopped" ]; then start_all || true; fi
}

# What belongs to the current release outside of it.
finish() {
  if [ -e "$dropin" ]; then put "$here/server/mosquitto.service.d/blinklog.conf" "$dropin"; fi
  link_units "${units[@]}"
  # shellcheck disable=SC2046 # words are wanted
  enable_units $(wanted_services) "${timers[@]}" blinklog-server-undo.service
  ln -sfn "$prefix/current/deploy/server/blink-server" /usr/local/bin/blink-server
  prune_releases
}

uninstall() {
  if [ -z "$data" ]; then
    [ -t 0 ] || die "expected --keep-data or --delete-data with --uninstall"
    local answer
    read -r -p "Delete everybody's sessions, and the backups here, too? [keep/delete] " answer
    case $answer in keep | delete) data=$answer-data ;; *) die "expected keep or delete, found '$answer'; nothing was changed" ;; esac
  fi
  local unit database had_broker=''
  database=$(setting DATABASE_URL)
  if [ -e "$dropin" ]; then had_broker=yes; fi
  stop_all
  for unit in "${units[@]}"; do
    if systemd_runs; then systemctl --quiet disable --now "$unit" 2>/dev/null || true; fi
    rm -f "/etc/systemd/system/$unit" /etc/systemd/system/*.target.wants/"$unit"
    rm -rf "/etc/systemd/system/$unit.d"
  done
  rm -f /usr/local/bin/blink-server "$dropin"
  rmdir --ignore-fail-on-non-empty "$(dirname "$dropin")" 2>/dev/null || true
  if systemd_runs; then
    systemctl daemon-reload
    # With Debian's configuration: no device is let in any more.
    if [ -n "$had_broker" ]; then systemctl try-restart mosquitto.service || true; fi
  fi
  rm -rf "$prefix"
  if [ "$data" = keep-data ]; then
    say "the server is gone; $state, $config and the database are kept, and so is their owner, the user $user"
    return
  fi
  if [ "$database" = "postgres://$user@%2Frun%2Fpostgresql/blinklog" ]; then
    as_postgres dropdb --if-exists blinklog
    as_postgres dropuser --if-exists "$user"
  elif [ -n "$database" ]; then
    warn "the database is not ours to delete: remove it where DATABASE_URL of $config/environment says it is"
  fi
  # GNU rm enters no link, also where one takes a folder's place meanwhile.
  rm -rf "$state" "$config" "$broker" /var/lib/mosquitto/dynamic-security.json
  if getent passwd "$user" >/dev/null; then userdel "$user"; fi
  say "the server is gone, and all it had stored here. Debian's packages stay (postgresql, mosquitto)"
}

main() {
  read_options "$@"
  require_root
  umask 022
  cd /  # Python takes modules from where it is started
  take_lock blinklog-install-server
  case $action in
    install) install_release ;;
    undo)
      undo
      if [ -n "$stuck" ]; then exit 1; fi ;;  # for systemctl --failed; the services don't mind
    uninstall) uninstall ;;
  esac
}

main "$@"
