package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomd/player"
	"roomd/player/decode"
	"roomd/player/output"
	"roomd/playlists"
	"roomd/room"
	"roomd/room/doctor"
	"roomd/room/lights"
	"roomd/room/topics"
	"roomd/web"
)

func doctorCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "doctor", Short: "Look at all that a session needs: each line is ok, or says what to do", Args: takes(0, 0), Annotations: on(theRoom)}
	asJSON := cmd.Flags().Bool("json", false, "print the findings as JSON")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return c.doctor(cmd.Context(), *asJSON) }
	return cmd
}

// doctor looks at all that a session needs: it asks the roomd that runs, and looks itself where none does.
func (c *call) doctor(ctx context.Context, asJSON bool) error {
	found := c.examine(ctx)
	if asJSON {
		if err := printJSON(c.stdout, found); err != nil {
			return err
		}
	} else if err := doctor.Print(c.stdout, found); err != nil {
		return err
	}
	if doctor.AnyWrong(found) {
		return errFound
	}
	return nil
}

// errOff says that no roomd uses the data folder.
var errOff = errors.New("roomd does not run")

// examine has the roomd that runs look, or looks at what can be seen without one.
func (c *call) examine(ctx context.Context) (found []doctor.Finding) {
	cfg, problems, err := room.LoadConfig(c.config)
	answer, asked := c.askRoom(ctx, "/api/v1/doctor")
	if asked == nil {
		asked = json.Unmarshal(answer, &found)
	}
	switch {
	case asked == nil:
		return found
	case errors.Is(asked, errOff):
		found = append(found, doctor.Bad("roomd", "doc-off", "folder", c.data))
	default:
		found = append(found, doctor.Bad("roomd", "doc-hangs").With(asked.Error()))
	}
	found = append(found, roomFileFinding(c.config, problems, err))
	if errors.Is(asked, errOff) {
		found = append(append(found, deviceFindings(cfg.Audio)...), brokerFindings(ctx, cfg)...)
	}
	return append(append(found, ffmpeg(ctx)), thisComputer().Look(ctx, c.folders())...)
}

// wakeTime is how long a roomd that has the data folder may need until it listens for commands: after its start, or with a new room file.
const wakeTime = 3 * time.Second

// askRoom sends a GET request to the running roomd. It returns errOff where none runs.
func (c *call) askRoom(ctx context.Context, path string) ([]byte, error) {
	unlock, err := lockData(c.data)
	if err == nil {
		unlock()
	}
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return nil, errOff
	}
	for began := time.Now(); ; {
		answer, err := c.ask(ctx, http.MethodGet, path, 30*time.Second)
		if !errors.Is(err, errNoSocket) || time.Since(began) > wakeTime {
			return answer, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// folders are what roomd writes to.
func (s settings) folders() []doctor.Folder {
	return []doctor.Folder{{For: "journal", Path: s.data}, {For: "playlists", Path: s.playlists, Shared: true}}
}

func thisComputer() doctor.Computer {
	return doctor.Computer{
		Root: os.DirFS("/"),
		Run: func(ctx context.Context, name string, args ...string) (string, error) {
			ctx, stop := context.WithTimeout(ctx, doctor.Patience)
			defer stop()
			out, err := exec.CommandContext(ctx, name, args...).Output()
			return string(out), err
		},
		Space: playlists.DiskSpace,
		Writable: func(folder string) error {
			f, err := os.CreateTemp(folder, ".doctor-*")
			if err != nil {
				return err
			}
			_, err = f.WriteString("x")
			return errors.Join(err, f.Close(), os.Remove(f.Name()))
		},
		ClockSet: func() bool { return room.ClockSet(time.Now()) },
	}
}

// exam is a room that runs, for the doctor.
type exam struct {
	settings
	cfg      room.Config
	file     *roomFile
	snapshot func() room.Snapshot
	sound    sound
	lib      *library
	certs    *web.Certs // nil: there is no https
	who      *topics.Identity
	sync     *syncthing // nil: there is none
}

// look looks at everything. In a session it leaves the sound devices and the music files alone.
func (x *exam) look(ctx context.Context) []doctor.Finding {
	snap := x.snapshot()
	problems, err := x.file.wrong()
	out := []doctor.Finding{doctor.Good("roomd", "doc-version", "version", snap.Version), roomFileFinding(x.config, problems, err)}
	out = append(out, x.sounds(snap)...)
	out = append(out, x.firstSound(ctx, snap))
	for _, role := range slices.Sorted(maps.Keys(snap.Lights)) {
		out = append(out, lightFinding(role, snap.Lights[role]))
	}
	out = append(out, x.playlists()...)
	for _, p := range snap.Parts {
		switch {
		case p.State == room.Working && p.Part == "broker" && embedded(x.cfg):
			out = append(out, doctor.Good("broker", "doc-no-broker"))
		case p.State == room.Working && p.Part == "broker":
			out = append(out, doctor.Good("broker", "doc-broker", "address", publicURL(x.cfg.MQTT.Broker), "root", x.who.Root(x.cfg)))
		// What the room says is wrong the doctor says as well, unless a look of its own has found it.
		case p.State == room.Degraded && !slices.ContainsFunc(out, func(f doctor.Finding) bool {
			return f.State == doctor.Wrong && strings.HasPrefix(f.Check, strings.TrimSuffix(p.Part, "s"))
		}):
			out = append(out, doctor.Faulty(p.Part, p.Problem()))
		}
	}
	if x.sync != nil {
		out = append(out, x.sync.look(ctx))
	}
	out = append(out, x.https(), ffmpeg(ctx))
	return append(out, thisComputer().Look(ctx, x.folders())...)
}

func roomFileFinding(path string, problems playlists.Problems, err error) doctor.Finding {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return doctor.Bad("room file", "doc-file-missing", "file", path)
	case err != nil:
		return doctor.Bad("room file", "doc-file-unreadable").With(err.Error())
	case len(problems) > 0:
		return doctor.Bad("room file", "doc-file-wrong").With(problems[0].String())
	}
	return doctor.Good("room file", "doc-file", "file", path)
}

// sounds tells how the room's sound device is, how often it ran dry, and which others there are.
func (x *exam) sounds(snap room.Snapshot) []doctor.Finding {
	h := x.sound.line.Health()
	if h.Kind == output.None {
		return []doctor.Finding{silent(x.cfg.Audio)}
	}
	out := []doctor.Finding{goesTo(h)}
	switch {
	case h.Code != "":
		out[0] = doctor.Faulty("sound", soundProblem(h))
	case h.State == output.Resting:
		out[0] = doctor.Good("sound", "doc-sound-rests")
	case h.State != output.Playing:
		out[0] = doctor.Open("sound", "doc-sound-opening")
	}
	if h.Underruns > 0 || h.Reopenings > 0 {
		out = append(out, doctor.Bad("sound gaps", "doc-gaps", "underruns", h.Underruns, "reopened", h.Reopenings))
	} else {
		out = append(out, doctor.Good("sound gaps", "doc-no-gaps"))
	}
	if snap.InSession() {
		return append(out, doctor.Open("sound devices", "doc-devices-later"))
	}
	return append(out, deviceList())
}

// goesTo tells where the sound really goes.
func goesTo(h output.Health) doctor.Finding {
	code := "doc-sound"
	if h.Resampled {
		code = "doc-sound-resampled"
	}
	return doctor.Good("sound", code, "device", h.Device, "khz", strconv.FormatFloat(float64(h.Rate)/1000, 'f', -1, 64), "bits", h.Bits,
		"after", fmt.Sprintf("%d ms", h.Latency.Milliseconds()))
}

func silent(cfg room.AudioConfig) doctor.Finding {
	if cfg.Output == output.None {
		return doctor.Open("sound", "doc-silent")
	}
	return doctor.Bad("sound", "doc-no-device")
}

func deviceList() doctor.Finding {
	found, err := output.Devices()
	switch {
	case err != nil:
		return doctor.Open("sound devices", "doc-devices-unknown").With(err.Error())
	case len(found) == 0:
		return doctor.Open("sound devices", "doc-devices-none")
	}
	var names []string
	for _, d := range found {
		names = append(names, d.Name+" ("+ratesOf(d)+")")
	}
	return doctor.Good("sound devices", "doc-devices", "devices", strings.Join(names, "; "))
}

// deviceFindings looks for the room's sound device where no roomd runs.
func deviceFindings(cfg room.AudioConfig) []doctor.Finding {
	first := doctor.Good("sound", "doc-device", "device", cfg.Device)
	switch {
	case cfg.Output == output.None:
		return []doctor.Finding{silent(cfg)}
	case cfg.Output == output.Command:
		_, err := exec.LookPath(cfg.Command[0])
		if err != nil {
			return []doctor.Finding{doctor.Bad("sound", "sound-program-missing").With(cfg.Command[0])}
		}
		return []doctor.Finding{doctor.Good("sound", "doc-program", "program", cfg.Command[0])}
	case !output.HasDevice(cfg.Device) && cfg.Device == "":
		first = silent(cfg)
	case !output.HasDevice(cfg.Device):
		first = doctor.Bad("sound", "doc-device-missing", "device", cfg.Device)
	case cfg.Device == "":
		first = doctor.Good("sound", "doc-device-own")
	}
	return []doctor.Finding{first, deviceList()}
}

// firstLimit is how late the first sound of a session may be and still seem to answer the tap.
const firstLimit = time.Second

// firstSound opens what each playlist begins with, as a start does, and tells the slowest.
func (x *exam) firstSound(ctx context.Context, snap room.Snapshot) doctor.Finding {
	const check = "first sound"
	if snap.InSession() {
		return doctor.Open(check, "doc-first-later")
	}
	worst, name := time.Duration(-1), ""
	for _, e := range x.lib.Library.List() {
		pl, err := x.lib.find(ctx, e.ID)
		if err != nil || len(pl.Phases) == 0 || len(pl.Phases[0].Music) == 0 || pl.Phases[0].Music[0].Track == nil {
			continue
		}
		took, err := timeToOpen(ctx, pl.Phases[0].Music[0].Track.File)
		if err != nil {
			return doctor.Bad(check, "doc-first-broken", "playlist", e.ID).With(err.Error())
		}
		if took > worst {
			worst, name = took, e.ID
		}
	}
	latency := x.sound.line.Health().Latency
	switch {
	case worst < 0:
		return doctor.Good(check, "doc-first-bed", "after", fmt.Sprintf("%d ms", latency.Milliseconds()))
	case worst+latency > firstLimit:
		return doctor.Bad(check, "doc-first-slow", "playlist", name, "after", fmt.Sprintf("%.1f s", (worst+latency).Seconds()))
	}
	return doctor.Good(check, "doc-first", "playlist", name, "after", fmt.Sprintf("%d ms", (worst+latency).Milliseconds()))
}

// timeToOpen is how long a file's first frames take.
func timeToOpen(ctx context.Context, file string) (time.Duration, error) {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	began := time.Now()
	src, err := decode.Open(ctx, file, decode.Options{Rate: rate, Ahead: ahead})
	if err != nil {
		return 0, err
	}
	defer src.Close()
	return waitForSound(ctx, src, began)
}

func waitForSound(ctx context.Context, src player.Source, began time.Time) (time.Duration, error) {
	frames := make([][2]float64, rate/50)
	for {
		switch n, ok := src.TryStream(frames); {
		case n > 0:
			return time.Since(began), nil
		case !ok && src.Err() != nil:
			return 0, src.Err()
		case !ok:
			return 0, errors.New("the file holds no sound")
		}
		select {
		case <-ctx.Done():
			return 0, errors.New("no sound within 5 s")
		case <-time.After(time.Millisecond):
		}
	}
}

func embedded(cfg room.Config) bool { return cfg.MQTT.Broker == "" || cfg.MQTT.Broker == "embedded" }

// publicURL is a URL without its user and password.
func publicURL(s string) string {
	u, err := url.Parse(s)
	if err != nil {
		return "the broker"
	}
	u.User = nil
	return u.String()
}

// brokerFindings looks for the broker and its lights where no roomd runs.
func brokerFindings(ctx context.Context, cfg room.Config) []doctor.Finding {
	if embedded(cfg) {
		return []doctor.Finding{doctor.Open("broker", "doc-no-broker")}
	}
	conn, err := reach(ctx, cfg)
	if err != nil {
		return []doctor.Finding{doctor.Bad("broker", "doc-broker-missing", "address", publicURL(cfg.MQTT.Broker)).With(err.Error())}
	}
	defer conn.Close()
	out := []doctor.Finding{doctor.Good("broker", "doc-broker-up", "address", publicURL(cfg.MQTT.Broker))}
	offers := survey(ctx, conn)
	for _, role := range slices.Sorted(maps.Keys(cfg.Lights)) {
		gone := missing(cfg.Lights[role], offers)
		if len(gone) > 0 {
			out = append(out, doctor.Bad("light "+role, "doc-light-missing", "driver", gone[0].Driver, "topic", gone[0].Topic))
		} else {
			out = append(out, doctor.Open("light "+role, "doc-light-later"))
		}
	}
	return out
}

func lightFinding(role string, v room.LightView) doctor.Finding {
	check := "light " + role
	if n := drawn(v); n > 0 && n == len(v.Lamps) {
		return doctor.Open(check, "doc-light-drawn")
	}
	switch lights.State(v.State) {
	case lights.Lost:
		return doctor.Faulty(check, v.Problem())
	case lights.Unknown:
		return doctor.Open(check, "doc-light-unknown", "role", role, "name", role)
	case lights.Held:
		return doctor.Good(check, "doc-light-held", "n", len(v.Lamps))
	}
	return doctor.Good(check, "doc-light", "n", len(v.Lamps)-drawn(v))
}

// drawn counts the simulated lamps of a role.
func drawn(v room.LightView) (n int) {
	for _, l := range v.Lamps {
		if l.Drawn {
			n++
		}
	}
	return n
}

func (x *exam) playlists() (out []doctor.Finding) {
	for _, p := range x.lib.Problems() {
		out = append(out, doctor.Faulty("playlists", p))
	}
	ready, all := 0, 0
	for _, v := range x.lib.List() {
		all++
		if v.Ready {
			ready++
		}
	}
	if x.lib.scan != nil {
		if p := x.lib.scan.Progress(); p.Done < p.Total {
			return append(out, doctor.Open("playlists", "doc-playlists-wait", "ready", ready, "playlists", all, "done", p.Done, "tracks", p.Total))
		}
	}
	if len(out) == 0 {
		out = append(out, doctor.Good("playlists", "doc-playlists", "ready", ready, "playlists", all))
	}
	return out
}

// renewal is how long before its end a certificate of ours is long renewed.
const renewal = 7 * 24 * time.Hour

func (x *exam) https() doctor.Finding {
	const check = "https"
	if x.certs == nil {
		return doctor.Open(check, "doc-http")
	}
	until, err := x.certs.Until()
	if err != nil {
		return doctor.Bad(check, "doc-https-none").With(err.Error())
	}
	if left := time.Until(until); left < renewal {
		return doctor.Bad(check, "doc-https-ends", "until", until)
	}
	for _, p := range x.certs.Problems() {
		return doctor.Faulty(check, p)
	}
	if x.certs.Own() {
		return doctor.Good(check, "doc-https", "until", until)
	}
	if !x.certs.Narrow() {
		return doctor.Open(check, "doc-https-wide", "until", until, "fingerprint", x.certs.Fingerprint())
	}
	return doctor.Good(check, "doc-https-own", "until", until, "fingerprint", x.certs.Fingerprint())
}

func ffmpeg(ctx context.Context) doctor.Finding {
	said, err := thisComputer().Run(ctx, "ffmpeg", "-version")
	if err != nil {
		return doctor.Bad("ffmpeg", "doc-ffmpeg-missing")
	}
	line, _, _ := strings.Cut(said, " Copyright")
	code := "doc-ffmpeg"
	if !decode.Confined() {
		code = "doc-ffmpeg-open"
	}
	return doctor.Good("ffmpeg", code, "version", strings.TrimSpace(line))
}
