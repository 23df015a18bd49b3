#!/usr/bin/env bash
# Installs or upgrades Blinklog on a device: Raspberry Pi OS or Debian, 64 bit, Bookworm or Trixie.
#
#   sudo ./install.sh                   from a wheel house without internet, or from a checkout with it
#   sudo ./install.sh --go-back         to the release before
#   sudo ./install.sh --uninstall --keep-data | --delete-data
#
#   --no-camera-packages   without picamera2: for a USB camera, or where apt does not know it
#   --now                  even while a session is being measured, which that ends
#   --unattended           nobody asked for Debian's packages: without picamera2 unless it is there (blinklog-upgrade)
#
# An upgrade is tried before it becomes current, and watched until its services stand; one that fails goes back by
# itself, says so, and ends with an exit status that is not 0: 3 if it went back, 4 if it is to be tried later, because a
# session is being measured or another installation is under way, and 1 for all else. Running it twice is running it once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/common.sh"

prefix=/opt/blinklog unit_folder=systemd user=blinklog
config=/etc/blinklog state=/var/lib/blinklog cache=/var/cache/blinklog models=$prefix/models
services=(blinklog-watch.service blinklog-sync.service)
beside=(blinklog-last-resort.timer blinklog-join.path blinklog-join.service blinklog-release.path)
enabled=("${services[@]}" "${beside[@]}" blinklog-undo.service blinklog-release.service)
units=("${enabled[@]}" blinklog-last-resort.service blinklog-upgrade.service)
settings=(journald.conf.d/blinklog.conf system.conf.d/blinklog.conf)  # below /etc/systemd
unproven=$prefix/unproven  # as long as it is there, the next boot goes back to the release that it names
store=$state/agent.sqlite3
self_test_s=${BLINKLOG_SELF_TEST_S:-300} settle_s=${BLINKLOG_SETTLE_S:-5}

action=install data='' camera=yes now='' unattended='' scratch='' stopped=''

read_options() {
  while [ $# -gt 0 ]; do
    case $1 in
      --go-back) action=go_back ;;
      --undo) action=undo ;;
      --uninstall) action=uninstall ;;
      --keep-data | --delete-data) data=${1#--} ;;
      --no-camera-packages) camera='' ;;
      --now) now=yes ;;
      --unattended) unattended=yes ;;
      --help | -h) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 0 ;;
      *) die "unknown option $1: see $0 --help" ;;
    esac
    shift
  done
  if [ -n "$data" ] && [ "$action" != uninstall ]; then die "--$data goes with --uninstall"; fi
}

# Before anything is changed

check_machine() {
  require_debian aarch64 x86_64
  if [ -x "$system_python" ]; then
    case $(python_version) in
      3.11 | 3.13) ;;
      *) die "expected Python 3.11 (Bookworm) or 3.13 (Trixie) as $system_python, found $(python_version)" ;;
    esac
  fi
  require_space 700  # a release is 370 MB, a wheel house 130
  [ "$(uname -m)" = aarch64 ] || note "this is no Raspberry Pi ($(uname -m)): going on"
}

# later WHAT: nothing was changed, and the same can succeed later.
later() { (die "$1") || exit "$try_later"; }

# A session that is being measured would end: whoever is measured did not ask for that. What can't be asked is not idle.
check_idle() {
  local found
  if [ -n "$now" ] || ! watch_runs; then return; fi
  found=$(doing) || later "blink-agent status fails (see above): a session may be being measured; --now goes on all the same"
  case $found in
    starting | ready | looking | fault | stopped | 'not running') ;;
    measuring | finishing) later "a session is being measured: end it first, or say --now" ;;
    *) later "blink-agent status calls the device ${found@Q}: a session may be being measured; --now goes on all the same" ;;
  esac
}

watch_runs() {
  local state
  systemd_runs || return 1
  state=$(systemctl show --property ActiveState --value blinklog-watch.service) || die "systemctl fails (see above)"
  case $state in inactive | failed | activating) return 1 ;; esac
}

# doing: the device's state, by the release that runs, at most 100 characters. It reads files of the services' user.
doing() {
  as_service timeout 60 "$prefix/current/bin/blink-agent" status --json |
    "$system_python" -I -c 'import json, sys; print(json.loads(sys.stdin.read(64 << 20))["doing"]["state"][:100])'
}

# Steps

install_packages() {
  local wanted=(python3 python3-venv)
  if apt_knows python3-lgpio; then
    wanted+=(python3-lgpio)
  else
    warn "apt knows no python3-lgpio: button and light at GPIO pins will not work; a USB button will"
  fi
  if [ -n "$unattended" ] && ! is_installed python3-picamera2; then camera=''; fi
  if [ -n "$camera" ]; then
    if apt_knows python3-picamera2; then
      wanted+=(python3-picamera2)
    else
      warn "apt knows no python3-picamera2, which is in Raspberry Pi OS: the Pi's camera will not work; a USB camera will"
    fi
  fi
  apt_install "${wanted[@]}"
}

# Copied beside and renamed; a release names its models by their hash, so none takes another's away.
install_models() {
  local each name
  mkdir -p "$models"
  for each in "$house"/models/*; do
    name=${each##*/}
    if cmp --quiet "$each" "$models/$name"; then continue; fi
    install -m 0644 "$each" "$models/.$name"
    mv "$models/.$name" "$models/$name"
  done
}

install_config() {
  install -d -m 0755 -o root -g root "$config"
  [ -e "$config/agent.toml" ] || install -m 0644 "$here/agent.toml" "$config/agent.toml"
  own_folder "$state"
}

install_settings() {
  local each changed=''
  for each in "${settings[@]}"; do
    if cmp --quiet "$prefix/current/deploy/$each" "/etc/systemd/$each"; then continue; fi
    install -D -m 0644 "$prefix/current/deploy/$each" "/etc/systemd/$each"
    changed=yes
  done
  if [ -n "$changed" ]; then take_settings; fi
}

take_settings() {
  if ! systemd_runs; then return; fi
  systemctl daemon-reexec
  systemctl try-restart systemd-journald.service
  journalctl --flush 2>/dev/null || true  # where it was kept in memory until now, as Raspberry Pi OS does
}

# as_service COMMAND...: as the user that the services are, with this device's configuration.
as_service() { as_user env --ignore-environment PATH=/usr/bin:/bin HOME="$state" "$@"; }

# An inference and a store, as the user that the services will be, with this device's configuration.
self_test() {
  say "self-test of $(basename "$1")"
  as_service timeout "$self_test_s" "$1/bin/blink-agent" self-test
}

# To go back to if the next release rewrites it and then fails. Nobody writes meanwhile: the services are down.
keep_store() {
  refuse_link "$store"
  as_user rm -rf "$store.before"
  if [ -f "$store" ]; then as_user "$system_python" - "$store" "$store.before" <<'PYTHON'
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as now, sqlite3.connect(sys.argv[2]) as kept:
    now.backup(kept)
PYTHON
  fi
  sync -f "$state"
}

# Only where the schema changed: otherwise the release before reads what is there, newest sessions included.
restore_store() {
  local now before
  clear_way "$store.before"
  clear_way "$store.back"
  if [ -f "$store.before" ]; then
    if ! now=$(schema_of "$store") || ! before=$(schema_of "$store.before"); then
      warn "the store's schema can't be read (see above): the store stays as it is, and $store.before is kept"
      return
    fi
  fi
  if [ -f "$store.before" ] && [ "$now" != "$before" ]; then
    as_user mv -T "$store.before" "$store.back"  # decided: whatever cuts it off from here on, it is brought to its end
    sync -f "$state"
  fi
  if [ -f "$store.back" ]; then
    note "the store goes back too, to how it was before the upgrade"
    as_user rm -rf "$store-wal" "$store-shm"
    sync -f "$state"  # a power cut must not leave the store with the other's WAL
    as_user mv -T "$store.back" "$store"
  fi
  as_user rm -f "$store.before"
  sync -f "$state"
}

# clear_way PATH: of a link or a folder where the store's copy would be. No installer makes either.
clear_way() {
  if [ -L "$1" ] || [ -d "$1" ]; then
    warn "expected a file at $1, found a link or a folder: removing it"
    as_user rm -rf "$1"
  fi
}

schema_of() {
  as_user "$system_python" -c \
    'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("PRAGMA user_version").fetchone()[0])' "$1"
}

link_command() { ln -sfn "$prefix/current/bin/blink-agent" /usr/local/bin/blink-agent; }

# stop_services: what runs is remembered, so that whatever breaks off from here on, mend starts it again.
stop_services() {
  if ! systemd_runs; then return; fi
  stopped=$(running_units)
  systemctl stop "${services[@]}" 2>/dev/null || true
}

running_units() {
  local unit
  for unit in "${services[@]}"; do
    if systemctl --quiet is-active "$unit" 2>/dev/null; then echo "$unit"; fi
  done
}

# start_units UNIT...: true when each is ready and stays so.
start_units() {
  local unit failed=''
  for unit; do
    restart_unit "$unit" || failed=$unit
  done
  stopped=''
  if [ -z "$failed" ]; then
    sleep "$settle_s" 9>&-  # without the lock: it may outlive us
    for unit; do stays_up "$unit" || failed=$unit; done
  fi
  if [ -z "$failed" ]; then return 0; fi
  warn "$failed does not stand. Its last words:"
  last_words "$failed"
  return 1
}

# The whole

install_release() {
  check_machine
  check_idle
  mend
  scratch=$(mktemp -d "${TMPDIR:-/var/tmp}/blinklog-install.XXXXXX")
  trap clean_up EXIT
  install_packages
  open_house "$here" device
  system_user "$user" "$state" video gpio input
  if [ -c /dev/gpiochip0 ] && ! getent group gpio >/dev/null; then
    warn "there is no group gpio, which Raspberry Pi OS gives /dev/gpiochip*: button and light there need a udev rule"
  fi
  if ! command -v openssl >/dev/null; then
    warn "there is no openssl, which Raspberry Pi OS has: the device can't take updates from its server's page"
  fi
  if ! command -v nmcli >/dev/null; then
    warn "there is no NetworkManager, which Raspberry Pi OS has: the camera can't be shown a Wi-Fi's code; a cable will do"
  fi
  find_release
  build_release --system-site-packages
  install_models
  install_config
  self_test "$release" || refuse_release
  if [ "$(current_release)" = "$release" ] && [ "$(running_units | wc -l)" = ${#services[@]} ]; then
    note "$(basename "$release") is current and runs: nothing to do"
    finish
    return
  fi
  upgrade
}

# However this ends. A second signal, as of a line that is gone, does not stop the mending.
clean_up() {
  trap '' HUP INT TERM PIPE
  rm -rf "$scratch"
  mend
}

refuse_release() {
  if [ "$(current_release)" != "$release" ]; then remove_release "$release"; fi
  [ -d "$prefix/current" ] || die "the self-test of $version failed: it was not installed"
  die "the self-test of $version failed: $(basename "$(current_release)") goes on as it was"
}

upgrade() {
  local before ran
  before=$(current_release)
  ran=$(running_units)
  check_idle  # making it took minutes
  stop_services
  keep_store
  if [ -n "$before" ]; then mark_unproven "$before"; fi
  switch_to "$release"
  finish
  if ! systemd_runs; then
    prove
    note "systemd does not run here: the services start with the next boot"
    return
  fi
  # A fault that was there before (a camera unplugged, say) is no reason to go back.
  local wanted=("${services[@]}")
  if [ -n "$ran" ]; then mapfile -t wanted <<< "$ran"; fi
  if start_units "${wanted[@]}"; then
    prove
    systemctl --no-block start "${services[@]}" "${beside[@]}"
    say "$(basename "$release") runs"
    return
  fi
  if [ -z "$ran" ]; then
    prove
    die "$(basename "$release") is installed and its services go on trying; blink-agent doctor says what is missing"
  fi
  go_back_to_before
  (die "$version failed, and was taken back: $(basename "$before") runs again") || exit "$taken_back"
}

# What belongs to the current release outside of it.
finish() {
  link_units "${units[@]}"
  enable_units "${enabled[@]}"
  link_command
  install_settings
  if [ ! -e "$unproven" ]; then prune_releases; fi  # else it may be needed yet
}

# mark_unproven RELEASE: where to go back to, and what was before that.
mark_unproven() {
  printf '%s\n' "$(basename "$1")" "$(basename "$(previous_release)")" > "$unproven.new"
  sync -f "$prefix"  # a power cut must not leave the name without the content
  mv -T "$unproven.new" "$unproven"
}

prove() {
  rm -f "$unproven"
  sync -f "$prefix"  # a power cut must not bring it back when there is no store to go back to, or a newer one
  as_user rm -rf "$store.before"
  prune_releases
}

go_back_to_before() {
  local failed
  failed=$(current_release)
  systemctl stop "${services[@]}" 2>/dev/null || true
  take_back
  if [ "$failed" != "$(current_release)" ]; then remove_release "$failed"; fi
  finish
  start_units "${services[@]}" || warn "the release before does not start either: blink-agent doctor"
}

# The links as they were before the upgrade, and the store where it has to.
take_back() {
  local before older
  { read -r before; read -r older; } < "$unproven"
  say "going back to $before"
  point "$prefix/current" "releases/$before"
  restore_store
  rm -f "$unproven"
  sync -f "$prefix"
  # Last: until here the next boot's undo runs from it.
  rm -f "$prefix/previous"
  if [ -n "$older" ]; then point "$prefix/previous" "releases/$older"; fi
  sync -f "$prefix"
}

# Also at boot, before the services: power was cut while an upgrade was being watched.
undo() {
  [ -e "$unproven" ] || return 0
  note "an upgrade was cut off"
  take_back
  if systemd_runs; then systemctl daemon-reload; fi  # the units are links into the current release
}

# What was broken off between switching and standing, by whatever: goes back, at once and not only at the next boot.
# What was broken off before that: runs again.
mend() {
  if [ -e "$unproven" ]; then
    undo
    stopped=${services[*]}
  fi
  # shellcheck disable=SC2086 # words are wanted
  if [ -n "$stopped" ] && systemd_runs; then systemctl restart $stopped || true; fi
  stopped=''
}

go_back() {
  local before
  mend
  before=$(previous_release)
  [ -d "$before" ] || die "expected a release to go back to, found none in $prefix/releases"
  check_idle
  self_test "$before" || die "the release before fails its self-test; nothing was changed"
  check_idle  # that took its time
  say "going back to $(basename "$before")"
  trap clean_up EXIT
  stop_services
  switch_to "$before"
  finish
  if systemd_runs; then start_units "${services[@]}" || die "$(basename "$before") is current, but does not stand"; fi
  say "$(basename "$before") is current"
}

uninstall() {
  ask_about_data
  local unit
  for unit in "${units[@]}"; do
    if systemd_runs; then systemctl --quiet disable --now "$unit" 2>/dev/null || true; fi
    rm -f "/etc/systemd/system/$unit" /etc/systemd/system/*.target.wants/"$unit"
    rm -rf "/etc/systemd/system/$unit.d"
  done
  rm -f /usr/local/bin/blink-agent "${settings[@]/#//etc/systemd/}"
  rmdir --ignore-fail-on-non-empty /etc/systemd/journald.conf.d /etc/systemd/system.conf.d 2>/dev/null || true
  take_settings
  rm -rf "$prefix" "$cache" /var/lib/blinklog-last-resort /var/lib/blinklog-release /run/blinklog-join /run/blinklog-watch
  if [ "$data" = keep-data ]; then
    say "Blinklog is gone; $state and $config are kept, and so is their owner, the user $user"
    return
  fi
  rm -rf "$state" "$config"  # GNU rm enters no link, also where one takes a folder's place meanwhile
  if getent passwd "$user" >/dev/null; then userdel "$user"; fi
  say "Blinklog is gone, and all it had stored here"
}

ask_about_data() {
  if [ -n "$data" ]; then return; fi
  [ -t 0 ] || die "expected --keep-data or --delete-data with --uninstall"
  local answer
  read -r -p "Delete the sessions stored here and the device's identity, too? [keep/delete] " answer
  case $answer in keep | delete) data=$answer-data ;; *) die "expected keep or delete, found '$answer'; nothing was changed" ;; esac
}

main() {
  read_options "$@"
  require_root
  umask 022
  cd /  # Python takes modules from where it is started
  take_lock blinklog-install
  case $action in
    install) install_release ;;
    go_back) go_back ;;
    undo) undo ;;
    uninstall) uninstall ;;
  esac
}

main "$@"
