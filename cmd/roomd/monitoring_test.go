package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"roomd/rig"
)

// TestMonitoring holds docs/monitoring to what roomd really tells: every figure that a rule or a panel names is among its
// metrics, with the labels it is asked for; and the rules do what their own tests say.
func TestMonitoring(t *testing.T) {
	t.Parallel()
	folder := filepath.Join("..", "..", "docs", "monitoring")
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\nlights: {ambient: {driver: simulated}}\n"})
	d.start()
	told := func() string {
		resp, err := http.Get("http://" + d.addr + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	rig.Eventually(t, "it tells", func() bool { return strings.Contains(told(), "roomd_light_lost") })
	all := told()
	figure := regexp.MustCompile(`\b(?:roomd|process|go)_[a-z_]+[a-z]`)
	label := regexp.MustCompile(`\{\{ ?(?:\$labels\.)?([a-z]+) ?\}\}|\b([a-z]+)=~?\\?"`)
	for _, name := range []string{"alerts.yml", "dashboard.json"} {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		used := figure.FindAllString(string(text), -1)
		if len(used) < 6 {
			t.Errorf("%s uses %v", name, used)
		}
		for _, f := range used {
			if !strings.Contains(all, "\n"+f+" ") && !strings.Contains(all, "\n"+f+"{") && !strings.Contains(all, "# TYPE "+f+" ") {
				t.Errorf("%s uses %s, which roomd does not tell", name, f)
			}
		}
		for _, m := range label.FindAllStringSubmatch(string(text), -1) {
			l := m[1] + m[2]
			switch l {
			case "instance", "job": // Prometheus adds them
			case "from": // of what was dropped: nothing yet
			default:
				if !strings.Contains(all, "{"+l+"=") && !strings.Contains(all, ","+l+"=") {
					t.Errorf("%s uses the label %s, which roomd does not tell", name, l)
				}
			}
		}
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	text, err := os.ReadFile(filepath.Join(folder, "dashboard.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &board); err != nil || len(board.Panels) < 8 {
		t.Fatal(err, board)
	}
	for _, p := range board.Panels {
		if p.Title == "" || len(p.Targets) == 0 || p.Targets[0].Expr == "" {
			t.Errorf("an empty panel: %+v", p)
		}
	}

	promtool := tool(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"check", "config", "--syntax-only", "prometheus.yml"}, {"test", "rules", "alerts_test.yml"}} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = folder
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("promtool %v: %v\n%s", args, err, out)
		}
	}
	// Each expression of the dashboard is one that Prometheus understands.
	rules := "groups:\n- name: x\n  rules:\n"
	for _, p := range board.Panels {
		for _, target := range p.Targets {
			expr, err := json.Marshal(strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
			if err != nil {
				t.Fatal(err)
			}
			title, err := json.Marshal(p.Title + target.Expr)
			if err != nil {
				t.Fatal(err)
			}
			rules += "  - {record: x, labels: {n: " + string(title) + "}, expr: " + string(expr) + "}\n"
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(promtool, "check", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPrometheusScrapes has a Prometheus with the file of docs/monitoring scrape a room over https: with the room's own authority
// from /ca.pem it can, with another room's it can't.
func TestPrometheusScrapes(t *testing.T) {
	t.Parallel()
	prometheus := tool(t, "prometheus")
	example, err := os.ReadFile(filepath.Join("..", "..", "docs", "monitoring", "prometheus.yml"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	private := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
	authority := func(name, listen string) *daemon {
		d := newDaemon(t, nil, map[string]string{"room.yaml": fmt.Sprintf("audio: {output: none}\nhttps: {listen: %q}\n", listen)})
		d.start()
		resp, err := http.Get("http://" + d.addr + "/ca.pem")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status, err)
		}
		write(t, dir, name, string(b))
		return d
	}
	d := authority("willow.pem", private)
	authority("other.pem", fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t)))
	write(t, dir, "willow.token", d.token)
	for _, c := range []struct{ ca, health string }{{"willow.pem", "up"}, {"other.pem", "down"}} {
		own := filepath.Join(dir, c.health)
		if err := os.Mkdir(own, 0o755); err != nil {
			t.Fatal(err)
		}
		file := string(example)
		for _, r := range [][2]string{{"/etc/prometheus/willow.pem", filepath.Join(dir, c.ca)}, {"/etc/prometheus/willow.token", filepath.Join(dir, "willow.token")},
			{"willow.local:443", private}, {"rule_files: [alerts.yml]", "global: {scrape_interval: 1s}"}} {
			if !strings.Contains(file, r[0]) {
				t.Fatalf("prometheus.yml does not say %q", r[0])
			}
			file = strings.Replace(file, r[0], r[1], 1)
		}
		addr := fmt.Sprintf("127.0.0.1:%d", rig.FreePort(t))
		rig.Run(t, own, prometheus, nil, "--config.file="+write(t, own, "prometheus.yml", file), "--storage.tsdb.path="+filepath.Join(own, "data"), "--web.listen-address="+addr)
		var found struct {
			Data struct {
				ActiveTargets []struct{ Health, LastError string }
			}
		}
		rig.Eventually(t, "it has scraped", func() bool {
			resp, err := http.Get("http://" + addr + "/api/v1/targets")
			if err != nil {
				return false
			}
			defer resp.Body.Close()
			targets := &found.Data.ActiveTargets
			return json.NewDecoder(resp.Body).Decode(&found) == nil && len(*targets) == 1 && (*targets)[0].Health != "unknown"
		})
		if is := found.Data.ActiveTargets[0]; is.Health != c.health {
			t.Errorf("with %s it is %s, not %s: %s", c.ca, is.Health, c.health, is.LastError)
		} else if c.health == "down" && !strings.Contains(is.LastError, "x509") {
			t.Error(is.LastError)
		}
	}
}
