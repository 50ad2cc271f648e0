package decode

import (
	"bytes"
	"context"
	"encoding/binary"
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
	Exact    bool          `json:"exact"`    // Frames is exact if the file is whole
	Guessed  bool          `json:"guessed"`  // Frames is a guess from the bit rate
	Cut      bool          `json:"cut"`      // the file ends before its sound does
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

	// Intensity is 1 (calm) to 5 (intense), as the curator wrote it into the tag INTENSITY; 0: there is no such tag, or it is absurd.
	Intensity float64 `json:"intensity,omitempty"`
}

// Probe reads a file's headers and tags, in a child: ffprobe where it is installed. Its errors are those of Open.
func Probe(ctx context.Context, path string) (Info, error) {
	info, err := probe(ctx, path, tools().ffprobe, Options{})
	if err != nil {
		return Info{}, fmt.Errorf("probe %s: %w", path, err)
	}
	return info, nil
}

func probe(ctx context.Context, path, ffprobe string, opt Options) (info Info, err error) {
	size, err := regular(path)
	if err != nil {
		return Info{}, err
	}
	if size == 0 {
		return Info{}, ErrNoSound
	}
	ctx, cancel := context.WithTimeout(ctx, opt.patience(openTimeout))
	defer cancel()
	cmd, err := selfCommand("--probe", "--ffprobe", ffprobe, "--", path)
	if err != nil {
		return Info{}, err
	}
	var out bytes.Buffer
	var said tail
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &said, time.Second
	exited := make(chan error, 1)
	if err := spawn(cmd, opt.Background, func(exit error) { exited <- exit }); err != nil {
		return Info{}, err
	}
	select {
	case err = <-exited:
	case <-ctx.Done():
		_ = cmd.Process.Kill()
		<-exited
		return Info{}, ctx.Err()
	}
	if err != nil {
		return Info{}, told("roomd decode", err, said.String())
	}
	if err := json.Unmarshal(out.Bytes(), &info); err != nil {
		return Info{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return info, nil
}

// look is probe within the child. An empty ffprobe leaves it to beep's decoders.
func look(ctx context.Context, path, ffprobe string) (info Info, err error) {
	if ffprobe != "" {
		if info, err = askFFprobe(ctx, ffprobe, path); err != nil {
			return Info{}, err
		}
	} else {
		m, err := openOwn(path, true)
		if err != nil {
			return Info{}, err
		}
		info = Info{Codec: m.codec, Rate: m.rate, Channels: m.channels, Frames: m.frames, Exact: m.frames > 0}
		if f, err := os.Open(path); err == nil {
			info.tags(nativeTags(f))
			f.Close()
		}
	}
	if info.Codec == "mp3" {
		// ffprobe counts what the encoder has filled up with.
		if n := mp3Length(path); n > 0 {
			info.Frames, info.Exact = n, true
		}
	}
	if info.Frames/int64(info.Rate) >= int64(maxLength.Seconds()) {
		info.Frames, info.Exact = 0, false
	}
	info.Duration = framesTime(info.Frames, info.Rate)
	if info.Cut = cut(path); info.Cut {
		info.Exact = false
	}
	return info, nil
}

// mp3Length is the length that an mp3's own tag tells; 0: it has none.
func mp3Length(path string) int64 {
	f, err := os.Open(path)
	if err != nil {
		return 0
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, _ := f.ReadAt(head, skipID3(f, math.MaxInt64))
	if head = head[:n]; n < 4 || head[0] != 0xff {
		return 0
	}
	var m beepFile
	m.tag(head)
	return m.frames
}

// cut says whether a file is shorter than it says, for the kinds where ffmpeg keeps quiet about it: a wav whose data is longer than
// the file, an ogg whose last page is not the last one of its stream.
func cut(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false
	}
	head, end := make([]byte, 64<<10), make([]byte, min(st.Size(), 70<<10)) // a page is 65,307 bytes at most
	n, _ := f.ReadAt(head, 0)
	head = head[:n]
	switch {
	case bytes.HasPrefix(head, []byte("RIFF")):
		at := bytes.Index(head, []byte("data"))
		if at < 0 || at+8 > n {
			return false
		}
		size := int64(binary.LittleEndian.Uint32(head[at+4:]))
		return size != math.MaxUint32 && int64(at)+8+size > st.Size()
	case bytes.HasPrefix(head, []byte("OggS")):
		n, _ := f.ReadAt(end, st.Size()-int64(len(end)))
		at := bytes.LastIndex(end[:n], []byte("OggS"))
		return at >= 0 && at+6 <= n && end[at+5]&4 == 0
	}
	return false
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
		Codec    string            `json:"codec_name"`
		Rate     string            `json:"sample_rate"`
		Channels int               `json:"channels"`
		TimeBase string            `json:"time_base"`
		Start    string            `json:"start_time"`
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"streams"`
	Format struct {
		Duration string            `json:"duration"`
		Tags     map[string]string `json:"tags"`
	} `json:"format"`
}

func askFFprobe(ctx context.Context, ffprobe, path string) (Info, error) {
	cmd := exec.Command(ffprobe, "-v", "warning", "-hide_banner", "-protocol_whitelist", "file", "-format_whitelist", formats, "-select_streams", "a:0",
		"-show_entries", "stream=codec_name,sample_rate,channels,time_base,start_time,duration:stream_tags:format=duration:format_tags",
		"-of", "json", "-i", "file:"+path)
	var said tail
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &said, time.Second
	exited := make(chan error, 1)
	err := spawn(cmd, false, func(exit error) { exited <- exit })
	if err == nil {
		err = <-exited
	}
	if err != nil {
		return Info{}, told("ffprobe", err, said.String())
	}
	var p ffprobeOut
	if err := json.Unmarshal(out.Bytes(), &p); err != nil {
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
	if start, err := strconv.ParseFloat(s.Start, 64); err == nil && start > 0 && start < 0.1 {
		seconds -= start // an encoder's delay, which is not played
	}
	if seconds > 0 && seconds < maxLength.Seconds() {
		info.Frames = int64(math.Round(seconds * float64(info.Rate)))
		info.Guessed = strings.Contains(said.String(), "Estimating duration from bitrate")
		info.Exact = !info.Guessed && s.TimeBase == "1/"+s.Rate && slices.ContainsFunc(countedCodecs, func(c string) bool { return strings.HasPrefix(s.Codec, c) })
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

// countedCodecs are those whose files tell their length to the frame, by ffmpeg's names.
var countedCodecs = []string{"flac", "vorbis", "pcm_", "wavpack", "alac", "tta"}

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
	if v, err := strconv.ParseFloat(strings.Replace(first("intensity"), ",", ".", 1), 64); err == nil && v >= 1 && v <= 5 {
		i.Intensity = v
	}
}
