package lights

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// wire is a connection that keeps what the controller sends.
type wire struct {
	sent []packet
}

func (w *wire) Publish(topic string, payload []byte) error {
	w.sent = append(w.sent, packet{topic, payload})
	return nil
}
func (w *wire) Subscribe(string, func(string, []byte, bool)) {}
func (w *wire) OnConnect(func(bool))                         {}
func (w *wire) Open() bool                                   { return true }

// FuzzMQTT has a controller of all kinds of lamps hear messages, in whatever order: each line of script is a topic's letter
// and a payload; a capital is a retained message. Between them fades are asked for and time passes. What it sends keeps
// to what lamps can take, and it never switches one off.
func FuzzMQTT(f *testing.F) {
	topics := []string{"z/bridge/state", "z/bridge/devices", "z/bridge/groups", "z/bridge/event", "z/all", "z/one", "z/one/set", "z/one/availability",
		"z/all/set", "home/lamp", "home/lamp/set", "home/lamp/available", "wled/g", "wled/api", "wled/status", "dimmer/rpc", "dimmer/status/light:0",
		"dimmer/online", "roomd/dimmer/rpc", "z/two", "z/one/set/brightness"}
	roles := map[string][]Lamp{
		"ambient": {{Driver: "zigbee2mqtt", Topic: "z/all"}, {Driver: "zigbee2mqtt", Topic: "z/one"}},
		"accent":  {{Driver: "homeassistant", Topic: "home/lamp", Extra: map[string]string{"availability": "home/lamp/available"}}, {Driver: "wled", Topic: "wled"}},
		"floor":   {{Driver: "shelly", Topic: "dimmer"}, {Driver: "simulated", Topic: "sim"}},
	}
	const devices = `b[{"friendly_name":"one","ieee_address":"0x1","definition":{"vendor":"Philips","exposes":[{"type":"light","features":[{"name":"brightness","value_min":0,"value_max":254},{"name":"color_temp","value_min":250,"value_max":454},{"name":"color_xy"}]}]}},{"friendly_name":"two","ieee_address":"0x2","definition":{"vendor":"IKEA","exposes":[{"type":"light","features":[{"name":"brightness","value_max":254}]}]}},{"friendly_name":"plug","ieee_address":"0x3","definition":null}]`
	const groups = `c[{"friendly_name":"all","members":[{"ieee_address":"0x1","endpoint":11},{"ieee_address":"0x2"},{"ieee_address":"0x9"}]},{"friendly_name":"none","members":[]}]`
	for _, s := range []string{
		`a{"state":"online"}` + "\n" + devices + "\n" + groups + "\n" + `f{"state":"ON","brightness":120,"color_temp":400,"color_mode":"color_temp"}` + "\n" + `t{"brightness":200}`,
		groups + "\n" + devices + "\n" + `d{"type":"device_announce","data":{"friendly_name":"one"}}` + "\n" + `h{"state":"offline"}` + "\n" + `honline`,
		devices + "\n" + groups + "\n" + `G{"brightness":7}` + "\n" + `gOFF` + "\n" + `i{"brightness_step":-40}` + "\n" + `u17`,
		`j{"state":"ON","brightness":1e300,"color":{"x":0.3,"y":1e-300}}` + "\n" + `k{"state":"OFF"}` + "\n" + `loffline` + "\n" + `m128` + "\n" + `n{"bri":3}` + "\n" + `ooffline`,
		`q{"output":true,"brightness":55}` + "\n" + `s{"id":2,"result":{"output":false,"brightness":-1}}` + "\n" + `rtrue` + "\n" + `p{"method":"Light.Toggle"}`,
		`b[{"friendly_name":"one","ieee_address":"0x1","definition":{"exposes":[{"type":"light","features":[{"name":"brightness","value_max":1e300},{"name":"color_temp","value_min":1e-9,"value_max":1e300}]}]}}]` + "\n" + groups,
		`aoffline` + "\n" + `f{"brightness":null,"state":7,"color":[]}` + "\n" + `f` + "\n" + `b{}` + "\n" + `cnull` + "\n" + `b[null]`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, script string) {
		w := &wire{}
		c := New(w, roles, nil)
		now := time.Unix(1e9, 0)
		for l := range c.entries() {
			c.introduce(l, now)
		}
		c.link(true, now)
		lines := strings.Split(script, "\n")
		for n, line := range lines[:min(len(lines), 100)] {
			switch n % 5 {
			case 1:
				c.move(Move{Scene: Scene{"ambient": {L: float64(n % 101), Kelvin: 2400}, "accent": {L: 30, Color: "#ff9a4a"}, "floor": {L: 1}}, Over: 20 * time.Second, Kind: Planned}, now)
			case 3:
				c.move(Move{Scene: Scene{"ambient": {L: 80}, "floor": {L: 60}}, Over: time.Second, Kind: Urgent}, now)
			}
			if line != "" {
				k := int(line[0]|0x20) - 'a'
				if k >= 0 && k < len(topics) {
					c.listen(event{topics[k], []byte(line[1:]), line[0] < 'a'}, now)
				}
			}
			for range 3 {
				now = now.Add(400 * time.Millisecond)
				if next := c.step(now); next.Before(now.Add(-time.Hour)) {
					t.Errorf("the next step is at %v, now is %v", next, now)
				}
				c.show(now)
			}
		}
		for _, v := range c.Views() {
			if v.Actual != nil && !(v.Actual.L >= 0 && v.Actual.L <= 100) || !(v.Target.L >= 0 && v.Target.L <= 100) {
				t.Errorf("a light is shown at %+v, to go to %+v", v.Actual, v.Target)
			}
		}
		if most := 60 * (3 + len(lines)); len(w.sent) > most {
			t.Errorf("%d messages for %d", len(w.sent), len(lines))
		}
		for _, p := range w.sent {
			var m struct {
				State      string
				Brightness *float64
				Bri        *float64
				Transition *float64
				ColorTemp  *float64 `json:"color_temp"`
				Params     struct{ Brightness *float64 }
			}
			if strings.HasSuffix(p.topic, "/get") || strings.HasPrefix(p.topic, "roomd/") {
				continue
			}
			if err := json.Unmarshal(p.payload, &m); err != nil {
				t.Fatalf("%s %s: %v", p.topic, p.payload, err)
			}
			for _, b := range []*float64{m.Brightness, m.Bri, m.Params.Brightness, m.ColorTemp} {
				if b != nil && (*b < 1 || *b > 65535) {
					t.Errorf("%s %s", p.topic, p.payload)
				}
			}
			if m.State != "" && m.State != "ON" || m.Transition != nil && (*m.Transition < 0 || *m.Transition > 6553) {
				t.Errorf("%s %s", p.topic, p.payload)
			}
		}
	})
}
