package web

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"roomd/room"
)

// erase erases a session that is over.
func (s *Server) erase(w http.ResponseWriter, r *http.Request) {
	err := s.o.Room.Erase(r.Context(), r.PathValue("id"))
	var refused *room.Refused
	switch {
	case err == nil:
		reply(w, http.StatusOK, struct{}{})
	case errors.As(err, &refused) && refused.Field != "":
		reply(w, http.StatusNotFound, refused)
	case errors.As(err, &refused):
		reply(w, http.StatusConflict, refused)
	default:
		s.o.Log.Error("a session can't be erased", "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("erase-failed"))
	}
}

// export gives a session as a file: session.csv for a spreadsheet, session.json for programs. It holds no date and no time
// of day: those tell who was there.
func (s *Server) export(w http.ResponseWriter, r *http.Request) {
	write := map[string]func(room.SessionRecord) ([]byte, error){"session.csv": asCSV, "session.json": asIndented}[r.PathValue("file")]
	if write == nil {
		s.fail(w, r, http.StatusNotFound, "write session.csv or session.json")
		return
	}
	rec, ok := s.record(w, r)
	if !ok {
		return
	}
	b, err := write(rec)
	if err != nil {
		s.o.Log.Error("a session can't be exported", "err", err)
		reply(w, http.StatusInternalServerError, fault{Reason: "the session can't be written as a file"})
		return
	}
	kind := "text/csv; charset=utf-8"
	if strings.HasSuffix(r.PathValue("file"), ".json") {
		kind = "application/json"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", "session-"+rec.ID+strings.TrimPrefix(r.PathValue("file"), "session")))
	_, _ = w.Write(b)
}

func asIndented(rec room.SessionRecord) ([]byte, error) {
	rec.ErasedInMS = nil // counts from its end, which tells the day
	if rec.Session != nil {
		v := *rec.Session
		v.StartedMS = 0
		rec.Session = &v
	}
	rec.Events = slices.Clone(rec.Events)
	for k, e := range rec.Events {
		var c room.Command
		if e.Kind != "command" || json.Unmarshal(e.Data, &c) != nil || c.Device == "" {
			continue
		}
		c.Device = "" // what a device is called may say whose it is
		data, err := json.Marshal(c)
		if err != nil {
			return nil, err
		}
		rec.Events[k].Data = data
	}
	return json.MarshalIndent(rec, "", "  ")
}

// told are the commands that a record tells of with what came of them.
var told = []room.Verb{room.MarkNow, room.Deeper, room.Lighter, room.Another, room.Choose}

// asCSV is a session by time, as RFC 4180 has it, with a byte order mark, without which Excel takes UTF-8 for Latin-1.
func asCSV(rec room.SessionRecord) ([]byte, error) {
	type line struct {
		at                 int64
		kind, what, detail string
	}
	var lines []line
	zero := int64(-1)
	if v := rec.Session; v != nil {
		for _, p := range v.Phases {
			lines = append(lines, line{p.StartMS, "phase", p.Name, p.Stage})
		}
		for _, m := range v.Marks {
			if m.Name == rec.Zero && zero < 0 {
				zero = m.AtMS // the clock counts from the first dose
			}
			name := m.Name
			if m.Second {
				name += ", second dose"
			}
			lines = append(lines, line{m.AtMS, "mark", name, noteOf(rec, m.ID)})
		}
		for _, c := range v.Timeline {
			lines = append(lines, line{c.StartMS, "music", c.Title, ""})
		}
		lines = append(lines, line{v.ElapsedMS, "end", rec.Ending, noteOf(rec, "")})
	}
	for _, a := range rec.Asked {
		came := "did not come"
		if a.CameMS > 0 {
			came = cmp.Or(a.Title, "silence") + " at " + hms(a.CameMS)
		}
		lines = append(lines, line{a.AtMS, "asked", strings.TrimSpace(string(a.Do) + " " + a.Name), came})
	}
	for _, e := range rec.Events {
		var c room.Command
		if e.Kind != "command" || json.Unmarshal(e.Data, &c) != nil || slices.Contains(told, c.Do) {
			continue
		}
		detail := c.By
		if c.DB != nil {
			detail = fmt.Sprintf("%+g dB", *c.DB)
		}
		lines = append(lines, line{e.AtMS, "change", string(c.Do), detail})
	}
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.at - b.at) })
	b := bytes.NewBufferString("\ufeff")
	w := csv.NewWriter(b)
	w.UseCRLF = true
	since := "since " + rec.Zero
	if zero < 0 {
		since = "since the mark"
	}
	rows := [][]string{{"since the start", plain(since), "kind", "what", "detail"}}
	for _, l := range lines {
		from := ""
		if zero >= 0 {
			from = hms(l.at - zero)
		}
		rows = append(rows, []string{hms(l.at), from, l.kind, plain(l.what), plain(l.detail)})
	}
	err := w.WriteAll(rows)
	return b.Bytes(), err
}

// noteOf is what was written to a mark, or with an empty ID to the session.
func noteOf(rec room.SessionRecord, id string) string {
	for _, n := range rec.Notes {
		if n.Of == id {
			return n.Text
		}
	}
	return ""
}

// plain keeps a spreadsheet from taking text for a formula (OWASP, CSV injection).
func plain(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

// hms is a time in ms as -0:07:30.
func hms(ms int64) string {
	sign := ""
	if ms < 0 {
		sign, ms = "-", -ms
	}
	s := ms / 1000
	return fmt.Sprintf("%s%d:%02d:%02d", sign, s/3600, s/60%60, s%60)
}
