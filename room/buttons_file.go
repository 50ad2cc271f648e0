package room

import (
	"fmt"
	"slices"

	"roomd/playlists/yamlfile"
)

const writeButton = "write - {topic: zigbee2mqtt/button, action: single, do: care}"

func (p *configReader) buttons(v yamlfile.Value) {
	for i, e := range v.Entries(false, writeButton) {
		if i == 50 {
			e.Error("there are more than 50 buttons", "leave some out")
			return
		}
		if b, ok := p.button(e); ok {
			p.c.Buttons = append(p.c.Buttons, b)
		}
	}
}

func (p *configReader) button(v yamlfile.Value) (Button, bool) {
	f := v.Fields("a button", writeButton, "topic", "action", "payload", "do", "name", "playlist")
	if !v.IsMap() {
		return Button{}, false
	}
	var b Button
	ok := true
	keep := func(to *string) func(string, bool) {
		return func(s string, good bool) { *to, ok = s, ok && good }
	}
	if tv, has := f.Need("topic", "the button", writeButton); has {
		keep(&b.Topic)(topic(tv, writeButton))
	} else {
		ok = false
	}
	av, action := f.Get("action")
	if action {
		keep(&b.Action)(av.Text(80, writeButton))
	}
	pv, payload := f.Get("payload")
	if payload {
		keep(&b.Payload)(pv.Text(200, "write payload: pressed"))
	}
	if action == payload {
		v.Error("the button needs either action or payload", "write action: single for zigbee2mqtt, or payload: pressed for the whole message")
		ok = false
	}
	dv, has := f.Need("do", "the button", writeButton)
	if !has {
		return b, false
	}
	var verbs []string
	for _, v := range Verbs(true) {
		verbs = append(verbs, string(v))
	}
	word, good := dv.Word(verbs...)
	b.Do, ok = Verb(word), ok && good
	if nv, has := f.Get("name"); has {
		keep(&b.Name)(nv.Text(80, "write name: Note"))
		if good && b.Do == MarkNow && b.Name != "" && !slices.Contains(p.c.Marks, b.Name) {
			nv.Warn(fmt.Sprintf("the room has no mark %q", b.Name), yamlfile.Suggest(b.Name, p.c.Marks, "add it to marks"))
		}
	} else if b.Do == MarkNow {
		_, ok = f.Need("name", "the button", "write do: mark, name: Note")
	}
	if lv, has := f.Get("playlist"); has {
		keep(&b.Playlist)(lv.Text(200, "write playlist: three-hours"))
	} else if b.Do == Start {
		_, ok = f.Need("playlist", "the button", "write do: start, playlist: three-hours")
	}
	return b, ok
}

func (p *configReader) sign(v yamlfile.Value) {
	const write = `write sign: {topic: zigbee2mqtt/sign/set, session: '{"state":"ON"}', free: '{"state":"OFF"}'}`
	f := v.Fields("sign", write, "topic", "session", "free")
	if !v.IsMap() {
		return
	}
	var s Sign
	ok := true
	if tv, has := f.Need("topic", "sign", write); has {
		s.Topic, ok = topic(tv, write)
	} else {
		ok = false
	}
	for _, e := range []struct {
		key string
		to  *string
	}{{"session", &s.Session}, {"free", &s.Free}} {
		ev, has := f.Need(e.key, "sign", write)
		if !has {
			ok = false
			continue
		}
		text, good := ev.Text(500, write)
		*e.to, ok = text, ok && good
	}
	if ok {
		p.c.Sign = &s
	}
}
