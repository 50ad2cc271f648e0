package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"roomd/rig"
)

// everyCommand goes through the tree of commands.
func everyCommand(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, sub := range cmd.Commands() {
		everyCommand(sub, do)
	}
}

// TestOptionsAsEver gives each option of the commands before cobra in each way that was accepted: with one dash and with two, before
// the command, behind it and behind its words, with = and without.
func TestOptionsAsEver(t *testing.T) {
	t.Parallel()
	const shared = " config=x data=x playlists=x listen=:9"
	for line, options := range map[string]string{
		"serve": "link", "setup": "yes", "check evening": "json quick strict all verbose", "render evening": "out=x from=10m to=12m cues=x seed=7 joins", "plot evening": "out=x seed=7",
		"playlist new x": "", "playlist versions x": "", "playlist compare x 3": "", "playlist restore x 3": "", "schema room": "", "sound": "", "lights": "", "lights test x": "lowest=5", "lights simulate x": "out=x",
		"pair x": "observer", "token create x": "observer", "token list": "", "token revoke x": "", "backup -": "music keep=3", "restore -": "tokens yes", "doctor": "json", "report -": "", "wait-idle": "timeout=5s", "desk join x": "", "desk leave": "", "version": "",
	} {
		words := strings.Fields(line)
		for _, option := range strings.Fields(options + shared) {
			name, value, valued := strings.Cut(option, "=")
			for _, dash := range []string{"-", "--"} {
				forms := [][]string{{dash + option}}
				if valued {
					forms = append(forms, []string{dash + name, value})
				} else {
					forms = append(forms, []string{dash + name + "=true"})
				}
				for _, form := range forms {
					for at := range len(words) + 1 {
						args := slices.Insert(slices.Clone(words), at, form...)
						root := commandLine(&call{stdout: new(bytes.Buffer), stderr: new(bytes.Buffer)})
						cmd, rest, err := root.Find(order(root, args, true))
						if err == nil {
							err = cmd.ParseFlags(rest)
						}
						if err != nil {
							t.Errorf("%v: %v", args, err)
							continue
						}
						got := append(strings.Fields(cmd.CommandPath())[1:], cmd.Flags().Args()...)
						if f := cmd.Flag(name); f == nil || !f.Changed || valued && f.Value.String() != value && f.Value.String() != value+"0s" || !slices.Equal(got, words) {
							t.Errorf("%v: %v with %s=%v", args, got, name, f)
						}
					}
				}
			}
		}
	}
	// The order rests on that: an option of one name takes a value in all commands, or in none.
	takesValue := map[string]bool{}
	everyCommand(commandLine(&call{}), func(cmd *cobra.Command) {
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			takes := f.NoOptDefVal == ""
			if was, known := takesValue[f.Name]; known && was != takes {
				t.Errorf("--%s of %s", f.Name, cmd.CommandPath())
			}
			takesValue[f.Name] = takes
		})
	})
}

// TestWithoutACommand holds what roomd alone does: help for a person in a terminal, the room for systemd and with options.
func TestWithoutACommand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args     []string
		terminal bool
		want     []string
	}{
		{nil, true, []string{}}, {nil, false, []string{"serve"}}, {[]string{"-link", "-data", "pair"}, true, []string{"serve", "--link", "--data", "pair"}},
		{[]string{"-help"}, true, []string{"--help"}}, {[]string{"--version"}, false, []string{"--version"}}, {[]string{"dance"}, false, []string{"dance"}},
		{[]string{"pair", "--", "-x"}, true, []string{"pair", "--", "-x"}},
	} {
		if got := order(commandLine(&call{}), c.args, c.terminal); !slices.Equal(got, c.want) {
			t.Errorf("%v becomes %v, not %v", c.args, got, c.want)
		}
	}
	_, slave := terminal(t)
	var out, bad strings.Builder
	code := run(context.Background(), nil, func(string) string { return "" }, slave, &out, &bad)
	if code != exitOK || !strings.Contains(out.String(), "Available Commands") || bad.String() != "" {
		t.Errorf("%d %s %s", code, out.String(), bad.String())
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	if isTerminal(null) {
		t.Error("systemd's standard input counts as a terminal")
	}
}

// TestHelp holds that each command has a page of its own, and that what is mistyped is answered with what was meant. Nothing that
// roomd prints is colored, so NO_COLOR has nothing to switch off.
func TestHelp(t *testing.T) {
	t.Parallel()
	everyCommand(commandLine(&call{}), func(cmd *cobra.Command) {
		path := strings.Fields(cmd.CommandPath())[1:]
		code, out, bad := roomd(t, nil, append(path, "--help")...)
		if code != exitOK || bad != "" || !strings.Contains(out, cmd.CommandPath()) || cmd.Short == "" || strings.Contains(out, "\x1b") {
			t.Errorf("%v: %d %s %s", path, code, out, bad)
		}
	})
	for words, says := range map[string]string{
		"rnder": `did you mean "render"?`, "token crate x": `did you mean "create"?`, "lights tst x": `did you mean "test"?`, "check --strct": "strct",
		"serve --listen foo": "--listen foo: write HOST:PORT", "serve --listen :port": "HOST:PORT", "pair --listen 8080": "HOST:PORT", "render x": "--out FILE is missing", "plot x --out x.jpg": ".svg, .png or .json",
	} {
		if code, out, bad := roomd(t, []string{"ROOMD_DATA=" + t.TempDir()}, strings.Fields(words)...); code != exitUsage || out != "" || !strings.Contains(bad, says) || strings.Contains(bad, "\x1b") {
			t.Errorf("%s: %d %s %s", words, code, out, bad)
		}
	}
	if code, out, _ := roomd(t, nil, "--version"); code != exitOK || out != "roomd dev\n" {
		t.Errorf("%d %s", code, out)
	}
}

// TestCompletion asks for what a shell would.
func TestCompletion(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "room.yaml"), []byte("lights:\n  reading: {driver: zigbee2mqtt, topic: zigbee2mqtt/lamp}\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"ROOMD_DATA=" + data}
	if code, _, bad := roomd(t, env, "token", "create", "tablet"); code != exitOK {
		t.Fatal(bad)
	}
	for words, want := range map[string]string{
		"rend": "render", "check ": "starter/tour", "check starter/tour ": "starter/quiet", "render ": "starter/tour", "playlist versions ": "starter/tour", "lights simulate ": "starter/tour",
		"token revoke ": "tablet", "lights test ": "reading", "lights test zig": "zigbee2mqtt/lamp", "schema ": "room", "check --str": "--strict", "--data " + data + " plot ": "starter/tour",
	} {
		args := strings.Split(words, " ")
		if code, out, _ := roomd(t, env, append([]string{"__complete"}, args...)...); code != exitOK || !slices.Contains(lines(strings.ReplaceAll(out, "\t", "\n")), want) {
			t.Errorf("%q: %d %s", words, code, out)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if code, out, bad := roomd(t, nil, "completion", shell); code != exitOK || !strings.Contains(out, "__complete") {
			t.Errorf("%s: %d %.100s %s", shell, code, out, bad)
		}
	}
	none := filepath.Join(data, "none")
	if _, out, _ := roomd(t, []string{"ROOMD_DATA=" + none}, "__complete", "check", ""); !strings.Contains(out, "starter/tour") {
		t.Error(out)
	}
	if _, err := os.Stat(none); err == nil {
		t.Error("completion made a data folder")
	}
}

// TestCommandsAreAsDocumented holds that docs/cli.md is what the commands say (-update writes it), that docs/commands.md names each command,
// and that there is a manual page for each.
func TestCommandsAreAsDocumented(t *testing.T) {
	t.Parallel()
	root := commandLine(&call{})
	text := bytes.NewBufferString("# The command line\n\nGenerated from the commands: `go test ./cmd/roomd -run Documented -update` writes it anew.\n\n")
	short := read(t, "../../docs/commands.md")
	dir := t.TempDir()
	if code, _, bad := roomd(t, []string{"SOURCE_DATE_EPOCH=0"}, "man", dir); code != exitOK {
		t.Fatal(bad)
	}
	everyCommand(root, func(cmd *cobra.Command) {
		if cmd.HasParent() && !cmd.IsAvailableCommand() {
			return
		}
		err := doc.GenMarkdownCustom(cmd, text, func(file string) string {
			return "#" + strings.ReplaceAll(strings.TrimSuffix(file, ".md"), "_", "-")
		})
		if err != nil {
			t.Fatal(err)
		}
		if page := read(t, filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")); !strings.Contains(page, cmd.Short) {
			t.Errorf("the manual page of %s:\n%s", cmd.CommandPath(), page)
		}
		if cmd.HasParent() && (cmd.Parent() == root) && !regexp.MustCompile(`(?m)^    roomd \[?`+cmd.Name()+`\b`).MatchString(short) {
			t.Errorf("docs/commands.md does not name %s", cmd.CommandPath())
		}
	})
	file := filepath.Join("..", "..", "docs", "cli.md")
	was, _ := os.ReadFile(file) // not there: it is written
	if *updateDocs {
		if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if !bytes.Equal(was, text.Bytes()) {
		t.Errorf("%s is not what the commands say (-update writes it)", file)
	}
}

// TestJSON reads what programs read.
func TestJSON(t *testing.T) {
	t.Parallel()
	card, data := rig.SoundCard(t, 1), t.TempDir()
	for _, c := range []struct {
		words string
		want  string // in it, without its blanks
	}{
		{"sound --json", `"name":"usbdac","description":"fakeUSBDAC","rates":[44100,48000,88200,96000]`},
		{"token list --json", "[]"},
		{"token create p --observer", ""},
		{"token list --json", `[{"name":"p","role":"observer","created":"20`},
		{"check --quick --json", "[]"},
		{"doctor --json", `"check":"roomd"`},
		{"plot starter/tour --out " + data + "/tour.json", ""},
	} {
		code, out, bad := roomd(t, append(card.Env(), "ROOMD_DATA="+data), strings.Fields(c.words)...)
		if strings.HasSuffix(c.words, "tour.json") {
			out, c.want = read(t, data+"/tour.json"), `"phases":[{`
		}
		blank := strings.NewReplacer(" ", "", "\n", "").Replace(out)
		if bad != "" || code != exitOK && c.words != "doctor --json" || !strings.Contains(blank, c.want) || strings.ContainsAny(c.want, "[{") && !json.Valid([]byte(out)) {
			t.Errorf("%s: %d %.400s %s", c.words, code, out, bad)
		}
	}
}

// TestCheckKnowsTheDevice has check look for the room file's sound device.
func TestCheckKnowsTheDevice(t *testing.T) {
	t.Parallel()
	card, data := rig.SoundCard(t, 1), t.TempDir()
	for device, says := range map[string]string{"usbdac": "0 errors", "usbdacc": `room.yaml:2:17: there is no sound device "usbdacc" (did you mean "usbdac"?)`, "Nowhere": "plug it in, or write one of"} {
		if err := os.WriteFile(filepath.Join(data, "room.yaml"), []byte("# mine\naudio: {device: "+device+"}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, out, bad := roomd(t, card.Env(), "check", "--quick", "--data", data); (code == exitOK) != (device == "usbdac") || !strings.Contains(out, says) {
			t.Errorf("%s: %d %s %s", device, code, out, bad)
		}
	}
}
