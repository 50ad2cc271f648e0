package clinic

import (
	"encoding/json"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"roomd/room"
	"roomd/room/mqtt"
)

const (
	keepAlive  = 4 * time.Second        // a dead socket is found within 8 s; the broker gives the room up after 6 s
	spread     = 4 * time.Second        // so all rooms are back within 5 s of their desk's start
	tellAgain  = 20 * time.Second       // how old a retained State of a session is at most
	tellPause  = 200 * time.Millisecond // between two States
	endMoves   = time.Second            // a session's end that moves by less is not told
	complainIn = 10 * time.Second       // an outage that is shorter is not logged
)

// Room is what a Link watches.
type Room interface {
	Snapshot() room.Snapshot
	Changed() <-chan struct{}
}

// Options say which clinic a room tells, and what.
type Options struct {
	Broker    string // mqtts://USER:PASSWORD@HOST:PORT
	Authority []byte // PEM of the authority that signs the broker's certificate and nothing else; empty: CA
	CA        string // PEM file; empty: the system's authorities
	ID        string // second level of the topics
	House     string
	Room      Room
	// Library is the state of the playlists folder; LibraryChanged tells of another one. Both may be nil.
	Library        func() Library
	LibraryChanged <-chan struct{}
	Boot, Was      string // of this process and of the one before it, see mqtt.Options
	Log            *slog.Logger
}

// Link tells a clinic's desk how a room is. Whatever becomes of it, the room does not notice: nothing waits for it, and its failure is
// in Reach alone. It writes nothing to disk.
type Link struct {
	o      Options
	client *mqtt.Client
	done   chan struct{}
	ended  sync.WaitGroup

	mu      sync.Mutex    // guards what follows
	slowest time.Duration // publish
	told    time.Time     // when the last State was made
	reached bool
	since   time.Time // of reached
	copied  bool      // a copy of the room has its place
	closing bool
}

// Open starts to connect and returns at once; an error means that the options can't be used.
func Open(o Options) (*Link, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	l := &Link{o: o, done: make(chan struct{}), since: time.Now()}
	ready := make(chan struct{})
	client, err := mqtt.Dial(mqtt.Options{
		Broker: o.Broker, Authority: o.Authority, CA: o.CA, ClockSet: room.ClockSet,
		// Another process's connection keeps its client ID: a copy of the room is found out, and not thrown off in turn.
		ClientID: o.ID + "-" + o.Boot, Status: l.topic(Status), Boot: o.Boot, Was: o.Was, KeepAlive: keepAlive, Spread: spread,
		Yield: func() {
			<-ready
			l.mu.Lock()
			l.copied = true
			l.mu.Unlock()
			o.Log.Warn("a copy of this room tells the clinic's desk already: this one stops; join the clinic again with it")
			l.client.Close()
		},
	})
	if err != nil {
		return nil, err
	}
	l.client = client
	close(ready)
	client.OnConnect(func(open bool) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if open != l.reached {
			l.reached, l.since = open, time.Now()
		}
	})
	client.RetainMade(l.topic(Abouts), l.about)
	client.RetainMade(l.topic(States), l.state)
	l.ended.Go(l.watch)
	return l, nil
}

func (l *Link) topic(last string) string { return Root + "/" + l.o.ID + "/" + last }

// Close ends the link within half a second. A second call does nothing.
func (l *Link) Close() { l.close(false) }

// Leave is Close of a room that has left the clinic: what it told is taken from the broker, if that is reached.
func (l *Link) Leave() { l.close(true) }

func (l *Link) close(leave bool) {
	l.mu.Lock()
	was := l.closing
	l.closing = true
	l.mu.Unlock()
	if was {
		return
	}
	close(l.done)
	l.ended.Wait()
	if leave {
		l.client.Retain(l.topic(States), nil)
		l.client.Retain(l.topic(Abouts), nil)
	}
	l.client.Close()
}

// Reach is how a room reaches its desk.
type Reach string

const (
	Reached    Reach = "reached"
	NotReached Reach = "not-reached"
	Refused    Reach = "refused" // the broker does not take the room's password: the desk has removed it
	Copied     Reach = "copied"  // a copy of the room has its place
)

// Reach tells how the desk is reached, since when, and for an engineer what is wrong.
func (l *Link) Reach() (r Reach, since time.Time, problem string) {
	p := l.client.Problem()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.copied:
		return Copied, l.since, ""
	case l.reached:
		return Reached, l.since, ""
	case p != nil && p.Code == "broker-password":
		r = Refused
	default:
		r = NotReached
	}
	if p != nil {
		problem = p.Code
	}
	return r, l.since, problem
}

// watch has the desk told of each change, until Close.
func (l *Link) watch() {
	var said gist
	var name string
	again := time.NewTicker(tellAgain)
	defer again.Stop()
	pause := time.NewTimer(0)
	defer pause.Stop()
	complain := time.NewTimer(complainIn)
	defer complain.Stop()
	complained := false
	wasReached := false
	reach := make(chan struct{}, 1)
	l.client.OnConnect(func(bool) {
		select {
		case reach <- struct{}{}:
		default:
		}
	})
	for {
		changed := l.o.Room.Changed() // before the look, so that no change falls between
		snap := l.o.Room.Snapshot()
		if is := gistOf(snap); is.differs(said) {
			said = is
			l.publish(States, l.state)
		}
		if snap.Room != name {
			name = snap.Room
			l.publish(Abouts, l.about)
		}
		pause.Reset(tellPause)
		select {
		case <-l.done:
			return
		case <-pause.C:
		}
		select {
		case <-l.done:
			return
		case <-changed:
		case <-l.o.LibraryChanged:
			l.publish(Abouts, l.about)
		case <-again.C:
			l.mu.Lock()
			last := l.since // a desk is told as soon as it is reached
			if l.told.After(last) {
				last = l.told
			}
			reached := l.reached
			l.mu.Unlock()
			if rest := tellAgain - time.Since(last); reached && rest > tellPause {
				again.Reset(rest) // it was told meanwhile, by a change or after a reconnect
				continue
			}
			again.Reset(tellAgain)
			if reached && snap.InSession() {
				said = gist{}
			}
		case <-complain.C:
			if !l.client.Open() {
				complained = true
				l.o.Log.Warn("the clinic's desk is not reached; the room goes on without it", "broker", bare(l.o.Broker))
			}
		case <-reach:
			is := l.client.Open()
			if is && complained {
				complained = false
				l.o.Log.Info("the clinic's desk is reached again")
			}
			if !is && wasReached {
				complain.Reset(complainIn)
			}
			wasReached = is
		}
	}
}

// publish hands a payload over, without waiting for the desk.
func (l *Link) publish(last string, payload func() []byte) {
	at := time.Now()
	l.client.RetainMade(l.topic(last), payload)
	took := time.Since(at)
	l.mu.Lock()
	l.slowest = max(l.slowest, took)
	l.mu.Unlock()
}

// bare is a broker's address without the user.
func bare(broker string) string {
	u, err := url.Parse(broker)
	if err != nil {
		return ""
	}
	return u.Host
}

// gist is what of a snapshot the desk is told of at once.
type gist struct {
	stage        string
	held, ending bool
	parts        string
	ends         time.Duration
	some         bool
}

func gistOf(snap room.Snapshot) gist {
	s := stateOf(snap)
	g := gist{stage: s.Stage, held: s.Held, ending: s.Ending, some: true}
	for _, b := range s.Broken {
		g.parts += " " + b.Part
	}
	if s.Stage != "" && !s.Held { // the end of a phase that stays open moves all the time
		g.ends = time.Duration(snap.Session.StartedMS+snap.Session.EndsAtMS) * time.Millisecond
	}
	return g
}

func (g gist) differs(was gist) bool {
	moved := (g.ends - was.ends).Abs()
	g.ends, was.ends = 0, 0
	return g != was || moved >= endMoves
}

// state is the payload of the room's State, as of now.
func (l *Link) state() []byte {
	l.mu.Lock()
	l.told = time.Now()
	l.mu.Unlock()
	b, _ := json.Marshal(stateOf(l.o.Room.Snapshot()))
	return b
}

// about is the payload of the room's About, as of now.
func (l *Link) about() []byte {
	snap := l.o.Room.Snapshot()
	a := About{Name: snap.Room, House: l.o.House, Version: snap.Version}
	if l.o.Library != nil {
		a.Library = l.o.Library()
	}
	b, _ := json.Marshal(a)
	return b
}

// stateOf is what the desk sees of a snapshot. All times in it are spans, so neither side's date matters.
func stateOf(snap room.Snapshot) (s State) {
	if snap.InSession() {
		v := snap.Session
		s.Stage = v.Phase.Stage
		s.LeftMS = max(0, v.StartedMS+v.EndsAtMS-snap.NowMS)
		s.Held = v.Phase.Held || v.Phase.Waiting != ""
		s.Ending = v.State == room.Ending
	}
	for _, p := range snap.Parts {
		if p.State == room.Degraded {
			s.Broken = append(s.Broken, Broken{Part: p.Part, SinceMS: max(0, snap.NowMS-p.SinceMS)})
		}
	}
	return s
}

// ValidID reports whether an ID can be a level of a topic.
func ValidID(id string) bool {
	return id != "" && len(id) <= 80 && !strings.ContainsAny(id, "/+#") && !slices.ContainsFunc([]rune(id), func(r rune) bool { return r <= ' ' || r == 0x7f })
}
