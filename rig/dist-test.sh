#!/bin/bash
# What dist-test does inside.
set -eu -o pipefail
. /root/inside

say install from the repository, by the key of whoever released it and by no other
mv /etc/apt/sources.list /root/sources.list
install -D -m 644 /srv/apt/roomd.asc /etc/apt/keyrings/roomd.asc
from() { echo "deb [signed-by=$1] file:/srv/apt stable main" >/etc/apt/sources.list.d/roomd.list; apt-get -qq update 2>&1 || true; }
refused() { not apt-get install -y roomd >/root/refused 2>&1; }
from /usr/share/keyrings/debian-archive-keyring.gpg | grep -q 'NO_PUBKEY\|not signed'
refused
from /etc/apt/keyrings/roomd.asc
package=$(echo /srv/apt/pool/main/r/roomd/*.deb)
cp "$package" /root/whole
printf x >>"$package"
refused
grep -q 'unexpected size\|Hash Sum mismatch' /root/refused
cp /root/whole "$package"
apt-get install -y -q roomd 2>&1 | tail -3
mv /root/sources.list /etc/apt/
systemctl is-active --quiet roomd
until_ 10 curl -fsS http://127.0.0.1/healthz
curl -fsSk https://127.0.0.1/healthz >/dev/null # port 443, without root
[ "$(stat -c '%U %a' /var/lib/roomd)" = 'roomd 700' ]
[ "$(stat -c '%U %G %a' /var/lib/roomd-playlists)" = 'roomd roomd 2770' ]
[ "$(readlink /var/lib/roomd/playlists)" = /var/lib/roomd-playlists ]
[ "$(ps -o user= -C roomd | sort -u)" = roomd ]
[ "$(ps -o ni= -p "$(systemctl show -P MainPID roomd)" | tr -d ' ')" = -11 ]
systemd-analyze security roomd --threshold=15 --no-pager | tail -1
[ "$(systemctl is-enabled roomd-desk) $(systemctl is-active roomd-desk)" = 'disabled inactive' ]
[ ! -e /var/lib/roomd-desk ]

say set up, as the guide says, with the broker of the package
export ALSA_CONFIG_PATH=/srv/dac/asound.conf # the plug-in is a sound card to whoever asks
systemctl start mosquitto
until_ 10 mosquitto_pub -h localhost -t test -n
# A lamp, as zigbee2mqtt lists it; it answers nobody.
mosquitto_pub -h localhost -r -t zigbee2mqtt/bridge/state -m '{"state": "online"}'
mosquitto_pub -h localhost -r -t zigbee2mqtt/bridge/devices -m '[{"friendly_name": "lamp", "ieee_address": "0x1", "type": "Router", "supported": true, "definition": {"exposes": [
  {"type": "light", "features": [{"name": "state", "property": "state", "type": "binary"}, {"name": "brightness", "property": "brightness", "type": "numeric", "value_min": 0, "value_max": 254}]}]}}]'
systemctl stop roomd
runuser -u roomd -- roomd setup --yes
systemctl start roomd
grep -q 'mqtt://localhost:1883' /var/lib/roomd/room.yaml
grep -q 'listen: ":80"' /var/lib/roomd/room.yaml
cat >/var/lib/roomd-playlists/short.yaml <<END
name: Short
crossfade: 2s
phases:
  - {name: One, stage: preparation, length: 30s, music: {bed: rain}, lights: {scene: dim, fade: 10s}}
  - {name: Two, stage: administration, length: 20s, music: {bed: drone}, lights: {scene: floor, fade: 15s}}
  - {name: Three, stage: integration, length: 10s, music: {bed: ocean}}
END
chown roomd: /var/lib/roomd-playlists/short.yaml
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

say the desk of the clinic, on the same computer, as the guide says
systemctl enable --now roomd-desk
runuser -u roomd -- roomd desk pair --enrolls >/root/desk-code
systemd-analyze security roomd-desk --threshold=15 --no-pager | tail -1
clinic=https://127.0.0.1:8444/api/v1
desk() { curl -fsS --cacert /var/lib/roomd-desk/tls/authority.pem -b /root/desk-jar -c /root/desk-jar -H 'Content-Type: application/json' "$@"; }
shows() { { desk --no-buffer --max-time 3 $clinic/desk/rooms 2>/dev/null || true; } | sed -n '/^data: /{s///p;q}' | jq -e "$1" >/dev/null; }
until_ 10 curl -fsSk https://127.0.0.1:8444/ping
desk -d "{\"code\": \"$(grep -oE '\b[0-9]{3} [0-9]{3}\b' /root/desk-code | tr -d ' ')\"}" $clinic/pair >/dev/null
offer=$(desk -d '{"house": "East"}' $clinic/desk/offers | jq -r .code)
runuser -u roomd -- roomd desk join 127.0.0.1:8444 "$offer"
until_ 10 shows '.rooms | length == 1 and (.[0] | .name == "Willow" and .house == "East" and .version == "0.0~test1" and .reached and .stage == null)'
not runuser -u roomd -- roomd desk join 127.0.0.1:8444 "$offer" 2>/dev/null

say a session of a minute
command_ '{do: "start", playlist: "short"}'
began=$SECONDS
until_ 5 is '.session.state == "running" and .sound.state == "playing"'
sleep 15
shows '.rooms[0] | .stage == "preparation" and (.ends_ms > 0)'

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
[ -e /var/lib/roomd/in-session ]
grep -q 'listen: ":80"' /var/lib/roomd/room.yaml
until_ 10 shows '.rooms[0] | .version == "0.0~test2" and .reached and (.stage | . == "preparation" or . == "administration")'
desk $clinic/desk | jq -e '.version == "0.0~test2"' >/dev/null

say all waits for its end, unless somebody says otherwise
held() { systemctl is-active --quiet roomd-hold.path; systemctl is-active roomd-hold.service; [ $? = "$1" ]; }
until_ 5 held 0
systemd-inhibit --list --no-pager | grep 'roomd.*shutdown.*block'
useradd -m -G roomd guest
waits() { not runuser -u guest -- roomd wait-idle --timeout 0 2>/root/waits; }
waits
grep 'about [0-9]* s left' /root/waits
not apt-get install -y -q --reinstall /root/2.deb >/root/refused 2>&1
grep 'sudo env ROOMD_HOLD=off apt' /root/refused
systemctl start --no-block apt-daily-upgrade.service
waiting() { [[ $(ps -o args= -p "$(systemctl show -P ControlPID apt-daily-upgrade.service)") == '/usr/bin/roomd wait-idle '* ]]; }
until_ 20 waiting
asks=--check-inhibitors=yes # before 257 root has to ask for it
(($(systemctl --version | sed -n 's/^systemd \([0-9]*\).*/\1/p') < 257)) || asks=
not systemctl reboot $asks >/root/refused 2>&1
grep -i 'inhibit\|access denied' /root/refused

say to its end
until_ 60 is '.session.state == "ended"'
until_ 5 test ! -e /var/lib/roomd/in-session
say "ended $((SECONDS - began)) s after the start"
((SECONDS - began >= 59 && SECONDS - began <= 63))
until_ 10 held 3
runuser -u guest -- roomd wait-idle
apt-get install -y -q --reinstall /root/2.deb 2>&1 | tail -1
upgraded() { [ "$(systemctl is-active apt-daily-upgrade.service) $(systemctl show -P Result apt-daily-upgrade.service)" = 'inactive success' ]; }
until_ 20 upgraded
say "the card heard $(stat -c %s /srv/dac/pcm.raw) bytes: $(head -1 /srv/dac/log); underruns: $(grep -c XRUN /srv/dac/log || true)"
(($(stat -c %s /srv/dac/pcm.raw) > 48000 * 2 * 2 * 40))
say "the broker heard $(wc -l </root/mqtt) messages; the lamp was last asked for: $(grep '/set' /root/mqtt | tail -1)"
grep -q '/set' /root/mqtt

say back up, and restore, as the guide says
mkdir -p /media/stick
chown guest: /media/stick
echo 'guest ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/guest
as_guest() { runuser -u guest -- sh -c "$1"; }
as_guest 'sudo -u roomd roomd backup - >/media/stick/roomd.tar.gz'
as_guest 'sudo systemctl stop roomd'
as_guest 'sudo -u roomd roomd restore - </media/stick/roomd.tar.gz'
as_guest 'sudo systemctl start roomd'
until_ 10 curl -fsS http://127.0.0.1/healthz
say the same as the guide said before
roomd backup /media/stick
systemctl stop roomd
runuser -u roomd -- roomd restore /media/stick/roomd-*.tar.gz
systemctl start roomd
until_ 10 curl -fsS http://127.0.0.1/healthz
[ "$(api http://127.0.0.1/api/v1/sessions | jq length)" -ge 1 ] # the tablet is let in as before, and the session is there
find /var/lib/roomd /var/lib/roomd-playlists -not -user roomd >/root/strangers
[ ! -s /root/strangers ] || { echo "not roomd's:"; cat /root/strangers; false; }
find /var/lib/roomd -perm /077 -not -type l >/root/open
[ ! -s /root/open ] || { echo "not roomd's alone:"; cat /root/open; false; }
find /var/lib/roomd-desk /run/roomd-desk \( -type d -not -perm 700 -o -type f -not -perm 600 -o -not -user roomd \) >/root/open
[ ! -s /root/open ] || { echo "not the desk's alone:"; cat /root/open; false; }
not grep -rqaE 'preparation|administration|integration' /var/lib/roomd-desk
systemd-analyze verify --man=no roomd-desk.service roomd-stick@sda1.service roomd-hold.path roomd-hold.service apt-daily-upgrade.service

say the desk gets a name, by the lines in the guide
mkdir /etc/systemd/system/roomd-desk.service.d
sed -n '/^```ini$/,/^```$/{//!p}' /usr/share/doc/roomd/docs/clinic.md >/etc/systemd/system/roomd-desk.service.d/override.conf
systemctl daemon-reload
systemctl restart roomd-desk
named() { desk $clinic/desk | jq -e '.name == "North clinic"'; }
until_ 10 named

say whoever may not gets the line to type
for command in pair check 'token list' 'desk pair' 'desk leave' 'lights test ambient' 'setup --yes'; do
  line=$(runuser -u guest -- roomd $command 2>&1 >/dev/null) && { echo "guest may $command"; false; }
  [ "${line##*type: }" = "sudo -u roomd roomd $command" ] || { echo "$line"; false; }
done
[ "$(runuser -u guest -- roomd serve 2>&1 | sed 's/.*type: //')" = 'sudo systemctl start roomd' ]
as_guest 'sudo -u roomd roomd pair' | grep 'One device may'
say a member of the group has the running room look and report
as_guest 'roomd doctor --json || true' | jq -e '.[] | select(.check == "roomd") | .state == "ok"'
as_guest 'cd && roomd report r.zip' && [ "$(stat -c '%U %a' /home/guest/r.zip)" = 'guest 600' ]
[ ! -e /home/guest/.local ]
[ -s /usr/share/man/man1/roomd-pair.1.gz ]
[ -s /usr/share/bash-completion/completions/roomd ]

say report
(cd /tmp && runuser -u roomd -- roomd report /tmp/report.zip)
[ -s /tmp/report.zip ]

say music by hand, as the guide says
mkdir -p '/srv/My evening/01 Arrival 5m'
ffmpeg -v error -f lavfi -i sine=frequency=300:duration=20 '/srv/My evening/01 Arrival 5m/one.flac'
runuser -u guest -- cp -r '/srv/My evening' /var/lib/roomd-playlists/
listed() { api http://127.0.0.1/api/v1/playlists | jq -e '.[] | select(.id == "My evening") | .ready'; }
until_ 30 listed
for private in /var/lib/roomd /var/lib/roomd/room.yaml /var/lib/roomd/roomd.db /var/lib/roomd/tls; do
  not runuser -u guest -- ls "$private" 2>/dev/null || { echo "the group sees $private"; false; }
done

say an upgrade from the time when playlists were inside, and links in the way
systemctl stop roomd
rm /var/lib/roomd/playlists
mv /var/lib/roomd-playlists /var/lib/roomd/playlists
chmod 750 /var/lib/roomd
chmod 640 /var/lib/roomd/room.yaml
dpkg -i /root/2.deb 2>&1 | tail -2
[ "$(readlink /var/lib/roomd/playlists)" = /var/lib/roomd-playlists ]
[ -e '/var/lib/roomd-playlists/My evening' ]
[ "$(stat -c '%a' /var/lib/roomd) $(stat -c '%a' /var/lib/roomd/room.yaml)" = '700 600' ]
until_ 30 listed
systemctl stop roomd
mkdir -p /opt/system
was=$(stat -c '%U %a' /opt/system)
for planted in playlists room.yaml; do
  mv "/var/lib/roomd/$planted" /root/aside
  runuser -u roomd -- ln -s /opt/system "/var/lib/roomd/$planted"
  dpkg -i /root/2.deb 2>&1 | tail -1
  systemctl stop roomd
  [ "$(stat -c '%U %a' /opt/system)" = "$was" ]
  [ -z "$(ls -A /opt/system)" ]
  rm "/var/lib/roomd/$planted"
  mv /root/aside "/var/lib/roomd/$planted"
done
systemctl start roomd
until_ 30 listed

say a computer that is only a desk stays one
systemctl disable --now --quiet roomd
dpkg -i /root/2.deb 2>&1 | tail -1
[ "$(systemctl is-enabled roomd) $(systemctl is-active roomd)" = 'disabled inactive' ]
until_ 10 curl -fsSk https://127.0.0.1:8444/ping
systemctl enable --now --quiet roomd
until_ 10 curl -fsS http://127.0.0.1/healthz

say remove
systemctl revert roomd-desk
uid=$(id -u roomd) gid=$(id -g roomd)
dpkg -r roomd 2>&1 | tail -1
[ ! -e /usr/bin/roomd ]
[ -e /var/lib/roomd/room.yaml ]

say purge
dpkg --purge roomd 2>&1 | tail -1
not getent passwd roomd
not getent group roomd
not systemctl is-active --quiet roomd roomd-desk
# What is left is what this test and its repository brought, and the backups and the report.
find / \( -path /proc -o -path /sys -o -path /root -o -path /srv -o -path /media -o -path /tmp/report.zip \) -prune -o \( -name '*roomd*' -o -uid "$uid" -o -gid "$gid" \) -print |
  grep -vxF -e /etc/apt/keyrings/roomd.asc -e /etc/apt/sources.list.d/roomd.list -e /etc/systemd/system/roomd.service.d >/root/left || true
[ ! -s /root/left ] || { echo 'left behind:'; cat /root/left; false; }
echo "all is well"
