package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"roomd/rig"
	"roomd/room"
)

// TestBehindAProxy runs nginx and Caddy as docs/network.md has them, and asks by both doors, command and websocket: as the
// page does, and as a page of another origin does.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	const name = "room.clinic.example"
	text, err := os.ReadFile("../../docs/network.md")
	if err != nil {
		t.Fatal(err)
	}
	for program, run := range map[string]func(dir, conf string) []string{
		"nginx": func(dir, conf string) []string {
			whole := fmt.Sprintf("daemon off;\npid %[1]s/pid;\nerror_log %[1]s/error.log;\nevents {}\nhttp {\naccess_log off;\nclient_body_temp_path %[1]s;\nproxy_temp_path %[1]s;\nfastcgi_temp_path %[1]s;\nuwsgi_temp_path %[1]s;\nscgi_temp_path %[1]s;\n%[2]s\n}\n", dir, conf)
			return []string{"-c", write(t, dir, "nginx.conf", whole), "-e", dir + "/error.log"}
		},
		"caddy": func(dir, conf string) []string {
			return []string{"run", "--adapter", "caddyfile", "--config", write(t, dir, "Caddyfile", "{\nadmin off\nauto_https disable_redirects\n}\n"+conf)}
		},
	} {
		t.Run(program, func(t *testing.T) {
			path := tool(t, program)
			m := regexp.MustCompile("(?s)```" + program + "\n(.*?)```").FindSubmatch(text)
			if m == nil {
				t.Fatal("docs/network.md has no example of it")
			}
			d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\nhttps: {names: [" + name + "]}\n"})
			d.start()
			dir := t.TempDir()
			_ = os.Chmod(dir, 0o755)
			out, err := exec.Command("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
				"-subj", "/CN="+name, "-addext", "subjectAltName=DNS:"+name, "-keyout", dir+"/room.key", "-out", dir+"/room.crt").CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			port := rig.FreePort(t)
			conf := strings.NewReplacer("/etc/ssl", dir, "127.0.0.1:8080", d.addr, "listen 443", fmt.Sprintf("listen 127.0.0.1:%d", port), name+":443", fmt.Sprintf("%s:%d", name, port)).Replace(string(m[1]))
			rig.Run(t, dir, path, []string{"HOME=" + dir, "XDG_DATA_HOME=" + dir, "XDG_CONFIG_HOME=" + dir}, run(dir, conf)...)
			at := fmt.Sprintf("127.0.0.1:%d", port)
			dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, at)
			}
			trust := &tls.Config{InsecureSkipVerify: true, ServerName: name}
			client := &http.Client{Transport: &http.Transport{DialContext: dial, TLSClientConfig: trust}}
			host := fmt.Sprintf("%s:%d", name, port)
			rig.Eventually(t, "the proxy answers", func() bool {
				resp, err := client.Get("https://" + host + "/healthz")
				if err == nil {
					resp.Body.Close()
				}
				return err == nil && resp.StatusCode == http.StatusOK
			})
			for origin, let := range map[string]bool{"https://" + host: true, "https://evil.example": false, "null": false} {
				for _, site := range []string{"", map[bool]string{true: "same-origin", false: "cross-site"}[let]} {
					head := http.Header{"Origin": {origin}, "Cookie": {"roomd=" + d.token}}
					if site != "" {
						head.Set("Sec-Fetch-Site", site)
					}
					req, _ := http.NewRequest(http.MethodPost, "https://"+host+"/api/v1/commands", strings.NewReader(`{"id":"`+room.NewID()+`","do":"care"}`))
					req.Header = head.Clone()
					req.Header.Set("Content-Type", "application/json")
					resp, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					resp.Body.Close()
					ws, shook, err := (&websocket.Dialer{NetDialContext: dial, TLSClientConfig: trust}).Dial("wss://"+host+"/ws", head)
					if err == nil {
						ws.Close()
					} else if shook == nil {
						t.Fatal(err)
					}
					if (resp.StatusCode != http.StatusForbidden) != let || (shook.StatusCode == http.StatusSwitchingProtocols) != let {
						t.Errorf("origin %s, Sec-Fetch-Site %q: command %s, websocket %s", origin, site, resp.Status, shook.Status)
					}
				}
			}
		})
	}
}

// tool finds a program that rig/setup brings: installed, or alone in bin. Only where nobody ran the setup it may be missing.
func tool(t *testing.T, name string) string {
	t.Helper()
	own, _ := filepath.Abs(filepath.Join("..", "..", "bin", name))
	for _, path := range []string{name, "/usr/sbin/" + name, own} {
		if path, err := exec.LookPath(path); err == nil {
			return path
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is missing: rig/setup test brings it", name)
	}
	t.Skipf("%s is missing: make setup brings it", name)
	return ""
}

func write(t *testing.T, dir, name, text string) string {
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
