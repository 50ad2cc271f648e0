#!/bin/bash
# What card-test does inside, at the first boot and at the second. It looks at the card's doing from beside; the tablet's part is HTTP
# alone.
set -eu -o pipefail
. /root/inside
boot=/boot/firmware
page=http://willow.local
none() { # WHAT COMMAND…: it must print nothing
  local found what=$1
  shift
  found=$("$@" || true)
  [ -z "$found" ] || { echo "$what: $found"; return 1; }
}
gone() { [ ! -e "$1" ]; }

if [ -e /root/booted ]; then
  say the second boot
  cloud-init status --wait --long || [ $? = 2 ]
  [ "$(hostname)" = willow ]
  [ "$(cat /root/booted)" = "$(cat /var/lib/cloud/data/instance-id)" ]
  cat /etc/netplan/*.yaml | grep -q Clinic
  gone /etc/systemd/system/roomd-card.service
  until_ 60 curl -fsS http://127.0.0.1/healthz
  api $page/api/v1/devices | jq -e 'map(.name) == ["iPad"]' >/dev/null
  echo "all is well"
  exit
fi

say cloud-init
cloud-init status --wait --long || [ $? = 2 ] # 2: done, with warnings
cat /run/cloud-init/result.json
cloud-init schema --config-file /var/lib/cloud/instance/user-data.txt
cp /var/lib/cloud/data/instance-id /root/booted
grep -q '^roomd-' /root/booted
[ "$(hostname)" = willow ]
[ "$(readlink -f /etc/localtime)" = /usr/share/zoneinfo/Europe/Berlin ]
passwd -S ada | grep -q '^ada L'
grep -q ssh-ed25519 /home/ada/.ssh/authorized_keys
[ "$(systemctl is-enabled ssh)" = enabled ]
cat /etc/netplan/*.yaml | grep -q Clinic
none "others may read the wifi's key" find /etc/netplan -name '*.yaml' -perm /077

say without a network the page is there
until_ 120 curl -fsS http://127.0.0.1/healthz
until_ 120 grep -q 'roomd has set the room up' $boot/user-data
until_ 60 curl -fsS http://127.0.0.1/healthz
[ "$(systemctl show -P ActiveState roomd-card)" = activating ] # apt has nothing yet
not command -v ffmpeg
say nothing secret is left
gone $boot/roomd/first-code
key=$(cat /etc/netplan/*.yaml | grep -o '[0-9a-f]\{64\}')
for secret in "$(cat /root/code)" "$key" 'correct horse'; do
  none "a secret is on the boot partition" grep -rlF --exclude='*.deb' -e "$secret" $boot
done
none "the code is on the disk" grep -rlwF -e "$(cat /root/code)" /var/lib/roomd /var/lib/cloud /etc
none "others may read the wifi's key" find /var/lib/cloud /run/cloud-init /var/log -type f -perm /044 -exec grep -lF -e "$key" {} +
none "not roomd's alone" find /var/lib/roomd -perm /077 -not -type l
none "not roomd's" find /var/lib/roomd /var/lib/roomd-playlists -not -user roomd

say the tablet: the code on the sheet, once
api $page/ | grep -qi '<html'
api -d "{\"code\": \"$(cat /root/code)\", \"name\": \"iPad\"}" $page/api/v1/pair >/dev/null
[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Content-Type: application/json' -d "{\"code\": \"$(cat /root/code)\"}" http://127.0.0.1/api/v1/pair)" = 401 ]

say the first sound and light, by the page alone
until_ 20 is '.sound.state != ""'
state | cut -c1-1500
is '.room == "Willow & Co"'
command_ '{do: "start", playlist: "starter/tour"}'
until_ 60 is '.session.state == "running" and .sound.state == "playing"'
heard() { [ "$(stat -c %s /srv/dac/pcm.raw)" -gt 2000000 ] && [ "$(tail -c 400000 /srv/dac/pcm.raw | tr -d '\0' | wc -c)" -gt 1000 ]; }
until_ 90 heard
say "the card heard $(stat -c %s /srv/dac/pcm.raw) bytes: $(head -1 /srv/dac/log)"
state | jq -c '.lights'
command_ '{do: "abort"}'
until_ 60 is '.session.state == "ended"'

say the name on the network
ip link add lan type veth peer name far
ip addr add 10.0.3.1/24 dev lan
ip link set lan up
ip link set far up
until_ 60 avahi-resolve -4 -n willow.local
avahi-resolve -4 -n willow.local

say the network comes
rm -rf /var/cache/apt/archives
mv /root/network /var/cache/apt/archives
until_ 400 gone /etc/systemd/system/roomd-card.service
until_ 10 gone $boot/roomd
command -v ffmpeg mosquitto
ls $boot
cloud-init schema --config-file $boot/user-data
sync
echo "all is well"
