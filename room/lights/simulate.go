package lights

import (
	"context"
	"encoding/json"
	"math"
	"time"
)

// keeper is a connection that can also keep a lamp's light over a restart of the daemon, as a real lamp would.
type keeper interface {
	Keep(topic string, payload []byte)
}

// simulated is a lamp that lives in this process: the page draws it. It speaks over the broker what zigbee2mqtt speaks, and
// ramps as a lamp does, straight in its level, so that rooms without lamps run the same driver.
type simulated struct {
	conn  Conn
	topic string
	in    chan event

	on         bool
	level, hue ramp // 0 to 254; mired
	xy         *struct{ X, Y float64 }
}

// simulate starts one lamp, which runs until ctx ends. It hears what is said after simulate returns.
func simulate(ctx context.Context, conn Conn, topic string) {
	s := &simulated{conn: conn, topic: topic, in: make(chan event, 256), on: true,
		level: ramp{from: 100, to: 100}, hue: ramp{from: 370, to: 370}}
	hear := func(topic string, payload []byte, retained bool) {
		select {
		case s.in <- event{topic, payload, retained}:
		default:
		}
	}
	conn.Subscribe(topic+"/set", hear)
	conn.Subscribe(topic+"/get", hear)
	conn.Subscribe(topic+"/memory", hear)
	go s.run(ctx)
}

func (s *simulated) run(ctx context.Context) {
	conn, topic := s.conn, s.topic
	moves := time.NewTimer(time.Second) // to the next look at where its light is, as long as that changes
	defer moves.Stop()
	last := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-moves.C:
			if k, ok := conn.(keeper); ok {
				if now := string(s.state(time.Now())); now != last {
					last = now
					k.Keep(topic+"/memory", []byte(now))
					moves.Reset(time.Second)
				}
			}
		case e := <-s.in:
			now := time.Now()
			switch e.topic {
			case topic + "/set":
				s.set(e.payload, now)
				moves.Reset(time.Second)
			case topic + "/get":
				_ = conn.Publish(topic, s.state(now))
			case topic + "/memory":
				if last == "" && e.retained {
					last = string(e.payload)
					s.set(e.payload, now)
				}
			}
		}
	}
}

func (s *simulated) set(payload []byte, now time.Time) {
	var m struct {
		State      string
		Brightness *float64
		ColorTemp  *float64 `json:"color_temp"`
		Color      *struct{ X, Y float64 }
		Transition float64
	}
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	over := time.Duration(m.Transition * float64(time.Second))
	switch {
	case m.State == "OFF" || m.Brightness != nil && *m.Brightness <= 0:
		s.on = false
	case m.Brightness != nil:
		from := s.level.at(now)
		if !s.on {
			from = 1
		}
		s.on = true
		s.level = ramp{from, min(254, *m.Brightness), now, now.Add(over)}
	case m.State == "ON":
		s.on = true
	}
	if m.ColorTemp != nil {
		s.xy = nil
		s.hue = ramp{s.hue.at(now), *m.ColorTemp, now, now.Add(over)}
	}
	if m.Color != nil {
		s.xy = m.Color
	}
	// As zigbee2mqtt does: at once, and what was asked for.
	_ = s.conn.Publish(s.topic, s.state(now.Add(over)))
}

func (s *simulated) state(now time.Time) []byte {
	m := map[string]any{"state": "OFF", "brightness": math.Round(s.level.at(now)), "color_mode": "color_temp",
		"color_temp": math.Round(s.hue.at(now))}
	if s.on {
		m["state"] = "ON"
	}
	if s.xy != nil {
		m["color_mode"] = "xy"
		m["color"] = map[string]float64{"x": s.xy.X, "y": s.xy.Y}
	}
	b, _ := json.Marshal(m)
	return b
}
