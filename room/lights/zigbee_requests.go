package lights

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// zigbee2mqtt's own requests: www.zigbee2mqtt.io/guide/usage/mqtt_topics_and_messages.html. The answer bears the request's
// transaction.

// requestWait is how long zigbee2mqtt may take for an answer: it asks a bulb that has no power several times.
const requestWait = 30 * time.Second

// ErrNoBridge is the error of a request that no zigbee2mqtt is there for.
var ErrNoBridge = errors.New("no zigbee2mqtt answers on the broker")

// bridgeInfo is what bridge/info tells of who may join.
type bridgeInfo struct {
	Open  bool  `json:"permit_join"`
	Until int64 `json:"permit_join_end"` // ms since 1970; 0: not told
}

// response is zigbee2mqtt's answer to a request.
type response struct {
	Data        json.RawMessage `json:"data"`
	Status      string          `json:"status"`
	Error       string          `json:"error"`
	Transaction string          `json:"transaction"`
}

// Joined is a Zigbee device that has joined since a Finder listens.
type Joined struct {
	Name  string
	State JoinState
}

// JoinState is how far zigbee2mqtt is with a device that has joined.
type JoinState string

const (
	JoinAsked   JoinState = "asked"   // what it is
	JoinKnown   JoinState = "known"   // it can be used
	JoinUnknown JoinState = "unknown" // zigbee2mqtt does not know its kind
	JoinFailed  JoinState = "failed"  // it did not answer
)

const maxJoined = 50 // that are told of

func (s *Finder) answered(_ string, payload []byte) {
	var r response
	if json.Unmarshal(payload, &r) != nil {
		return
	}
	if waits := s.requests[r.Transaction]; waits != nil {
		delete(s.requests, r.Transaction)
		waits <- r
	}
}

// heardOf reads bridge/event.
func (s *Finder) heardOf(payload []byte) {
	var ev struct {
		Type string
		Data struct {
			Name      string `json:"friendly_name"`
			Status    string
			Supported *bool
		}
	}
	if json.Unmarshal(payload, &ev) != nil || ev.Data.Name == "" {
		return
	}
	state := map[string]JoinState{"device_joined": JoinAsked, "device_interview started": JoinAsked, "device_interview successful": JoinKnown, "device_interview failed": JoinFailed}[strings.TrimSpace(ev.Type+" "+ev.Data.Status)]
	if state == JoinKnown && ev.Data.Supported != nil && !*ev.Data.Supported {
		state = JoinUnknown
	}
	if state == "" && ev.Type != "device_leave" {
		return
	}
	s.joined = slices.DeleteFunc(s.joined, func(j Joined) bool { return j.Name == ev.Data.Name })
	if state != "" {
		s.joined = append(s.joined[max(0, len(s.joined)-maxJoined+1):], Joined{ev.Data.Name, state})
	}
}

// Joined are the Zigbee devices that have joined, the latest last.
func (s *Finder) Joined() []Joined {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.joined)
}

// Bridges are the base topics of the zigbee2mqtts that take requests.
func (s *Finder) Bridges() (bases []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, base := range slices.Sorted(maps.Keys(s.bridges)) {
		if b := s.bridges[base]; b.info != nil && b.online && !b.offline {
			bases = append(bases, base)
		}
	}
	return bases
}

// Joining is how long new devices are still let in, at now.
func (s *Finder) Joining(now time.Time) (left time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.bridges {
		if b.info == nil || !b.info.Open || b.offline {
			continue
		}
		// zigbee2mqtt's clock may be another computer's.
		left = max(left, min(time.UnixMilli(b.info.Until).Sub(now), 254*time.Second), time.Second)
	}
	return left
}

// request has a zigbee2mqtt do something and returns what it answers.
func (s *Finder) request(ctx context.Context, base, what string, body map[string]any) (json.RawMessage, error) {
	ctx, stop := context.WithTimeout(ctx, requestWait)
	defer stop()
	id, answer := rand.Text(), make(chan response, 1)
	body["transaction"] = id
	payload, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.requests[id] = answer
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.requests, id)
		s.mu.Unlock()
	}()
	if err := s.conn.Publish(base+"/bridge/request/"+what, payload); err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", base, what, err)
	}
	select {
	case r := <-answer:
		if r.Status != "ok" {
			return nil, fmt.Errorf("%s answers to %s: %s", base, what, r.Error)
		}
		return r.Data, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%s does not answer to %s: %w", base, what, ctx.Err())
	}
}

// Join lets new devices in for a time of up to 254 s; 0 ends it.
func (s *Finder) Join(ctx context.Context, over time.Duration) error {
	bases := s.Bridges()
	if len(bases) == 0 {
		return ErrNoBridge
	}
	var failed []error
	for _, base := range bases {
		// Before zigbee2mqtt 2, value says whether.
		_, err := s.request(ctx, base, "permit_join", map[string]any{"time": int(over / time.Second), "value": over > 0})
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

// Group makes a zigbee2mqtt group of some lamps of one bridge, all given by their topics, or finds one that has just them. It is
// called name, or where another group has that name, name and a number. If mine is the topic of a group, that is changed instead. Where a lamp can't be put
// into it, it is left out of zigbee2mqtt again.
//
// mark is what Ungroup knows a group by that was made: a random text in its description. It is empty where a group was there before,
// or where zigbee2mqtt keeps no description.
func (s *Finder) Group(ctx context.Context, base, name, mine string, lamps []string) (topic, mark string, err error) {
	lamps = slices.Compact(slices.Sorted(slices.Values(lamps)))
	groups := s.groups(base)
	if groups == nil {
		return "", "", ErrNoBridge
	}
	for _, g := range slices.Sorted(maps.Keys(groups)) {
		if slices.Equal(groups[g], lamps) {
			return base + "/" + g, "", nil
		}
	}
	called := strings.TrimPrefix(mine, base+"/")
	was, there := groups[called]
	for n, taken := 2, true; !there; n++ {
		if n == 2 {
			called = name
		}
		if _, taken = groups[called]; !taken {
			break
		}
		called = fmt.Sprintf("%s-%d", name, n)
	}
	if !there {
		if _, err := s.request(ctx, base, "group/add", map[string]any{"friendly_name": called}); err != nil {
			return "", "", err
		}
		mark = "Made by roomd: " + rand.Text()
		if _, unmarked := s.request(ctx, base, "group/options", map[string]any{"id": called, "options": map[string]any{"description": mark}}); unmarked != nil {
			mark = "" // it is used all the same
		}
		defer func() {
			if err != nil {
				_, undone := s.request(context.WithoutCancel(ctx), base, "group/remove", map[string]any{"id": called, "force": true})
				err = errors.Join(err, undone)
			}
		}()
	}
	change := func(how string, from, without []string) error {
		for _, l := range from {
			if !slices.Contains(without, l) {
				if _, err := s.request(ctx, base, "group/members/"+how, map[string]any{"group": called, "device": strings.TrimPrefix(l, base+"/")}); err != nil {
					return err
				}
			}
		}
		return nil
	}
	// What is added first can't leave it empty.
	if err := errors.Join(change("add", lamps, was), change("remove", was, lamps)); err != nil {
		return "", "", err
	}
	// zigbee2mqtt tells of it a moment later.
	for end := time.Now().Add(5 * time.Second); !slices.Equal(s.groups(base)[called], lamps) && time.Now().Before(end); {
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return "", "", err
		}
	}
	return base + "/" + called, mark, nil
}

// ErrNoGroup is the error for a group that is not there, or not the one that was made.
var ErrNoGroup = errors.New("zigbee2mqtt has no such group of roomd's")

// Ungroup removes the group at topic that Group made with mark. It leaves a group that somebody has changed since or uses outside roomd:
// one with a lamp that is not among lamps, with a stored scene, or that a switch or a sensor commands directly. Its lamps must have power:
// each is told, so that none obeys a later group of the same number.
func (s *Finder) Ungroup(ctx context.Context, topic, mark string, lamps []string) error {
	bases := slices.DeleteFunc(s.Bridges(), func(base string) bool { return !strings.HasPrefix(topic, base+"/") })
	if len(bases) == 0 {
		return ErrNoBridge
	}
	base := slices.MaxFunc(bases, func(a, b string) int { return len(a) - len(b) })
	name := strings.TrimPrefix(topic, base+"/")
	var groups []struct {
		ID     int
		Name   string `json:"friendly_name"`
		About  string `json:"description"`
		Scenes []json.RawMessage
	}
	var devices []struct {
		Name      string `json:"friendly_name"`
		Endpoints map[string]struct {
			Bindings []struct {
				Target struct {
					Type string
					ID   int
				}
			}
		}
	}
	s.mu.Lock()
	err := errors.Join(json.Unmarshal(s.told[base+"/bridge/groups"], &groups), json.Unmarshal(s.told[base+"/bridge/devices"], &devices))
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("read the groups of %s: %w", base, err)
	}
	for _, g := range groups {
		if g.Name != name || mark == "" || g.About != mark {
			continue
		}
		if len(g.Scenes) > 0 {
			return errors.New("somebody has stored a scene in it")
		}
		for _, l := range s.groups(base)[name] {
			if !slices.Contains(lamps, l) {
				return fmt.Errorf("somebody has put %s into it", l)
			}
		}
		for _, d := range devices {
			for _, e := range d.Endpoints {
				for _, b := range e.Bindings {
					if b.Target.Type == "group" && b.Target.ID == g.ID {
						return fmt.Errorf("%s commands it", d.Name)
					}
				}
			}
		}
		_, err := s.request(ctx, base, "group/remove", map[string]any{"id": g.ID})
		return err
	}
	return ErrNoGroup
}

// groups are the groups of a bridge with their lamps' topics in order; nil where the bridge takes no requests.
func (s *Finder) groups(base string) map[string][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.bridges[base]
	if b == nil || b.info == nil || b.offline {
		return nil
	}
	out := map[string][]string{}
	for name, members := range b.members {
		out[name] = []string{}
		for _, m := range members {
			out[name] = append(out[name], base+"/"+m)
		}
		slices.Sort(out[name])
	}
	return out
}
