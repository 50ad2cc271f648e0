package lights_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/lights"
	"roomd/room/mqtt"
)

// startTasmota follows Tasmota's commands: Speed2 holds for the next change alone, Speed counts halves of a second for the
// whole range, a change begins where the light is. A change without a Speed2 is at once, as with Fade 0.
func startTasmota(t *testing.T, p *rig.Peer, topic string) *device {
	d := &device{full: 100, from: 60, to: 60}
	speed := 0
	result := func(where string) {
		p.Publish(where, 0, false, fmt.Sprintf(`{"POWER":"ON","Dimmer":%d,"Color":"8000","White":50,"CT":370,"LedTable":"ON","Fade":"OFF","Speed":1}`, int(d.to)))
	}
	run := func(command, value string) bool {
		n, err := strconv.Atoi(value)
		switch {
		case err != nil:
			return false
		case command == "Speed2" && n >= 1 && n <= 40:
			speed = n
			p.Publish("stat/"+topic+"/RESULT", 0, false, fmt.Sprintf(`{"Speed2":%d}`, n))
			return true
		case command == "CT" && n >= 153 && n <= 500:
			result("stat/" + topic + "/RESULT")
		case command == "Dimmer" && n >= 1 && n <= 100:
			share := math.Abs(float64(n)-d.level(time.Now())) / 100
			d.move(float64(n), time.Duration(share*float64(speed)*float64(500*time.Millisecond)))
			result("stat/" + topic + "/RESULT")
		default:
			return false
		}
		speed = 0
		return true
	}
	p.Hear("cmnd/"+topic+"/+", func(at string, payload []byte, retained bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		ok := !retained
		switch command := strings.TrimPrefix(at, "cmnd/"+topic+"/"); command {
		case "STATE":
			result("stat/" + topic + "/RESULT")
		case "Backlog0":
			for _, c := range strings.Split(string(payload), ";") {
				name, value, _ := strings.Cut(c, " ")
				ok = ok && run(name, value)
			}
		default:
			ok = ok && run(command, string(payload))
		}
		if !ok {
			d.refused = append(d.refused, at+" "+string(payload))
		}
	})
	p.Say("tele/"+topic+"/LWT", "Online", true)
	return d
}

// tasmotaShines is L* of a dimmer whose LedTable is on, as the usual power of 2.8 has it; good to 1 L* over 30 %.
func tasmotaShines(d *device) float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return lstar(254 * math.Pow(d.level(time.Now())/d.full, 2.8))
}

func TestTasmotaOverABroker(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	s := &stage{broker: rig.Mosquitto(t)}
	p := rig.Dial(t, s.broker.URL)
	x := startTasmota(t, p, "t1")
	d := s.daemon(t, map[string][]lights.Lamp{"ambient": {{Driver: "tasmota", Topic: "t1"}}})
	d.await(t, "ambient", lights.Following)
	move := func(m lights.Move, watch time.Duration, step float64) {
		t.Helper()
		begin := time.Now()
		d.Fade(m)
		last, at := tasmotaShines(x), begin
		for time.Since(begin) < watch {
			time.Sleep(50 * time.Millisecond)
			l, now := tasmotaShines(x), time.Now()
			// step in 50 ms, or as much more as the computer was late.
			if most := step * max(1, now.Sub(at).Seconds()/0.05); math.Abs(l-last) > most {
				t.Errorf("a step of %.2f L* in %v", math.Abs(l-last), now.Sub(at))
			}
			last, at = l, now
		}
		if want := m.Scene["ambient"].L; math.Abs(last-want) > 1.5 {
			t.Errorf("ends at %.1f L*, not %.0f", last, want)
		}
	}
	// A second late at the most: a step a second.
	move(lights.Move{Scene: lights.Scene{"ambient": {L: 68, Kelvin: 2700}}, Over: 8 * time.Second}, 10*time.Second, 1)
	if v := d.Views()["ambient"]; v.State != lights.Following || v.Actual == nil || math.Abs(v.Actual.L-68) > 1.5 {
		t.Errorf("%+v", v)
	}
	move(lights.Move{Scene: lights.Scene{"ambient": {L: 90}}, Kind: lights.Urgent}, 2*time.Second, 4)

	p.Say("cmnd/t1/Dimmer", "40", false)
	d.await(t, "ambient", lights.Held)
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.refused) > 0 || x.commands < 10 {
		t.Errorf("%d commands, refused %q", x.commands, x.refused)
	}
}

// TestCommissionOverWifi tests lamps that fade by themselves, that are stepped, and that can't be asked.
func TestCommissionOverWifi(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	b := rig.Mosquitto(t)
	p := rig.Dial(t, b.URL)
	for topic, c := range map[string]struct {
		lamp  lights.Lamp
		dev   *device
		want  lights.Profile
		after time.Duration // it is broken off then
		says  string
	}{
		"shelly1": {lights.Lamp{Driver: "shelly", Topic: "shelly1"}, startShelly(t, p, "shelly1"), lights.Profile{Fade: "both", Lowest: 1, ReadBack: true}, 0, "fading over 4s"},
		"shelly2": {lights.Lamp{Driver: "shelly", Topic: "shelly2"}, startShelly(t, p, "shelly2"), lights.Profile{Fade: "none", ReadBack: true}, 6 * time.Second, "bringing it back"},
		"t2":      {lights.Lamp{Driver: "tasmota", Topic: "t2"}, startTasmota(t, p, "t2"), lights.Profile{Lowest: 1, ReadBack: true}, 0, "of steps"},
		"t3":      {lights.Lamp{Driver: "tasmota", Topic: "t3", Extra: map[string]string{"led_table": "off"}}, startTasmota(t, p, "t3"), lights.Profile{ReadBack: true}, time.Second, "its LedTable is on"},
		"wled/a":  {lights.Lamp{Driver: "wled", Topic: "wled/a"}, startWLED(t, p, "wled/a"), lights.Profile{}, 0, "nothing to measure"},
		"t4":      {lights.Lamp{Driver: "tasmota", Topic: "t4"}, nil, lights.Profile{}, 0, "asking"},
	} {
		t.Run(topic, func(t *testing.T) {
			t.Parallel()
			conn, err := mqtt.Dial(mqtt.Options{Broker: b.URL})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			rig.Eventually(t, "connected", conn.Open)
			home := 10.0 // percent of Shelly; a Tasmota of 45 % is at L* 39
			if c.lamp.Driver == "tasmota" {
				home = 45
			}
			if c.dev != nil {
				c.dev.mu.Lock()
				c.dev.from, c.dev.to = home, home
				c.dev.mu.Unlock()
			}
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			if c.after > 0 {
				time.AfterFunc(c.after, stop)
			}
			var said []string
			got, err := lights.Commission(ctx, conn, lights.Known(c.lamp), func(s string) { said = append(said, s) })
			if !strings.Contains(strings.Join(said, "; "), c.says) {
				t.Errorf("it said %q", said)
			}
			if c.dev == nil {
				if !errors.Is(err, lights.ErrNoAnswer) {
					t.Errorf("a lamp that is not there: %v", err)
				}
				return
			}
			got.Tested, c.want.Topic = time.Time{}, topic
			if got != c.want || errors.Is(err, context.Canceled) != (c.after > 0) || err != nil && c.after == 0 {
				t.Errorf("%+v, %v", got, err)
			}
			c.dev.mu.Lock()
			defer c.dev.mu.Unlock()
			if l := c.dev.level(time.Now()); math.Abs(l-home) > 0.5 || len(c.dev.refused) > 0 || (c.dev.commands > 0) != c.want.ReadBack {
				t.Errorf("it ends at %.1f, after %d commands; refused %q", l, c.dev.commands, c.dev.refused)
			}
		})
	}
	if _, err := lights.Commission(t.Context(), nil, lights.Offer{Lamp: lights.Lamp{Driver: "zigbee2mqtt"}, Members: []string{"a"}}, nil); err == nil {
		t.Error("a group is tested as one lamp")
	}
}
