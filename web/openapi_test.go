package web

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/gorilla/websocket"

	"roomd/playlists"
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

// fields adds what of a struct is in its JSON, by name: whether a field is always there, and its type.
func fields(of reflect.Type, out map[string]reflect.StructField) map[string]reflect.StructField {
	for k := range of.NumField() {
		f := of.Field(k)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			fields(f.Type, out)
		case name != "" && name != "-":
			out[name] = f
		}
	}
	return out
}

// kinds is what JSON may be made of a kind of Go.
func kind(of reflect.Type) string {
	switch of.Kind() {
	case reflect.Pointer:
		return kind(of.Elem())
	case reflect.String:
		return openapi3.TypeString
	case reflect.Bool:
		return openapi3.TypeBoolean
	case reflect.Float64:
		return openapi3.TypeNumber
	case reflect.Slice:
		return openapi3.TypeArray
	case reflect.Struct, reflect.Map:
		return openapi3.TypeObject
	default:
		return openapi3.TypeInteger
	}
}

// TestSchemasAreTheTypes holds each schema of openapi.yaml to the Go type that it describes: the same fields, of the same kind,
// and required where they are always there. The page's types are made from the schemas.
func TestSchemasAreTheTypes(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(doc.Components.Schemas)) {
		s := doc.Components.Schemas[name].Value
		is, known := described[name]
		if !known {
			if s.Type.Is(openapi3.TypeObject) && len(s.Properties) > 1 && !strings.HasSuffix(name, "Message") && name != "TimeQuestion" {
				t.Errorf("%s: no Go type is named for it in this test", name)
			}
			continue
		}
		of := reflect.TypeOf(is)
		if of.Kind() == reflect.Slice {
			of = of.Elem()
		}
		has := fields(of, map[string]reflect.StructField{})
		for field, f := range has {
			p := s.Properties[field]
			if only, differs := otherwise[name+"."+field]; p == nil {
				if !differs || only {
					t.Errorf("%s has no %q, which %v has", name, field, of)
				}
				continue
			}
			always := !strings.Contains(f.Tag.Get("json"), ",omit")
			if required := slices.Contains(s.Required, field); always != required && name != "FilePhase" {
				t.Errorf("%s.%s: required is %v, and it is always there: %v", name, field, required, always)
			}
			if want := kind(f.Type); p.Value.Type != nil && !p.Value.Type.Is(want) && f.Type.String() != "json.RawMessage" {
				t.Errorf("%s.%s is %v; it is a %s in JSON", name, field, *p.Value.Type, want)
			}
			if p.Value.Nullable != (f.Type.Kind() == reflect.Pointer && always) {
				t.Errorf("%s.%s: nullable is %v, of a %v", name, field, p.Value.Nullable, f.Type)
			}
		}
		for field := range s.Properties {
			if _, there := has[field]; !there && !otherwise[name+"."+field] {
				t.Errorf("%s has %q, which %v does not", name, field, of)
			}
		}
	}
	for name := range described {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("there is no schema %s", name)
		}
	}
}

// TestMessagesAreAsDescribed validates what goes over a websocket, both ways.
func TestMessagesAreAsDescribed(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
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

// TestOperationsHaveNames holds what programs that make a client from openapi.yaml need: a name for each operation, and one each.
func TestOperationsHaveNames(t *testing.T) {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(doc.Servers) == 0 {
		t.Error("there is no server")
	}
	names := map[string]string{}
	for path, item := range doc.Paths.Map() {
		for method, op := range item.Operations() {
			here := method + " " + path
			if there, taken := names[op.OperationID]; op.OperationID == "" || taken {
				t.Errorf("%s: operationId %q, which %q has too", here, op.OperationID, there)
			}
			names[op.OperationID] = here
		}
	}
	// OpenAPI 3.0.3: nullable adds to a type, and means nothing without one.
	for name, s := range doc.Components.Schemas {
		for field, p := range s.Value.Properties {
			if p.Value.Nullable && p.Value.Type == nil {
				t.Errorf("%s.%s is nullable and has no type", name, field)
			}
		}
	}
}
