package lights_test

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/lights"
)

// device is a lamp on the wifi that takes its own system's messages and shines as they say: straight in its level.
type device struct {
	mu       sync.Mutex
	full     float64
	from, to float64
	t0       time.Time
	over     time.Duration
	refused  []string // what the real one would not take, or would take as something else
	commands int
}

func (d *device) level(now time.Time) float64 {
	f := 1.0
	if d.over > 0 {
		f = min(1, now.Sub(d.t0).Seconds()/d.over.Seconds())
	}
	return d.from + (d.to-d.from)*f
}

func (d *device) move(to float64, over time.Duration) {
	now := time.Now()
	d.from, d.to, d.t0, d.over = d.level(now), to, now, over
	d.commands++
}

func (d *device) shines() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return lstar(d.level(time.Now()) / d.full * 254)
}

// startWLED follows WLED's JSON API: tt in tenths of a second, in a 16 bit number of milliseconds, and the new target on /g.
func startWLED(t *testing.T, p *rig.Peer, topic string) *device {
	d := &device{full: 255, from: 128, to: 128}
	p.Hear(topic+"/api", func(_ string, payload []byte, retained bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		var m struct {
			On  bool
			Bri *int
			TT  int
		}
		if json.Unmarshal(payload, &m) != nil || !m.On || m.Bri == nil || *m.Bri < 1 || retained {
			d.refused = append(d.refused, string(payload))
			return
		}
		d.move(float64(*m.Bri), time.Duration(uint16(m.TT*100))*time.Millisecond)
		p.Publish(topic+"/g", 0, false, fmt.Sprint(*m.Bri))
	})
	p.Say(topic+"/status", "online", true)
	p.Say(topic+"/g", "128", true)
	return d
}

// startShelly follows Shelly's RPC: an answer to who asked, a status after a change.
func startShelly(t *testing.T, p *rig.Peer, topic string) *device {
	d := &device{full: 100, from: 50, to: 50}
	p.Hear(topic+"/rpc", func(_ string, payload []byte, retained bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		var m struct {
			ID     int
			Src    string
			Method string
			Params struct {
				ID         int
				On         *bool
				Brightness *float64
				Transition *float64 `json:"transition_duration"`
			}
		}
		bad := json.Unmarshal(payload, &m) != nil || m.Src == "" || retained
		status := func() string {
			return fmt.Sprintf(`{"id":0,"output":true,"brightness":%d}`, int(math.Round(d.level(time.Now()))))
		}
		switch {
		case !bad && m.Method == "Light.GetStatus":
			p.Publish(m.Src+"/rpc", 0, false, fmt.Sprintf(`{"id":%d,"src":%q,"dst":%q,"result":%s}`, m.ID, topic, m.Src, status()))
		case !bad && m.Method == "Light.Set" && m.Params.On != nil && *m.Params.On && m.Params.Brightness != nil && *m.Params.Brightness >= 1 &&
			m.Params.Transition != nil && *m.Params.Transition >= 0.5 && *m.Params.Transition <= 10800:
			d.move(*m.Params.Brightness, time.Duration(*m.Params.Transition*float64(time.Second)))
			p.Publish(m.Src+"/rpc", 0, false, fmt.Sprintf(`{"id":%d,"src":%q,"dst":%q,"result":null}`, m.ID, topic, m.Src))
			p.Publish(topic+"/status/light:0", 0, false, status())
		default:
			d.refused = append(d.refused, string(payload))
		}
	})
	p.Say(topic+"/online", "true", true)
	return d
}

// startPlain is a home-made lamp that takes what a template of the room file writes: a JSON with a time, or a bare number that
// it jumps to.
func startPlain(t *testing.T, p *rig.Peer, topic string, full float64, bare bool) *device {
	d := &device{full: full, from: full / 2, to: full / 2}
	p.Hear(topic+"/set", func(_ string, payload []byte, retained bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		var m struct {
			Light struct{ Level *float64 }
			MS    *float64
		}
		bad := retained || bare && json.Unmarshal(payload, &m.Light.Level) != nil || !bare && (json.Unmarshal(payload, &m) != nil || m.MS == nil)
		if bad || m.Light.Level == nil || *m.Light.Level < 1 || *m.Light.Level > full {
			d.refused = append(d.refused, string(payload))
			return
		}
		over := time.Duration(0)
		if !bare {
			over = time.Duration(*m.MS) * time.Millisecond
		}
		d.move(*m.Light.Level, over)
		state := fmt.Sprint(*m.Light.Level)
		if !bare {
			state = `{"light":{"level":` + state + `}}`
		}
		p.Publish(topic, 0, false, state) // a handler must not wait
	})
	state := fmt.Sprint(full / 2)
	if !bare {
		state = `{"light":{"level":` + state + `}}`
	}
	p.Say(topic, state, true)
	p.Say(topic+"/lwt", "online", true)
	return d
}

func TestWifiLampsOverABroker(t *testing.T) {
	t.Parallel()
	s := &stage{broker: rig.Mosquitto(t)}
	p := rig.Dial(t, s.broker.URL)
	lamps := map[string]*device{"wled": startWLED(t, p, "wled/shelf"), "shelly": startShelly(t, p, "shellydimmer-1"),
		"template": startPlain(t, p, "shed/json", 1000, false), "bare": startPlain(t, p, "shed/bare", 500, true)}
	d := s.daemon(t, map[string][]lights.Lamp{
		"wled":   {{Driver: "wled", Topic: "wled/shelf"}},
		"shelly": {{Driver: "shelly", Topic: "shellydimmer-1"}},
		"template": {{Driver: "template", Topic: "shed/json/set", Extra: map[string]string{"command": "shed/json/set", "payload": `{"light":{"level":{level}},"ms":{milliseconds}}`,
			"brightness_scale": "1000", "state": "shed/json", "state_level": "light.level", "availability": "shed/json/lwt", "fade": "both"}}},
		"bare": {{Driver: "template", Topic: "shed/bare/set", Extra: map[string]string{"command": "shed/bare/set", "payload": "{level}", "brightness_scale": "500", "state": "shed/bare"}}},
	})
	for name := range lamps {
		d.await(t, name, lights.Following)
	}
	begin := time.Now()
	d.Fade(lights.Move{Scene: lights.Scene{"wled": {L: 68}, "shelly": {L: 68}, "template": {L: 68}, "bare": {L: 68}}, Over: 5 * time.Second})
	last := map[string]float64{}
	step := map[string]float64{"bare": 2.1} // it can only jump
	at := begin
	for time.Since(begin) < 7*time.Second {
		late := max(1, time.Since(at).Seconds()/0.05) // where the computer was
		at = time.Now()
		for name, x := range lamps {
			l := x.shines()
			if was, ok := last[name]; ok && math.Abs(l-was) > max(0.5, step[name])*late {
				t.Errorf("%s: a step of %.2f L*", name, math.Abs(l-was))
			}
			last[name] = l
		}
		time.Sleep(50 * time.Millisecond)
	}
	for name, x := range lamps {
		if l := x.shines(); math.Abs(l-68) > 1 {
			t.Errorf("%s ends at %.1f L*", name, l)
		}
		x.mu.Lock()
		if len(x.refused) > 0 || x.commands == 0 {
			t.Errorf("%s: %d commands, refused %q", name, x.commands, x.refused)
		}
		x.mu.Unlock()
		if v := d.Views()[name]; v.State != lights.Following {
			t.Errorf("%s: %+v", name, v)
		}
	}
}
