package topics

import (
	"encoding/json"
	"maps"
	"slices"
)

// asked is a control's payload in Home Assistant's template language: an id, the time, and what it was set to.
const asked = `{"id":"ha-{{ now().timestamp() }}-{{ range(1000000) | random }}","ts":{{ (now().timestamp() * 1000) | int }},"ttl_ms":5000,"value":"{{ value }}"}`

// discovery is Home Assistant's device discovery payload: what the room shows, and where commands are on, its controls.
func (t *Topics) discovery() []byte {
	id := "roomd_" + t.id
	components := map[string]any{}
	add := func(key, platform, name string, more map[string]any) {
		c := map[string]any{"platform": platform, "unique_id": id + "_" + key, "name": name}
		for k, v := range more {
			c[k] = v
		}
		components[key] = c
	}
	root := t.root()
	cmd := root + "/cmd/"
	add("phase", "sensor", "Phase", map[string]any{"value_template": "{{ value_json.phase or 'free' }}"})
	add("stage", "sensor", "Stage", map[string]any{"value_template": "{{ value_json.stage or 'None' }}"})
	add("title", "sensor", "Music", map[string]any{"value_template": "{{ value_json.title[:250] or 'None' }}"}) // a state has 255 characters
	add("left", "sensor", "Remaining", map[string]any{"device_class": "duration", "unit_of_measurement": "min", "value_template": "{{ value_json.left_min }}"})
	add("ends", "sensor", "Ends", map[string]any{"device_class": "timestamp", "value_template": "{{ value_json.ends_at }}"})
	add("problem", "binary_sensor", "Problem", map[string]any{"device_class": "problem", "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}"})
	add("event", "event", "Event", map[string]any{"state_topic": root + "/event", "event_types": eventTypes})
	if t.cfg.MQTT.Commands {
		names := []string{}
		for _, p := range t.room.Playlists() {
			if p.Ready {
				names = append(names, p.Name)
			}
		}
		add("playlist", "select", "Playlist", map[string]any{"command_topic": cmd + "playlist", "command_template": asked, "options": names, "value_template": "{{ value_json.playlist or 'None' }}"})
		add("scene", "select", "Lights", map[string]any{"command_topic": cmd + "scene", "command_template": asked, "options": slices.Sorted(maps.Keys(t.cfg.Scenes)), "value_template": "{{ value_json.scene or 'None' }}"})
		add("level", "number", "Level", map[string]any{"command_topic": cmd + "level", "command_template": asked, "min": -40, "max": t.cfg.Audio.Ceiling, "step": 0.5, "unit_of_measurement": "dB", "value_template": "{{ value_json.level_db }}"})
		add("hold", "switch", "Hold", map[string]any{"command_topic": cmd + "hold", "command_template": asked, "value_template": "{{ 'ON' if value_json.held else 'OFF' }}"})
		add("start", "button", "Start", map[string]any{"command_topic": cmd + "start", "command_template": asked})
		add("care", "button", "Lights for care", map[string]any{"command_topic": cmd + "care", "command_template": asked})
	} else {
		// A component that was there stays until it is told of with its platform alone.
		for key, platform := range map[string]string{"level": "number", "hold": "switch", "start": "button", "care": "button"} {
			components[key] = map[string]any{"platform": platform}
		}
		add("scene", "sensor", "Lights", map[string]any{"value_template": "{{ value_json.scene or 'None' }}"})
		add("playlist", "sensor", "Playlist", map[string]any{"value_template": "{{ value_json.playlist }}"})
	}
	b, _ := json.Marshal(map[string]any{
		"device":       map[string]any{"identifiers": []string{id}, "name": t.cfg.Room, "model": "Session room", "sw_version": t.version},
		"origin":       map[string]any{"name": "roomd", "sw_version": t.version},
		"availability": []any{map[string]any{"topic": root + "/status", "value_template": "{{ value_json.state }}"}},
		"state_topic":  root + "/state",
		"components":   components,
	})
	return b
}
