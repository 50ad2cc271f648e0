package web

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"roomd/room"
)

// MaxAudition is the most of a playlist that is heard at once.
const MaxAudition = time.Minute

// Part is what is to be heard of a playlist: For from session time At on, or, with IsJoin, a join by its number from 0.
type Part struct {
	At, For time.Duration
	IsJoin  bool
	Join    int
}

// part reads ?at=MS&for=MS or ?join=N. It returns the field and what is wrong with it; an empty reason where nothing is.
func part(r *http.Request) (p Part, field, reason string) {
	q := r.URL.Query()
	number := func(name string, least, most int) (n int) {
		n, err := strconv.Atoi(q.Get(name))
		if reason == "" && (err != nil || n < least || n > most) {
			field, reason = name, "write a whole number from "+strconv.Itoa(least)+" to "+strconv.Itoa(most)
		}
		return n
	}
	if q.Has("join") {
		if q.Has("at") || q.Has("for") {
			return p, "join", "write at and for, or join"
		}
		return Part{IsJoin: true, Join: number("join", 0, 100_000)}, field, reason
	}
	day := int((24 * time.Hour).Milliseconds())
	p.At = time.Duration(number("at", 0, day)) * time.Millisecond
	p.For = time.Duration(number("for", 1000, int(MaxAudition.Milliseconds()))) * time.Millisecond
	return p, field, reason
}

// audition lets a part of a playlist be heard on the tablet, as it will sound in a session. A session has the machine to
// itself: none is begun beside one, and one that is under way breaks off when a session starts.
func (s *Server) audition(w http.ResponseWriter, r *http.Request) {
	p, field, reason := part(r)
	if reason != "" {
		reply(w, http.StatusUnprocessableEntity, fault{field, reason})
		return
	}
	if !s.listening.TryLock() {
		reply(w, http.StatusConflict, room.Refuse("listen-busy"))
		return
	}
	defer s.listening.Unlock()
	ctx, cancel := context.WithTimeout(r.Context(), 2*MaxAudition)
	defer cancel()
	if s.o.Room.Snapshot().InSession() {
		reply(w, http.StatusConflict, room.Refuse("listen-in-session"))
		return
	}
	write, err := s.o.Audition(ctx, r.PathValue("id"), p)
	var refused *room.Refused
	switch {
	case errors.As(err, &refused) && refused.Field == "playlist":
		reply(w, http.StatusNotFound, refused)
		return
	case errors.As(err, &refused) && refused.Field != "":
		reply(w, http.StatusUnprocessableEntity, refused)
		return
	case errors.As(err, &refused):
		reply(w, http.StatusConflict, refused)
		return
	case err != nil:
		s.o.Log.Error("a playlist can't be listened to", "playlist", r.PathValue("id"), "err", err)
		reply(w, http.StatusInternalServerError, room.Refuse("listen-failed"))
		return
	}
	ctx, stop := s.leftAlone(ctx, room.Snapshot.InSession)
	defer stop()
	// A tablet that takes nothing does not keep others from listening.
	line := http.NewResponseController(w)
	_ = line.SetWriteDeadline(time.Now().Add(2 * MaxAudition))
	defer func() { _ = line.SetWriteDeadline(time.Time{}) }()
	w.Header().Set("Content-Type", "audio/wav")
	if err := write(ctx, w); err != nil {
		s.o.Log.Info("listening broke off", "playlist", r.PathValue("id"), "err", err)
		panic(http.ErrAbortHandler) // so that half of it does not look like all
	}
}
