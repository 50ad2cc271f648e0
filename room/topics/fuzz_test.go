package topics_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room"
	"roomd/room/mqtt"
	"roomd/room/topics"
)

// wire is a broker that hands messages over at once.
type wire struct {
	mu   sync.Mutex
	subs []sub
}

type sub struct {
	filter string
	handle func(topic string, payload []byte, retained bool)
}

func (w *wire) Subscribe(filter string, handle func(string, []byte, bool)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.subs = append(w.subs, sub{filter, handle})
}
func (w *wire) Publish(string, []byte) error { return nil }
func (w *wire) Retain(string, []byte)        {}
func (w *wire) OnConnect(func(bool))         {}
func (w *wire) Republish()                   {}
func (w *wire) Settled() bool                { return true }

func (w *wire) say(topic string, payload []byte, retained bool) {
	w.mu.Lock()
	subs := append([]sub{}, w.subs...)
	w.mu.Unlock()
	for _, s := range subs {
		if mqtt.Match(s.filter, topic) {
			s.handle(topic, payload, retained)
		}
	}
}

// FuzzMQTT sends commands and presses of buttons. They are taken without waiting, whatever they are, and what is retained
// or too old is never done.
func FuzzMQTT(f *testing.F) {
	now := time.Now().UnixMilli()
	for _, s := range []string{
		fmt.Sprintf(`{"id":"a","ts":%d}`, now), fmt.Sprintf(`{"id":"a","ts":%d,"ttl_ms":60000,"value":"-3"}`, now), `{"id":"a","ts":9223372036854775807,"ttl_ms":9223372036854775807}`,
		`{"id":"a","ts":-9223372036854775808}`, `{"id":"a","ts":0,"value":"Journey"}`, `{"action":"on_press"}`, "pressed", `{"action":1}`, "", "null", `{"id":{}}`, `[]`, `{"id":"a","db":1e999}`, "online",
	} {
		for topic := range uint8(7) {
			f.Add(topic, []byte(s), topic%2 == 1)
		}
	}
	cfg := room.Config{Room: "Room One", MQTT: room.MQTTConfig{Base: "clinic", Commands: true}, Audio: room.AudioConfig{Ceiling: 6},
		Buttons: []room.Button{{Topic: "z/button", Action: "on_press", Do: room.MarkNow, Name: "Vitals"}, {Topic: "plain/button", Payload: "pressed", Do: room.Care}}}
	names := []string{"clinic/room-one/cmd/mark", "clinic/room-one/cmd/level", "clinic/room-one/cmd/start", "clinic/room-one/cmd/playlist", "clinic/room-one/cmd/hold", "z/button", "plain/button", "homeassistant/status"}
	w, r := &wire{}, &fakeRoom{changed: make(chan struct{})}
	r.snap.Session = &room.SessionView{State: room.Running}
	tp := topics.New(cfg, identity(f, `{"id":"room-one"}`, "17"), r, w, "1", slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = tp.Run(ctx) }()
	f.Cleanup(func() { cancel(); <-done })
	rig.Eventually(f, "it listens", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return len(w.subs) >= 4 })
	f.Fuzz(func(t *testing.T, topic uint8, payload []byte, retained bool) {
		before := len(r.asked())
		at := time.Now()
		w.say(names[int(topic)%len(names)], payload, retained)
		rig.Bar(t, "a message", "it takes", time.Since(at).Seconds(), 2, "s")
		for _, c := range r.asked()[before:] {
			if c.ID == "" || len(c.ID) > 64 || c.BeforeMS <= 0 {
				t.Errorf("%+v was asked for", c)
			}
		}
	})
}
