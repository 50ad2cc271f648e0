package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"roomd/rig"
	"roomd/room"
	"roomd/room/lights"
	"roomd/web"
)

// TestUnusedGroups holds which groups may go: those that the room has named and names nowhere any more.
func TestUnusedGroups(t *testing.T) {
	group := func(used bool) []ownGroup {
		return []ownGroup{{Topic: "zigbee2mqtt/willow-ambient", Mark: "m", Lamps: []string{"zigbee2mqtt/a"}, Used: used}}
	}
	role := room.Config{Lights: map[string][]lights.Lamp{"shelf": {{Driver: "zigbee2mqtt", Topic: "zigbee2mqtt/willow-ambient"}}}}
	option := room.Config{Lights: map[string][]lights.Lamp{"shelf": {{Driver: "template", Extra: map[string]string{"command_topic": "zigbee2mqtt/willow-ambient/set"}}}}}
	button := room.Config{Buttons: []room.Button{{Topic: "zigbee2mqtt/willow-ambient/action"}}}
	for _, c := range []struct {
		what string
		all  []ownGroup
		cfg  room.Config
		file string
		goes bool
		used bool
	}{
		{"nothing names it", group(true), room.Config{}, "room: Willow\n", true, true},
		{"it was never named: a set-up that was not finished", group(false), room.Config{}, "room: Willow\n", false, false},
		{"a role has it", group(false), role, "", false, true},
		{"an option of a lamp names it", group(true), option, "", false, true},
		{"a button listens to it", group(true), button, "", false, true},
		{"a file with errors names it", group(true), room.Config{}, "lihgts: {ambient: {topic: zigbee2mqtt/willow-ambient}}", false, true},
		{"a comment names it", group(true), room.Config{}, "# was willow-ambient", false, true},
	} {
		got := unused(c.all, c.cfg, c.file)
		if (len(got) == 1) != c.goes || c.all[0].Used != c.used {
			t.Errorf("%s: %v goes, %+v", c.what, got, c.all[0])
		}
	}
}

// TestSetupRemovesItsGroups has set-ups make and leave groups in a real zigbee2mqtt. What roomd made goes once the room no longer names
// it; what somebody else made, changed or may use stays.
func TestSetupRemovesItsGroups(t *testing.T) {
	rig.Long(t)
	t.Parallel()
	broker := rig.Mosquitto(t)
	rig.Zigbee(t, broker.URL)
	peer := rig.Dial(t, broker.URL)
	d := newDaemon(t, nil, map[string]string{"room.yaml": "room: Willow\naudio: {output: none}\nmqtt: {broker: '" + broker.URL + "'}\n"})
	d.start()
	groups := func() (names []string) {
		for _, o := range d.must("POST", "/look", nil).Lights.Offers {
			if o.Members != nil {
				names = append(names, strings.TrimPrefix(o.Topic, "zigbee2mqtt/"))
			}
		}
		slices.Sort(names)
		return names
	}
	become := func(want ...string) {
		t.Helper()
		var are []string
		rig.Eventually(t, "the groups are "+strings.Join(want, ", "), func() bool { are = groups(); return slices.Equal(are, want) })
	}
	noted := func(topic string, used bool) {
		t.Helper()
		rig.Eventually(t, topic+" is noted", func() bool {
			return slices.ContainsFunc(ownGroups(filepath.Join(d.data, "zigbee-groups.json")).all(), func(g ownGroup) bool { return g.Topic == topic && g.Used == used })
		})
	}
	stays := func(because string) {
		t.Helper()
		rig.Eventually(t, "the log says that it stays: "+because, func() bool { return strings.Contains(d.log(), because) })
	}
	give := func(ambient, accent []string) {
		t.Helper()
		d.must("PUT", "", change{"lights": change{"ambient": lampsAt(ambient...), "accent": lampsAt(accent...)}})
	}
	// Somebody else's, by a name as roomd gives it.
	peer.Say("zigbee2mqtt/bridge/request/group/add", `{"friendly_name":"willow-shelf"}`, false)
	peer.Say("zigbee2mqtt/bridge/request/group/members/add", `{"group":"willow-shelf","device":"room1/hue1"}`, false)
	become("room1/all", "willow-shelf")

	hues, ikeas := []string{"room1/hue1", "room1/hue2"}, []string{"room1/ikea1", "room1/ikea2"}
	give(hues, ikeas)
	become("room1/all", "willow-accent", "willow-ambient", "willow-shelf")
	noted("zigbee2mqtt/willow-ambient", true)
	noted("zigbee2mqtt/willow-accent", true)

	// Another room on the broker may use it.
	peer.Say("roomd/abcdefgh/status", `{"state":"offline","boot":"b"}`, true)
	give(hues[:1], ikeas)
	stays("another room is on the broker")
	become("room1/all", "willow-accent", "willow-ambient", "willow-shelf")
	peer.Say("roomd/abcdefgh/status", "", true)

	// A start tries it again.
	d.terminate(t.Context())
	d.start()
	become("room1/all", "willow-accent", "willow-shelf")
	stays("removed a Zigbee group")

	// Somebody has put another lamp into it.
	peer.Say("zigbee2mqtt/bridge/request/group/members/add", `{"group":"willow-accent","device":"room1/hue2"}`, false)
	rig.Eventually(t, "it has three lamps", func() bool {
		v := d.must("GET", "", nil)
		return slices.ContainsFunc(v.Lights.Offers, func(o web.LightOffer) bool { return o.Topic == "zigbee2mqtt/willow-accent" && len(o.Members) == 3 })
	})
	give(hues[:1], ikeas[:1])
	stays("somebody has put zigbee2mqtt/room1/hue2 into it")
	become("room1/all", "willow-accent", "willow-shelf")
}
