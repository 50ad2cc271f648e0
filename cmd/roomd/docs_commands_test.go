package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"

	"roomd/playlists"
	"roomd/rig"
)

// told is a command that a document tells somebody to type.
type told struct {
	where string // file:line
	line  string
	prose bool // it stands inside a sentence, which may only name it
}

// commandsOf gathers what a document tells to type: each line of a block of code without a language or of a shell's, and what stands in
// a sentence as code and begins with a program.
func commandsOf(name, doc string) (all []told) {
	source := []byte(doc)
	add := func(at int, line string, prose bool) {
		where := fmt.Sprintf("%s:%d", name, 1+strings.Count(doc[:at], "\n"))
		for one := range strings.SplitSeq(line, "&&") {
			if one = strings.TrimSpace(one); one != "" {
				all = append(all, told{where, one, prose})
			}
		}
	}
	tree := goldmark.New(goldmark.WithExtensions(extension.Table)).Parser().Parse(text.NewReader(source))
	_ = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		block := n.Kind() == ast.KindCodeBlock
		if f, is := n.(*ast.FencedCodeBlock); is {
			block = slices.Contains([]string{"", "sh", "bash", "shell"}, string(f.Language(source)))
		}
		if block {
			for _, s := range n.Lines().Sliced(0, n.Lines().Len()) {
				line := string(s.Value(source))
				if name == "docs/cli.md" && !strings.HasPrefix(strings.TrimSpace(line), "roomd ") && !strings.HasPrefix(strings.TrimSpace(line), "sudo ") {
					continue // a table of options
				}
				line = regexp.MustCompile(`\s+# .*| {2,}\S.*`).ReplaceAllString(strings.TrimSpace(line), "") // what it is for
				add(s.Start, line, false)
			}
		}
		if n.Kind() == ast.KindCodeSpan {
			at, code := -1, ""
			for c := n.FirstChild(); c != nil; c = c.NextSibling() {
				if t, is := c.(*ast.Text); is {
					if at < 0 {
						at = t.Segment.Start
					}
					code += string(t.Value(source))
				}
			}
			code = strings.ReplaceAll(code, `\|`, "|")
			words := strings.Fields(env.ReplaceAllString(code, ""))
			if _, known := programs[append(words, "")[0]]; len(words) > 1 && (known || words[0] == "roomd") {
				add(at, code, true)
			}
		}
		return ast.WalkContinue, nil
	})
	return all
}

var env = regexp.MustCompile(`^([A-Z_]+=\S+ )+`)

// programs are those that are not ours, and how a line of theirs is looked at beyond its syntax; nil: not at all, since it needs another
// computer or changes this one.
var programs = map[string]func(t *testing.T, words []string) error{
	"sudo": nil, "env": nil, "apt": nil, "systemctl": nil, "journalctl": nil, "ssh": nil, "adduser": nil, "cp": nil, "id": nil, "fuser": nil, "vcgencmd": nil,
	"mosquitto_sub": nil, "ffmpeg": nil, "systemd-analyze": nil, "bluetoothctl": nil, "ls": nil, "chown": nil, "mosquitto_passwd": nil, "curl": nil, "gpg": nil, "echo": nil, "scp": nil, "git": nil, "openssl": nil, "touch": nil, "chmod": nil,
	"cd": func(_ *testing.T, words []string) error {
		_, err := os.Stat(filepath.Join("..", "..", words[1]))
		return err
	},
	"node": func(_ *testing.T, words []string) error {
		_, err := os.Stat(filepath.Join("../../web/e2e", words[len(words)-1]))
		return err
	},
	"npm": func(t *testing.T, words []string) error {
		return holds(t, "../../web/ui/package.json", `"`+words[len(words)-1]+`":`)
	},
	"make": func(t *testing.T, words []string) error {
		for _, w := range words[1:] {
			name, _, setting := strings.Cut(w, "=")
			if !setting {
				if err := holds(t, "../../Makefile", "\n"+w+":"); err != nil {
					return err
				}
			} else if err := holds(t, "../../Makefile", "$("+name+")"); err != nil {
				return err
			}
		}
		return nil
	},
	"go": goLine,
}

func holds(t *testing.T, file, what string) error {
	if !strings.Contains(read(t, file), what) {
		return fmt.Errorf("%s does not hold %q", file, what)
	}
	return nil
}

// goLine holds that the packages of a line are there, with the benchmarks and the flags of their own that it names.
func goLine(t *testing.T, words []string) error {
	tests := ""
	for i, w := range words {
		switch {
		case strings.HasPrefix(w, "./"):
			dir := filepath.Join("../..", strings.TrimSuffix(w, "/..."))
			if _, err := os.Stat(dir); err != nil {
				return err
			}
			files, _ := filepath.Glob(filepath.Join(dir, "*_test.go"))
			for _, file := range files {
				tests += read(t, file)
			}
		case w == "-bench" && !regexp.MustCompile(`(?m)^func Benchmark\w*`+words[i+1]).MatchString(tests):
			return fmt.Errorf("no benchmark %s", words[i+1])
		case strings.HasPrefix(w, "-") && !slices.Contains([]string{"-run", "-bench", "-benchtime", "-timeout", "-v", "-race", "-rapid.checks", "-rapid.seed"}, strings.Split(w, "=")[0]) &&
			!regexp.MustCompile(`flag\.\w+\("`+strings.TrimLeft(w, "-")+`"`).MatchString(tests):
			return fmt.Errorf("no flag %s in the tests", w)
		}
	}
	return nil
}

// ours says how a roomd command of a document is tried. One that is not listed fails the test.
var ours = map[string]struct {
	exit   int    // with which it ends in the room of these tests
	parsed string // why it is not run; its words and options are looked at alone
}{
	"roomd serve":             {parsed: "it does not end"},
	"roomd setup":             {parsed: "it asks"},
	"roomd card":              {parsed: "it needs built packages, and asks for a password"},
	"roomd lights test":       {parsed: "it needs a lamp"},
	"roomd token revoke":      {parsed: "it needs a device"},
	"roomd doctor":            {exit: exitError}, // no roomd runs
	"roomd sound":             {},
	"roomd check":             {},
	"roomd playlist":          {},
	"roomd playlist new":      {},
	"roomd playlist versions": {}, "roomd playlist compare": {}, "roomd playlist restore": {},
	"roomd schema": {}, "roomd render": {}, "roomd plot": {}, "roomd lights": {}, "roomd lights simulate": {},
	"roomd desk": {parsed: "it does not end"}, "roomd desk pair": {parsed: "it needs a desk"}, "roomd desk join": {parsed: "it needs a desk"}, "roomd desk leave": {parsed: "it needs a room that runs"},
	"roomd pair": {}, "roomd token": {}, "roomd token create": {}, "roomd token list": {},
	"roomd backup": {}, "roomd restore": {}, "roomd report": {}, "roomd wait-idle": {}, "roomd version": {}, "roomd completion": {}, "roomd completion bash": {},
}

// parsed finds the command of a line and holds its options and words against it. whole is false where a sentence names the command
// without the words that it needs.
func parsed(words []string) (cmd *cobra.Command, whole bool, err error) {
	root := commandLine(&call{env: os.Getenv})
	cmd, rest, err := root.Find(order(root, words, false))
	if err != nil || cmd == root {
		return cmd, false, errors.Join(err, fmt.Errorf("no such command"))
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return cmd, false, err
	}
	rest = cmd.Flags().Args()
	if cmd.HasSubCommands() && len(rest) > 0 {
		return cmd, false, unknownCommand(cmd, rest[0])
	}
	if err := cmd.ValidateArgs(rest); err != nil {
		return cmd, false, err
	}
	return cmd, cmd.Name() == "lights" || !cmd.HasSubCommands(), nil
}

// TestDocsCommands tries every command in every document. roomd's own run in a prepared room, through a shell; for one that asks or does
// not end, only its words and options are checked. For other programs the shell's syntax is checked, and whatever else is cheap.
func TestDocsCommands(t *testing.T) {
	t.Parallel()
	tried := map[string]string{} // lines that run, and where they stand
	count := 0
	for name, doc := range prose(t) {
		for _, c := range commandsOf(name, doc) {
			count++
			line := strings.Replace(c.line, "go run ./cmd/roomd", "roomd", 1)
			if out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", placeholder.ReplaceAllString(line, "x")).CombinedOutput(); err != nil {
				t.Errorf("%s: %s: %s", c.where, c.line, out)
			}
			words := strings.Fields(env.ReplaceAllString(line, ""))
			if words[0] == "sudo" {
				words = words[1:]
				if len(words) > 1 && words[0] == "-u" {
					words = words[2:]
				}
				if len(words) == 0 {
					continue // a sentence names sudo -u roomd
				}
			}
			if words[0] != "roomd" {
				look, known := programs[words[0]]
				if !known {
					t.Errorf("%s: %s: no program %s is listed in this test; a block that holds no commands needs a language", c.where, c.line, words[0])
				} else if look != nil {
					if err := look(t, words); err != nil {
						t.Errorf("%s: %s: %v", c.where, c.line, err)
					}
				}
				continue
			}
			if c.prose && slices.Equal(words, []string{"roomd", "decode"}) {
				continue // roomd's own children alone run it
			}
			plain := words[1:]
			if at := slices.IndexFunc(plain, func(w string) bool { return strings.ContainsAny(w[:1], "<>") }); at >= 0 {
				plain = plain[:at]
			}
			plain = slices.DeleteFunc(slices.Clone(plain), func(w string) bool { return strings.HasPrefix(w, "[") })
			if strings.Contains(line, `"`) {
				plain = plain[:1] // the shell joins its words; it is run
			}
			if len(plain) == 0 || plain[0] == "--help" || plain[0] == "COMMAND" {
				continue
			}
			cmd, whole, err := parsed(plain)
			if err != nil && !(c.prose && cmd != nil && len(plain) == len(strings.Fields(cmd.CommandPath()))-1 && !strings.Contains(err.Error(), "no such command")) {
				t.Errorf("%s: %s: %v", c.where, c.line, err)
				continue
			}
			how, known := ours[cmd.CommandPath()]
			switch {
			case !known:
				t.Errorf("%s: %s: say in this test how it is tried", c.where, c.line)
			case how.parsed == "" && whole && !placeholder.MatchString(line):
				tried[line] = c.where
			}
		}
	}
	if count < 150 || len(tried) < 25 {
		t.Errorf("%d commands found, %d to run", count, len(tried))
	}

	room := docsRoom(t)
	card := rig.SoundCard(t, 1)
	for line, where := range tried {
		t.Run(line, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			if err := os.CopyFS(home, os.DirFS(room)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(line, "playlist new evening") { // the folder has no file yet
				if err := os.Remove(filepath.Join(home, "data/playlists/evening.yaml")); err != nil {
					t.Fatal(err)
				}
			}
			here := strings.NewReplacer("/media/stick", home+"/stick", "/mnt/backups", home+"/stick", "10m --to 12m", "1s --to 2s").Replace(line)
			cmd := exec.CommandContext(t.Context(), "bash", "-c", here)
			cmd.Dir = home
			cmd.Env = append(card.Env(), "PATH="+filepath.Join(home, "bin")+":"+os.Getenv("PATH"), "HOME="+home, "ROOMD_DATA="+filepath.Join(home, "data"))
			out, err := cmd.CombinedOutput()
			words := strings.Fields(strings.TrimPrefix(line, "sudo -u roomd "))
			want := ours["roomd "+words[1]].exit
			if code := cmd.ProcessState.ExitCode(); code != want {
				t.Errorf("%s: exit code %d, not %d: %v\n%s", where, code, want, err, out)
			}
		})
	}
}

// placeholder is what a reader replaces.
var placeholder = regexp.MustCompile(`\[?\b[A-Z]{4,}\b\S*|\[\S*\]|\S*…\S*|\b[a-z]+\|[a-z|]+\b`)

// docsRoom is a home with a room in data, music, a stick with a backup, and roomd and sudo in bin.
func docsRoom(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	broker := rig.Mosquitto(t)
	for name, text := range map[string]string{
		"data/room.yaml":              fmt.Sprintf("room: Willow\naudio: {output: none}\nmqtt: {broker: \"mqtt://127.0.0.1:%d\"}\n", broker.Port),
		"data/playlists/evening.yaml": shortPlaylist,
		"music/evening.yaml":          shortPlaylist,
		"stick/about":                 "",
		"taps.txt":                    "# The playlist has no pool.\n",
		"bin/sudo":                    "#!/bin/sh\n[ \"$1 $2\" = '-u roomd' ] || exit 99\nshift 2\nexec \"$@\"\n",
	} {
		path := filepath.Join(home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"data/playlists/evening/01 Arrival 3s", "Music/evening/01 Arrival 3s"} {
		music(t, filepath.Join(home, dir), map[string]tone{"a.wav": {300, 4, -20}})
	}
	// Three versions of the playlist.
	lists := filepath.Join(home, "data/playlists")
	for n := range 4 {
		d, err := playlists.Load(lists, "evening.yaml")
		if err == nil {
			err = d.With(fmt.Appendf(nil, "# %d\n%s", n, shortPlaylist)).Save(d.Revision)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(home, "bin/roomd"), fmt.Appendf(nil, "#!/bin/sh\nexec %s \"$@\"\n", theBinary(t)), 0o755)); err != nil {
		t.Fatal(err)
	}
	c := &call{args: nil, env: os.Getenv, stdout: os.Stderr, stderr: os.Stderr}
	if err := c.place(filepath.Join(home, "data")); err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(home, "stick/roomd.tar.gz"))
	if err == nil {
		err = errors.Join(packBackup(context.Background(), c.settings, "Willow", false, file), file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return home
}

const shortPlaylist = "name: Evening\nphases:\n- {name: A, stage: preparation, length: 3s, music: {bed: rain}}\n- {name: B, stage: integration, length: 3s, music: {bed: ocean}}\n"
