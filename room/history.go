package room

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"roomd/room/journal"
)

// maxNote is the maximum length of a note in characters.
const maxNote = 1000

// keep is how long the room keeps a session after its end.
func (c Config) keep() time.Duration { return time.Duration(c.KeepDays) * 24 * time.Hour }

// forgetOld erases sessions and damaged journals older than keep. It does nothing during a session or if KeepDays is 0.
func (r *Room) forgetOld(ctx context.Context) {
	if r.state.Load().Mode()&during != 0 || r.o.Config.KeepDays == 0 {
		return
	}
	err := errors.Join(r.o.Store.ForgetBefore(ctx, ms(r.clock.Now()-r.o.Config.keep())), r.o.Store.ForgetDamaged(r.o.Config.keep()))
	if err != nil {
		r.o.Log.Warn("old sessions not erased; retrying in an hour", "err", err)
	}
}

// Erase erases a session that has ended. It gives *Refused if the session is unknown or running, or the disk not writable.
func (r *Room) Erase(ctx context.Context, id string) error {
	_, err := r.ask(ctx, request{erase: id, answer: make(chan answer, 1)})
	return err
}

// erase runs Erase in the owner loop.
func (r *Room) erase(ctx context.Context, id string) error {
	st := r.state.Load()
	_, ok, err := r.o.Store.Session(ctx, id)
	switch {
	case err != nil:
		return err
	case !ok:
		return Refuse("unknown-session").Of("id")
	case st.Mode()&during != 0 && st.Session.ID == id:
		return Refuse("erase-in-session")
	case r.o.Store.Outage() != nil:
		return Refuse("erase-no-disk")
	}
	// The clock's anchor is from the last session, by the wall clock: it has to tell of now.
	if err := errors.Join(r.o.Store.SetAnchor(ctx, r.clock.Anchor()), r.o.Store.Forget(ctx, id)); err != nil {
		return err
	}
	r.o.Log.Info("session erased", "session", id)
	if st.Session != nil && st.Session.ID == id {
		r.publish(func(n *state) { n.Session = nil })
	}
	return nil
}

// noteFor trims the note's text and checks it, its session and its mark.
func (r *Room) noteFor(ctx context.Context, c *Command) error {
	c.Text = strings.TrimSpace(c.Text)
	switch {
	case utf8.RuneCountInString(c.Text) > maxNote:
		return Refuse("note-long").Of("text")
	case !utf8.ValidString(c.Text) || strings.ContainsFunc(c.Text, func(c rune) bool { return c < ' ' && c != '\n' && c != '\t' }):
		return Refuse("note-unreadable").Of("text")
	}
	if _, ok, err := r.o.Store.Session(ctx, c.Session); err != nil {
		return err
	} else if !ok {
		return Refuse("unknown-session").Of("session")
	}
	if c.Of == "" {
		return nil
	}
	s, _, _, err := r.replay(ctx, c.Session)
	if err != nil || !slices.ContainsFunc(s.Marks, func(m MarkView) bool { return m.ID == c.Of }) {
		return Refuse("unknown-of").Of("of")
	}
	return nil
}

// Sessions returns up to 1000 sessions without their events, newest first.
func (r *Room) Sessions(ctx context.Context) ([]SessionRecord, error) {
	rows, err := r.o.Store.Sessions(ctx, 1000)
	if err != nil {
		return nil, err
	}
	tallies, err := r.o.Store.Tallies(ctx)
	if err != nil {
		return nil, err
	}
	out := []SessionRecord{}
	for _, row := range rows {
		rec := r.record(row)
		rec.Marks, rec.Written = tallies[row.ID].Marks, tallies[row.ID].Notes
		out = append(out, rec)
	}
	return out, nil
}

// record returns row as a SessionRecord without events.
func (r *Room) record(row journal.SessionRow) SessionRecord {
	rec := SessionRecord{ID: row.ID, Playlist: row.Playlist, Name: row.Name, State: Running, Ending: row.Ending, EndingCode: endingCode(row.Ending)}
	if row.EndedMS != 0 {
		rec.State, rec.LengthMS = Ended, row.EndedMS-row.StartedMS
		rec.EndedAgoMS = max(0, ms(r.clock.Now())-row.EndedMS)
		if r.o.Config.KeepDays > 0 {
			left := max(0, row.EndedMS+ms(r.o.Config.keep())-ms(r.clock.Now()))
			rec.ErasedInMS = &left
		}
	}
	return rec
}

// Session returns one session with its notes, its commands and what happened on its own. The bool is false if there is no
// such session.
func (r *Room) Session(ctx context.Context, id string) (SessionRecord, bool, error) {
	row, ok, err := r.o.Store.Session(ctx, id)
	if err != nil || !ok {
		return SessionRecord{}, ok, err
	}
	rec := r.record(row)
	events, _, err := r.o.Store.Events(ctx, id)
	if err != nil {
		return rec, true, err
	}
	for _, e := range events {
		data := e.Data
		switch e.Kind {
		case journal.KindBegin:
			data = nil // the whole playlist, whose name is in the record
		case journal.KindNote:
			var n WrittenNote
			if json.Unmarshal(e.Data, &n) == nil {
				n.Device = ""
				rec.Notes = slices.DeleteFunc(rec.Notes, func(o WrittenNote) bool { return o.Of == n.Of })
				if n.Text != "" {
					rec.Notes = append(rec.Notes, n)
				}
			}
			continue // earlier versions of a note stay private
		}
		rec.Events = append(rec.Events, RecordedEvent{Seq: e.Seq, AtMS: e.AtMS - row.StartedMS, Kind: e.Kind, Data: data})
	}
	s, _, _, err := r.replay(ctx, id)
	if err != nil {
		return rec, true, nil // the events alone are still useful
	}
	end := time.Duration(row.EndedMS-row.StartedMS) * time.Millisecond
	if row.EndedMS == 0 {
		end = r.clock.Now() - time.Duration(row.StartedMS)*time.Millisecond
	}
	s, _, _ = s.Step(Input{}, end)
	for _, n := range s.Notes {
		text, _ := json.Marshal(map[string]string{"text": n.Text})
		rec.Events = append(rec.Events, RecordedEvent{AtMS: ms(n.At), Kind: n.Kind, Data: text})
	}
	slices.SortStableFunc(rec.Events, func(a, b RecordedEvent) int { return cmp.Compare(a.AtMS, b.AtMS) })
	rec.Asked = s.askedViews(end)
	rec.Session = s.View(end)
	rec.Session.StartedMS = row.StartedMS
	r.o.Config.light(rec.Session.Phases)
	if len(r.o.Config.Marks) > 0 {
		rec.Zero = r.o.Config.Marks[0]
	}
	if b := s.Begin.Marks; len(b) > 0 {
		rec.Zero = b[0]
	}
	return rec, true, nil
}
