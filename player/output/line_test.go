package output

import (
	"errors"
	"io/fs"
	"log/slog"
	"math"
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

func (f *fakeSink) write(lazy bool, block [][2]float64, _ ...[][2]float64) (bool, error) {
	f.calls++
	if err := f.fail; err != nil {
		f.fail = nil
		return false, err
	}
	f.play()
	if full := int(f.cap); lazy {
		defer func() {
			if over := f.held - f.cap + float64(nap(full)); over > 0 {
				time.Sleep(time.Duration(over / f.rate * 1e9))
			}
		}()
	}
	f.heard += len(block)
	if f.full && f.gulp > 0 {
		f.gulp -= float64(len(block))
		return false, nil
	}
	over := f.held + float64(len(block)) - f.cap
	if over <= 0 {
		f.held += float64(len(block))
		return false, nil
	}
	f.full = true
	// As a USB card does, it frees 10 ms at a time.
	time.Sleep(max(10*time.Millisecond, time.Duration(over/f.rate*1e9)))
	f.play()
	f.held += float64(len(block))
	return true, nil
}

func (f *fakeSink) delay() float64 { f.play(); return f.held }
func (f *fakeSink) about() about {
	return about{device: "fake", rate: 48000, format: "S32_LE", gulp: startup, rests: true}
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

func block20ms() [][2]float64 { return make([][2]float64, 960) }

func TestADeviceWithAnotherClockNeverRunsDry(t *testing.T) {
	for _, drift := range []float64{-2e-3, 0, 2e-3} {
		synctest.Test(t, func(t *testing.T) {
			f := newFakeSink(drift)
			f.gulp = 24000
			l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(Config) (sink, error) { return f, nil })
			start := time.Now()
			sound, silence := block20ms(), block20ms()
			sound[0][0] = 0.1
			written, calls := 0, 0
			for time.Since(start) < time.Hour {
				// Ten minutes of sound, ten of silence, which may be handed over a few blocks at a time.
				at, block, slow := time.Since(start), sound, 90*time.Millisecond
				if at/(10*time.Minute)%2 == 1 {
					block, slow = silence, 30*time.Millisecond
				}
				if _, ok := l.Prepare(); !ok {
					t.Fatal("lost")
				}
				before := f.calls
				if err := l.Write(block); err != nil {
					t.Fatal(err)
				}
				written += len(block)
				if n := at % (10 * time.Minute); n > time.Minute && slow < 40*time.Millisecond {
					calls += f.calls - before
				}
				if d := l.Delay(); d > 141*time.Millisecond {
					t.Fatalf("delay %v", d)
				} else if real := time.Duration((f.delay() + float64(written-f.heard)) / f.rate * 1e9); at > time.Minute && (d-real).Abs() > time.Millisecond {
					t.Fatalf("drift %v: after %v Delay is %v, %v of sound are on their way", drift, at, d, real)
				}
				if n := time.Since(start) % (5 * time.Minute); n < 20*time.Millisecond {
					time.Sleep(slow) // a slow moment of the engine
				}
			}
			want := f.rate*3600 + 24000
			if f.dry != 0 || math.Abs(float64(f.heard)-want) > 9600+960 {
				t.Errorf("drift %v: ran dry %d times, %d frames heard of %.0f", drift, f.dry, f.heard, want)
			}
			if most := 27 * 60 * 13; calls > most || calls == 0 {
				t.Errorf("drift %v: in 27 minutes of silence the device was given something %d times, not %d at most", drift, calls, most)
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is written after silence is heard no later than in the midst of sound, and sooner where the line was stirred.
func TestSoundAfterSilenceIsHeardSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakeSink(0)
		l := newLine(Config{Kind: ALSA}.withDefaults(), slog.New(slog.DiscardHandler), func(Config) (sink, error) { return f, nil })
		defer l.Close()
		write := func(blocks int) (most time.Duration) {
			for range blocks {
				most = max(most, l.Delay())
				if err := l.Write(block20ms()); err != nil {
					t.Fatal(err)
				}
			}
			return most
		}
		for blocks := range 8 {
			if d := write(500 + blocks); d > defaultLookAhead {
				t.Errorf("a block of silence waits for %v", d)
			}
			l.Stir()
			write(1) // and what was owed before it
			if d, most := write(20), defaultLookAhead-nap(defaultLookAhead)+20*time.Millisecond; d > most {
				t.Errorf("stirred, a block waits for %v, not %v at most", d, most)
			}
		}
		if f.dry > 0 {
			t.Errorf("ran dry %d times", f.dry)
		}
	})
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
			start, frames := time.Now(), 0
			woke, blocks := 0, 0 // in the silence
			sound := block20ms()
			sound[0][0] = 0.1
			for time.Since(start) < time.Hour {
				// Sound, and silence, after which it may be waited for a nap.
				block, least := sound, defaultLookAhead
				if time.Since(start) > 30*time.Minute {
					block, least = block20ms(), defaultLookAhead-nap(defaultLookAhead)
				}
				before := time.Now()
				_, ok := l.Prepare()
				if d := time.Since(before); ok != (open == nil) || d != 0 {
					t.Fatalf("%s: prepared %v in %v", name, ok, d)
				}
				if err := l.Write(block); err != nil {
					t.Fatal(err)
				}
				ahead := time.Duration(frames+len(block))*time.Second/48000 - time.Since(start)
				frames += len(block)
				if time.Since(start) > 31*time.Minute {
					if blocks++; time.Since(before) > 0 {
						woke++
					}
				}
				if ahead > defaultLookAhead || (ahead < least-time.Millisecond && frames > 48000) {
					t.Fatalf("%s: %v ahead after %v", name, ahead, time.Since(start))
				}
				if d := l.Delay() - ahead; d < -time.Microsecond || d > time.Microsecond {
					t.Fatalf("%s: delay %v, %v ahead", name, l.Delay(), ahead)
				}
			}
			if woke > blocks/2 {
				t.Errorf("%s: in silence %d of %d blocks were waited for", name, woke, blocks)
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
		play := func(blocks int) time.Duration {
			start, sound := time.Now(), block20ms()
			sound[0][0] = 0.1
			for range blocks {
				if err := l.Write(sound); err != nil {
					t.Fatal(err)
				}
			}
			return time.Since(start)
		}
		play(50)
		time.Sleep(time.Minute)
		if d := l.Delay(); d != 0 {
			t.Errorf("a minute later %v are still to be heard", d)
		}
		if d := play(50); d != time.Second-defaultLookAhead {
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
		block := block20ms()
		step := func() (uint64, bool) {
			gen, ok := l.Prepare()
			if err := l.Write(block); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			return gen, ok
		}
		gen, ok := step()
		if !ok || gen != 1 || l.Health().State != Playing {
			t.Fatalf("gen %d, %v", gen, ok)
		}

		made[0].fail = errUnderrun
		before := made[0].heard
		step()
		if gen, ok = step(); !ok || gen != 2 || l.Health().Underruns != 1 || made[0].heard != before+960 {
			t.Errorf("after an underrun: gen %d, %v, %+v", gen, ok, l.Health())
		}

		// In silence nobody hears it.
		for range 60 {
			step()
		}
		made[0].fail = errUnderrun
		for range 12 {
			gen, ok = step()
		}
		if !ok || gen != 3 || l.Health().Underruns != 1 {
			t.Errorf("after an underrun in silence: gen %d, %v, %+v", gen, ok, l.Health())
		}
		block[0] = [2]float64{0.1, 0.1}
		step()

		there = false
		made[0].fail = syscall.ENODEV
		step()
		if h := l.Health(); h.State != Lost || h.Error == "" || h.Says == "" || h.Do == "" || h.Latency != 0 {
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
		if d := time.Since(back); gen != 4 || l.Delay() > 20*time.Millisecond || d > 300*time.Millisecond || l.Health().Reopenings != 1 || l.Health().Says != "" {
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
		if err := l.Write(block20ms()); !errors.Is(err, ErrClosed) {
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
		says string
	}{
		{Config{Kind: ALSA, Device: "DAC"}, syscall.ENODEV, `The sound device "DAC" is not there.`},
		{Config{Kind: ALSA}, syscall.ENOENT, `The sound device is not there.`},
		{Config{Kind: ALSA, Device: "DAC"}, syscall.EBUSY, `The sound device "DAC" is in use by another program.`},
		{Config{Kind: ALSA}, syscall.EACCES, `roomd may not use the sound device.`},
		{Config{Kind: ALSA}, syscall.ECONNREFUSED, `The sound server does not run.`},
		{Config{Kind: ALSA}, errStalled, `The sound device does not answer.`},
		{Config{Kind: ALSA}, errTooMany, `The sound system hangs.`},
		{Config{Kind: ALSA}, errNoLibrary, `The computer's sound system is not installed.`},
		{Config{Kind: Command, Command: []string{"aplay"}}, fs.ErrNotExist, `The sound program "aplay" is not installed.`},
		{Config{Kind: File}, syscall.ENOSPC, `The sound file cannot be written.`},
	} {
		says, do := explain(c.cfg, c.err)
		if says != c.says || do == "" {
			t.Errorf("%v: %q, %q", c.err, says, do)
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
			block := block20ms()
			for i := range block {
				block[i] = count(i * 1e6)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := l.Prepare(); !ok {
					b.Fatal(l.Health())
				}
				if err := l.Write(block); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
