package main

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
)

// slow is a session whose first phase fades the light down for four minutes.
const slow = `name: Slow
bed: ocean
phases:
  - {name: One, stage: preparation, length: 5m, lights: {scene: dim, fade: 4m}}
  - {name: Two, stage: administration, length: 175m, lights: {scene: dusk, fade: 5m}}
`

// bulbRoom is a room with two bulbs behind zigbee2mqtt.
func bulbRoom(broker, more string) string {
	return fmt.Sprintf(`room: Willow
audio: {output: none}
mqtt: {broker: %q%s}
lights:
  ambient: {driver: zigbee2mqtt, topic: zigbee2mqtt/room1/hue1}
  accent: {driver: zigbee2mqtt, topic: zigbee2mqtt/room1/ikea1}
scenes:
  dim: {ambient: {level: 30}, accent: {level: 20}}
  dusk: {ambient: {level: 70}, accent: {level: 60}}
`, broker, more)
}

// lit waits until both lamps have answered.
func (d *daemon) lit() {
	d.t.Helper()
	rig.Eventually(d.t, "the lamps answer", func() bool {
		s := d.snapshot()
		ready := len(s.Lights) == 2
		for _, l := range s.Lights {
			ready = ready && l.Actual != nil
		}
		return ready
	})
}

// TestLightsSurviveTheDaemon kills the daemon in the middle of a fade, at random moments.
func TestLightsSurviveTheDaemon(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	times := 3
	if rig.Whole {
		times = 100
	}
	broker := rig.Mosquitto(t)
	bulbs := rig.Zigbee(t, broker.URL)
	d := newDaemon(t, nil, map[string]string{"room.yaml": bulbRoom(broker.URL, ""), "playlists/slow.yaml": slow})
	d.start()
	d.lit()
	d.do(room.Command{Do: room.SetScene, Scene: "dusk"})
	time.Sleep(12 * time.Second)
	r := rand.New(rand.NewPCG(7, 8))
	var step, back float64
	down := false
	for n := range times {
		if n%15 == 0 { // the fade of four minutes is over by then: a new session
			if n > 0 {
				d.do(room.Command{Do: room.End})
				rig.Eventually(t, "ended", func() bool { s := d.snapshot().Session; return s == nil || s.State == room.Ended })
				d.do(room.Command{Do: room.SetScene, Scene: "dusk"})
				time.Sleep(12 * time.Second)
			}
			d.do(room.Command{Do: room.Start, Playlist: "slow"})
			time.Sleep(8 * time.Second)
		}
		time.Sleep(time.Duration(500+r.IntN(5000)) * time.Millisecond)
		killed := time.Now()
		d.Kill()
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
		d.start()
		time.Sleep(time.Until(d.began.Add(6 * time.Second)))
		for _, b := range []string{"room1/hue1", "room1/ikea1"} {
			first := 99.0
			for _, e := range bulbs.Events(d.began) {
				if e.Kind == "cmd" && e.Bulb == b {
					first = e.At.Sub(d.began).Seconds()
					break
				}
			}
			back = max(back, first)
			trace := bulbs.Trace(b, killed)
			for i := 1; i < len(trace); i++ {
				step = max(step, math.Abs(lstar(trace[i].Shine())-lstar(trace[i-1].Shine())))
				if lstar(trace[i].Shine()) > lstar(trace[i-1].Shine())+0.5 {
					t.Errorf("kill %d: %s goes up in a fade that goes down", n, b)
				}
			}
		}
		down = down || d.snapshot().Session == nil
	}
	name := fmt.Sprintf("daemon killed × %d", times)
	rig.Bar(t, name, "the fade goes on, from where the lamp is, after", back, 5, "s")
	rig.Bar(t, name, "step between two looks", step, 1, "L*")
	if down {
		t.Error("the session was gone")
	}
}

// TestBrokerForgets kills the broker and its retained messages: all of ours is there again 3 s after its return.
func TestBrokerForgets(t *testing.T) {
	t.Parallel()
	broker := rig.Mosquitto(t)
	d := newDaemon(t, nil, map[string]string{"room.yaml": fmt.Sprintf("room: Willow\naudio: {output: none}\nmqtt: {broker: %q}\n", broker.URL)})
	d.start()
	kept := func() (all []string) {
		var mu sync.Mutex
		p := rig.Dial(t, broker.URL)
		defer p.Disconnect(0)
		p.Hear("#", func(topic string, _ []byte, retained bool) {
			mu.Lock()
			defer mu.Unlock()
			if retained && !strings.HasPrefix(topic, "roomd/simulated/") {
				all = append(all, topic)
			}
		})
		time.Sleep(150 * time.Millisecond)
		mu.Lock()
		defer mu.Unlock()
		return append([]string{}, all...)
	}
	want := 3 // status, state, discovery
	rig.Eventually(t, "all is told", func() bool { return len(kept()) == want })
	broker.Kill()
	_ = os.Remove(filepath.Join(broker.Dir(), "mosquitto.db"))
	time.Sleep(time.Second)
	broker.Start()
	back := time.Now()
	rig.Eventually(t, "all is told again", func() bool { return len(kept()) == want })
	rig.Bar(t, "broker killed, retained messages lost", "all of ours is there again", time.Since(back).Seconds(), 3, "s")
}

// TestFloodedRoom sends ten thousand messages a second to everything that the room hears, in a session.
func TestFloodedRoom(t *testing.T) {
	rig.OnlyBars(t)
	t.Parallel()
	const during = 30 * time.Second
	broker := rig.Mosquitto(t)
	bulbs := rig.Zigbee(t, broker.URL)
	d := newDaemon(t, nil, map[string]string{"room.yaml": bulbRoom(broker.URL, ", commands: allowed"), "playlists/slow.yaml": slow})
	d.start()
	d.lit()
	d.do(room.Command{Do: room.SetScene, Scene: "dusk"})
	time.Sleep(9 * time.Second)
	d.do(room.Command{Do: room.Start, Playlist: "slow"})
	time.Sleep(2 * time.Second)
	tb := d.tablet()
	root := d.root()
	huge := `{"state":"` + strings.Repeat("x", 230_000) + `"}`
	stop := make(chan struct{})
	var wg sync.WaitGroup
	sent := 0
	wg.Go(func() {
		p := rig.Dial(t, broker.URL)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			for k := range 100 {
				switch k % 4 {
				case 0:
					p.Publish("zigbee2mqtt/room1/hue1/availability", 0, false, "{")
				case 1:
					p.Publish(root+"/cmd/hold", 0, false, `{"id":"old","ts":1000}`)
				case 2:
					p.Publish("zigbee2mqtt/room1/ikea1", 0, false, `{"linkquality":1,"brightness":`)
				case 3:
					p.Publish("zigbee2mqtt/bridge/event", 0, false, `[7]`)
				}
				sent++
			}
			if i%50 == 0 {
				p.Publish("zigbee2mqtt/bridge/devices", 0, false, huge)
				p.Publish("zigbee2mqtt/room1/hue1", 0, false, huge)
				p.Publish(root+"/cmd/start", 0, false, huge)
			}
		}
	})
	from := time.Now()
	slowest := time.Duration(0)
	for time.Since(from) < during {
		at := time.Now()
		d.do(room.Command{Do: room.MarkNow, Name: "Note"})
		slowest = max(slowest, time.Since(at))
		time.Sleep(250 * time.Millisecond)
	}
	close(stop)
	wg.Wait()
	gap := time.Duration(0)
	seen := tb.all()
	for i := 1; i < len(seen); i++ {
		gap = max(gap, seen[i].at.Sub(seen[i-1].at))
	}
	step := 0.0
	trace := bulbs.Trace("room1/hue1", from)
	for i := 1; i < len(trace); i++ {
		step = max(step, math.Abs(lstar(trace[i].Shine())-lstar(trace[i-1].Shine())))
	}
	name := fmt.Sprintf("flood, %.0f messages a second", float64(sent)/time.Since(from).Seconds())
	rig.Bar(t, name, "a tick of the tablet is late by", max(0, gap.Seconds()-1), 0.5, "s")
	rig.Bar(t, name, "a command is answered, the slowest", slowest.Seconds(), 0.5, "s")
	rig.Bar(t, name, "memory at its most", d.peak(), 256, "MiB")
	rig.Bar(t, name, "step between two looks", step, 0.5, "L*")
	if d.snapshot().Session == nil || len(d.snapshot().Session.Phases) == 0 || d.snapshot().Session.Phases[0].Held {
		t.Error("the flood steered the room")
	}

	// A command that comes again is answered again and done once.
	p := rig.Dial(t, broker.URL)
	var mu sync.Mutex
	answers := 0
	p.Hear(root+"/ack", func(_ string, payload []byte, _ bool) {
		mu.Lock()
		defer mu.Unlock()
		if string(payload) == `{"id":"again","ok":true}` {
			answers++
		}
	})
	for range 3 {
		p.Say(root+"/cmd/mark", fmt.Sprintf(`{"id":"again","ts":%d,"name":"Note"}`, time.Now().UnixMilli()), false)
	}
	rig.Eventually(t, "three answers", func() bool { mu.Lock(); defer mu.Unlock(); return answers == 3 })
	n := 0
	for _, m := range d.snapshot().Session.Marks {
		if m.ID == "again" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("a command that came three times was done %d times", n)
	}
}

// TestBrokerRefuses has a wrong password, a certificate that is over and an access list that denies named on the page.
func TestBrokerRefuses(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "passwd")
	if out, err := exec.Command("mosquitto_passwd", "-c", "-b", secret, "willow", "rightsecret").CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v %s", err, out)
	}
	closed := rig.Mosquitto(t, "allow_anonymous false", "password_file "+secret)
	acl := filepath.Join(t.TempDir(), "acl")
	if err := os.WriteFile(acl, []byte("topic read other/#\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	deaf := rig.Mosquitto(t, "allow_anonymous true", "acl_file "+acl)
	for name, x := range map[string]struct{ broker, says string }{
		"wrong password":  {strings.Replace(closed.URL, "mqtt://", "mqtt://willow:wrongsecret@", 1), "password"},
		"ACL that denies": {deaf.URL, "broker"},
	} {
		d := newDaemon(t, nil, map[string]string{"room.yaml": bulbRoom(x.broker, "")})
		d.start()
		said := ""
		rig.Eventually(t, "the page says what is wrong", func() bool {
			for _, p := range d.snapshot().Problems {
				if p.Part == "broker" && strings.Contains(p.Says, x.says) {
					said = p.Says
					return true
				}
			}
			return false
		})
		rig.Bar(t, name, "named on the page after the process's start", time.Since(d.began).Seconds(), 5, "s")
		t.Log(said)
		if text, _ := json.Marshal(d.snapshot()); strings.Contains(string(text), "wrongsecret") {
			t.Error("the page tells the password")
		}
		resp, err := http.Get("http://" + d.addr + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		d.Kill()
	}
}
