package web

import (
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"roomd/room"
)

// metrics are the room's figures as Prometheus reads them, the Go runtime's and the process's among them. None has a
// label that a session, a playlist or a person could fill.
type metrics struct {
	server *Server

	degraded, inSession, underruns, reopened, latency, unsaved, sockets, ended, dropped, light *prometheus.Desc
}

func newMetrics(s *Server) http.Handler {
	d := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("roomd_"+name, help, labels, nil)
	}
	m := &metrics{server: s,
		degraded:  d("part_degraded", "1 while a part of the room does not work as it should.", "part"),
		inSession: d("session_part_degraded", "1 while a part of the room does not work as it should and somebody is in a session. 0 tells nothing of sessions.", "part"),
		underruns: d("sound_underruns_total", "How often the sound device ran dry."),
		reopened:  d("sound_reopened_total", "How often the sound device was opened again."),
		latency:   d("sound_latency_seconds", "From the player to the speaker."),
		unsaved:   d("journal_unsaved", "Commands that are done and not on the disk yet."),
		light:     d("light_lost", "1 while a role's lights do not answer.", "role"),
		sockets:   d("tablet_sockets", "Websockets that are open."),
		ended:     d("tablet_sockets_ended_total", "Websockets that were ended.", "reason"),
		dropped:   d("dropped_total", "Messages that were refused or not looked at.", "from", "reason"),
	}
	info := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "roomd_info", Help: "Always 1; the version is its label.",
		ConstLabels: prometheus.Labels{"version": s.o.Room.Snapshot().Version}}, func() float64 { return 1 })
	r := prometheus.NewRegistry()
	r.MustRegister(m, info, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{DisableCompression: true})
}

func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.degraded, m.inSession, m.underruns, m.reopened, m.latency, m.unsaved, m.light, m.sockets, m.ended, m.dropped} {
		ch <- d
	}
}

func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	counter := func(d *prometheus.Desc, v uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(v), labels...)
	}
	one := func(yes bool) float64 {
		if yes {
			return 1
		}
		return 0
	}
	s := m.server
	snap := s.o.Room.Snapshot()
	for _, p := range snap.Parts {
		gauge(m.degraded, one(p.State != room.Working), p.Part)
		gauge(m.inSession, one(p.State != room.Working && snap.InSession()), p.Part)
	}
	for role, l := range snap.Lights {
		gauge(m.light, one(l.State == "lost"), role)
	}
	counter(m.underruns, snap.Sound.Underruns)
	counter(m.reopened, snap.Sound.Reopened)
	gauge(m.latency, float64(snap.Sound.LatencyMS)/1000)
	gauge(m.unsaved, float64(snap.Unsaved))
	gauge(m.sockets, float64(s.hub.count()))
	for reason, n := range s.Dropped() {
		counter(m.ended, n, reason)
	}
	for from, drops := range s.o.Dropped {
		for reason, n := range drops() {
			counter(m.dropped, n, from, reason)
		}
	}
}

// local lets a program on this computer in without a token; anybody else needs one.
func (s *Server) local(next http.Handler) http.Handler {
	private := s.authenticated(next.ServeHTTP)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		addr, err := netip.ParseAddr(strings.TrimPrefix(host, "::ffff:"))
		// What a proxy on this computer passes on is somebody else's.
		if err == nil && addr.IsLoopback() && !proxied(r.Header) {
			next.ServeHTTP(w, r)
			return
		}
		private.ServeHTTP(w, r)
	})
}

// proxied reports any sign that a request came through a proxy: then its address is the proxy's, not the asker's.
func proxied(h http.Header) bool {
	for name := range h {
		switch name {
		case "Forwarded", "Via", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip":
			return true
		}
		if strings.HasPrefix(name, "X-Forwarded") || strings.HasPrefix(name, "X-Original-") {
			return true
		}
	}
	return false
}
