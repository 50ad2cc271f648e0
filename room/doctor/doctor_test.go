package doctor

import (
	"context"
	"errors"
	"io/fs"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"
)

// pi4 and pi5 are what the two tell below /proc and /sys, as Raspberry Pi OS has it.
func pi4() map[string]string {
	return map[string]string{
		"proc/device-tree/model":    "Raspberry Pi 4 Model B Rev 1.5\x00",
		"proc/sys/kernel/osrelease": "6.12.25+rpt-rpi-v8\n",
		"proc/meminfo":              "MemTotal:        1893424 kB\nMemFree:          802344 kB\nMemAvailable:    1523400 kB\n",
		"sys/devices/platform/soc/soc:firmware/get_throttled":  "0\n",
		"sys/class/hwmon/hwmon1/name":                          "rpi_volt\n",
		"sys/class/hwmon/hwmon1/in0_lcrit_alarm":               "0\n",
		"sys/class/thermal/thermal_zone0/temp":                 "48199\n",
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
		"sys/fs/ext4/mmcblk0p2/errors_count":                   "0\n",
		"sys/block/mmcblk0/device/name":                        "SN32G\n",
		"sys/block/mmcblk0/device/date":                        "08/2023\n",
		"sys/block/mmcblk0/device/type":                        "SD\n",
		"sys/class/net/lo/operstate":                           "unknown\n",
		"sys/class/net/eth0/operstate":                         "up\n",
		"sys/class/net/eth0/device/uevent":                     "DRIVER=bcmgenet\n",
		"sys/class/net/wlan0/operstate":                        "down\n",
		"sys/class/net/wlan0/phy80211/name":                    "phy0\n",
		"sys/class/net/wlan0/device/uevent":                    "DRIVER=brcmfmac\n",
	}
}

func pi5() map[string]string {
	t := pi4()
	delete(t, "sys/devices/platform/soc/soc:firmware/get_throttled")
	t["proc/device-tree/model"] = "Raspberry Pi 5 Model B Rev 1.0\x00"
	t["sys/devices/platform/soc@107c000000/soc@107c000000:firmware/get_throttled"] = "0\n"
	t["sys/class/rtc/rtc0/name"] = "rpi-rtc soc@107c000000:rpi_rtc\n"
	t["sys/class/rtc/rtc0/charging_voltage"] = "3000000\n"
	return t
}

// look looks at such a tree; run answers for programs.
func look(t *testing.T, tree map[string]string, run map[string]string, change ...func(*Computer)) map[string]Finding {
	t.Helper()
	root := fstest.MapFS{}
	for name, text := range tree {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	c := Computer{
		Root: root,
		Run: func(_ context.Context, name string, args ...string) (string, error) {
			if said, ok := run[strings.Join(append([]string{name}, args...), " ")]; ok {
				return said, nil
			}
			return "", exec.ErrNotFound
		},
		Space:    func(string) (uint64, uint64, error) { return 20 << 30, 32 << 30, nil },
		Writable: func(string) error { return nil },
		ClockSet: func() bool { return true },
	}
	for _, f := range change {
		f(&c)
	}
	out := map[string]Finding{}
	for _, f := range c.Look(t.Context(), []Folder{{For: "journal", Path: "/var/lib/roomd"}, {For: "playlists", Path: "/mnt/music", Shared: true}}) {
		if _, twice := out[f.Check]; twice {
			t.Errorf("two findings of %s", f.Check)
		}
		if f.Says == "" || (f.State == OK && f.Do != "") || (f.State == Wrong && f.Do == "") {
			t.Errorf("finding without words, or mended where nothing is wrong: %+v", f)
		}
		if f.State != OK && f.State != Wrong && f.State != Unknown {
			t.Errorf("state %q", f.State)
		}
		out[f.Check] = f
	}
	return out
}

func TestHealthyPi(t *testing.T) {
	for name, tree := range map[string]map[string]string{"4": pi4(), "5": pi5()} {
		for check, f := range look(t, tree, map[string]string{"timedatectl show --property=NTPSynchronized --value": "yes\n"}) {
			want := OK
			if check == "card" {
				want = Unknown // an SD card does not tell
			}
			if f.State != want {
				t.Errorf("Pi %s: %+v, want %s", name, f, want)
			}
		}
	}
}

// TestNothingToRead is a computer that tells nothing: that is never well.
func TestNothingToRead(t *testing.T) {
	found := look(t, nil, nil, func(c *Computer) { c.ClockSet = func() bool { return false } })
	for check, f := range found {
		if f.State == OK && !strings.HasPrefix(check, "disk of") {
			t.Errorf("%+v, though nothing can be read", f)
		}
	}
	for _, check := range []string{"power", "temperature", "processor", "memory", "computer"} {
		if found[check].State != Unknown {
			t.Errorf("%s: %+v, want unknown", check, found[check])
		}
	}
}

// TestWrong breaks one thing at a time.
func TestWrong(t *testing.T) {
	for _, c := range []struct {
		name   string
		files  map[string]string // on a Pi 4; "-": it is not there
		run    map[string]string
		change func(*Computer)
		check  string
		state  State
		says   string
	}{
		{name: "weak now", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "50005\n"}, check: "power", state: Wrong, says: "too low right now"},
		{name: "weak before", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "50000"}, check: "power", state: Wrong, says: "was too low since"},
		{name: "hot now", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "80008"}, check: "power", state: Wrong, says: "slowed down right now because of heat"},
		{name: "hot before", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "e0000"}, check: "power", state: Wrong, says: "was slowed down since"},
		{name: "vcgencmd", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "-"}, run: map[string]string{"vcgencmd get_throttled": "throttled=0x50000\n"}, check: "power", state: Wrong, says: "was too low since"},
		{name: "vcgencmd well", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "-"}, run: map[string]string{"vcgencmd get_throttled": "throttled=0x0\n"}, check: "power", state: OK},
		{name: "alarm", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "-", "sys/class/hwmon/hwmon1/in0_lcrit_alarm": "1"}, check: "power", state: Wrong, says: "too low"},
		{name: "no firmware", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "-", "sys/class/hwmon/hwmon1/name": "cpu_thermal"}, check: "power", state: Unknown},
		{name: "nonsense", files: map[string]string{"sys/devices/platform/soc/soc:firmware/get_throttled": "none", "sys/class/hwmon/hwmon1/name": "-"}, check: "power", state: Unknown},
		{name: "no Pi", files: map[string]string{"proc/device-tree/model": "Radxa ROCK 4"}, check: "power", state: Unknown},
		{name: "warm", files: map[string]string{"sys/class/thermal/thermal_zone0/temp": "81200"}, check: "temperature", state: Wrong, says: "81 °C"},
		{name: "no heat", files: map[string]string{"sys/class/thermal/thermal_zone0/temp": "?"}, check: "temperature", state: Unknown},
		{name: "slow", files: map[string]string{"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave"}, check: "processor", state: Wrong, says: "powersave"},
		{name: "full memory", files: map[string]string{"proc/meminfo": "MemAvailable: 40960 kB"}, check: "memory", state: Wrong, says: "40 MiB"},
		{name: "odd memory", files: map[string]string{"proc/meminfo": "MemFree: 40960 kB"}, check: "memory", state: Unknown},
		{name: "errors", files: map[string]string{"sys/fs/ext4/mmcblk0p2/errors_count": "3"}, check: "file system", state: Wrong, says: "3 errors"},
		{name: "new eMMC", files: map[string]string{"sys/block/mmcblk0/device/type": "MMC", "sys/block/mmcblk0/device/life_time": "0x01 0x02", "sys/block/mmcblk0/device/pre_eol_info": "0x01"}, check: "card", state: OK, says: "at most 20 %"},
		{name: "worn eMMC", files: map[string]string{"sys/block/mmcblk0/device/type": "MMC", "sys/block/mmcblk0/device/life_time": "0x02 0x0b", "sys/block/mmcblk0/device/pre_eol_info": "0x01"}, check: "card", state: Wrong, says: "100 %"},
		{name: "eMMC at its end", files: map[string]string{"sys/block/mmcblk0/device/type": "MMC", "sys/block/mmcblk0/device/life_time": "0x05 0x05", "sys/block/mmcblk0/device/pre_eol_info": "0x02"}, check: "card", state: Wrong, says: "worn"},
		{name: "dumb eMMC", files: map[string]string{"sys/block/mmcblk0/device/type": "MMC", "sys/block/mmcblk0/device/life_time": "0x00 0x00"}, check: "card", state: Unknown},
		{name: "full", change: func(c *Computer) { c.Space = func(string) (uint64, uint64, error) { return 10 << 20, 32 << 30, nil } }, check: "disk of journal", state: Wrong, says: "10 MiB free of 32 GiB"},
		{name: "not there", change: func(c *Computer) { c.Space = func(string) (uint64, uint64, error) { return 0, 0, fs.ErrNotExist } }, check: "disk of journal", state: Wrong, says: "can't be looked at"},
		{name: "read only", change: func(c *Computer) { c.Writable = func(string) error { return errors.New("read-only file system") } }, check: "disk of journal", state: Wrong, says: "can't be written"},
		{name: "share to read only", change: func(c *Computer) { c.Writable = func(string) error { return errors.New("read-only file system") } }, check: "disk of playlists", state: Unknown, says: "only be read"},
		{name: "not ours", change: func(c *Computer) { c.Writable = func(string) error { return fs.ErrPermission } }, check: "disk of journal", state: Wrong, says: "may not be written by this user"},
		{name: "no time", change: func(c *Computer) { c.ClockSet = func() bool { return false } }, check: "clock", state: Wrong, says: "does not know what time it is"},
		{name: "own clock", files: map[string]string{"sys/class/rtc/rtc0/name": "rtc-ds1307"}, check: "clock", state: OK, says: "rtc-ds1307"},
		{name: "clock without battery", files: map[string]string{"sys/class/rtc/rtc0/name": "rpi-rtc", "sys/class/rtc/rtc0/charging_voltage": "0"}, check: "clock", state: OK, says: "There is no battery clock"},
		{name: "wireless awake", files: map[string]string{"sys/class/net/eth0/operstate": "down", "sys/class/net/wlan0/operstate": "up"}, run: map[string]string{"iw dev wlan0 get power_save": "Power save: off\n"}, check: "network", state: OK, says: "wlan0"},
		{name: "wireless asleep", files: map[string]string{"sys/class/net/eth0/operstate": "down", "sys/class/net/wlan0/operstate": "up"}, run: map[string]string{"iw dev wlan0 get power_save": "Power save: on\n"}, check: "network", state: Wrong, says: "saves power"},
		{name: "wireless without iw", files: map[string]string{"sys/class/net/eth0/operstate": "down", "sys/class/net/wlan0/operstate": "up"}, check: "network", state: Unknown, says: "wlan0"},
		{name: "no network", files: map[string]string{"sys/class/net/eth0/operstate": "down"}, check: "network", state: Wrong, says: "No network"},
		{name: "a bridge", files: map[string]string{"sys/class/net/eth0/operstate": "down", "sys/class/net/br0/operstate": "up"}, check: "network", state: OK, says: "br0"},
	} {
		tree := pi4()
		for name, text := range c.files {
			if tree[name] = text; text == "-" {
				delete(tree, name)
			}
		}
		change := func(*Computer) {}
		if c.change != nil {
			change = c.change
		}
		f := look(t, tree, c.run, change)[c.check]
		if f.State != c.state || !strings.Contains(f.Says, c.says) {
			t.Errorf("%s: %+v, want %s with %q", c.name, f, c.state, c.says)
		}
	}
}

func TestPrint(t *testing.T) {
	var b strings.Builder
	err := Print(&b, []Finding{Good("sound", "doc-no-gaps"), Bad("network", "doc-net-none").With("x")})
	want := "ok       sound    The sound had no gaps since roomd started.\nwrong    network  No network is connected. (x)\n                  → Plug in a network cable or set up the wireless. Without a network no tablet reaches the room.\n"
	if err != nil || b.String() != want {
		t.Errorf("%v\n%q, want\n%q", err, b.String(), want)
	}
}
