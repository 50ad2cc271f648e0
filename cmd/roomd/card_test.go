package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"
	"rsc.io/qr"

	"roomd/room"
)

// debs is a folder with packages for these processors, empty ones.
func debs(t testing.TB, arches ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, arch := range arches {
		if err := os.WriteFile(filepath.Join(dir, "roomd_1.0-1_"+arch+".deb"), []byte(arch), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// roomdTyped runs roomd with text on its standard input.
func roomdTyped(t testing.TB, typed string, args ...string) (int, string) {
	t.Helper()
	var o bytes.Buffer
	cmd := exec.CommandContext(t.Context(), theBinary(t), args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(typed), &o, &o
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !asExit(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), o.String()
}

// cloudSchema is cloud-init's own schema of user-data, as its Debian package has it.
func cloudSchema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	f, err := os.Open(filepath.Join("..", "..", "bin", "schema-cloud-config-v1.json"))
	if err != nil && os.Getenv("CI") != "" {
		t.Fatal(err)
	} else if err != nil {
		t.Skipf("%v: make setup brings it", err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("cloud.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("cloud.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// TestCard writes cards of several kinds, also with names that YAML or a shell could take for something else.
func TestCard(t *testing.T) {
	t.Parallel()
	const password = "correct horse 'battery"
	key := filepath.Join(t.TempDir(), "id.pub")
	if err := os.WriteFile(key, []byte("# mine\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH+/= ada@desk: it's # mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	packages := debs(t, "arm64", "armhf", "amd64")
	schema := cloudSchema(t)
	for room_, more := range map[string][]string{
		"Willow":                    nil,
		`Größe "2" & <b>: 'x' # {}`: {"--wifi", `Clinic: "guest" # 2`, "--wifi-country", "DE", "--locale", "de_DE.UTF-8", "--timezone", "Europe/Berlin"},
		"No":                        {"--host", "null", "--user", "yes", "--ssh-key", key, "--timezone", "Etc/UTC"},
	} {
		out := filepath.Join(t.TempDir(), "a card")
		code, says := roomdTyped(t, password+"\n", append([]string{"card", room_, "--packages", packages, "--out", out}, more...)...)
		if code != exitOK || strings.Contains(says, password) {
			t.Errorf("%s: %d %s", room_, code, says)
			continue
		}
		var names []string
		err := filepath.WalkDir(out, func(file string, e fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := e.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v", file, info.Mode())
			}
			if e.IsDir() {
				return err
			}
			name, _ := filepath.Rel(out, file)
			names = append(names, filepath.ToSlash(name))
			text := read(t, file)
			if strings.Contains(text, password) {
				t.Errorf("%s holds the wifi's password", file)
			}
			return err
		})
		want := []string{"boot/meta-data", "boot/network-config", "boot/roomd/first-boot", "boot/roomd/first-code", "boot/roomd/room.yaml", "boot/roomd/roomd-card.service",
			"boot/roomd/roomd_1.0-1_amd64.deb", "boot/roomd/roomd_1.0-1_arm64.deb", "boot/roomd/roomd_1.0-1_armhf.deb", "boot/user-data", "sheet.html"}
		wifi := slices.Contains(more, "--wifi")
		if !wifi {
			want = slices.Delete(want, 1, 2)
		}
		if err != nil || !slices.Equal(names, want) {
			t.Errorf("%s: %v %v", room_, names, err)
		}

		cfg, found := room.ParseConfig("room.yaml", []byte(read(t, filepath.Join(out, "boot/roomd/room.yaml"))))
		if cfg.Room != room_ || cfg.Listen != ":80" || len(found) > 0 {
			t.Errorf("the room file: %q %v", cfg.Room, found)
		}
		text := read(t, filepath.Join(out, "boot/user-data"))
		if !strings.HasPrefix(text, "#cloud-config\n") {
			t.Errorf("cloud-init does not know this file:\n%s", text)
		}
		var user map[string]any
		if err := yaml.Unmarshal([]byte(text), &user); err != nil {
			t.Errorf("%v\n%s", err, text)
			continue
		}
		if err := schema.Validate(user); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
		host := map[string]string{"Willow": "willow", "No": "null"}[room_]
		if host == "" {
			host = "groesse-2-b-x"
		}
		users, list := user["users"].([]any)
		if nobody, empty := user["users"].(map[string]any); user["hostname"] != host || list != (room_ == "No") || empty == list || len(nobody) > 0 {
			t.Errorf("%v", user)
		}
		if len(users) == 1 {
			if u := users[0].(map[string]any); u["name"] != "yes" || u["ssh_authorized_keys"].([]any)[0] != "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH+/= ada@desk: it's # mine" {
				t.Errorf("%v", u)
			}
		}
		if wifi {
			var net struct {
				Network struct {
					Wifis map[string]struct {
						Regulatory string                       `yaml:"regulatory-domain"`
						Points     map[string]map[string]string `yaml:"access-points"`
					}
				}
			}
			err := yaml.Unmarshal([]byte(read(t, filepath.Join(out, "boot/network-config"))), &net)
			if w := net.Network.Wifis["wlan0"]; err != nil || w.Regulatory != "DE" || !regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(w.Points[`Clinic: "guest" # 2`]["password"]) {
				t.Errorf("%v %+v", err, net)
			}
		}
		// The sheet has what the card has.
		sheet, first := read(t, filepath.Join(out, "sheet.html")), strings.Fields(read(t, filepath.Join(out, "boot/roomd/first-code")))
		for _, s := range []string{first[0][:3] + " " + first[0][3:], "http://" + host + ".local<", "24"} {
			if !strings.Contains(sheet, s) {
				t.Errorf("%s: no %s on the sheet", room_, s)
			}
		}
		if strings.Contains(sheet, "<b>") || strings.Contains(sheet, `lang="de"`) != wifi {
			t.Error(sheet)
		}
	}
}

// TestCardKey makes the key of a wifi as IEEE 802.11i's own example does (annex H.4.1).
func TestCardKey(t *testing.T) {
	t.Parallel()
	d := card{Wifi: "IEEE"}
	if err := d.keyFor("password"); err != nil || d.WifiKey != "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e" {
		t.Error(d.WifiKey, err)
	}
}

// TestCardPicture holds that the sheet's picture leads to the room's page by the link whose hash the card holds.
func TestCardPicture(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "c")
	d := card{Room: "Willow", Boot: cardBoot}
	if err := d.complete("", debs(t, "arm64")); err != nil {
		t.Fatal(err)
	}
	if err := d.write(io.Discard, out); err != nil {
		t.Fatal(err)
	}
	picture, err := qr.Encode("http://willow.local/pair#"+d.link, qr.M)
	if err != nil {
		t.Fatal(err)
	}
	if sum := sha256.Sum256([]byte(d.link)); hex.EncodeToString(sum[:]) != d.first.Link || len(d.link) < 22 {
		t.Errorf("%s is not the hash of %s", d.first.Link, d.link)
	}
	sheet := read(t, filepath.Join(out, "sheet.html"))
	if !strings.Contains(html.UnescapeString(sheet), `src="data:image/png;base64,`+base64.StdEncoding.EncodeToString(picture.PNG())+`"`) {
		t.Error("the sheet shows another picture")
	}
	err = filepath.WalkDir(filepath.Join(out, "boot"), func(file string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && strings.Contains(read(t, file), d.link) {
			t.Errorf("%s holds the link", file)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// TestCardRefuses holds that each mistake is answered by what to write, and that nothing is written.
func TestCardRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	private, full := filepath.Join(dir, "id"), filepath.Join(dir, "full")
	if err := os.WriteFile(private, []byte("-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	twice := debs(t, "arm64")
	if err := os.WriteFile(filepath.Join(twice, "roomd_2.0-1_arm64.deb"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	good := debs(t, "arm64")
	for _, c := range []struct {
		args  []string
		typed string
		says  string
	}{
		{[]string{}, "", "something is missing"},
		{[]string{""}, "", "can't be called"},
		{[]string{"東"}, "", "--host NAME"},
		{[]string{"Willow", "--host", "a.b"}, "", "--host a.b: write letters from a to z"},
		{[]string{"Willow", "--host", "-a"}, "", "--host -a"},
		{[]string{"Willow", "--locale", "german"}, "", "such as de_DE.UTF-8"},
		{[]string{"Willow", "--timezone", "Berlin"}, "", "such as Europe/Berlin"},
		{[]string{"Willow", "--user", "ada"}, "", "--ssh-key"},
		{[]string{"Willow", "--user", "Ada L", "--ssh-key", private}, "", "--user Ada L"},
		{[]string{"Willow", "--user", "ada", "--ssh-key", private}, "", "not a list of public ssh keys"},
		{[]string{"Willow", "--wifi", "Clinic"}, "", "--wifi-country"},
		{[]string{"Willow", "--wifi-country", "DE"}, "", "--wifi is missing"},
		{[]string{"Willow", "--wifi", "Clinic", "--wifi-country", "de"}, "", "--wifi-country de"},
		{[]string{"Willow", "--wifi", strings.Repeat("x", 33), "--wifi-country", "DE"}, "", "1 to 32 bytes"},
		{[]string{"Willow", "--wifi", "Clinic", "--wifi-country", "DE"}, "short\n", "8 to 63 characters, not 5"},
		{[]string{"Willow", "--packages", dir}, "", "make dist"},
		{[]string{"Willow", "--packages", twice}, "", "two packages for arm64"},
		{[]string{"Willow", "--out", full}, "", "is not empty"},
	} {
		args := append([]string{"card"}, c.args...)
		if !slices.Contains(args, "--packages") {
			args = append(args, "--packages", good)
		}
		out := filepath.Join(dir, "out")
		if !slices.Contains(args, "--out") {
			args = append(args, "--out", out)
		}
		code, says := roomdTyped(t, c.typed, args...)
		if code == exitOK || !strings.Contains(says, c.says) {
			t.Errorf("%v: %d %s", c.args, code, says)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%v: something was written", c.args)
		}
	}
	for name, want := range map[string]string{"Ärztehaus, 2. Stock": "aerztehaus-2-stock", "Anna's Room": "annas-room", "  É ": "e", "東": "", strings.Repeat("a-", 80): strings.TrimSuffix(strings.Repeat("a-", 32), "-")} {
		if got := hostFor(name); got != want {
			t.Errorf("%q becomes %q, not %q", name, got, want)
		}
	}
}

// TestCardLetsIn gives a card's code to a running room, as the card's first boot does, and pairs a tablet by what the sheet shows.
func TestCardLetsIn(t *testing.T) {
	t.Parallel()
	d := newDaemon(t, nil, map[string]string{"room.yaml": "audio: {output: none}\n"})
	d.start()
	out := filepath.Join(t.TempDir(), "card")
	if code, says := roomdTyped(t, "", "card", "Willow", "--packages", debs(t, "arm64"), "--out", out); code != exitOK {
		t.Fatal(says)
	}
	first := read(t, filepath.Join(out, "boot/roomd/first-code"))
	for n, want := range []string{"", "over before"} {
		if code, says := roomdTyped(t, first, "first-code", "--data", d.data); code != exitOK || !strings.Contains(says, want) || n == 0 && says != "" {
			t.Errorf("%d: %d %s", n, code, says)
		}
	}
	if code, says := roomdTyped(t, "123456\n", "first-code", "--data", d.data); code != exitError || !strings.Contains(says, "write the card again") {
		t.Errorf("%d %s", code, says)
	}
	shown := regexp.MustCompile(`big code">([0-9 ]+)<`).FindStringSubmatch(read(t, filepath.Join(out, "sheet.html")))
	for n, want := range []int{http.StatusOK, http.StatusUnauthorized} {
		body, err := json.Marshal(map[string]string{"code": shown[1], "name": "iPad"})
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.Post(fmt.Sprintf("http://%s/api/v1/pair", d.addr), "application/json", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("try %d: %s", n, resp.Status)
		}
	}
}
