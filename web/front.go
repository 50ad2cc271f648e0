package web

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"
)

// Front is what every page of roomd stands behind, the room's and the desk's: names and headers, who is asking, how a device is let in,
// and the files of the page.
type Front struct {
	o       Options
	guesses *guesses // of all who ask to be let in; paired devices do not pass here
}

// Wording is what a Front says to a device that it turns away.
type Wording struct {
	OtherName string // the address has another name
	Stranger  string // the device is not paired
	Watches   string // the device may only watch
	TooMany   string // too many codes were tried
	BadCode   string
	Failed    string // pairing did not work
	Back      string // the link of an error page
	By        string // the command that lets devices in, in the log
}

var roomWording = Wording{
	OtherName: "this room does not go by that name",
	Stranger:  "this device does not belong to the room: roomd pair, on the room's computer, lets it in",
	Watches:   watches.Reason,
	TooMany:   "Too many tries. Wait a minute, or scan the picture that roomd pair shows.",
	BadCode:   "This code is not valid, was used or is too old. Make a new one on the room's computer: roomd pair",
	Failed:    "The room could not let this device in. Try again.",
	Back:      "To the room",
	By:        "roomd pair",
}

// NewFront makes a front of the options that tell of tokens, certificates, names and the page. It uses no room.
func NewFront(o Options) *Front {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if name, err := os.Hostname(); err == nil {
		o.Hosts = append(slices.Clone(o.Hosts), name)
	}
	if o.Wording == (Wording{}) {
		o.Wording = roomWording
	}
	if o.Page == "" {
		o.Page = "index.html"
	}
	return &Front{o: o, guesses: newGuesses(o.Log)}
}

// Routes adds the routes that need no token: pairing, trust and the page itself.
func (f *Front) Routes(mux *http.ServeMux) {
	mux.HandleFunc("POST /api/v1/pair", f.pair)
	mux.HandleFunc("GET /api/v1/pair", f.how)
	mux.HandleFunc("GET /api/v1/trust", f.trust)
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Cross-Origin-Resource-Policy", "cross-origin") // the page over http asks whether https is trusted
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("GET /ca.crt", f.authority)
	mux.HandleFunc("GET /ca.pem", f.authority)
	mux.HandleFunc("GET /ca.mobileconfig", f.authority)
	// The page itself is no secret, and it is where a device asks to be let in.
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET")
			f.fail(w, r, http.StatusMethodNotAllowed, "this takes GET only")
			return
		}
		f.ui(w, r)
	})
}

// Guard puts the checks of names, origins and tokens before all of a server's routes.
func (f *Front) Guard(mux http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection()
	cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.fail(w, r, http.StatusForbidden, "a page of another origin may not do this")
	}))
	return f.guarded(cross.Handler(f.private(mux)))
}

// Paired rejects devices that are not paired.
func (f *Front) Paired(next http.HandlerFunc) http.Handler { return f.authenticated(next) }

// Steering rejects devices that are not paired, and observers.
func (f *Front) Steering(next http.HandlerFunc) http.Handler { return f.authenticated(f.steers(next)) }

// Whose returns the token of a request behind Paired.
func Whose(ctx context.Context) Token {
	t, _ := ctx.Value(whoKey{}).(Token)
	return t
}

// StillPaired reports whether the request's token still works.
func (f *Front) StillPaired(r *http.Request) bool {
	token, _, ok := f.who(r)
	if ok {
		_, _, ok = f.o.Tokens.valid(token, r.TLS != nil)
	}
	return ok
}

// Fail answers a request that can't be done: JSON below /api, a dark page elsewhere.
func (f *Front) Fail(w http.ResponseWriter, r *http.Request, status int, reason string) {
	f.fail(w, r, status, reason)
}

// Body reads a JSON body into v, strictly and within limits of size and time. If it returns false, it has answered the request.
func (f *Front) Body(w http.ResponseWriter, r *http.Request, v any) bool { return f.body(w, r, v) }

// Reply answers a request with JSON.
func Reply(w http.ResponseWriter, status int, v any) { reply(w, status, v) }

// QRRows returns a text as a QR code's rows, one character a module; 1 is dark.
func QRRows(text string) ([]string, error) { return qrRows(text) }

// Readable returns a name without what nobody sees: control characters, and those that turn the direction of a text.
func Readable(name string) string { return readable(name) }

// Bare returns a Host header without its port and brackets.
func Bare(host string) string { return bare(host) }

// Guesses limits the wrong codes of an address, as pairing does.
type Guesses struct{ g *guesses }

// NewGuesses returns a limit that nobody has used.
func NewGuesses(log *slog.Logger) Guesses { return Guesses{newGuesses(log)} }

// Allow reports whether a code from the address of this request is looked at now.
func (g Guesses) Allow(r *http.Request) bool {
	from := source(r.RemoteAddr)
	ok := g.g.allow(from)
	if !ok {
		g.g.wrong(from, false)
	}
	return ok
}

// Count notes whether a code that was looked at was right.
func (g Guesses) Count(r *http.Request, right bool) {
	if from := source(r.RemoteAddr); right {
		g.g.right(from)
	} else {
		g.g.wrong(from, true)
	}
}

// feedWait is how long a client may take to read one event.
const feedWait = 5 * time.Second

// Event writes one event of a stream and flushes it. The error is a client that is gone or too slow.
func Event(w http.ResponseWriter, text []byte) error {
	conn := http.NewResponseController(w)
	_ = conn.SetWriteDeadline(time.Now().Add(feedWait)) // a recorder of tests has none
	if _, err := w.Write(text); err != nil {
		return err
	}
	return conn.Flush()
}
