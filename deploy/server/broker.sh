# Part of install-server.sh: the broker that it sets up, Debian's Mosquitto with Blinklog's configuration.
# shellcheck shell=bash disable=SC2154

broker_user=mosquitto identities=/var/lib/mosquitto/dynamic-security.json

# A Mosquitto that somebody has set up serves somebody: ours would take its place.
check_broker() {
  if [ -z "$with_broker" ] || [ -e "$dropin" ]; then return; fi
  local found unit=/etc/systemd/system/mosquitto.service
  found=$(
    find /etc/mosquitto/conf.d -name '*.conf' 2>/dev/null
    grep --recursive --files-with-matches '^ExecStart=' "$unit" "$unit.d" 2>/dev/null
    dpkg --verify mosquitto 2>/dev/null | grep -o '/etc/mosquitto/mosquitto.conf'
  ) || true
  [ -z "$found" ] || die "expected a Mosquitto that nobody uses yet, found one that is set up by ${found//$'\n'/, }:" \
    "move that away, or run without --broker and use what there is (docs/operating-server.md, \"The broker\");" \
    "nothing was changed"
}

set_up_broker() {
  if [ -z "$with_broker" ]; then certify_broker; return; fi
  local host each
  host=${name:-$(setting BLINKLOG_URL | sed 's,.*://,,')}
  # All of it may come from another machine, where its owners had other numbers.
  install -d -m 0755 -o root -g root "$broker" "$broker/common"
  put "$here/mosquitto/mosquitto.conf" "$broker/common/mosquitto.conf"
  [ -e "$broker/broker.conf" ] || install -m 0644 "$here/mosquitto/broker.conf.example" "$broker/broker.conf"
  chown -h root: "$broker/broker.conf" "$broker/common/mosquitto.conf"
  for each in mqtt-password mqtt-admin-password; do
    if [ ! -e "$config/$each" ]; then
      (umask 027 && openssl rand -base64 32 > "$config/$each")
    fi
    chown -h "root:$user" "$config/$each"
  done
  set_once BLINKLOG_DEVICE_MQTT_URL "mqtts://$host:8883"
  certify_broker
  chown --no-dereference mosquitto "$broker/server.key"
  if [ -e "$broker/ca.key" ]; then chown -h root: "$broker/ca.key"; fi
  # The server needs no way around through a router, which may not know one, where the certificate is for here, too.
  case $(openssl x509 -noout -checkhost localhost -in "$broker/server.crt") in *'does match'*) host=localhost ;; esac
  set_once BLINKLOG_MQTT_URL "mqtts://blinklog-server@$host:8883"
  set_once BLINKLOG_MQTT_PASSWORD_FILE "$config/mqtt-password"
  set_once BLINKLOG_MQTT_ADMIN_URL "mqtts://blinklog-admin@$host:8883"
  set_once BLINKLOG_MQTT_ADMIN_PASSWORD_FILE "$config/mqtt-admin-password"
  [ ! -e "$broker/ca.crt" ] || set_once BLINKLOG_MQTT_CA_FILE "$broker/ca.crt"
}

# A private authority: devices are given its ca.crt. A public certificate in server.crt and server.key does as well. Also in
# an upgrade: one that an older release made, and that ends before its authority, is renewed.
certify_broker() {
  if [ ! -e "$broker/broker.conf" ]; then return; fi
  local host told
  host=$(setting BLINKLOG_DEVICE_MQTT_URL | sed 's,^[a-z]*://,,; s,[:/].*,,')
  if [ -z "$host" ]; then return; fi
  if ! told=$(bash "$here/server/broker-certificate.sh" make "$host" "$broker"); then
    [ -e "$broker/server.crt" ] || die "a certificate for the broker could not be made"
    warn "the broker's certificate could not be renewed, and stays as it is"
  fi
  if [ -z "$told" ]; then return; fi
  case $told in
    made*)
      say "$told"
      note "$broker/ca.crt is what devices trust; keep ca.key elsewhere" ;;
    renewed*) say "$told" ;;
    *) warn "$told"; return ;;
  esac
  if systemd_runs; then systemctl try-reload-or-restart mosquitto.service; fi
}

# make_identities FILE: what the broker's identities begin with, written by the release that knows how. It goes from
# the server's user to the broker's as bytes: root uses no name in the folder of either.
make_identities() {
  local made=$state/dynamic-security.json
  as_user rm -rf "$made"
  server "$release" set-up-broker "$made" >/dev/null
  as_user timeout 60 cat "$made" | json_object > "$scratch/identities"
  as_user rm -f "$made"
  if systemd_runs; then systemctl stop mosquitto.service; fi  # it would write its own over it
  # shellcheck disable=SC2016 # for the inner shell
  as_other "$broker_user" sh -c 'rm -rf "$1.new" && cat > "$1.new" && mv -T "$1.new" "$1"' - "$1" < "$scratch/identities"
}

# json_object < BYTES: hands them on where they are a JSON object of at most 1 MiB.
json_object() {
  "$system_python" -I -c '
import json, sys
read = sys.stdin.buffer.read((1 << 20) + 1)
if len(read) > 1 << 20 or not isinstance(json.loads(read), dict):
    sys.exit("   expected a JSON object of at most 1 MiB")
sys.stdout.buffer.write(read)'
}

# give_file USER FILE: makes it the user's, also in a folder that the user can write. By its descriptor, and not where
# it has a second name: neither a link nor a hard link gives another file away.
give_file() {
  "$system_python" -I - "$1" "$2" <<'PYTHON' || die "$2 could not be given to $1 (see above)"
import os, pwd, stat, sys
user, file = pwd.getpwnam(sys.argv[1]), sys.argv[2]
try:
    opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
except OSError as error:
    sys.exit(f"   expected a file at {file}, found: {error.strerror}")
found = os.fstat(opened)
if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
    sys.exit(f"   expected {file} to be a file with one name, found {found.st_nlink}, or no file")
os.fchown(opened, user.pw_uid, user.pw_gid)
PYTHON
}

start_broker() {
  if [ -z "$with_broker" ]; then return; fi
  [ -e "$identities" ] || make_identities "$identities"
  give_file "$broker_user" "$identities"
  put "$here/server/mosquitto.service.d/blinklog.conf" "$dropin"
  if systemd_runs; then
    systemctl daemon-reload
    systemctl --quiet enable mosquitto.service
    if broker_is_new; then
      systemctl restart mosquitto.service || { last_words mosquitto.service; die "Mosquitto did not start"; }
    fi
  fi
}

# broker_is_new: whether it does not run, or with an older configuration than there is.
broker_is_new() {
  local since newer
  systemctl --quiet is-active mosquitto.service || return 0
  since=$(systemctl show --timestamp=us+utc --property ActiveEnterTimestamp --value mosquitto.service) || return 0
  newer=$(find "$dropin" "$broker/broker.conf" "$broker/common" -newermt "$since") || return 0
  [ -n "$newer" ]
}

# put FILE TARGET: its time says when it changed, so it stays where nothing did.
put() { cmp --quiet "$1" "$2" || install -D -m 0644 "$1" "$2"; }

# The consumer says when the broker has taken it. One that is elsewhere may be away: that is no reason to go back.
meet_broker() {
  local url run tries=0
  url=$(setting BLINKLOG_MQTT_URL)
  if [ -z "$url" ] || ! systemd_runs; then return; fi
  run=$(systemctl show --property InvocationID --value blinklog-consume.service)
  # Not grep --quiet: it stops reading, and what still writes fails.
  until journalctl --output cat "_SYSTEMD_INVOCATION_ID=$run" | grep 'consuming from' >/dev/null; do
    tries=$((tries + 1))
    if [ "$tries" = 30 ]; then
      warn "the server does not get through to its broker at ${url##*[/@]}; until it does, sessions come over HTTP alone:"
      last_words blinklog-consume.service
      return
    fi
    sleep 0.5
  done
}
