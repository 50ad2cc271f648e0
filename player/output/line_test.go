package output

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// fakeSink is a device in the bubble's time.
type fakeSink struct {
	rate   float64
	cap    float64
	held   float64
	at     time.Time
	dry    int   // times it was found empty after it had been full
	full   bool  // has been
	fail   error // answered once
	closed chan struct{}
	heard  int
	gulp   float64 // frames that it swallows at first
	calls  int
}

// drift is how much faster the device's clock is.
func newFakeSink(drift float64) *fakeSink {
	return &fakeSink{rate: 48000 * (1 + drift), cap: 5760, at: time.Now(), closed: make(chan struct{})}
}

func (f *fakeSink) play() {
	now := time.Now()
	f.held = max(0, f.held-now.Sub(f.at).Seconds()*f.rate)
	f.at = now
	if f.held == 0 && f.full {
		f.dry++
		f.full = false
	}
}

func (f *fakeSink) write(block [][2]float64, _ ...[][2]float64) (paces bool, err error) {
	f.calls++
	if err := f.fail; err != nil {
		f.fail = nil
		return false, err
	}
	f.play()
	paces = f.held >= f.cap/4
	f.heard += len(block)
	if f.full && f.gulp > 0 {
		f.gulp -= float64(len(block))
		return paces, nil
	}
	f.full = true
	if over := f.held + float64(len(block)) - f.cap; over > 0 {
		// As a USB card does, it frees 10 ms at a time.
		time.Sleep(max(10*time.Millisecond, time.Duration(over/f.rate*1e9)))
		f.play()
		paces = true
	}
	f.held += float64(len(block))
	return paces, nil
}

func (f *fakeSink) fill() float64  { f.play(); return f.held }
func (f *fakeSink) delay() float64 { return f.fill() }
func (f *fakeSink) about() about {
	return about{device: "fake", rate: 48000, format: "S32_LE", gulp: startup, holds: int(f.cap)}
}
func (f *fakeSink) close(bool) <-chan struct{} {
	close(f.closed)
	return f.closed
}

// ear keeps the log's warnings.
type ear struct{ strings.Builder }

func (e *ear) log() *slog.Logger {
	return slog.New(slog.NewTextHandler(e, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

var audible = slices.Repeat([][2]float64{{0.1, 0}}, 48000)

// sound is n frames that are heard. They are the same each time: hours of them are written here, and nobody changes them.
func sound(n int) [][2]float64 {
	if n > len(audible) {
		return slices.Repeat(audible[:1], n)
	}
	return audible[:n:n]
}

func quiet(n int) [][2]float64 { return make([][2]float64, n) }

func TestADeviceWithAnotherClockNeverRunsDry(t *testing.T) {
	for _, drift := range []float64{-2e-3, 0, 2e-3} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeSink(drift)
			f.gulp = 24000
			l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(Config) (sink, error) { return f, nil })
			start := time.Now()
			written, woke := 0, 0
			for time.Since(start) < time.Hour {
				n := l.Wait(nil)
				if _, ok := l.Prepare(); !ok {
					t.Fatal("lost")
				}
				if err := l.Write(sound(n)); err != nil {
					t.Fatal(err)
				}
				written += n
				woke++
				at := time.Since(start)
				if d := l.Delay(); d > 121*time.Millisecond {
					t.Fatalf("delay %v", d)
				} else if real := time.Duration((f.delay() + float64(written-f.heard)) / f.rate * 1e9); at > time.Minute && (d-real).Abs() > time.Millisecond {
					t.Fatalf("drift %v: after %v Delay is %v, %v of sound are on their way", drift, at, d, real)
				}
				if n := time.Since(start) % (5 * time.Minute); n < 60*time.Millisecond {
					time.Sleep(40 * time.Millisecond) // a slow moment of the engine
				}
			}
			want := f.rate*3600 + 24000
			if f.dry != 0 || math.Abs(float64(f.heard)-want) > 9600+960 {
				t.Errorf("drift %v: ran dry %d times, %d frames heard of %.0f", drift, f.dry, f.heard, want)
			}
			if most := 17 * 3600; woke > most {
				t.Errorf("drift %v: woke %d times in an hour, not %d at most", drift, woke, most)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What wakes a line gets its turn at once, and whatever it asks for then is heard after what the device holds.
func TestAWordWakesTheLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSink(0)
		l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(Config) (sink, error) { return f, nil })
		defer l.Close()
		for range 50 {
			if err := l.Write(quiet(l.Wait(nil))); err != nil {
				t.Fatal(err)
			}
		}
		woken := make(chan struct{}, 1)
		woken <- struct{}{}
		before := time.Now()
		if n := l.Wait(woken); n != 0 || time.Since(before) != 0 {
			t.Errorf("%d frames after %v", n, time.Since(before))
		}
		if n := l.Wait(woken); n < 2000 || time.Since(before) < 50*time.Millisecond {
			t.Errorf("%d frames after %v, want a burst of 60 ms", n, time.Since(before))
		}
		if f.dry > 0 {
			t.Errorf("ran dry %d times", f.dry)
		}
	})
}

// A resting line has closed its device. Prepare opens it again, at the rate that SetRate asked for meanwhile.
func TestARestingLineHoldsNoDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made []*fakeSink
		var last Config
		l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(c Config) (sink, error) {
			last = c
			made = append(made, newFakeSink(0))
			return made[len(made)-1], nil
		})
		defer l.Close()
		for range 50 {
			if err := l.Write(quiet(l.Wait(nil))); err != nil {
				t.Fatal(err)
			}
		}
		l.Rest()
		time.Sleep(time.Hour)
		l.SetRate(44100)
		time.Sleep(time.Hour)
		select {
		case <-made[0].closed:
		default:
			t.Error("the device is still open")
		}
		if h := l.Health(); h.State != Resting || h.Code != "" || len(made) != 1 {
			t.Errorf("%+v, %d openings", h, len(made))
		}
		before := time.Now()
		_, ok := l.Prepare()
		for !ok {
			l.Wait(nil)
			_, ok = l.Prepare()
		}
		if time.Since(before) > time.Millisecond || l.Health().State != Playing || last.Rate != 44100 {
			t.Errorf("back after %v at %d Hz: %+v", time.Since(before), last.Rate, l.Health())
		}
	})
}

// The first underrun that is heard has the device opened again with a longer buffer, the third no more.
func TestAnUnderrunMakesTheBufferLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var f *fakeSink
		var asked []time.Duration
		l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(c Config) (sink, error) {
			asked = append(asked, c.LookAhead)
			f = newFakeSink(0)
			f.cap = float64(c.lookAheadFrames())
			return f, nil
		})
		defer l.Close()
		play := func(d time.Duration) {
			for start := time.Now(); time.Since(start) < d; {
				n := l.Wait(nil)
				l.Prepare()
				if err := l.Write(sound(n)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for range 4 {
			play(time.Second)
			f.fail = errUnderrun
		}
		play(time.Second)
		want := []time.Duration{120 * time.Millisecond, 240 * time.Millisecond, 480 * time.Millisecond}
		if !slices.Equal(asked, want) || l.Health().Underruns != 4 || l.Health().State != Playing {
			t.Errorf("asked for %v, %+v", asked, l.Health())
		}
	})
}

// A gap is heard where it breaks sound off. A device that was only just opened has none to break off, and one in which
// silence follows the last sound has played it out.
func TestAnUnderrunCountsWhereItIsHeard(t *testing.T) {
	for _, c := range []struct {
		name  string
		write []func(int) [][2]float64 // bursts of half the buffer; the device is dry at the last
		heard uint64
	}{
		{"opened and silent", []func(int) [][2]float64{quiet, quiet}, 0},
		{"opened, then sound", []func(int) [][2]float64{quiet, sound}, 0},
		{"in sound", []func(int) [][2]float64{sound, sound}, 1},
		{"sound that silence would have followed", []func(int) [][2]float64{sound, quiet}, 1},
		{"in the silence after sound", []func(int) [][2]float64{sound, quiet, quiet}, 0},
		{"sound after a short pause", []func(int) [][2]float64{sound, quiet, quiet, sound}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var f *fakeSink
				l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(Config) (sink, error) {
					f = newFakeSink(0)
					return f, nil
				})
				defer l.Close()
				for i, frames := range c.write {
					l.Prepare()
					synctest.Wait()
					l.Prepare()
					if i == len(c.write)-1 {
						f.fail = errUnderrun
					}
					if err := l.Write(frames(l.Wait(nil))); err != nil {
						t.Fatal(err)
					}
				}
				if n := l.Health().Underruns; n != c.heard {
					t.Errorf("%d underruns, not %d", n, c.heard)
				}
			})
		})
	}
}

func TestWithoutADeviceTimeGoesOn(t *testing.T) {
	for name, open := range map[string]func(Config) (sink, error){
		"none":    nil,
		"missing": func(Config) (sink, error) { return nil, syscall.ENODEV },
		"hangs":   func(Config) (sink, error) { time.Sleep(20 * time.Minute); return nil, syscall.ENODEV },
	} {
		synctest.Test(t, func(t *testing.T) {
			cfg := Config{Kind: ALSA}
			if open == nil {
				cfg.Kind = None
			}
			var warned ear
			l := newLine(cfg.withDefaults(), warned.log(), open)
			start, frames, woke := time.Now(), 0, 0
			for time.Since(start) < time.Hour {
				n := l.Wait(nil)
				before := time.Now()
				_, ok := l.Prepare()
				if d := time.Since(before); ok != (open == nil) || d != 0 {
					t.Fatalf("%s: prepared %v in %v", name, ok, d)
				}
				if n == 0 {
					continue // an opening has answered
				}
				if err := l.Write(sound(n)); err != nil {
					t.Fatal(err)
				}
				woke++
				frames += n
				ahead := time.Duration(frames)*time.Second/48000 - time.Since(start)
				if ahead > defaultLookAhead || (ahead < defaultLookAhead-time.Millisecond && frames > 48000) {
					t.Fatalf("%s: %v ahead after %v", name, ahead, time.Since(start))
				}
				if d := l.Delay() - ahead; d < -time.Microsecond || d > time.Microsecond {
					t.Fatalf("%s: delay %v, %v ahead", name, l.Delay(), ahead)
				}
			}
			if most := 17 * 3600; woke > most {
				t.Errorf("%s: woke %d times in an hour", name, woke)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
			if d := time.Since(start).Seconds() - float64(frames)/48000; name == "none" && math.Abs(d) > 0.02 {
				t.Errorf("%s: closed %v s from the end of the sound", name, d)
			}
			// One for each reason; the openings that hang return after 20 minutes.
			if n := strings.Count(warned.String(), "\n"); n != map[string]int{"missing": 1, "hangs": 6}[name] {
				t.Errorf("%s: %d warnings:\n%s", name, n, warned.String())
			}
			if n := l.Health().Hanging; n > maxStuck {
				t.Errorf("%s: %d openings hang", name, n)
			}
			time.Sleep(2 * time.Hour)
			synctest.Wait()
			if n := l.Health().Hanging; n != 0 {
				t.Errorf("%s: %d openings still hang", name, n)
			}
		})
	}
}

func TestWhatAStoppedProcessMissedIsNotMadeUpFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(Config{Kind: None}.withDefaults(), slog.New(slog.DiscardHandler), nil)
		defer l.Close()
		play := func(frames int) time.Duration {
			start := time.Now()
			for frames > 0 {
				n := min(l.Wait(nil), frames)
				if err := l.Write(sound(n)); err != nil {
					t.Fatal(err)
				}
				frames -= n
			}
			return time.Since(start)
		}
		play(48000)
		time.Sleep(time.Minute)
		if d := l.Delay(); d != 0 {
			t.Errorf("a minute later %v are still to be heard", d)
		}
		if d := play(48000); d < time.Second-defaultLookAhead || d > time.Second-defaultLookAhead/2 {
			t.Errorf("after a minute's stop, 1 s of sound took %v", d)
		}
	})
}

func TestEachOpeningIsANewGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var made []*fakeSink
		there := true
		l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(Config) (sink, error) {
			if !there {
				return nil, syscall.ENODEV
			}
			made = append(made, newFakeSink(0))
			return made[len(made)-1], nil
		})
		defer l.Close()
		what := sound
		step := func() (uint64, bool) {
			n := l.Wait(nil)
			gen, ok := l.Prepare()
			if err := l.Write(what(n)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return gen, ok
		}
		gen, ok := step()
		if !ok || gen != 1 || l.Health().State != Playing {
			t.Fatalf("gen %d, %v", gen, ok)
		}

		// In silence nobody hears it.
		what = quiet
		for range 60 {
			step()
		}
		made[0].fail = errUnderrun
		for range 12 {
			gen, ok = step()
		}
		if !ok || gen != 2 || l.Health().Underruns != 0 || len(made) != 1 {
			t.Errorf("after an underrun in silence: gen %d, %v, %+v", gen, ok, l.Health())
		}
		what = sound
		step()

		there = false
		made[0].fail = syscall.ENODEV
		step()
		if h := l.Health(); h.State != Lost || h.Error == "" || h.Code == "" || h.Latency != 0 {
			t.Errorf("health %+v", h)
		}
		lost := time.Now()
		for time.Since(lost) < 10*time.Second {
			if _, ok := step(); ok {
				t.Fatal("it plays on nothing")
			}
		}
		there = true
		back := time.Now()
		for !ok || len(made) < 2 {
			gen, ok = step()
		}
		if d := time.Since(back); gen != 3 || l.Delay() > defaultLookAhead || d > 300*time.Millisecond || l.Health().Reopenings != 1 || l.Health().Code != "" {
			t.Errorf("back as gen %d after %v, %+v", gen, d, l.Health())
		}
		select {
		case <-made[0].closed:
		default:
			t.Error("the lost device was not given back")
		}
		if len(made) != 2 {
			t.Errorf("%d openings", len(made))
		}
	})
}

func TestALateOpeningIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late *fakeSink
		l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(Config) (sink, error) {
			time.Sleep(30 * time.Second)
			late = newFakeSink(0)
			return late, nil
		})
		if h := l.Health(); h.State != Opening {
			t.Errorf("health %+v", h)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if err := l.Write(quiet(960)); !errors.Is(err, ErrClosed) {
			t.Errorf("write after close: %v", err)
		}
		if _, ok := l.Prepare(); ok {
			t.Error("a closed line can be heard")
		}
		<-time.After(31 * time.Second)
		synctest.Wait()
		select {
		case <-late.closed:
		default:
			t.Error("a device that opened too late stays open")
		}
	})
}

func TestExplainsWhatToDo(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		err  error
		code string
	}{
		{Config{Kind: ALSA, Device: "DAC"}, syscall.ENODEV, "sound-missing"},
		{Config{Kind: ALSA}, syscall.ENOENT, "sound-missing"},
		{Config{Kind: ALSA, Device: "DAC"}, syscall.EBUSY, "sound-busy"},
		{Config{Kind: ALSA}, syscall.EACCES, "sound-forbidden"},
		{Config{Kind: ALSA}, syscall.ECONNREFUSED, "sound-server"},
		{Config{Kind: ALSA}, errStalled, "sound-silent"},
		{Config{Kind: ALSA}, errTooMany, "sound-hangs"},
		{Config{Kind: ALSA}, errNoLibrary, "sound-library"},
		{Config{Kind: Command, Command: []string{"aplay"}}, fs.ErrNotExist, "sound-program-missing"},
	} {
		if code := explain(c.cfg, c.err); code != c.code {
			t.Errorf("%v: %s", c.err, code)
		}
	}
}

func BenchmarkWrite(b *testing.B) {
	for name, cfg := range map[string]Config{
		"alsa":    {Kind: ALSA, Device: "null", Speed: 1e4},
		"command": {Kind: Command, Command: []string{"sh", "-c", "cat >/dev/null"}, Speed: 1e4},
		"none":    {Kind: None, Speed: 1e6},
	} {
		b.Run(name, func(b *testing.B) {
			l := Open(cfg, slog.New(slog.DiscardHandler))
			defer l.Close()
			block := quiet(48000)
			for i := range block {
				block[i] = count(i * 1e3)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := l.Prepare(); !ok {
					b.Fatal(l.Health())
				}
				if err := l.Write(block[:l.Wait(nil)]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
