package main

import (
	"archive/zip"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomd/room"
	"roomd/room/doctor"
)

// reportAbout is the first file of a report.
const reportAbout = `This is what somebody needs who helps with a room that runs roomd:

doctor.txt     what roomd doctor found
check.txt      what is wrong in the room file and in playlists
room.yaml      the room file, without its comments
state.json     the room as the page had it
log.txt        the last lines of the log
metrics.txt    the room's figures
sessions.txt   when sessions began and how they ended
lights/        what tests found out about lamps

Not in it: notes, marks and names of sessions; the names of tablets; passwords, tokens, keys and codes; music; playlists, but
for the names of their files and the lines with errors.
Look through it before you send it.
`

func reportCommand(c *call) *cobra.Command {
	return &cobra.Command{Use: "report [FILE.zip]", Short: "Pack what a helper needs, without secrets, notes and names", Args: takes(0, 1), Annotations: on(theRoomByFile),
		Example: "  sudo -u roomd roomd report - >report.zip",
		RunE: func(cmd *cobra.Command, words []string) error {
			name := "roomd-report-" + time.Now().Format(backupTime) + ".zip"
			if len(words) == 1 {
				name = words[0]
			}
			return report(cmd.Context(), c, name)
		}}
}

// report packs what a helper needs into one zip file, without what is nobody's business.
func report(ctx context.Context, c *call, name string) error {
	as := c.deputy
	switch {
	case name == "-" && as != nil:
		return as
	case name == "-":
		return c.writeReport(ctx, c.stdout)
	}
	out, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if as != nil {
		err = as.again(ctx, c, append([]string{"report", "-"}, c.words()...), out)
	} else {
		err = c.writeReport(ctx, out)
	}
	if err = errors.Join(err, out.Close()); err != nil {
		_ = os.Remove(name)
		return err
	}
	fmt.Fprintln(c.stdout, name)
	return nil
}

func (c *call) writeReport(ctx context.Context, to io.Writer) error {
	cfg, _, _ := room.LoadConfig(c.config) // what is wrong in it is in check.txt
	r := redactor{}
	r.learn(cfg)
	z := zip.NewWriter(to)
	add := func(name string, text []byte, err error) error {
		if err != nil {
			text = fmt.Appendf(nil, "not to be had: %v\n", err)
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write(r.clean(text))
		}
		return err
	}
	var findings bytes.Buffer
	fmt.Fprintf(&findings, "roomd %s, %s\n\n", version, time.Now().Format(time.RFC1123))
	found := doctor.Print(&findings, c.examine(ctx))

	var checked bytes.Buffer
	problems, _, unchecked := c.checked(ctx, nil, nil, false)
	if unchecked == nil {
		unchecked = problems.Render(&checked)
		fmt.Fprintf(&checked, "%s, %s\n", counted(len(problems.Errors()), "error"), counted(len(problems.Warnings()), "warning"))
	}

	file, unread := os.ReadFile(c.config)
	if unread == nil {
		file, unread = room.WithoutComments(file)
	}
	state, off := c.askRoom(ctx, "/api/v1/state")
	if off == nil {
		state, off = r.state(state)
	}
	lines, noLog := c.logLines(ctx)
	metrics, noMetrics := c.askRoom(ctx, "/metrics")
	sessions, noSessions := c.sessionTimes(ctx)
	err := errors.Join(
		add("about.txt", []byte(reportAbout), nil),
		add("doctor.txt", findings.Bytes(), found),
		add("check.txt", checked.Bytes(), unchecked),
		add("room.yaml", file, unread),
		add("state.json", state, off),
		add("log.txt", lines, noLog),
		add("metrics.txt", metrics, noMetrics),
		add("sessions.txt", sessions, noSessions),
	)
	profiles, _ := filepath.Glob(filepath.Join(profilesIn(c.data), "*.json")) // the pattern is one
	for _, p := range profiles {
		text, unread := os.ReadFile(p)
		err = errors.Join(err, add("lights/"+filepath.Base(p), text, unread))
	}
	return errors.Join(err, z.Close())
}

// logLines are the last lines of the log: as the running roomd has them, or as the journal does.
func (c *call) logLines(ctx context.Context) ([]byte, error) {
	answer, err := c.askRoom(ctx, "/api/v1/log")
	if err == nil {
		var lines []string
		if err := json.Unmarshal(answer, &lines); err != nil {
			return nil, err
		}
		return []byte(strings.Join(lines, "\n") + "\n"), nil
	}
	said, failed := thisComputer().Run(ctx, "journalctl", "--unit=roomd", "--no-pager", fmt.Sprint("--lines=", keptLines))
	if failed != nil {
		return nil, err
	}
	return []byte(said), nil
}

// sessionTimes tells of each session when it began, how long it was and how it ended, and nothing else.
func (c *call) sessionTimes(ctx context.Context) ([]byte, error) {
	store, err := sharedStore(c)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	rows, err := store.Sessions(ctx, 100)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for _, s := range rows {
		length := "running"
		if s.EndedMS != 0 {
			length = (time.Duration(s.EndedMS-s.StartedMS) * time.Millisecond).Round(time.Second).String()
		}
		fmt.Fprintf(&b, "at %v of the room's clock: %s %s\n", (time.Duration(s.StartedMS) * time.Millisecond).Round(time.Second), length, s.Ending)
	}
	return b.Bytes(), nil
}

// removed stands where something was.
const removed = "(removed)"

// redactor takes out what is secret.
type redactor struct{ secrets []string }

// learn takes the room file's secrets, so that they are found wherever they are written.
func (r *redactor) learn(cfg room.Config) {
	var found []string
	brokers := []string{cfg.MQTT.Broker}
	if cfg.Clinic != nil {
		brokers = append(brokers, cfg.Clinic.Broker)
	}
	for _, broker := range brokers {
		if u, err := url.Parse(broker); err == nil && u.User != nil {
			password, _ := u.User.Password()
			found = append(found, password, u.User.Username(), url.QueryEscape(password), url.PathEscape(password), u.User.String())
		}
	}
	if s := cfg.Syncthing; s != nil {
		key, _ := syncthingKey(s.KeyFile) // one that can't be read is nowhere
		found = append(found, key)
	}
	for _, s := range found {
		if len(s) > 2 {
			r.secrets = append(r.secrets, s)
		}
	}
	// The longest first: one may be part of another.
	slices.SortFunc(r.secrets, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
}

var (
	inURL   = regexp.MustCompile(`([a-z][a-z0-9+.-]*://)[^/\s"'@]+@`)
	brokers = regexp.MustCompile(`(\bbroker["']?\s*:[ \t]*["']?)[^\n]*@`) // an address that is wrong may have no scheme, or blanks
	named   = regexp.MustCompile(`(?i)\b([a-z_-]*(?:password|passwd|secret|token|api_?key)["']?\s*[=:]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|[^\s,}\]]+)`)
	codes   = regexp.MustCompile(`(?i)\b([a-z_-]*code["']?\s*[=:]\s*)("\d[^"]*"|'\d[^']*'|\d[^\s,}\]]*)`) // a sentence's code has no digit first
	inPlace = regexp.MustCompile(`(\bkey(?:_file)?["']?\s*:\s*["']?)[A-Za-z0-9]{32}\b`)                   // Syncthing's key where its file belongs
	tablets = regexp.MustCompile(`(msg="a device was [^"]*" device=)("(?:[^"\\]|\\.)*"|\S+)`)
	pemKeys = regexp.MustCompile(`(?s)-----BEGIN [A-Z ]*KEY-----.*?(?:-----END [A-Z ]*KEY-----|\z)`)
	longHex = regexp.MustCompile(`\b[A-Za-z0-9_-]{43}\b`) // a token of roomd's: 32 bytes in base64url
)

// clean takes known secrets out, users in URLs and in what stands for the broker's, what is named a password, token or code, keys, and what looks like a token.
func (r redactor) clean(text []byte) []byte {
	s := string(text)
	for _, secret := range r.secrets {
		s = strings.ReplaceAll(s, secret, removed)
	}
	s = pemKeys.ReplaceAllString(s, removed)
	s = brokers.ReplaceAllString(s, "${1}"+removed+"@")
	s = inURL.ReplaceAllString(s, "${1}"+removed+"@")
	s = inPlace.ReplaceAllString(s, "${1}"+removed)
	s = tablets.ReplaceAllString(s, "${1}"+removed)
	for _, of := range []*regexp.Regexp{named, codes} {
		s = of.ReplaceAllStringFunc(s, func(found string) string {
			part := of.FindStringSubmatch(found)
			quote := part[2][:1]
			if !strings.ContainsAny(quote, `"'`) {
				quote = ""
			}
			return part[1] + quote + removed + quote // JSON stays JSON
		})
	}
	return []byte(longHex.ReplaceAllString(s, removed))
}

// state is the room's state without what tells of a client or a therapist.
func (r *redactor) state(text []byte) ([]byte, error) {
	var snap room.Snapshot
	if err := json.Unmarshal(text, &snap); err != nil {
		return nil, err
	}
	if s := snap.Session; s != nil {
		s.Name = removed
		for k := range s.Marks {
			s.Marks[k].Name = removed
		}
		for k := range s.Reminders {
			s.Reminders[k].Say = removed
		}
		s.Undo = nil
	}
	return json.MarshalIndent(snap, "", "  ")
}
