package decode

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/dhowden/tag"

	"roomd/charset"
)

// Info is what a file says about itself, without its sound being decoded.
type Info struct {
	Codec    string        `json:"codec"`    // as ffmpeg names it: mp3, flac, vorbis, pcm_s16le …
	Rate     int           `json:"rate"`     // the file's own, in Hz
	Channels int           `json:"channels"` // the file's own
	Frames   int64         `json:"frames"`   // at Rate; 0: unknown
	Exact    bool          `json:"exact"`    // Frames is exact if the file is whole; else it is an estimate
	Duration time.Duration `json:"duration"` // of Frames; 0: unknown

	Title  string `json:"title,omitempty"`
	Artist string `json:"artist,omitempty"`
	Album  string `json:"album,omitempty"`
	Track  int    `json:"track,omitempty"` // number on the album; 0: none
	Disc   int    `json:"disc,omitempty"`  // number in the set; 0: none

	// Voice: the tags say that somebody speaks or sings: by the genre, or by a text to it.
	Voice bool `json:"voice,omitempty"`

	// Loudness is the track's integrated loudness in LUFS as its tags claim it: -18 minus ReplayGain's track gain
	// (ReplayGain 2.0), or -23 minus R128's (RFC 7845, which also adds the header's output gain). HasLoudness is
	// false where there is no such tag or it is absurd.
	Loudness    float64 `json:"loudness,omitempty"`
	HasLoudness bool    `json:"has_loudness,omitempty"`
}

// GainToR128 is the gain in dB that brings the track to -23 LUFS; 0 where nothing is known.
func (i Info) GainToR128() float64 {
	if !i.HasLoudness {
		return 0
	}
	return -23 - i.Loudness
}

// Probe reads a file's headers and tags. Its errors are those of Open.
func Probe(ctx context.Context, path string) (Info, error) {
	info, err := probe(ctx, path, false)
	if err != nil {
		return Info{}, fmt.Errorf("probe %s: %w", path, err)
	}
	return info, nil
}

func probe(ctx context.Context, path string, native bool) (Info, error) {
	size, err := regular(path)
	if err != nil {
		return Info{}, err
	}
	if size == 0 {
		return Info{}, ErrNoSound
	}
	t := tools()
	h, known := promise(path)
	var info Info
	if t.ffprobe != "" && !native {
		if info, err = probeFFprobe(ctx, t, path); err != nil {
			return Info{}, err
		}
	} else if info, err = probeNative(path); err != nil {
		return Info{}, err
	}
	if known && h.frames > 0 && h.frames/int64(h.rate) < int64(maxLength.Seconds()) && h.rate == info.Rate {
		info.Frames, info.Exact, info.Duration = h.frames, h.exact && !h.cut, framesTime(h.frames, h.rate)
	}
	return info, nil
}

// probeNative reads a file without ffprobe.
func probeNative(path string) (info Info, err error) {
	defer func() {
		if r := recover(); r != nil {
			info, err = Info{}, fmt.Errorf("%w: its header broke the reader: %v", ErrDamaged, r)
		}
	}()
	in, err := openInput(path)
	if err != nil {
		return Info{}, err
	}
	defer in.f.Close()
	dec, err := newDecoder(in, path)
	if err != nil {
		return Info{}, err
	}
	h := dec.header()
	info = Info{Codec: h.codec, Rate: h.rate, Channels: h.channels}
	info.tags(nativeTags(in.f))
	return info, nil
}

// nativeTags are a file's tags by their lower-case names. A file without tags, or with broken ones, has none.
func nativeTags(f *os.File) (tags map[string]string) {
	defer func() {
		if r := recover(); r != nil {
			tags = nil
		}
	}()
	m, err := tag.ReadFrom(f)
	if err != nil {
		return nil
	}
	tags = map[string]string{}
	set := func(k, v string) {
		if v = strings.Trim(v, "\x00 "); v != "" {
			tags[strings.ToLower(strings.Trim(k, "\x00 "))] = v
		}
	}
	for k, v := range m.Raw() {
		switch v := v.(type) {
		case string:
			set(k, v)
		case *tag.Comm: // ID3's own frame for names of anyone's choice, and for a text
			if k == "USLT" || k == "ULT" {
				set("lyrics", v.Text)
			} else {
				set(v.Description, v.Text)
			}
		}
	}
	set("genre", m.Genre())
	set("title", m.Title())
	set("artist", m.Artist())
	set("album_artist", m.AlbumArtist())
	set("album", m.Album())
	if n, _ := m.Track(); n > 0 {
		set("track", strconv.Itoa(n))
	}
	if n, _ := m.Disc(); n > 0 {
		set("disc", strconv.Itoa(n))
	}
	return tags
}

// ffprobeOut is the part of ffprobe's answer that is used.
type ffprobeOut struct {
	Streams []struct {
		Codec      string            `json:"codec_name"`
		Rate       string            `json:"sample_rate"`
		Channels   int               `json:"channels"`
		TimeBase   string            `json:"time_base"`
		DurationTS int64             `json:"duration_ts"`
		Duration   string            `json:"duration"`
		Tags       map[string]string `json:"tags"`
	} `json:"streams"`
	Format struct {
		Name     string            `json:"format_name"`
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

func probeFFprobe(ctx context.Context, t toolset, path string) (Info, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.ffprobe, "-v", "error", "-hide_banner", "-protocol_whitelist", "file", "-format_whitelist", formats, "-select_streams", "a:0",
		"-show_entries", "stream=codec_name,sample_rate,channels,time_base,duration_ts,duration:stream_tags:format=format_name,duration:format_tags",
		"-of", "json", "-i", "file:"+path)
	var said tail
	cmd.Stderr = &said
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if cerr := ctx.Err(); cerr != nil {
		return Info{}, cerr
	}
	if err != nil {
		return Info{}, fmt.Errorf("%w: ffprobe: %w: %s", ErrDamaged, err, said.String())
	}
	var p ffprobeOut
	if err := json.Unmarshal(out, &p); err != nil {
		return Info{}, fmt.Errorf("ffprobe: %w", err)
	}
	if len(p.Streams) == 0 {
		return Info{}, ErrNoSound
	}
	s := p.Streams[0]
	info := Info{Codec: s.Codec, Channels: s.Channels}
	info.Rate, _ = strconv.Atoi(s.Rate)
	if info.Rate <= 0 || s.Channels <= 0 {
		return Info{}, fmt.Errorf("%w: ffprobe finds %d channels at %s Hz", ErrDamaged, s.Channels, s.Rate)
	}
	seconds, err := strconv.ParseFloat(s.Duration, 64)
	if err != nil {
		seconds, _ = strconv.ParseFloat(p.Format.Duration, 64)
	}
	if seconds > 0 && seconds < maxLength.Seconds() {
		info.Frames = int64(math.Round(seconds * float64(info.Rate)))
		info.Duration = framesTime(info.Frames, info.Rate)
	}
	tags := map[string]string{}
	for _, m := range []map[string]string{s.Tags, p.Format.Tags} {
		for k, v := range m {
			tags[strings.ToLower(k)] = v
		}
	}
	if slices.ContainsFunc(titles, func(k string) bool { return strings.ContainsRune(tags[k], utf8.RuneError) }) {
		// ffprobe shows bytes that are not UTF-8 as they can't be read: the tags themselves still hold them.
		raw := map[string]string{}
		if f, err := os.Open(path); err == nil {
			raw = nativeTags(f)
			f.Close()
		}
		for _, k := range titles {
			if strings.ContainsRune(tags[k], utf8.RuneError) {
				tags[k] = raw[k]
			}
		}
	}
	info.tags(tags)
	return info, nil
}

// titles are the tags that people read.
var titles = []string{"title", "artist", "album_artist", "albumartist", "album"}

// readable decodes the titles of tags that are in some code page of their writer's, all of them together, as one word says
// too little. What stays unknown is left out.
func readable(tags map[string]string) {
	var keys []string
	var text []byte
	for _, k := range titles {
		if raw, foreign := codePage(tags[k]); foreign {
			keys = append(keys, k)
			text = append(append(text, strings.ReplaceAll(raw, "\n", " ")...), '\n')
		}
	}
	if len(keys) == 0 {
		return
	}
	read, sure := charset.Decode(text)
	parts := strings.Split(read, "\n")
	for i, k := range keys {
		if !sure || i >= len(parts) {
			delete(tags, k)
		} else {
			tags[k] = parts[i]
		}
	}
}

// codePage is the bytes of a tag that are not what it says: not UTF-8, or called Latin-1 where they are another code page, as
// older programs wrote ID3v2. Such a text has control characters in it, or hardly a letter of ASCII.
func codePage(s string) (raw string, foreign bool) {
	if !utf8.ValidString(s) {
		return s, true
	}
	var b []byte
	plain, high, control := 0, 0, 0
	for _, r := range s {
		switch {
		case r > 0xff:
			return "", false
		case r >= 0xa0:
			high++
		case r >= 0x80:
			control++
		case unicode.IsLetter(r):
			plain++
		}
		b = append(b, byte(r))
	}
	return string(b), control > 0 || high > plain
}

// framesTime is the length of n frames.
func framesTime(n int64, rate int) time.Duration {
	return time.Duration(n/int64(rate))*time.Second + time.Duration(n%int64(rate))*time.Second/time.Duration(rate)
}

// voices are genres with a voice.
var voices = regexp.MustCompile(`(?i)\b(?:speech|spoken|audio ?books?|podcasts?|vocals?|a ?cap+ell?a|comedy|guided|hypnosis|interview|sermon|opera|chorus)\b`)

// tags takes what is used from tags with lower-case names.
func (i *Info) tags(t map[string]string) {
	if t == nil {
		t = map[string]string{}
	}
	first := func(names ...string) string {
		for _, n := range names {
			if v := strings.TrimSpace(strings.ToValidUTF8(t[n], "")); v != "" {
				return v[:min(len(v), 500)]
			}
		}
		return ""
	}
	number := func(s string) int {
		s, _, _ = strings.Cut(s, "/")
		n, err := strconv.Atoi(strings.TrimSpace(s))
		if err != nil || n < 0 || n > 9999 {
			return 0
		}
		return n
	}
	readable(t)
	i.Title, i.Artist, i.Album = first("title"), first("artist", "album_artist", "albumartist"), first("album")
	i.Track, i.Disc = number(first("track", "tracknumber")), number(first("disc", "discnumber"))
	i.Voice = voices.MatchString(first("genre")) || first("lyrics", "unsyncedlyrics", "lyrics-eng", "\u00a9lyr") != ""
	gain := func(s string) (float64, bool) {
		s = strings.TrimSpace(strings.TrimSuffix(strings.ToLower(s), "db"))
		v, err := strconv.ParseFloat(s, 64)
		return v, err == nil && v >= -60 && v <= 60
	}
	if v, ok := gain(first("replaygain_track_gain")); ok {
		i.Loudness, i.HasLoudness = -18-v, true
	} else if q, err := strconv.Atoi(first("r128_track_gain")); err == nil && q >= -32768 && q <= 32767 {
		i.Loudness, i.HasLoudness = -23-float64(q)/256, true
	}
}
