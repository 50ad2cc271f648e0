package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"roomd/room"
)

// Setup sets the room up. Its errors are *room.Refused for what can't be done, with a Field where a value is at fault, and Trouble
// for what did not work.
type Setup interface {
	// View is the room as its file has it, and what was found last. It waits for nobody.
	View() SetupView
	// Look finds sound devices, brokers and lights anew.
	Look(ctx context.Context) error
	// Play lets a sound device be heard: as loud as music of level 0 by a reference, or softly where that is nil. It returns when it
	// is silent again; where ctx ends that is soon.
	Play(ctx context.Context, device string, reference *float64) error
	// Try connects to a broker once.
	Try(ctx context.Context, broker string) error
	// Show moves a light and brings it back, also where ctx ends.
	Show(ctx context.Context, lamp SetupLamp) error
	// Join lets new Zigbee devices in for so many seconds, 0 to 254.
	Join(ctx context.Context, seconds int) error
	// Write writes the room file.
	Write(ctx context.Context, change SetupChange) error
}

// Trouble is the error of what the room is connected to: a sound device, a broker, a lamp.
type Trouble struct{ room.Problem }

func (t Trouble) Error() string {
	if t.Details == "" {
		return t.Says + " " + t.Do
	}
	return fmt.Sprintf("%s %s (%s)", t.Says, t.Do, t.Details)
}

// SetupView is what the room is made of by its file, and what it could be made of.
type SetupView struct {
	Fresh     bool           `json:"fresh"` // nobody has set it up
	Room      string         `json:"room"`
	Waits     bool           `json:"waits"` // the file has something that is not in use yet
	Problems  []room.Problem `json:"problems"`
	Sound     SetupSound     `json:"sound"`
	Lights    SetupLights    `json:"lights"`
	Playlists int            `json:"playlists"` // filled in by the server
}

// SetupSound is the speaker.
type SetupSound struct {
	Output       string        `json:"output"` // alsa, command, none
	Device       string        `json:"device"` // "" for the default one
	Devices      []SoundDevice `json:"devices"`
	Reference    float64       `json:"reference"` // LUFS
	ReferenceMin float64       `json:"reference_min"`
	ReferenceMax float64       `json:"reference_max"`
}

// SoundDevice is one that the room could play on.
type SoundDevice struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Rates       []int  `json:"rates"` // Hz; none where it is in use or does not say
	USB         bool   `json:"usb"`
}

// BrokerState is how the broker of the room file answers.
type BrokerState string

const (
	BrokerEmbedded    BrokerState = "embedded"
	BrokerConnected   BrokerState = "connected"
	BrokerRefused     BrokerState = "refused" // it answers and does not let roomd in
	BrokerUnreachable BrokerState = "unreachable"
)

// SetupLights are the lamps and the way to them.
type SetupLights struct {
	Broker      string         `json:"broker"` // without its password
	BrokerState BrokerState    `json:"broker_state"`
	Brokers     []FoundBroker  `json:"brokers"`
	Zigbee      bool           `json:"zigbee"` // a zigbee2mqtt takes requests
	JoiningMS   int64          `json:"joining_ms"`
	Joined      []JoinedDevice `json:"joined"`
	Offers      []LightOffer   `json:"offers"`
	Roles       []string       `json:"roles"`
}

// FoundBroker is an MQTT broker that was found.
type FoundBroker struct {
	URL  string `json:"url"`
	Name string `json:"name"` // empty on this computer
}

// JoinedDevice is a Zigbee device that has joined: asked what it is, then known, unknown or failed.
type JoinedDevice struct {
	Name  string `json:"name"`
	State string `json:"state"`
}

// LightOffer is a light that the broker offers.
type LightOffer struct {
	Driver  string   `json:"driver"`
	Topic   string   `json:"topic"`
	Name    string   `json:"name"`
	Kind    string   `json:"kind"`
	Members []string `json:"members,omitempty"` // topics, of a group
	Role    string   `json:"role"`              // that the room file gives it
	Trouble string   `json:"trouble"`           // why roomd can't use it as it is
}

// SetupLamp names an offer.
type SetupLamp struct {
	Driver string `json:"driver"`
	Topic  string `json:"topic"`
}

// SetupChange is what becomes of the room file; what is nil stays.
type SetupChange struct {
	Room      *string                `json:"room,omitempty"`
	Device    *string                `json:"device,omitempty"`
	Reference *float64               `json:"reference,omitempty"`
	Broker    *string                `json:"broker,omitempty"`
	Lights    map[string][]SetupLamp `json:"lights,omitempty"` // by role
	Done      bool                   `json:"done,omitempty"`
}

// setupPlay, setupTry and setupJoin are bodies of requests.
type (
	setupPlay struct {
		Device    string   `json:"device"`
		Reference *float64 `json:"reference,omitempty"`
	}
	setupTry struct {
		Broker string `json:"broker"`
	}
	setupJoin struct {
		Seconds int `json:"seconds"`
	}
)

// maxJoin is how long zigbee2mqtt lets devices in at most, in seconds.
const maxJoin = 254

// changeWait is how long a setup waits for another one: a device may ask for the next thing before it has read the answer.
const changeWait = 500 * time.Millisecond

// errSession ends what a session does not go along with.
var errSession = errors.New("a session has begun")

// player is what a setup plays.
type player struct {
	mu   sync.Mutex
	stop func()          // ends it; nil: nothing is played
	over <-chan struct{} // closed when it is silent
}

// occupied reports whether the room is used, so that its settings stay as they are.
func occupied(s room.Snapshot) bool { return s.InSession() || s.Checking || s.Rehearsal != nil }

// leftAlone ends ctx, for errSession, as soon as busy is true of the room.
func (s *Server) leftAlone(ctx context.Context, busy func(room.Snapshot) bool) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		for {
			changed := s.o.Room.Changed()
			if busy(s.o.Room.Snapshot()) {
				cancel(errSession)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-changed:
			}
		}
	}()
	return ctx, func() { cancel(context.Canceled) }
}

func (s *Server) setupView() SetupView {
	v := s.o.Setup.View()
	v.Playlists = len(s.o.Room.Playlists())
	v.Problems, v.Sound.Devices = orEmpty(v.Problems), orEmpty(v.Sound.Devices)
	l := &v.Lights
	l.Brokers, l.Joined, l.Offers, l.Roles = orEmpty(l.Brokers), orEmpty(l.Joined), orEmpty(l.Offers), orEmpty(l.Roles)
	return v
}

func (s *Server) setup(w http.ResponseWriter, r *http.Request) {
	if s.o.Setup == nil {
		s.noSetup(w, r)
		return
	}
	reply(w, http.StatusOK, s.setupView())
}

func (s *Server) noSetup(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusServiceUnavailable, room.Refuse("setup-none"))
}

// settingUp lets h at the setup with the body in: one at a time, and not while a session, a rehearsal or a check runs. One that
// begins meanwhile ends h's context. h answers nothing; what it returns is answered, with the view or, where quiet, with nothing.
func settingUp[T any](s *Server, quiet bool, h func(ctx context.Context, in T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if s.o.Setup == nil {
			s.noSetup(w, r)
			return
		}
		var in T
		if _, none := any(in).(struct{}); !none && !s.body(w, r, &in) {
			return
		}
		if occupied(s.o.Room.Snapshot()) {
			reply(w, http.StatusConflict, room.Refuse("setup-in-session"))
			return
		}
		select {
		case s.changing <- struct{}{}:
			defer func() { <-s.changing }()
		case <-time.After(changeWait):
			reply(w, http.StatusConflict, room.Refuse("setup-busy"))
			return
		}
		ctx, stop := s.leftAlone(r.Context(), occupied)
		defer stop()
		err := h(ctx, in)
		var refused *room.Refused
		var trouble Trouble
		switch {
		case err == nil && quiet:
			w.WriteHeader(http.StatusNoContent)
		case err == nil:
			reply(w, http.StatusOK, s.setupView())
		case errors.Is(context.Cause(ctx), errSession):
			reply(w, http.StatusConflict, room.Refuse("setup-in-session"))
		case errors.As(err, &refused) && refused.Field != "":
			reply(w, http.StatusUnprocessableEntity, refused)
		case errors.As(err, &refused):
			reply(w, http.StatusConflict, refused)
		case errors.As(err, &trouble):
			reply(w, http.StatusBadGateway, trouble.Refusal())
		default:
			s.o.Log.Error("the room can't be set up", "asked", r.URL.Path, "err", err)
			reply(w, http.StatusInternalServerError, room.Refuse("setup-failed"))
		}
	}
}

func (s *Server) lookAnew(ctx context.Context, _ struct{}) error { return s.o.Setup.Look(ctx) }

// playDevice plays until it is over, or somebody stops it.
func (s *Server) playDevice(ctx context.Context, in setupPlay) error {
	heard, stop := context.WithCancel(ctx)
	over := make(chan struct{})
	s.played.mu.Lock()
	s.played.stop, s.played.over = stop, over
	s.played.mu.Unlock()
	defer func() {
		stop()
		close(over)
	}()
	err := s.o.Setup.Play(heard, in.Device, in.Reference)
	if heard.Err() != nil && ctx.Err() == nil {
		return nil // it was stopped
	}
	return err
}

// stopDevice waits until what is played is silent, so that something else can be played then.
func (s *Server) stopDevice(w http.ResponseWriter, r *http.Request) {
	if s.o.Setup == nil {
		s.noSetup(w, r)
		return
	}
	s.played.mu.Lock()
	stop, over := s.played.stop, s.played.over
	s.played.mu.Unlock()
	if stop != nil {
		stop()
		select {
		case <-over:
		case <-r.Context().Done():
		case <-time.After(2 * time.Second):
		}
	}
	w.WriteHeader(http.StatusNoContent)
}

func (s *Server) tryBroker(ctx context.Context, in setupTry) error {
	return s.o.Setup.Try(ctx, in.Broker)
}

func (s *Server) showLight(ctx context.Context, in SetupLamp) error { return s.o.Setup.Show(ctx, in) }

func (s *Server) letBulbsIn(ctx context.Context, in setupJoin) error {
	if in.Seconds < 0 || in.Seconds > maxJoin {
		return room.Refuse("setup-seconds", "most", maxJoin).Of("seconds")
	}
	return s.o.Setup.Join(ctx, in.Seconds)
}

func (s *Server) setUp(ctx context.Context, in SetupChange) error { return s.o.Setup.Write(ctx, in) }
