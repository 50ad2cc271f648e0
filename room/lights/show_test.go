package lights_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"roomd/rig"
	"roomd/room/lights"
	"roomd/room/mqtt"
)

// finder is one with a connection of its own, and that connection.
func finder(t *testing.T, broker string) (*lights.Finder, lights.Conn) {
	t.Helper()
	conn, err := mqtt.Dial(mqtt.Options{Broker: broker})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return lights.Find(conn), conn
}

func offerOf(t *testing.T, f *lights.Finder, name string) (found lights.Offer) {
	t.Helper()
	rig.Eventually(t, name+" is offered", func() bool {
		for _, o := range f.Offers() {
			if o.Lamp.Topic == "zigbee2mqtt/"+name {
				found = o
			}
		}
		return found.Lamp.Topic != ""
	})
	return found
}

// TestShow has bulbs show themselves, dark, dim and bright, alone and as a group, in a room that runs: each moves so far that it is
// seen, none faster than 12 L* a second nor, of those that were under it, over L* 40; each ends where it was, and nobody takes it for a
// hand's doing. A move of the role ends it.
func TestShow(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	s := startStage(t)
	f, conn := finder(t, s.broker.URL)
	d := s.daemon(t, nil)
	show := func(name string) (from time.Time) {
		o := offerOf(t, f, name)
		from = time.Now()
		refused, err := d.Lend(t.Context(), conn, append(slices.Clone(o.Members), o.Lamp.Topic), func(ctx context.Context, conn lights.Conn) error {
			silent, err := lights.Show(ctx, conn, f.Lamps(o))
			if len(silent) > 0 {
				t.Errorf("%s: %v are silent", name, silent)
			}
			return err
		})
		if refused.Code != "" || err != nil {
			t.Fatalf("%s: %v %v", name, refused, err)
		}
		rig.Bar(t, "a lamp shows itself", name, time.Since(from).Seconds(), 12, "s")
		return from
	}
	judge := func(name string, from time.Time, low, high, end float64) {
		t.Helper()
		l, _ := s.samples(t, name, from, time.Now())
		most, least, fastest := slices.Max(l), slices.Min(l[1:]), 0.0
		for i := 20; i < len(l); i++ { // a second
			fastest = max(fastest, math.Abs(l[i]-l[i-20]))
		}
		t.Logf("%s: from %.1f to %.1f L*, at most %.1f L* a second, ends at %.1f", name, least, most, fastest, l[len(l)-1])
		if math.Abs(most-high) > 1.5 || math.Abs(least-low) > 1.5 || fastest > 12 || math.Abs(l[len(l)-1]-end) > 1.5 {
			t.Errorf("%s: from %.1f to %.1f L* (wanted %.1f to %.1f), at most %.1f L* a second, ends at %.1f, wanted %.1f", name, least, most, low, high, fastest, l[len(l)-1], end)
		}
	}
	from := show("room1/hue2") // it is off, and no role has it
	judge("room1/hue2", from, 0, 40, lstar(2))

	s.light(t, 160) // L* 83
	d = s.daemon(t, map[string][]lights.Lamp{"ambient": {lamp("room1/hue1"), lamp("room1/ikea1")}})
	d.await(t, "ambient", lights.Following)
	d.Fade(lights.Move{Scene: lights.Scene{"ambient": {L: lstar(160)}}, Over: time.Second}) // it is to be there
	rig.Eventually(t, "the role has its plan", func() bool { return d.Views()["ambient"].Target.L > 80 })
	time.Sleep(3 * time.Second) // for the reading after a fade
	watched := make(chan struct{})
	held := make(chan bool, 1)
	go func() {
		was := false
		for {
			select {
			case <-watched:
				held <- was
				return
			case <-time.After(10 * time.Millisecond):
				was = was || d.Views()["ambient"].State == lights.Held
			}
		}
	}()
	from = show("room1/all")
	close(watched)
	for _, n := range rig.BulbNames {
		judge(n, from, lstar(160)-20, lstar(160), lstar(160))
	}
	d.await(t, "ambient", lights.Following)
	if <-held {
		t.Error("what is shown is taken for a hand")
	}

	// A move of the role has the lamp at once.
	o, began := offerOf(t, f, "room1/hue1"), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := d.Lend(t.Context(), conn, []string{o.Lamp.Topic}, func(ctx context.Context, conn lights.Conn) error {
			close(began)
			_, err := lights.Show(ctx, conn, f.Lamps(o))
			return err
		})
		ended <- err
	}()
	<-began
	if refused, _ := d.Lend(t.Context(), conn, []string{o.Lamp.Topic}, nil); refused.Code != "lights-testing" {
		t.Errorf("lent twice: %q", refused)
	}
	d.Fade(lights.Move{Scene: lights.Scene{"ambient": {L: 70}}, Over: 2 * time.Second})
	if err := <-ended; err == nil {
		t.Error("it goes on")
	}
	rig.Eventually(t, "the role is at its level", func() bool { return math.Abs(lstar(s.bulbs.Now("room1/hue1").Shine())-70) < 1 })

	s.bulbs.Dead(500*time.Millisecond, "room1/ikea2")
	if silent, err := lights.Show(t.Context(), conn, f.Lamps(offerOf(t, f, "room1/ikea2"))); !errors.Is(err, lights.ErrNoAnswer) || len(silent) != 1 {
		t.Errorf("%v %v", silent, err)
	}
}

// TestZigbeeRequests lets devices in and groups bulbs by the real zigbee2mqtt.
func TestZigbeeRequests(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	s := startStage(t)
	f, _ := finder(t, s.broker.URL)
	ctx := t.Context()
	rig.Eventually(t, "the bridge is known", func() bool { return slices.Equal(f.Bridges(), []string{"zigbee2mqtt"}) })
	if o := offerOf(t, f, "room1/hue1"); !strings.Contains(o.Kind, "Hue") {
		t.Errorf("it is called %q", o.Kind)
	}
	if left := f.Joining(time.Now()); left != 0 {
		t.Errorf("devices are let in for %v", left)
	}
	if err := f.Join(ctx, 100*time.Second); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "they are let in", func() bool { left := f.Joining(time.Now()); return left > 90*time.Second && left <= 100*time.Second })
	if err := f.Join(ctx, 0); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "they are no longer let in", func() bool { return f.Joining(time.Now()) == 0 })

	marks := map[string]string{}
	group := func(name, mine string, lamps ...string) string {
		t.Helper()
		for k := range lamps {
			lamps[k] = "zigbee2mqtt/room1/" + lamps[k]
		}
		topic, mark, err := f.Group(ctx, "zigbee2mqtt", name, mine, lamps)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(lamps)
		if o := offerOf(t, f, strings.TrimPrefix(topic, "zigbee2mqtt/")); !slices.Equal(slices.Sorted(slices.Values(o.Members)), lamps) {
			t.Errorf("%s has %v, wanted %v", topic, o.Members, lamps)
		}
		if mark != "" {
			marks[topic] = mark
		}
		return topic
	}
	for _, c := range []struct {
		name, mine, want string
		lamps            []string
	}{
		{"willow-ambient", "", "room1/all", []string{"hue1", "hue2", "ikea1", "ikea2"}}, // there is one
		{"willow-ambient", "", "willow-ambient", []string{"hue1", "hue2"}},
		{"willow-ambient", "", "willow-ambient", []string{"hue2", "hue1"}},
		{"willow-ambient", "", "willow-ambient-2", []string{"hue1", "ikea1"}}, // the first may be another room's
		{"willow-ambient", "zigbee2mqtt/willow-ambient", "willow-ambient", []string{"hue2", "ikea1", "ikea2"}},
	} {
		if got := group(c.name, c.mine, c.lamps...); got != "zigbee2mqtt/"+c.want {
			t.Errorf("%v: %s, wanted %s", c.lamps, got, c.want)
		}
	}
	// It removes what it made, and nothing else.
	for _, c := range []struct {
		group, mark string
		wrong       error
	}{{"room1/all", "", lights.ErrNoGroup}, {"willow-ambient-2", marks["zigbee2mqtt/willow-ambient"], lights.ErrNoGroup}, {"willow-ambient-2", marks["zigbee2mqtt/willow-ambient-2"], nil}} {
		if err := f.Ungroup(ctx, "zigbee2mqtt/"+c.group, c.mark, []string{"zigbee2mqtt/room1/hue1", "zigbee2mqtt/room1/ikea1"}); !errors.Is(err, c.wrong) {
			t.Errorf("%s, marked %q: %v, wanted %v", c.group, c.mark, err, c.wrong)
		}
	}
	rig.Eventually(t, "the group is gone", func() bool {
		return !slices.ContainsFunc(f.Offers(), func(o lights.Offer) bool { return o.Name == "willow-ambient-2" })
	})
	// A bulb without power can't be told that it belongs to a group: what was made for it is unmade.
	names := func() (all []string) {
		for _, o := range f.Offers() {
			if o.Members != nil {
				all = append(all, o.Name)
			}
		}
		return all
	}
	before := names()
	s.bulbs.Dead(200*time.Millisecond, "room1/ikea2")
	if topic, _, err := f.Group(ctx, "zigbee2mqtt", "willow-accent", "", []string{"zigbee2mqtt/room1/hue1", "zigbee2mqtt/room1/ikea2"}); err == nil || !strings.Contains(err.Error(), "Failed to add to group") {
		t.Errorf("%q %v", topic, err)
	}
	rig.Eventually(t, "no group is left over", func() bool { return slices.Equal(names(), before) })

	for _, bad := range []string{"zigbee2mqtt", "elsewhere"} {
		if _, _, err := f.Group(ctx, bad, "x", "", []string{bad + "/nobody"}); err == nil {
			t.Errorf("%s groups nobody", bad)
		}
	}
	s.bulbs.Kill()
	gone, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	if err := f.Join(gone, time.Minute); err == nil {
		t.Error("nobody let them in")
	}
}

// TestUngroup removes the group that roomd made, and none that somebody else made, changed or may use.
func TestUngroup(t *testing.T) {
	t.Parallel()
	broker := rig.Mosquitto(t)
	f, _ := finder(t, broker.URL)
	peer := rig.Dial(t, broker.URL)
	asked := make(chan string, 9)
	peer.Hear("zigbee2mqtt/bridge/request/#", func(topic string, payload []byte, _ bool) {
		var is struct{ Transaction string }
		_ = json.Unmarshal(payload, &is)
		peer.Say("zigbee2mqtt/bridge/response/group/remove", fmt.Sprintf(`{"data":{},"status":"ok","transaction":%q}`, is.Transaction), false)
		asked <- strings.TrimPrefix(topic, "zigbee2mqtt/bridge/request/") + " " + strings.Split(string(payload), ",")[0]
	})
	const topic, mark = "zigbee2mqtt/willow-ambient", "Made by roomd: X"
	if err := f.Ungroup(t.Context(), topic, mark, nil); !errors.Is(err, lights.ErrNoBridge) {
		t.Errorf("without a bridge: %v", err)
	}
	peer.Say("zigbee2mqtt/bridge/info", `{}`, true)
	peer.Say("zigbee2mqtt/bridge/state", `{"state":"online"}`, true)
	device := func(name, bindings string) string {
		return fmt.Sprintf(`{"friendly_name":%q,"ieee_address":"0x%s","definition":{"vendor":"x","exposes":[{"type":"light","features":[{"name":"brightness","property":"brightness"}]}]},"endpoints":{"1":{"bindings":[%s]}}}`, name, name, bindings)
	}
	group := func(id int, name, about, scenes string, lamps ...string) string {
		var all []string
		for _, l := range lamps {
			all = append(all, fmt.Sprintf(`{"ieee_address":"0x%s","endpoint":1}`, l))
		}
		return fmt.Sprintf(`{"id":%d,"friendly_name":%q,"description":%s,"scenes":[%s],"members":[%s]}`, id, name, about, scenes, strings.Join(all, ","))
	}
	own, elsewhere := fmt.Sprintf("%q", mark), group(8, "other", "null", "", "c")
	for k, c := range []struct{ what, group, binding, wrong string }{
		{"made by hand", group(7, "willow-ambient", "null", "", "a", "b"), "", lights.ErrNoGroup.Error()},
		{"made by another room", group(7, "willow-ambient", `"Made by roomd: Y"`, "", "a", "b"), "", lights.ErrNoGroup.Error()},
		{"called otherwise", group(7, "lounge", own, "", "a", "b"), "", lights.ErrNoGroup.Error()},
		{"another lamp is in it", group(7, "willow-ambient", own, "", "a", "c"), "", "somebody has put zigbee2mqtt/c into it"},
		{"a scene is stored in it", group(7, "willow-ambient", own, `{"id":1,"name":"one"}`, "a", "b"), "", "scene"},
		{"a switch commands it", group(7, "willow-ambient", own, "", "a", "b"), `{"cluster":"genOnOff","target":{"type":"group","id":7}}`, "switch commands it"},
		{"what it says can't be read", `{"id":"seven"}`, "", "read the groups"},
		{"its own", group(7, "willow-ambient", own, "", "a"), `{"cluster":"genOnOff","target":{"type":"endpoint","ieee_address":"0xa","endpoint":1}},{"cluster":"genOnOff","target":{"type":"group","id":8}}`, ""},
	} {
		seen := fmt.Sprint("seen", k)
		peer.Say("zigbee2mqtt/bridge/groups", "["+c.group+","+elsewhere+"]", true)
		peer.Say("zigbee2mqtt/bridge/devices", "["+strings.Join([]string{device("a", ""), device("b", ""), device("c", ""), device("switch", c.binding), device(seen, "")}, ",")+"]", true)
		rig.Eventually(t, c.what, func() bool {
			return slices.ContainsFunc(f.Offers(), func(o lights.Offer) bool { return o.Name == seen })
		})
		err := f.Ungroup(t.Context(), topic, mark, []string{"zigbee2mqtt/a", "zigbee2mqtt/b"})
		if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
			t.Errorf("%s: %v, wanted %q", c.what, err, c.wrong)
		}
	}
	if got := <-asked; got != `group/remove {"id":7` || len(asked) > 0 {
		t.Errorf("zigbee2mqtt is asked %q and %d more", got, len(asked))
	}
}

// TestJoined holds what is told of a device that joins.
func TestJoined(t *testing.T) {
	t.Parallel()
	broker := rig.Mosquitto(t)
	f, _ := finder(t, broker.URL)
	peer := rig.Dial(t, broker.URL)
	got := func() map[string]lights.JoinState {
		all := map[string]lights.JoinState{}
		for _, j := range f.Joined() {
			all[j.Name] = j.State
		}
		return all
	}
	peer.Say("zigbee2mqtt/bridge/info", `{"permit_join":true,"permit_join_end":4102444800000}`, true)
	rig.Eventually(t, "it is listened to", func() bool { return f.Joining(time.Now()) > 0 })
	if left := f.Joining(time.Now()); left > 254*time.Second {
		t.Errorf("let in for %v", left)
	}
	for _, c := range []struct {
		says string
		want map[string]lights.JoinState
	}{
		{`{"type":"device_joined","data":{"friendly_name":"a"}}`, map[string]lights.JoinState{"a": lights.JoinAsked}},
		{`{"type":"device_interview","data":{"friendly_name":"a","status":"started"}}`, map[string]lights.JoinState{"a": lights.JoinAsked}},
		{`{"type":"device_interview","data":{"friendly_name":"a","status":"successful","supported":true}}`, map[string]lights.JoinState{"a": lights.JoinKnown}},
		{`nonsense`, map[string]lights.JoinState{"a": lights.JoinKnown}},
		{`{"type":"device_interview","data":{"friendly_name":"b","status":"successful","supported":false}}`, map[string]lights.JoinState{"a": lights.JoinKnown, "b": lights.JoinUnknown}},
		{`{"type":"device_interview","data":{"friendly_name":"b","status":"failed"}}`, map[string]lights.JoinState{"a": lights.JoinKnown, "b": lights.JoinFailed}},
		{`{"type":"device_leave","data":{"friendly_name":"a"}}`, map[string]lights.JoinState{"b": lights.JoinFailed}},
	} {
		peer.Say("zigbee2mqtt/bridge/event", c.says, false)
		rig.Eventually(t, c.says, func() bool { return maps.Equal(got(), c.want) })
	}
}
