package web

import (
	"encoding/json"
	"testing"

	"github.com/gorilla/websocket"

	"roomd/playlists"
	"roomd/rig"
	"roomd/room"
	"roomd/room/doctor"
)

// described is what each schema of openapi.yaml describes.
var described = map[string]any{
	"File": fileView{}, "FileProblem": playlists.Problems{}, "FilePhase": phaseEdit{}, "PhaseEdit": phaseEdit{}, "MusicEntry": entry{}, "Version": versionView{},
	"Fault": room.Refused{}, "You": you{}, "Device": device{}, "Attempts": attempts{}, "HowToPair": howToPair{}, "Admission": admission{}, "MusicFile": playlists.MusicFile{}, "Stick": stick{}, "Import": imported{}, "LeftOut": leftOut{},
	"Setup": SetupView{}, "SetupSound": SetupSound{}, "SoundDevice": SoundDevice{}, "SetupLights": SetupLights{}, "FoundBroker": FoundBroker{}, "JoinedDevice": JoinedDevice{}, "LightOffer": LightOffer{},
	"SetupChange": SetupChange{}, "SetupLamp": SetupLamp{}, "SetupPlay": setupPlay{}, "SetupTry": setupTry{}, "SetupJoin": setupJoin{},
	"Clinic": ClinicView{}, "ClinicJoin": clinicJoin{},
	"Health": health{}, "HealthPart": partHealth{}, "Finding": doctor.Finding{}, "Trust": trusted{}, "Uploaded": uploaded{},
	"Arc": room.ArcView{}, "ArcPhase": room.ArcPhase{}, "ArcClip": room.ArcClip{}, "ArcJoin": room.ArcJoin{}, "ArcNote": room.ArcNote{}, "ArcLight": room.ArcLight{}, "ArcPoint": room.ArcPoint{}, "ArcLoudness": room.ArcLoudness{},
	"Command": room.Command{}, "Ack": room.Ack{}, "AckMessage": ack{}, "NackMessage": nack{}, "TimeAnswer": timed{},
	"Snapshot": room.Snapshot{}, "Light": room.LightLevel{}, "Role": room.LightView{}, "Lamp": room.LampView{}, "Sound": room.SoundView{}, "Problem": room.Problem{}, "Part": room.PartView{}, "Rehearsal": room.RehearsalView{}, "ScheduleEntry": room.ScheduleView{},
	"Session": room.SessionView{}, "Phase": room.PhaseView{}, "Music": room.MusicView{}, "Clip": room.ClipView{}, "Mark": room.MarkView{}, "Reminder": room.RemindView{}, "Timer": room.TimerView{}, "Undo": room.UndoView{},
	"Steer": room.SteerView{}, "Offered": room.OfferedView{}, "Word": room.WordView{}, "Coming": room.ComingView{}, "Asked": room.AskedView{},
	"Playlist": room.PlaylistView{}, "Remark": room.RemarkView{}, "SessionRecord": room.SessionRecord{}, "WrittenNote": room.WrittenNote{}, "RecordedEvent": room.RecordedEvent{},
}

// otherwise are the fields, as SCHEMA.FIELD, that a schema has and its Go type lacks (true), or the other way round.
var otherwise = map[string]bool{
	"Snapshot.type": true, "Snapshot.you": true, // the websocket adds them
	"Command.device": false, "Command.plan": false, // the room or the server fills them in
	"WrittenNote.device": false, // is in the journal alone
}

// TestSchemasAreTheTypes holds each schema of openapi.yaml to the Go type that it describes: the same fields, of the same kind,
// and required where they are always there. The page's types are made from the schemas.
func TestSchemasAreTheTypes(t *testing.T) { rig.OpenAPI(t, "openapi.yaml").Types(described, otherwise) }

// TestMessagesAreAsDescribed validates what goes over a websocket, both ways.
func TestMessagesAreAsDescribed(t *testing.T) {
	doc := rig.OpenAPI(t, "openapi.yaml")
	c := open(t).tablet(t)
	for _, m := range []struct {
		sent, answer string
		described    bool
	}{
		{`{"type":"command","id":"1","do":"next","phase":"Arrival"}`, "ack", true},
		{`{"type":"command","id":"2","do":"emergency"}`, "ack", true}, // unsaved
		{`{"type":"command","id":"3","do":"hold"}`, "nack", true},
		{`{"type":"time","t0":12.5}`, "time", true},
		{`{"type":"ping"}`, "pong", true},
		{`{"type":"command","id":"4"}`, "ack", false}, // the fake room does anything
		{`{"type":"command","id":"5","do":"dance"}`, "ack", false},
		{`{"type":"time"}`, "nack", false},
		{`{"type":"tim","t0":1}`, "nack", false},
	} {
		var sent any
		if err := json.Unmarshal([]byte(m.sent), &sent); err != nil {
			t.Fatal(err)
		}
		if err := doc.Components.Schemas["ToRoom"].Value.VisitJSON(sent); (err == nil) != m.described {
			t.Errorf("%s: %v", m.sent, err)
		}
		if err := c.WriteMessage(websocket.TextMessage, []byte(m.sent)); err != nil {
			t.Fatal(err)
		}
		for kind := ""; kind != m.answer; {
			var got map[string]any
			if err := c.ReadJSON(&got); err != nil {
				t.Fatalf("%s: waiting for %s: %v", m.sent, m.answer, err)
			}
			if err := doc.Components.Schemas["FromRoom"].Value.VisitJSON(got); err != nil {
				t.Errorf("%v is not described: %v", got, err)
			}
			kind, _ = got["type"].(string)
		}
	}
}

func TestOperationsHaveNames(t *testing.T) { rig.OpenAPI(t, "openapi.yaml").Named() }
