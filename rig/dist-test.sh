#!/bin/bash
# What dist-test does inside.
set -eu -o pipefail
say() { echo "== $*"; }
trap 'echo "failed at line $LINENO"; journalctl -u roomd --no-pager -n 40' ERR
until_() { # SECONDS COMMAND…
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do ((SECONDS < end)) || { echo "not in time: $*"; return 1; }; sleep 0.2; done
}
api() { curl -fsS -b /root/jar -c /root/jar -H 'Content-Type: application/json' "$@"; }
state() { api http://127.0.0.1/api/v1/state; }
command_() { api -d "$(jq -n --arg id "$(cat /proc/sys/kernel/random/uuid)" "$1 + {id: \$id}")" http://127.0.0.1/api/v1/commands >/dev/null; }
is() { state | jq -e "$1" >/dev/null; }

say install
dpkg -i /root/1.deb 2>&1 | tail -3
systemctl is-active --quiet roomd
until_ 10 curl -fsS http://127.0.0.1/healthz
curl -fsSk https://127.0.0.1/healthz >/dev/null # port 443, without root
[ "$(stat -c '%U %a' /var/lib/roomd)" = 'roomd 750' ]
[ "$(ps -o user= -C roomd | sort -u)" = roomd ]
systemd-analyze security roomd --no-pager | tail -1

say set up, as the guide says, with the broker of the package
export ALSA_CONFIG_PATH=/srv/dac/asound.conf # the plug-in is a sound card to whoever asks
systemctl start mosquitto
until_ 10 mosquitto_pub -h localhost -t test -n
systemctl stop roomd
runuser -u roomd -- roomd setup --yes
systemctl start roomd
grep -q 'mqtt://localhost:1883' /var/lib/roomd/room.yaml
grep -q 'listen: ":80"' /var/lib/roomd/room.yaml
cat >/var/lib/roomd/playlists/short.yaml <<END
name: Short
crossfade: 2s
phases:
  - {name: One, stage: preparation, length: 30s, music: {bed: rain}, lights: {scene: dim, fade: 10s}}
  - {name: Two, stage: administration, length: 20s, music: {bed: drone}, lights: {scene: floor, fade: 15s}}
  - {name: Three, stage: integration, length: 10s, music: {bed: ocean}}
END
chown roomd: /var/lib/roomd/playlists/short.yaml
runuser -u roomd -- roomd check
until_ 10 curl -fsS http://127.0.0.1/healthz
mosquitto_sub -h 127.0.0.1 -t '#' -v >/root/mqtt 2>&1 &

say pair
code=$(runuser -u roomd -- roomd pair | grep -oE '\b[0-9]{3} [0-9]{3}\b' | tr -d ' ')
api -d "{\"code\": \"$code\"}" http://127.0.0.1/api/v1/pair >/dev/null
until_ 10 is '.sound.state != "" and (.parts | map(select(.part == "broker"))[0].state == "working")'

say look at everything
runuser -u roomd -- roomd doctor || true
found=$(runuser -u roomd -- roomd doctor --json || true)
for check in roomd 'room file' sound 'sound gaps' 'sound devices' 'first sound' broker playlists https ffmpeg 'disk of journal'; do
  jq -e --arg c "$check" '.[] | select(.check == $c) | .state == "ok"' <<<"$found" >/dev/null || { echo "the doctor finds $check: $(jq -c --arg c "$check" '.[] | select(.check == $c)' <<<"$found")"; false; }
done

say a session of a minute
command_ '{do: "start", playlist: "short"}'
began=$SECONDS
until_ 5 is '.session.state == "running" and .sound.state == "playing"'
sleep 15

say upgrade in mid-session
before=$(state | jq .session.elapsed_ms)
at=$(date +%s%3N)
dpkg -i /root/2.deb 2>&1 | tail -2
until_ 10 is '.version == "0.0~test2" and .sound.state == "playing"'
after=$(state | jq .session.elapsed_ms)
took=$(($(date +%s%3N) - at))
off=$((after - before - took))
say "the clock is off by ${off#-} ms after the upgrade of $took ms"
((${off#-} < 500))
is '.session.state == "running" and .session.name == "Short"'
grep -q 'listen: ":80"' /var/lib/roomd/room.yaml

say to its end
until_ 60 is '.session.state == "ended"'
say "ended $((SECONDS - began)) s after the start"
((SECONDS - began >= 59 && SECONDS - began <= 63))
say "the card heard $(stat -c %s /srv/dac/pcm.raw) bytes: $(head -1 /srv/dac/log); underruns: $(grep -c XRUN /srv/dac/log || true)"
(($(stat -c %s /srv/dac/pcm.raw) > 48000 * 2 * 2 * 40))
say "the broker heard $(wc -l </root/mqtt) messages; the lamp was last asked for: $(grep '/set' /root/mqtt | tail -1)"
grep -q '/set' /root/mqtt

say back up, and restore
mkdir -p /media/stick
roomd backup /media/stick
systemctl stop roomd
chmod 644 /media/stick/*.tar.gz
runuser -u roomd -- roomd restore /media/stick/roomd-*.tar.gz
systemctl start roomd
until_ 10 curl -fsS http://127.0.0.1/healthz
[ "$(api http://127.0.0.1/api/v1/sessions | jq length)" -ge 1 ] # the tablet is let in as before, and the session is there
find /var/lib/roomd -not -user roomd -not -path '*/.schema*' >/root/strangers
[ ! -s /root/strangers ] || { echo "not roomd's:"; cat /root/strangers; false; }
systemd-analyze verify roomd-stick@sda1.service

say report
(cd /tmp && runuser -u roomd -- roomd report /tmp/report.zip)
[ -s /tmp/report.zip ]

say music by hand, as the guide says
useradd -m -G roomd guest
mkdir -p '/srv/My evening/01 Arrival 5m'
ffmpeg -v error -f lavfi -i sine=frequency=300:duration=20 '/srv/My evening/01 Arrival 5m/one.flac'
runuser -u guest -- cp -r '/srv/My evening' /var/lib/roomd/playlists/
listed() { api http://127.0.0.1/api/v1/playlists | jq -e '.[] | select(.id == "My evening") | .ready'; }
until_ 30 listed

say remove
dpkg -r roomd 2>&1 | tail -1
[ ! -e /usr/bin/roomd ]
[ -e /var/lib/roomd/room.yaml ]

say purge
dpkg --purge roomd 2>&1 | tail -1
[ ! -e /var/lib/roomd ]
[ ! -e /usr/bin/roomd ]
! getent passwd roomd
! systemctl is-active --quiet roomd
echo "all is well"
