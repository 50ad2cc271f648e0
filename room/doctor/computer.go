package doctor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"roomd/room"
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
		return Open("computer", "doc-computer-unknown")
	}
	return Good("computer", "doc-computer", "model", what, "kernel", cmp.Or(c.read("proc/sys/kernel/osrelease"), "unknown"))
}

// Bits of the Raspberry Pi firmware's get_throttled: what is now, and 16 higher what has been since boot.
const (
	lowVoltage = 1 << 0
	capped     = 1 << 1
	throttled  = 1 << 2
	hot        = 1 << 3
	sinceBoot  = 16
)

// power looks whether the power supply is strong enough. A weak one is heard as clicks and seen as a broken card.
func (c Computer) power(ctx context.Context) Finding {
	if !strings.Contains(c.read("proc/device-tree/model"), "Raspberry Pi") {
		return Open("power", "doc-power-other")
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
				return Good("power", "doc-power-now")
			case ok:
				return Bad("power", "doc-power-low")
			}
		}
		return Open("power", "doc-power-unknown")
	}
	switch was := bits >> sinceBoot; {
	case bits&lowVoltage != 0:
		return Bad("power", "doc-power-low-now").With(fmt.Sprintf("0x%x", bits))
	case was&lowVoltage != 0:
		return Bad("power", "doc-power-low-since").With(fmt.Sprintf("0x%x", bits))
	case bits&(capped|throttled|hot) != 0:
		return Bad("power", "doc-heat-slow-now").With(fmt.Sprintf("0x%x", bits))
	case was&(capped|throttled|hot) != 0:
		return Bad("power", "doc-heat-slow-since").With(fmt.Sprintf("0x%x", bits))
	}
	return Good("power", "doc-power")
}

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
		return Open("temperature", "doc-heat-unknown")
	case most >= hottest:
		return Bad("temperature", "doc-heat-hot", "celsius", math.Round(most))
	}
	return Good("temperature", "doc-heat", "celsius", math.Round(most))
}

func (c Computer) governor() Finding {
	g := c.read("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
	switch g {
	case "":
		return Open("processor", "doc-processor-unknown")
	case "powersave":
		return Bad("processor", "doc-processor-slow")
	}
	return Good("processor", "doc-processor", "governor", g)
}

// leastMemory is what a session takes, in MiB.
const leastMemory = 100

func (c Computer) memory() Finding {
	b, err := fs.ReadFile(c.Root, "proc/meminfo")
	if err != nil {
		return Open("memory", "doc-memory-unknown")
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
		return Open("memory", "doc-memory-unknown")
	case free < leastMemory:
		return Bad("memory", "doc-memory-low", "free", mebibytes(free))
	}
	return Good("memory", "doc-memory", "free", mebibytes(free))
}

// leastDisk is what should be free: sessions are small, and so are playlists; an upload needs more.
const leastDisk = 500 << 20

func (c Computer) disk(check string, f Folder) Finding {
	free, total, err := c.Space(f.Path)
	if err != nil {
		return Bad(check, "doc-disk-unseen").With(err.Error())
	}
	err = c.Writable(f.Path)
	switch {
	case err != nil && f.Shared:
		return Open(check, "doc-disk-read-only", "folder", f.Path)
	case errors.Is(err, fs.ErrPermission):
		return Bad(check, "doc-disk-forbidden", "folder", f.Path)
	case err != nil:
		return Bad(check, "doc-disk-unwritable", "folder", f.Path).With(err.Error())
	case free < leastDisk:
		return Bad(check, "doc-disk-full", "folder", f.Path, "free", bytesOf(free), "total", bytesOf(total))
	}
	return Good(check, "doc-disk", "folder", f.Path, "free", bytesOf(free), "total", bytesOf(total))
}

func mebibytes(n int64) string { return strconv.FormatInt(n, 10) + " MiB" }

func bytesOf(n uint64) string {
	if n < 10<<30 {
		return strconv.FormatUint(n>>20, 10) + " MiB"
	}
	return strconv.FormatUint(n>>30, 10) + " GiB"
}

// storage looks at the file systems' own count of errors, and at the wear that flash tells of: eMMC does (JEDEC JESD84-B51,
// DEVICE_LIFE_TIME_EST and PRE_EOL_INFO), an SD card does not.
func (c Computer) storage() (out []Finding) {
	for _, f := range c.glob("sys/fs/ext4/*/errors_count") {
		if n, ok := c.number(f); ok && n > 0 {
			out = append(out, Bad("file system", "doc-files-errors", "disk", path.Base(path.Dir(f)), "n", n))
		} else if ok {
			out = append(out, Good("file system", "doc-files", "disk", path.Base(path.Dir(f))))
		}
	}
	for _, dev := range c.glob("sys/block/mmcblk*/device") {
		name := path.Base(path.Dir(dev))
		what := strings.TrimSpace(c.read(dev+"/name") + " of " + cmp.Or(c.read(dev+"/date"), "unknown date"))
		life := strings.Fields(c.read(dev + "/life_time"))
		if len(life) == 0 {
			if kind := c.read(dev + "/type"); kind == "SD" || kind == "" {
				out = append(out, Open("card", "doc-card-sd", "card", name).With(what))
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
			out = append(out, Open("card", "doc-card-unknown", "card", name).With(what))
		case used >= 9 || end >= 2:
			out = append(out, Bad("card", "doc-card-worn", "card", name, "used", min(used, 10)*10).With(what))
		default:
			out = append(out, Good("card", "doc-card", "card", name, "used", used*10).With(what))
		}
	}
	return out
}

func (c Computer) clock(ctx context.Context) Finding {
	own := room.BatteryClock(c.Root)
	network := false
	if said, err := c.Run(ctx, "timedatectl", "show", "--property=NTPSynchronized", "--value"); err == nil {
		network = strings.TrimSpace(said) == "yes"
	}
	switch {
	case !c.ClockSet():
		return Bad("clock", "doc-clock-unset")
	case own != "" && network:
		return Good("clock", "doc-clock-both", "clock", own)
	case own != "":
		return Good("clock", "doc-clock-battery", "clock", own)
	}
	return Good("clock", "doc-clock-network")
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
			out = append(out, Good("network", "doc-net-cable", "name", name))
			continue
		}
		said, err := c.Run(ctx, "iw", "dev", name, "get", "power_save")
		m := powerSave.FindStringSubmatch(said)
		switch {
		case err != nil || m == nil:
			out = append(out, Open("network", "doc-net-unknown", "name", name))
		case strings.EqualFold(m[1], "off"):
			out = append(out, Good("network", "doc-net-awake", "name", name))
		default:
			out = append(out, Bad("network", "doc-net-saves", "name", name))
		}
	}
	switch {
	case len(out) == 0 && virtual != "":
		out = append(out, Good("network", "doc-net", "name", virtual))
	case len(out) == 0:
		out = append(out, Bad("network", "doc-net-none"))
	}
	return out
}

// Patience is how long a program that is asked may take.
const Patience = 3 * time.Second
