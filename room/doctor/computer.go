package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Computer is what is looked at.
type Computer struct {
	Root fs.FS // of the file system: /proc and /sys are below it
	// Run runs a program and returns what it prints; fs.ErrNotExist or exec.ErrNotFound where it is not installed.
	Run func(ctx context.Context, name string, args ...string) (string, error)
	// Space tells of the disk that a folder is on, in bytes.
	Space func(folder string) (free, total uint64, err error)
	// Writable is nil where a file can be made in a folder.
	Writable func(folder string) error
	// ClockSet says whether the wall clock can be right.
	ClockSet func() bool
}

// Folder is one that roomd writes to.
type Folder struct {
	For, Path string
	Shared    bool // it may be a share that can only be read
}

// Look looks at all of the computer.
func (c Computer) Look(ctx context.Context, folders []Folder) []Finding {
	out := []Finding{c.model(), c.power(ctx), c.heat(), c.governor(), c.memory()}
	for _, f := range folders {
		out = append(out, c.disk("disk of "+f.For, f))
	}
	return append(append(append(out, c.storage()...), c.clock(ctx)), c.network(ctx)...)
}

// read is a file's first line, without zero bytes and spaces; empty where it can't be read.
func (c Computer) read(name string) string {
	b, err := fs.ReadFile(c.Root, name)
	if err != nil {
		return ""
	}
	line, _, _ := bytes.Cut(bytes.Trim(b, "\x00 \t\n"), []byte("\n"))
	return strings.TrimSpace(string(line))
}

// number is a file's number.
func (c Computer) number(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(c.read(name), 0, 64)
	return n, err == nil
}

func (c Computer) glob(pattern string) []string {
	found, _ := fs.Glob(c.Root, pattern) // each is one
	return found
}

func (c Computer) model() Finding {
	what := cmp.Or(c.read("proc/device-tree/model"), c.read("sys/class/dmi/id/product_name"))
	if what == "" {
		return Open("computer", "", "What computer this is can't be told.")
	}
	return Good("computer", "%s, kernel %s.", what, cmp.Or(c.read("proc/sys/kernel/osrelease"), "unknown"))
}

// Bits of the Raspberry Pi firmware's get_throttled: what is now, and 16 higher what has been since boot.
const (
	lowVoltage = 1 << 0
	capped     = 1 << 1
	throttled  = 1 << 2
	hot        = 1 << 3
	sinceBoot  = 16
)

const powerDo = "Use the power supply made for this Raspberry Pi (5.1 V; a Pi 5 wants 5 A) with its own cable, and plug sound and sticks into a powered hub."

// power looks whether the power supply is strong enough. A weak one is heard as clicks and seen as a broken card.
func (c Computer) power(ctx context.Context) Finding {
	if !strings.Contains(c.read("proc/device-tree/model"), "Raspberry Pi") {
		return Open("power", "", "Only a Raspberry Pi tells of its power supply.")
	}
	text := ""
	for _, f := range append(c.glob("sys/devices/platform/soc*/*:firmware/get_throttled"), c.glob("sys/devices/platform/*:firmware/get_throttled")...) {
		text = cmp.Or(text, c.read(f))
	}
	if text == "" {
		// vcgencmd writes throttled=0x50000.
		if said, err := c.Run(ctx, "vcgencmd", "get_throttled"); err == nil {
			_, text, _ = strings.Cut(strings.TrimSpace(said), "=")
		}
	}
	bits, err := strconv.ParseUint(strings.TrimPrefix(text, "0x"), 16, 32)
	if err != nil {
		for _, name := range c.glob("sys/class/hwmon/hwmon*/name") {
			if c.read(name) != "rpi_volt" {
				continue
			}
			switch n, ok := c.number(path.Join(path.Dir(name), "in0_lcrit_alarm")); {
			case ok && n == 0:
				return Good("power", "The voltage is high enough.")
			case ok:
				return Bad("power", powerDo, "The voltage is too low.")
			}
		}
		return Open("power", "Run vcgencmd get_throttled as root: throttled=0x0 is well.", "The firmware does not tell of the power supply.")
	}
	switch was := bits >> sinceBoot; {
	case bits&lowVoltage != 0:
		return Bad("power", powerDo, "The voltage is too low right now (0x%x).", bits)
	case was&lowVoltage != 0:
		return Bad("power", powerDo, "The voltage was too low since the computer was started (0x%x).", bits)
	case bits&(capped|throttled|hot) != 0:
		return Bad("power", heatDo, "The processor is slowed down right now, for heat (0x%x).", bits)
	case was&(capped|throttled|hot) != 0:
		return Bad("power", heatDo, "The processor was slowed down since the computer was started, for heat (0x%x).", bits)
	}
	return Good("power", "The voltage was high enough, and nothing slowed the processor, since the computer was started.")
}

const heatDo = "Give it air: a heat sink or a case without a fan that is heard, away from the sun and the amplifier."

// hottest is where a Raspberry Pi begins to slow its processor down (80 °C), less five degrees.
const hottest = 75.0

func (c Computer) heat() Finding {
	most, known := 0.0, false
	for _, f := range c.glob("sys/class/thermal/thermal_zone*/temp") {
		if n, ok := c.number(f); ok {
			most, known = max(most, float64(n)/1000), true
		}
	}
	switch {
	case !known:
		return Open("temperature", "", "The computer does not tell how warm it is.")
	case most >= hottest:
		return Bad("temperature", heatDo, "%.0f °C; at 80 °C the processor is slowed down.", most)
	}
	return Good("temperature", "%.0f °C.", most)
}

func (c Computer) governor() Finding {
	g := c.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	switch g {
	case "":
		return Open("processor", "", "How its speed is chosen can't be told.")
	case "powersave":
		return Bad("processor", "Choose another: echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor", "It always runs at its lowest speed (governor powersave).")
	}
	return Good("processor", "Its speed follows what there is to do (governor %s).", g)
}

// leastMemory is what a session takes, in MiB.
const leastMemory = 100

func (c Computer) memory() Finding {
	b, err := fs.ReadFile(c.Root, "proc/meminfo")
	if err != nil {
		return Open("memory", "", "How much is free can't be told.")
	}
	free := int64(-1)
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "MemAvailable:" {
			if n, err := strconv.ParseInt(f[1], 10, 64); err == nil {
				free = n / 1024
			}
		}
	}
	switch {
	case free < 0:
		return Open("memory", "", "How much is free can't be told.")
	case free < leastMemory:
		return Bad("memory", "End other programs on this computer: a session takes up to 100 MiB.", "Only %d MiB are free.", free)
	}
	return Good("memory", "%d MiB are free.", free)
}

// leastDisk is what should be free: sessions are small, and so are playlists; an upload needs more.
const leastDisk = 500 << 20

func (c Computer) disk(check string, f Folder) Finding {
	free, total, err := c.Space(f.Path)
	if err != nil {
		return Bad(check, "Check that the folder is there: a disk or share may not be mounted.", "It can't be looked at: %v.", err)
	}
	err = c.Writable(f.Path)
	switch {
	case err != nil && f.Shared:
		return Open(check, "Where the page is to change and bring music, let roomd's user write there.", "%s can only be read.", f.Path)
	case errors.Is(err, fs.ErrPermission):
		return Bad(check, "Give it to the user that roomd runs as: sudo chown -R roomd:roomd "+f.Path, "%s may not be written by this user.", f.Path)
	case err != nil:
		return Bad(check, "Make room on it, or start the computer again; if it stays, its card or disk is failing: replace it and restore a backup.", "%s can't be written: %v.", f.Path, err)
	case free < leastDisk:
		return Bad(check, "Delete what is not needed: old backups, music that no playlist plays.", "%s has %s free of %s.", f.Path, bytesOf(free), bytesOf(total))
	}
	return Good(check, "%s has %s free of %s.", f.Path, bytesOf(free), bytesOf(total))
}

func bytesOf(n uint64) string {
	if n < 10<<30 {
		return strconv.FormatUint(n>>20, 10) + " MiB"
	}
	return strconv.FormatUint(n>>30, 10) + " GiB"
}

// storage looks at the file systems' own count of errors, and at the wear that flash tells of: eMMC does (JEDEC JESD84-B51,
// DEVICE_LIFE_TIME_EST and PRE_EOL_INFO), an SD card does not.
func (c Computer) storage() (out []Finding) {
	const replace = "Back the room up (roomd backup), replace the card or disk, and restore."
	for _, f := range c.glob("sys/fs/ext4/*/errors_count") {
		if n, ok := c.number(f); ok && n > 0 {
			out = append(out, Bad("file system", replace, "%s has counted %d errors.", path.Base(path.Dir(f)), n))
		} else if ok {
			out = append(out, Good("file system", "%s has counted no errors.", path.Base(path.Dir(f))))
		}
	}
	for _, dev := range c.glob("sys/block/mmcblk*/device") {
		name := path.Base(path.Dir(dev))
		what := strings.TrimSpace(c.read(dev+"/name") + " of " + cmp.Or(c.read(dev+"/date"), "unknown date"))
		life := strings.Fields(c.read(dev + "/life_time"))
		if len(life) == 0 {
			if kind := c.read(dev + "/type"); kind == "SD" || kind == "" {
				out = append(out, Open("card", "Replace it every two or three years, and back the room up: a schedule can do that.", "%s (%s) is an SD card: those don't tell how worn they are.", name, what))
			}
			continue
		}
		used := int64(0)
		for _, l := range life {
			if n, err := strconv.ParseInt(l, 0, 64); err == nil {
				used = max(used, n)
			}
		}
		end, _ := c.number(dev + "/pre_eol_info")
		switch {
		case used == 0:
			out = append(out, Open("card", "", "%s (%s) does not tell how worn it is.", name, what))
		case used >= 9 || end >= 2:
			out = append(out, Bad("card", replace, "%s (%s) is worn: %d %% of its life is used.", name, what, min(used, 10)*10))
		default:
			out = append(out, Good("card", "%s (%s): at most %d %% of its life is used.", name, what, used*10))
		}
	}
	return out
}

// BatteryClock is the name of a clock that runs while the computer is off; empty where there is none. A Raspberry Pi 5 has the
// clock and sells the battery apart: only that it is charged shows that there is one.
func BatteryClock(root fs.FS) string {
	c := Computer{Root: root}
	for _, r := range c.glob("sys/class/rtc/rtc*") {
		if volts, ok := c.number(r + "/charging_voltage"); !ok || volts > 0 {
			return cmp.Or(c.read(r+"/name"), path.Base(r))
		}
	}
	return ""
}

func (c Computer) clock(ctx context.Context) Finding {
	own := BatteryClock(c.Root)
	network := false
	if said, err := c.Run(ctx, "timedatectl", "show", "--property=NTPSynchronized", "--value"); err == nil {
		network = strings.TrimSpace(said) == "yes"
	}
	const do = "For the schedule: connect the computer to a network that tells the time, or add a battery clock (on a Pi 5 a battery, with dtparam=rtc_bbat_vchg=3000000 in /boot/firmware/config.txt). A session needs neither."
	switch {
	case !c.ClockSet():
		return Bad("clock", do, "The computer does not know what time it is, so the schedule waits.")
	case own != "" && network:
		return Good("clock", "The network tells the time, and a battery clock (%s) keeps it.", own)
	case own != "":
		return Good("clock", "A battery clock (%s) keeps the time.", own)
	}
	return Good("clock", "The network tells the time. There is no battery clock: after a power cut without network the schedule waits.")
}

var powerSave = regexp.MustCompile(`(?i)power save: *(on|off)`)

// network looks whether wireless is in use and saves power: it then answers late, by up to a beacon's interval each time.
func (c Computer) network(ctx context.Context) (out []Finding) {
	virtual := ""
	for _, dev := range c.glob("sys/class/net/*") {
		name := path.Base(dev)
		if c.read(dev+"/operstate") != "up" {
			continue
		}
		_, err := fs.Stat(c.Root, dev+"/wireless")
		if err != nil {
			_, err = fs.Stat(c.Root, dev+"/phy80211")
		}
		if err != nil {
			if _, err := fs.Stat(c.Root, dev+"/device"); err != nil {
				virtual = name
				continue
			}
			out = append(out, Good("network", "%s is connected by a cable.", name))
			continue
		}
		said, err := c.Run(ctx, "iw", "dev", name, "get", "power_save")
		m := powerSave.FindStringSubmatch(said)
		switch {
		case err != nil || m == nil:
			out = append(out, Open("network", "Install iw to have it looked at.", "%s is wireless; whether it saves power can't be told.", name))
		case strings.EqualFold(m[1], "off"):
			out = append(out, Good("network", "%s is wireless and does not save power.", name))
		default:
			out = append(out, Bad("network", "Turn it off: sudo nmcli connection modify CONNECTION wifi.powersave 2, and start the computer again.",
				"%s is wireless and saves power: the page may answer late.", name))
		}
	}
	switch {
	case len(out) == 0 && virtual != "":
		out = append(out, Good("network", "%s is connected.", virtual))
	case len(out) == 0:
		out = append(out, Bad("network", "Plug in a network cable, or set the wireless up: a tablet can't reach the room otherwise.", "No network is connected."))
	}
	return out
}

// Patience is how long a program that is asked may take.
const Patience = 3 * time.Second
