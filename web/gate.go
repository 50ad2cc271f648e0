package web

import (
	"context"
	"crypto/tls"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Limits of connections. One that has brought no token is a stranger's: it has to send its request and take the answer within
// strangerWait, and when there are too many the address with the most of them loses its oldest. So a tablet that comes always has
// the time to say who it is, and one that is known is never closed for another.
const (
	strangersOfOne = 32
	strangersOfAll = 256
	strangerWait   = 5 * time.Second
	// Connections that one token may have known. More of them are strangers' for the limits.
	knownOfOne = 48
	bodyWait   = 10 * time.Second // for a body in JSON of who is known
)

// Gate counts the connections to the page. All its listeners share one.
type Gate struct {
	mu        sync.Mutex
	strangers map[netip.Addr][]*gated // the oldest first
	count     int                     // of strangers
	known     map[string]int          // by the name of the token
	dropped   map[string]uint64       // by reason
}

// NewGate makes a gate that nothing has passed.
func NewGate() *Gate {
	return &Gate{strangers: map[netip.Addr][]*gated{}, known: map[string]int{},
		dropped: map[string]uint64{"connections of one address": 0, "connections of all": 0}}
}

// Dropped is how many connections were closed for others, by reason.
func (g *Gate) Dropped() map[string]uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.dropped)
}

// Listen has the connections of l pass the gate.
func (g *Gate) Listen(l net.Listener) net.Listener { return gatedListener{l, g} }

type gatedListener struct {
	net.Listener
	gate *Gate
}

func (l gatedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.gate.enter(c), nil
}

// gated is a connection. Its deadlines are short until it is known.
type gated struct {
	net.Conn
	gate *Gate
	from netip.Addr

	// Guarded by the gate's mu.
	who  string // the name of the token that it brought; empty: a stranger's
	gone bool   // closed, and counted nowhere
}

// enter counts a connection. One too many costs the oldest of the address with the most.
func (g *Gate) enter(c net.Conn) *gated {
	n := &gated{Conn: c, gate: g, from: source(c.RemoteAddr().String())}
	g.mu.Lock()
	var closed *gated
	switch {
	case len(g.strangers[n.from]) >= strangersOfOne:
		closed = g.strangers[n.from][0]
		g.dropped["connections of one address"]++
	case g.count >= strangersOfAll:
		for _, list := range g.strangers {
			if closed == nil || len(list) > len(g.strangers[closed.from]) {
				closed = list[0]
			}
		}
		g.dropped["connections of all"]++
	}
	if closed != nil {
		g.forget(closed)
	}
	g.strangers[n.from] = append(g.strangers[n.from], n)
	g.count++
	g.mu.Unlock()
	if closed != nil {
		abort(closed.Conn)
	}
	_ = n.SetReadDeadline(time.Now().Add(strangerWait))
	return n
}

// abort closes a connection and throws away what it was still to send: the system would keep that for minutes.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

// forget counts a connection no more. The caller holds mu.
func (g *Gate) forget(c *gated) {
	if c.gone {
		return
	}
	c.gone = true
	if c.who != "" {
		if g.known[c.who]--; g.known[c.who] == 0 {
			delete(g.known, c.who)
		}
		return
	}
	g.unlist(c)
}

// unlist takes a connection out of the strangers. The caller holds mu.
func (g *Gate) unlist(c *gated) {
	list := g.strangers[c.from]
	for k, other := range list {
		if other == c {
			list = append(list[:k:k], list[k+1:]...)
			g.count--
			break
		}
	}
	if len(list) == 0 {
		delete(g.strangers, c.from)
	} else {
		g.strangers[c.from] = list
	}
}

// stranger reports whether a connection has not brought a token yet.
func (c *gated) stranger() bool {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	return c.who == ""
}

// welcome has a connection be one of a token's owner from now on. It has no deadline then but what is set again.
func (c *gated) welcome(who string) {
	c.gate.mu.Lock()
	if c.who != "" || c.gone || c.gate.known[who] >= knownOfOne {
		c.gate.mu.Unlock()
		return
	}
	c.gate.unlist(c)
	c.who = who
	c.gate.known[who]++
	c.gate.mu.Unlock()
	_ = c.Conn.SetDeadline(time.Time{})
}

// soon is a stranger's deadline where t asks for a later one, or for none.
func (c *gated) soon(t time.Time) time.Time {
	if most := time.Now().Add(strangerWait); c.stranger() && (t.IsZero() || t.After(most)) {
		return most
	}
	return t
}

func (c *gated) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.soon(t)) }
func (c *gated) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.soon(t)) }
func (c *gated) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.soon(t)) }

// Write gives a stranger a short time to take what is written.
func (c *gated) Write(b []byte) (int, error) {
	if c.stranger() {
		_ = c.Conn.SetWriteDeadline(time.Now().Add(strangerWait))
	}
	return c.Conn.Write(b)
}

func (c *gated) Close() error {
	c.gate.mu.Lock()
	c.gate.forget(c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

type gatedKey struct{}

// ConnContext is for an http.Server whose listener is a gate's.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if n, ok := c.(*gated); ok {
		return context.WithValue(ctx, gatedKey{}, n)
	}
	return ctx
}

// welcome has the connection of a request be one of who sent it.
func welcome(r *http.Request, who string) {
	if c, ok := r.Context().Value(gatedKey{}).(*gated); ok {
		c.welcome(who)
	}
}
