package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"roomd/player"
	"roomd/player/output"
	"roomd/playlists"
	"roomd/room"
	"roomd/room/doctor"
	"roomd/room/lights"
	"roomd/room/topics"
	"roomd/web"
)

// doctorCommand looks at all that a session needs: it asks the roomd that runs, and looks itself where none does.
func doctorCommand(ctx context.Context, c *call) error {
	asJSON := c.flags.Bool("json", false, "print the findings as JSON")
	if words, err := c.parse(); err != nil {
		return err
	} else if len(words) > 0 {
		return usageError{fmt.Errorf("what is %q?", words[0])}
	}
	found := c.examine(ctx)
	if *asJSON {
		e := json.NewEncoder(c.stdout)
		e.SetIndent("", "  ")
		if err := e.Encode(found); err != nil {
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
	answer, asked := c.askRoom(ctx, cfg, "/api/v1/doctor")
	if asked == nil {
		asked = json.Unmarshal(answer, &found)
	}
	switch {
	case asked == nil:
		return found
	case errors.Is(asked, errOff):
		found = append(found, doctor.Bad("roomd", "Start it: sudo systemctl start roomd. Lights, playlists and the first sound are looked at by the roomd that runs.", "It does not run on %s.", c.data))
	default:
		found = append(found, doctor.Bad("roomd", "Look in the log: journalctl -u roomd -e. If that tells nothing: sudo systemctl restart roomd; a session goes on.", "It runs and does not answer: %v.", asked))
	}
	found = append(found, roomFile(c.config, problems, err))
	if errors.Is(asked, errOff) {
		found = append(append(found, deviceFindings(cfg.Audio)...), brokerFindings(ctx, cfg)...)
	}
	return append(append(found, ffmpeg(ctx)), thisComputer().Look(ctx, c.folders())...)
}

// askRoom gets a path of the running roomd's, by a token that is gone afterwards.
func (c *call) askRoom(ctx context.Context, cfg room.Config, path string) (answer []byte, err error) {
	if unlock, err := lockData(c.data); err == nil {
		unlock()
		return nil, errOff
	} else if errors.Is(err, fs.ErrNotExist) {
		return nil, errOff
	}
	listen := c.listen
	if listen == "" {
		listen = cfg.Listen
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	store, err := sharedStore(c)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	tokens := web.NewTokens(store)
	name := "this computer, " + room.NewID()
	token, err := tokens.Create(ctx, name, web.Therapist)
	if err == nil {
		err = onDisk(store)
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = tokens.Revoke(context.WithoutCancel(ctx), name) }()
	ctx, stop := context.WithTimeout(ctx, 30*time.Second)
	defer stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20)); err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s%s says %s", listen, path, resp.Status)
	}
	return answer, err
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
	problems playlists.Problems // of the room file
	err      error              // of reading it
	snapshot func() room.Snapshot
	sound    sound
	lib      *library
	certs    *web.Certs // nil: there is no https
	who      *topics.Identity
}

// look looks at everything. In a session it leaves the sound devices and the music files alone.
func (x *exam) look(ctx context.Context) []doctor.Finding {
	snap := x.snapshot()
	out := []doctor.Finding{doctor.Good("roomd", "Version %s runs.", snap.Version), roomFile(x.config, x.problems, x.err)}
	out = append(out, x.sounds(snap)...)
	out = append(out, x.firstSound(ctx, snap))
	for _, role := range slices.Sorted(maps.Keys(snap.Lights)) {
		out = append(out, lightFinding(role, snap.Lights[role]))
	}
	out = append(out, x.playlists()...)
	for _, p := range snap.Parts {
		switch {
		case p.State == room.Working && p.Part == "broker" && embedded(x.cfg):
			out = append(out, doctor.Good("broker", "The room has none and needs none: its lamps are simulated."))
		case p.State == room.Working && p.Part == "broker":
			out = append(out, doctor.Good("broker", "%s answers. The room's topics are under %s.", publicURL(x.cfg.MQTT.Broker), x.who.Root(x.cfg)))
		// What the room says is wrong the doctor says as well, unless a look of its own has found it.
		case p.State == room.Degraded && !slices.ContainsFunc(out, func(f doctor.Finding) bool {
			return f.State == doctor.Wrong && strings.HasPrefix(f.Check, strings.TrimSuffix(p.Part, "s"))
		}):
			out = append(out, doctor.Bad(p.Part, p.Do, "%s", p.Why))
		}
	}
	out = append(out, x.https(), ffmpeg(ctx))
	return append(out, thisComputer().Look(ctx, x.folders())...)
}

func roomFile(path string, problems playlists.Problems, err error) doctor.Finding {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return doctor.Bad("room file", "Write it: roomd setup.", "%s is not there: the room runs on defaults, with simulated lights.", path)
	case err != nil:
		return doctor.Bad("room file", "Check that roomd's user may read it.", "It can't be read: %v.", err)
	case len(problems) > 0:
		return doctor.Bad("room file", "roomd check tells all that is wrong in it.", "%s", problems[0])
	}
	return doctor.Good("room file", "%s has no errors.", path)
}

// sounds tells how the room's sound device is, how often it ran dry, and which others there are.
func (x *exam) sounds(snap room.Snapshot) []doctor.Finding {
	h := x.sound.line.Health()
	if h.Kind == output.None {
		return []doctor.Finding{silent(x.cfg.Audio)}
	}
	out := []doctor.Finding{doctor.Good("sound", "%s, heard %d ms after it is made.", strings.Join(strings.Fields(fmt.Sprintf("%s %s %s %s Hz", h.Kind, h.Device, h.Format, strconv.Itoa(h.Rate))), " "), h.Latency.Milliseconds())}
	switch {
	case h.Says != "":
		out[0] = doctor.Bad("sound", h.Do, "%s", h.Says)
	case h.State != output.Playing:
		out[0] = doctor.Open("sound", "Look again in a moment.", "The sound device is being opened.")
	}
	if h.Underruns > 0 || h.Reopenings > 0 {
		out = append(out, doctor.Bad("sound gaps", "Look at power, temperature and processor below; end other programs; plug the sound device in directly, not into a hub that other devices share.",
			"Since roomd was started the sound device ran dry %s and was opened again %s.", times(h.Underruns), times(h.Reopenings)))
	} else {
		out = append(out, doctor.Good("sound gaps", "None since roomd was started."))
	}
	if snap.InSession() {
		return append(out, doctor.Open("sound devices", "Look again after it.", "They are not asked during a session."))
	}
	return append(out, deviceList())
}

func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func silent(cfg room.AudioConfig) doctor.Finding {
	if cfg.Output == output.None {
		return doctor.Open("sound", "Take output: none out of the room file, for sound.", "The room file asks for silence.")
	}
	return doctor.Bad("sound", "Plug one in and start roomd again; or check that roomd's user is in the group audio.", "There is no sound device: a session would be silent.")
}

func deviceList() doctor.Finding {
	found, err := output.Devices()
	switch {
	case err != nil:
		return doctor.Open("sound devices", "", "They can't be listed: %v.", err)
	case len(found) == 0:
		return doctor.Open("sound devices", "Plug one in, or check that roomd's user is in the group audio.", "There are none in the list.")
	}
	var names []string
	for _, d := range found {
		names = append(names, d.Name+" ("+takes(d)+")")
	}
	return doctor.Good("sound devices", "%s.", strings.Join(names, "; "))
}

// deviceFindings looks for the room's sound device where no roomd runs.
func deviceFindings(cfg room.AudioConfig) []doctor.Finding {
	first := doctor.Good("sound", "The device %q is there.", cfg.Device)
	switch {
	case cfg.Output == output.None:
		return []doctor.Finding{silent(cfg)}
	case cfg.Output == output.Command:
		_, err := exec.LookPath(cfg.Command[0])
		if err != nil {
			return []doctor.Finding{doctor.Bad("sound", "Install it, or choose another output in the room file.", "The sound program %q is not installed.", cfg.Command[0])}
		}
		return []doctor.Finding{doctor.Good("sound", "The sound program %q is installed.", cfg.Command[0])}
	case !output.HasDevice(cfg.Device) && cfg.Device == "":
		first = silent(cfg)
	case !output.HasDevice(cfg.Device):
		first = doctor.Bad("sound", "Plug it in, or choose another: roomd sound lists them.", "The device %q is not there.", cfg.Device)
	case cfg.Device == "":
		first = doctor.Good("sound", "The computer's own device is there.")
	}
	return []doctor.Finding{first, deviceList()}
}

// firstLimit is how late the first sound of a session may be and still seem to answer the tap.
const firstLimit = time.Second

// firstSound opens what each playlist begins with, as a start does, and tells the slowest.
func (x *exam) firstSound(ctx context.Context, snap room.Snapshot) doctor.Finding {
	const check = "first sound"
	if snap.InSession() {
		return doctor.Open(check, "Look again after it.", "It is not measured during a session.")
	}
	worst, name := time.Duration(-1), ""
	for _, e := range x.lib.Library.List() {
		pl, err := x.lib.find(ctx, e.ID)
		if err != nil || len(pl.Phases) == 0 || len(pl.Phases[0].Music) == 0 || pl.Phases[0].Music[0].Track == nil {
			continue
		}
		took, err := timeToOpen(ctx, pl.Phases[0].Music[0].Track.File)
		if err != nil {
			return doctor.Bad(check, "roomd check tells which files can't be played.", "The playlist %s does not begin: %v.", e.ID, err)
		}
		if took > worst {
			worst, name = took, e.ID
		}
	}
	latency := x.sound.line.Health().Latency
	switch {
	case worst < 0:
		return doctor.Good(check, "Every playlist begins with a bed, which roomd makes itself; it is heard %d ms later.", latency.Milliseconds())
	case worst+latency > firstLimit:
		return doctor.Bad(check, "The music may lie on a slow disk or share: copy it to the computer's own disk.", "The playlist %s is heard %.1f s after Start.", name, (worst + latency).Seconds())
	}
	return doctor.Good(check, "The slowest playlist, %s, is heard %d ms after Start.", name, (worst + latency).Milliseconds())
}

// timeToOpen is how long a file's first frames take.
func timeToOpen(ctx context.Context, file string) (time.Duration, error) {
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	began := time.Now()
	src, err := openSoon(ctx, file, 0, rate)
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
		return []doctor.Finding{doctor.Open("broker", "", "The room has none and needs none: its lamps are simulated.")}
	}
	conn, err := reach(ctx, cfg)
	if err != nil {
		return []doctor.Finding{doctor.Bad("broker", "Check that it runs and that the room file has its address, user and password.", "%s can't be reached: %v.", publicURL(cfg.MQTT.Broker), err)}
	}
	defer conn.Close()
	out := []doctor.Finding{doctor.Good("broker", "%s answers.", publicURL(cfg.MQTT.Broker))}
	offers := survey(ctx, conn)
	for _, role := range slices.Sorted(maps.Keys(cfg.Lights)) {
		gone := missing(cfg.Lights[role], offers)
		if len(gone) > 0 {
			out = append(out, doctor.Bad("light "+role, "Check its topic, and that it has power.", "Nobody offers %s %s.", gone[0].Driver, gone[0].Topic))
		} else {
			out = append(out, doctor.Open("light "+role, "", "Whether it answers is seen by the roomd that runs."))
		}
	}
	return out
}

func lightFinding(role string, v room.LightView) doctor.Finding {
	check := "light " + role
	switch lights.State(v.State) {
	case lights.Lost:
		return doctor.Bad(check, v.Says, "It does not answer.")
	case lights.Unknown:
		return doctor.Open(check, "Try it: roomd lights test "+role+", with no roomd running, or the page's list of lights.", "It has not told yet how it is.")
	case lights.Held:
		return doctor.Good(check, "%s; a hand has moved it.", answers(v))
	}
	return doctor.Good(check, "%s.", answers(v))
}

func answers(v room.LightView) string {
	if len(v.Lamps) == 1 {
		return "It answers"
	}
	return fmt.Sprintf("Its %d lamps answer", len(v.Lamps))
}

func (x *exam) playlists() (out []doctor.Finding) {
	for _, p := range x.lib.Problems() {
		out = append(out, doctor.Bad("playlists", p.Do, "%s", p.Says))
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
			return append(out, doctor.Open("playlists", "Wait, or run roomd check.", "%d of %d can be played; %d of %d tracks have been heard through.", ready, all, p.Done, p.Total))
		}
	}
	if len(out) == 0 {
		out = append(out, doctor.Good("playlists", "%d of %d can be played.", ready, all))
	}
	return out
}

// renewal is how long before its end a certificate of ours is long renewed.
const renewal = 7 * 24 * time.Hour

func (x *exam) https() doctor.Finding {
	const check = "https"
	if x.certs == nil {
		return doctor.Open(check, "Take https: {off: true} out of the room file, and give roomd a data folder that it may write.", "The page is served without it: whoever is in the network may read along.")
	}
	until, err := x.certs.Until()
	if err != nil {
		return doctor.Bad(check, "Start roomd again; if it stays, the log says why.", "There is no certificate: %v.", err)
	}
	if left := time.Until(until); left < renewal {
		return doctor.Bad(check, "Renew the certificate that the room file names; if it is roomd's own, check the computer's date.", "The certificate ends on %s.", until.Format("2 January 2006"))
	}
	for _, p := range x.certs.Problems() {
		return doctor.Bad(check, p.Do, "%s", p.Says)
	}
	return doctor.Good(check, "The certificate is good until %s.", until.Format("2 January 2006"))
}

func ffmpeg(ctx context.Context) doctor.Finding {
	said, err := thisComputer().Run(ctx, "ffmpeg", "-version")
	if err != nil {
		return doctor.Bad("ffmpeg", "sudo apt install ffmpeg", "It is not installed: only MP3, FLAC, WAV and Ogg Vorbis can be played.")
	}
	line, _, _ := strings.Cut(said, " Copyright")
	return doctor.Good("ffmpeg", "%s is installed.", strings.TrimSpace(line))
}
