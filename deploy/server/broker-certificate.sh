#!/usr/bin/env bash
# The certificate of a broker that install-server.sh set up, and a look at whichever broker there is.
#
#   broker-certificate.sh make NAME [DIR]   for root: makes authority, key and certificate where they are missing, and
#                                           renews a certificate that ends long before its authority
#   broker-certificate.sh check             every day (blinklog-certificate.timer): fails while there is time to mend
#
# Devices are given ca.crt, and nobody comes by to give them another. So the authority lives as long as any of them, and
# the certificate as long as the authority: then nothing has to happen meanwhile, with ca.key here or, better, elsewhere.
# A short life protects where a lost key would go unnoticed until it ends; here a lost key means a new authority anyway,
# as no device asks whether a certificate was revoked. (The limit of 825 days is Apple's, for public authorities.)
set -euo pipefail

life_days=7300        # 20 years
renew_days=365        # a certificate that ends so long before its authority is renewed
notice_s=$((180 * 24 * 3600))

say() { echo "$*"; }
die() { echo "$*" >&2; exit 1; }

# moment start|end < CERTIFICATE: in seconds since 1970.
moment() { date --date "$(openssl x509 -noout "-${1}date" | cut -d = -f 2)" +%s; }
day() { date --date "@$1" +%F; }

# Making it

make() {
  cd "$2"
  umask 077
  if [ ! -e server.crt ]; then
    make_authority
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
      -keyout server.key -out server.csr 2>/dev/null
    chown mosquitto server.key
    sign "DNS:$1,DNS:localhost"
    say "made a certificate for the broker, for $1"
  elif is_due; then
    # The same key: so the new certificate is in place by one rename, and fits at every moment.
    openssl req -new -key server.key -subj "/CN=$1" -out server.csr
    sign "$(names)"
    say "renewed the broker's certificate: it lasts until $(day "$(moment end < server.crt)")"
  fi
}

make_authority() {
  if [ -e ca.crt ]; then return; fi
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days "$life_days" -subj "/CN=Blinklog CA" \
    -addext keyUsage=critical,keyCertSign -keyout ca.key -out ca.crt 2>/dev/null
  chmod 0644 ca.crt
}

# is_due: whether it is of the authority here, and should live longer, and can be made to.
is_due() {
  [ -e ca.crt ] && openssl verify -no_check_time -CAfile ca.crt server.crt >/dev/null 2>&1 || return 1
  [ "$(($(moment end < ca.crt) - $(moment end < server.crt)))" -gt $((renew_days * 24 * 3600)) ] || return 1
  if [ ! -e ca.key ]; then
    say "the broker's certificate ends on $(day "$(moment end < server.crt)"): bring ca.key back to $PWD," \
      "run this again, and it will last as long as its authority"
    return 1
  fi
}

# names: those that server.crt is for, as openssl takes them.
names() { openssl x509 -noout -ext subjectAltName -in server.crt | tail -n 1 | sed 's/IP Address:/IP:/g; s/ //g'; }

# sign NAMES: what server.csr asks for, for as long as the authority lives.
sign() {
  local days=$((($(moment end < ca.crt) - $(date +%s) - 60) / 86400))  # openssl counts from when it signs
  [ "$days" -gt 0 ] || die "$PWD/ca.crt has ended: see docs/operating-server.md, \"The broker's certificate\""
  printf 'subjectAltName=%s\nauthorityKeyIdentifier=keyid\n' "$1" > extensions
  openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days "$days" -extfile extensions \
    -out server.crt.new 2>/dev/null
  rm server.csr extensions
  chmod 0644 server.crt.new
  sync server.crt.new
  mv server.crt.new server.crt
}

# Looking at it: at what the broker shows, not at a file that it may not have read again.

check() {
  local url=${BLINKLOG_MQTT_URL:-} shown
  case $url in mqtts://*) ;; *) say "no broker that speaks TLS: nothing to look at"; return ;; esac
  url=${url#mqtts://} url=${url##*@} url=${url%%/*}
  case $url in *:[0-9]*) ;; *) url=$url:8883 ;; esac
  shown=$(see "$url") || die "expected a broker with a certificate at $url, found none"
  look_at "the certificate of the broker at $url" "$shown"
  if [ -n "${BLINKLOG_MQTT_CA_FILE:-}" ]; then look_at "$BLINKLOG_MQTT_CA_FILE" "$(cat "$BLINKLOG_MQTT_CA_FILE")"; fi
  [ -z "$failed" ] || exit 1
}

# see HOST:PORT: its certificate. A broker that is just being restarted is back soon.
see() {
  local each told
  for each in 0 10 30; do
    sleep "$each"
    # Not in one pipe: what reads the certificate stops there, and what still writes fails.
    if told=$(timeout 20 openssl s_client -connect "$1" -servername "${1%:*}" 2>/dev/null </dev/null) &&
      openssl x509 2>/dev/null <<< "$told"; then return; fi
  done
  return 1
}

# look_at NAME CERTIFICATE: a public certificate of 90 days is renewed when 30 are left, so with 18 left something is amiss.
failed=''
look_at() {
  local begins ends soon
  begins=$(moment start <<< "$2") ends=$(moment end <<< "$2")
  soon=$(((ends - begins) / 5))
  if [ "$soon" -gt "$notice_s" ]; then soon=$notice_s; fi
  if [ $((ends - $(date +%s))) -lt "$soon" ]; then
    echo "$1 ends on $(day "$ends"); then no device gets through to the broker any more:" \
      "see docs/operating-server.md, \"The broker's certificate\"" >&2
    failed=yes
  else
    say "$1 is good until $(day "$ends")"
  fi
}

case ${1:-} in
  make) make "${2:?the broker\'s name}" "${3:-/etc/mosquitto/blinklog}" ;;
  check) check ;;
  *) sed -n '2,/^set/s/^# \{0,1\}//p' "$0" | sed '$d'; exit 2 ;;
esac
