package lights_test

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"sync"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/lights"
	"roomd/room/mqtt"
)

// stage is a broker, zigbee2mqtt with four bulbs, and what a test needs of them. All tests of this file share one.
type stage struct {
	broker *rig.Broker
	bulbs  *rig.Bulbs
}

func lstar(level float64) float64 {
	y := level / 254
	if y <= 216.0/24389 {
		return 903.2963 * y
	}
	return 116*math.Cbrt(y) - 16
}

func startStage(t *testing.T) *stage {
	b := rig.Mosquitto(t)
	return &stage{b, rig.Zigbee(t, b.URL)}
}

// daemon is a controller with a connection of its own, as roomd has one.
type daemon struct {
	*lights.Controller
	conn *mqtt.Client
	dir  string // of what tests of lamps find
	stop func()
}

func (s *stage) daemon(t *testing.T, roles map[string][]lights.Lamp, air ...*lossy) *daemon {
	t.Helper()
	var log *slog.Logger
	if testing.Verbose() {
		log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	conn, err := mqtt.Dial(mqtt.Options{Broker: s.broker.URL, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var way lights.Conn = conn
	for _, a := range air {
		a.Conn = way
		way = a
	}
	d := &daemon{Controller: lights.New(way, roles, log), conn: conn, dir: t.TempDir()}
	d.Tested(nil, d.dir)
	done := make(chan struct{})
	go func() { _ = d.Run(ctx); close(done) }()
	var once sync.Once
	d.stop = func() {
		once.Do(func() {
			cancel()
			<-done
			conn.Close()
		})
	}
	t.Cleanup(d.stop)
	return d
}

func (d *daemon) await(t *testing.T, role string, state lights.State) time.Duration {
	t.Helper()
	begin := time.Now()
	rig.Eventually(t, fmt.Sprintf("%s is %s", role, state), func() bool { return d.Views()[role].State == state })
	return time.Since(begin)
}

func lamp(name string) lights.Lamp {
	return lights.Lamp{Driver: "zigbee2mqtt", Topic: "zigbee2mqtt/" + name}
}

// samples is a bulb's light every 50 ms between two times.
func (s *stage) samples(t *testing.T, bulb string, from, to time.Time) (all []float64, at []time.Time) {
	t.Helper()
	trace := s.bulbs.Trace(bulb, time.Time{})
	i := 0
	var now rig.Point
	for x := from; x.Before(to); x = x.Add(50 * time.Millisecond) {
		for i < len(trace) && !trace[i].At.After(x) {
			now = trace[i]
			i++
		}
		all = append(all, lstar(now.Shine()))
		at = append(at, x)
	}
	return all, at
}

func biggestStep(l []float64) (most float64) {
	for i := 1; i < len(l); i++ {
		most = max(most, math.Abs(l[i]-l[i-1]))
	}
	return most
}

// backAfter is how long after begin the light last was more than 2 L* off the line.
func backAfter(l []float64, at []time.Time, back, begin time.Time, from, to float64, over time.Duration) (d time.Duration) {
	for i := range l {
		want := from + (to-from)*min(1, max(0, at[i].Sub(begin).Seconds()/over.Seconds()))
		if at[i].After(back) && math.Abs(l[i]-want) > 2 {
			d = at[i].Sub(back)
		}
	}
	return d
}

// The bulbs of the simulation are off at first: this lights them as staff would.
func (s *stage) light(t *testing.T, level int) {
	t.Helper()
	p := rig.Dial(t, s.broker.URL)
	said := time.Time{}
	rig.Eventually(t, "the bulbs are lit", func() bool {
		if time.Since(said) > 2*time.Second { // its first group commands are lost where zigbee2mqtt has just started
			p.Say("zigbee2mqtt/room1/all/set", fmt.Sprintf(`{"state":"ON","brightness":%d}`, level), false)
			said = time.Now()
		}
		for _, n := range rig.BulbNames {
			if x := s.bulbs.Now(n); !x.On || math.Abs(x.Level-float64(level)) > 0.5 {
				return false
			}
		}
		return true
	})
}

func TestZigbee(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	s := startStage(t)
	roles := map[string][]lights.Lamp{"ambient": {lamp("room1/hue1"), lamp("room1/ikea1")}, "accent": {lamp("room1/hue2")}}

	t.Run("from off, and a fade", func(t *testing.T) {
		d := s.daemon(t, roles)
		d.await(t, "ambient", lights.Following)
		begin := time.Now()
		d.Fade(lights.Move{Scene: lights.Scene{"ambient": {L: 12}}, Over: 7 * time.Second})
		time.Sleep(8 * time.Second)
		for _, n := range []string{"room1/hue1", "room1/ikea1"} {
			l, _ := s.samples(t, n, begin, time.Now())
			for len(l) > 0 && l[0] == 0 {
				l = l[1:]
			}
			if len(l) < 100 || l[0] > 7.2 {
				t.Errorf("%s lights up at %.1f L*", n, l[0])
			}
			// Up to the lamp's lowest levels a step is what the lamp can do.
			if j := biggestStep(l); j > 0.5 {
				t.Errorf("%s: a step of %.2f L*", n, j)
			}
			if end := l[len(l)-1]; math.Abs(end-12) > 1.5 {
				t.Errorf("%s ends at %.1f", n, end)
			}
		}
		d.stop()
	})

	t.Run("urgent", func(t *testing.T) {
		s.light(t, 10)
		d := s.daemon(t, map[string][]lights.Lamp{"ambient": {lamp("room1/all")}})
		d.await(t, "ambient", lights.Following)
		begin := time.Now()
		d.Fade(lights.Move{Scene: lights.Scene{"ambient": {L: 75}}, Kind: lights.Urgent})
		time.Sleep(2 * time.Second)
		for _, n := range rig.BulbNames {
			if l := lstar(s.bulbs.Now(n).Shine()); math.Abs(l-75) > 1 {
				t.Errorf("%s is at %.1f L* after 2 s", n, l)
			}
		}
		first := time.Duration(-1)
		for _, e := range s.bulbs.Events(begin) {
			if e.Kind == "group" {
				first = e.At.Sub(begin)
				break
			}
		}
		if first < 0 || first > 150*time.Millisecond {
			t.Errorf("at the bulbs after %v", first)
		}
		rig.Eventually(t, "all have answered", func() bool {
			n := 0
			for _, a := range d.Answered() {
				if a.Answered {
					n++
				}
			}
			return n == 4
		})
		d.stop()
	})

	// Last, since zigbee2mqtt tells its lists of lights once, and a broker that is killed forgets them.
	t.Run("broker killed in a fade", func(t *testing.T) {
		s.light(t, 150)
		d := s.daemon(t, roles)
		d.await(t, "ambient", lights.Following)
		from := lstar(150)
		begin := time.Now()
		d.Fade(lights.Move{Scene: lights.Scene{"ambient": {L: from - 20}}, Over: 20 * time.Second})
		time.Sleep(3 * time.Second)
		s.broker.Kill()
		time.Sleep(time.Second)
		if v := d.Views()["ambient"]; v.State != lights.Unknown || v.Says.Code == "" {
			t.Errorf("view %+v", v)
		}
		s.broker.Start()
		back := time.Now()
		time.Sleep(9 * time.Second)
		for _, n := range []string{"room1/hue1", "room1/ikea1"} {
			l, at := s.samples(t, n, begin, time.Now())
			if j := biggestStep(l); j > 0.5 {
				t.Errorf("%s: a step of %.2f L*", n, j)
			}
			if a := backAfter(l, at, back, begin, from, from-20, 20*time.Second); a > 8*time.Second {
				t.Errorf("%s is on the plan %v after the broker's return", n, a)
			}
		}
		d.await(t, "ambient", lights.Following)
		d.stop()
	})
}
