#!/usr/bin/env bash
# The installer's own functions on a folder that stands for the disk, for bench.powercuts.
#
#   installer.sh DEPLOY MOUNT PYTHON upgrades PLAN...   each PLAN is VERSION:prove or VERSION:fail
#   installer.sh DEPLOY MOUNT PYTHON boot               what the next boot does
#
# systemd and apt are left out. A release is made by a stand-in for Python that writes two files.
# shellcheck disable=SC2034 # the installer's functions use them
set -euo pipefail
deploy=$1 mount=$2 python=$3 what=$4
shift 4
eval "$(sed -e '/^main "\$@"$/d' -e "s|^here=.*|here=$deploy|" "$deploy/install.sh")"

prefix=$mount/opt state=$mount/state
unproven=$prefix/unproven store=$state/agent.sqlite3 system_python=$prefix/../python
services=(watch) plan=''

mark() { printf '%s\n' "$*" > "$mount/marks"; }
# FUSE passes no syncfs on. The prefix and the state are as on two file systems: neither syncs the other.
sync() {
  local top
  [ "$1" = -f ] || die "expected sync -f, found sync $*"
  top=${2#"$mount/"}
  find "$mount/${top%%/*}" ! -type l -print0 | xargs -0 /usr/bin/sync
}
python_version() { echo 3.11; }
systemd_runs() { true; }
systemctl() { true; }
check_idle() { true; }
running_units() { printf '%s\n' "${services[@]}"; }
as_user() { "$@"; }
for each in link_units enable_units link_command install_settings; do eval "$each() { true; }"; done

# The service of the current release opens the store, upgrades its schema, and measures a session.
start_units() {
  local runs
  runs=$(basename "$(current_release)")
  "$python" -m bench.powercuts.with_installer "$mount" "$runs"
  [ "$runs:fail" != "$plan" ]
}

for plan; do
  version=${plan%:*} digest=digest-${plan%:*} house=$mount/house
  find_release
  build_release --system-site-packages
  mark "upgrade $plan"
  (upgrade) || [ "$plan" = "$version:fail" ]
  mark "upgraded $plan"
  start_units || true
done 2>&1
if [ "$what" = boot ]; then undo; fi
