package playlists

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"roomd/playlists/yamlfile"
)

// Part is what an entry of music says beside its name.
type Part struct {
	From, To time.Duration  // the part of the file that is played; To 0: to its end
	Join     *time.Duration // the crossfade from what plays before; nil: the phase's
	At       *Place         // where From, or else To, is written; nil: neither is
}

var partClock = regexp.MustCompile(`^(?:(\d{1,2}):)?(\d{1,3}):([0-5]\d(?:\.\d{1,6})?)$`)

// parseClock reads a place in a track: m:ss, h:mm:ss, with fractions of a second where they are wanted, or a length of time.
func parseClock(s string) (time.Duration, bool) {
	m := partClock.FindStringSubmatch(s)
	if m == nil {
		return ParseLength(s)
	}
	hours, _ := strconv.Atoi("0" + m[1])
	minutes, _ := strconv.Atoi(m[2])
	seconds, err := strconv.ParseFloat(m[3], 64)
	d := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute + time.Duration(seconds*1e6+0.5)*time.Microsecond
	return d, err == nil && (m[1] == "" || minutes < 60)
}

// formatClock writes a place in a track, to the microsecond.
func formatClock(d time.Duration) string {
	h, m, us := d/time.Hour, d%time.Hour/time.Minute, d%time.Minute/time.Microsecond
	s := fmt.Sprintf("%02d", us/1e6)
	if us%1e6 != 0 {
		s += strings.TrimRight(fmt.Sprintf(".%06d", us%1e6), "0")
	}
	if h > 0 {
		return fmt.Sprintf("%d:%02d:%s", h, m, s)
	}
	return fmt.Sprintf("%d:%s", m, s)
}

// clock is a place in a track, from 0 to 24 hours. It reads as a time.Duration.
type clock struct{}

func (clock) Read(v Value, _ string) (any, bool) {
	s, ok := v.Scalar("write 0:30")
	if !ok {
		return nil, false
	}
	d, ok := parseClock(s)
	if ok = ok && d <= longest; !ok {
		v.Error(fmt.Sprintf("%s is %q, not a place in a track", v.Name(), clip(s)), "write 0:30, 1:02:30 or 90s")
	}
	return d, ok
}

func (clock) Schema() object {
	return object{"type": "string", "minLength": 2, "pattern": "^(([0-9]{1,2}:[0-5]?[0-9]|[0-9]{1,3}):[0-5][0-9]([.][0-9]{1,6})?|([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?)$"}
}

// readEntry reads an entry of music in brackets: a bed, or a file with the part of it that is played and its crossfade.
func readEntry(f yamlfile.Fields) (src Source, ok bool) {
	src.Place = f.Place
	var part Part
	for _, key := range []string{"to", "from"} {
		if !f.Has(key) {
			continue
		}
		at := f.At(key)
		if part.At = &at; f.Has("bed") {
			f.Value(key).Error("a bed has no "+key+": it never ends", "leave it out, or name a file")
		}
	}
	from, to := f.Set("from", &part.From), f.Set("to", &part.To)
	var join time.Duration
	if f.Set("crossfade", &join) {
		part.Join = &join
	}
	intensity := f.Set("intensity", &src.Intensity)
	isFile, isBed := f.Set("file", &src.Path), f.Set("bed", &src.Bed)
	switch {
	case f.Has("file") && f.Has("bed"):
		f.Error("the entry has a file and a bed", "write two entries: a.flac, {bed: ocean}")
		return src, false
	case !f.Has("file") && !f.Has("bed"):
		if !f.Odd() {
			f.Error("the entry has neither a file nor a bed", "write "+entryKeys.Write+"; a plain file is written without brackets")
		}
		return src, false
	case from && to && part.To <= part.From || to && part.To == 0:
		f.Value("to").Error(fmt.Sprintf("the part ends at %s, not after its start at %s", formatClock(part.To), formatClock(part.From)), "write a later to, or an earlier from")
		return src, false
	}
	if part != (Part{}) {
		src.Part = &part
	}
	bad := f.Odd() || f.Has("bed") && part.At != nil || f.Has("from") && !from || f.Has("to") && !to || f.Has("crossfade") && part.Join == nil || f.Has("intensity") && !intensity
	return src, (isFile || isBed) && !bad
}

// source writes an entry of music as a playlist's file holds it.
func (p Part) source(file string) string {
	if p.From == 0 && p.To == 0 {
		return scalar(file)
	}
	s := "{file: " + strconv.Quote(file)
	if p.From > 0 {
		s += ", from: " + formatClock(p.From)
	}
	if p.To > 0 {
		s += ", to: " + formatClock(p.To)
	}
	return s + "}"
}

// part leaves of a measured track what is to be played of it. LeadIn and LeadOut then also stand for what is left out, so
// that whoever fits and plays a track needs to know nothing of parts.
func (r *resolver) part(n named, t *Track) {
	t.Crossfade = n.Join
	if n.From == 0 && n.To == 0 || t.Problem != "" || t.Length <= 0 {
		return
	}
	name := clip(path.Base(n.rel))
	if end := t.Length - t.LeadOut; n.From >= end && n.From < t.Length {
		r.warn(*n.At, fmt.Sprintf("%q is silent from %s on", name, formatClock(end.Truncate(time.Second))), "write an earlier from")
		t.Problem = "There is no sound in the part that the playlist names."
		return
	} else if n.From >= end {
		r.warn(*n.At, fmt.Sprintf("%q is %s long, so it has nothing from %s on", name, formatClock(t.Length.Truncate(time.Second)), formatClock(n.From)), "write an earlier from")
		t.Problem = "The part that the playlist names is not in the file."
		return
	}
	if n.To > t.Length+time.Second {
		r.warn(*n.At, fmt.Sprintf("%q ends at %s, before %s", name, formatClock(t.Length.Truncate(time.Second)), formatClock(n.To)), "leave out to")
	}
	// To the microsecond, so that what ends one part begins the next, to the sample.
	if n.From > t.LeadIn {
		t.LeadIn, t.From = n.From, n.From
	} else {
		t.LeadIn = t.LeadIn.Truncate(time.Microsecond)
	}
	if n.To > 0 && n.To < t.Length-t.LeadOut {
		t.LeadOut, t.To = t.Length-n.To, n.To
	}
	if t.LeadIn+t.LeadOut >= t.Length {
		t.Problem = "There is no sound in the part that the playlist names."
		r.warn(*n.At, fmt.Sprintf("%q is silent from %s to %s", name, formatClock(n.From), formatClock(n.To)), "choose another part")
	}
	if t.LevelledAt < t.LeadIn || t.LevelledAt > t.Length-t.LeadOut {
		t.Levelled, t.LevelledAt = 0, 0
	}
}
