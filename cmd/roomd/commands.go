package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"roomd/room"
)

const about = `roomd plays a session's music, moves the room's lights and shows the therapist a clock.

PLAYLIST is an ID, or the path of a file. Options may stand before or after the command.
The environment can set four of them: ROOMD_CONFIG, ROOMD_DATA, ROOMD_PLAYLISTS, ROOMD_LISTEN.
Without a command roomd runs the room, unless it is started in a terminal.

Exit codes: 0 done; 1 it could not be done, or a checked file has errors; 2 the command line is wrong.`

// call is one run of roomd: its options, and what it reads and writes.
type call struct {
	settings
	args           []string // as they were typed
	env            func(string) string
	stdin          io.Reader
	stdout, stderr io.Writer
	asOwner        *owner // whom the data folder belongs to, if root runs roomd and the folder is not root's
	deputy         deputy // who writes what this user, who may open the file, may not: the owner or the running room
}

// settings are the options that all commands share.
type settings struct {
	config, data, playlists, listen string
}

// commandLine builds the tree of commands. Help, completion, manual pages and docs/cli.md all come from it.
func commandLine(c *call) *cobra.Command {
	root := &cobra.Command{
		Use: "roomd", Short: "Music, light and clock of one therapy room", Long: about, Version: version,
		SilenceErrors: true, SilenceUsage: true, DisableAutoGenTag: true,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, words []string) error {
			if len(words) == 0 {
				return cmd.Help()
			}
			return unknownCommand(cmd, words[0])
		},
		PersistentPreRunE: c.admit,
	}
	f := root.PersistentFlags()
	f.StringVar(&c.config, "config", "", "the room `FILE` (default room.yaml in the data folder)")
	f.StringVar(&c.data, "data", "", "`FOLDER` of journal, keys and caches (default "+packageData+" where there is one, else ~/.local/share/roomd)")
	f.StringVar(&c.playlists, "playlists", "", "`FOLDER` of the playlists (default playlists in the data folder)")
	f.StringVar(&c.listen, "listen", "", "`ADDRESS` of the page, HOST:PORT (default as the room file says, else :8080, with https on :8443; with --listen, https only where the room file says)")
	for _, err := range []error{root.MarkPersistentFlagFilename("config", "yaml", "yml"), root.MarkPersistentFlagDirname("data"), root.MarkPersistentFlagDirname("playlists")} {
		if err != nil {
			panic(err) // an option is missing above
		}
	}
	root.SetVersionTemplate("roomd {{.Version}}\n")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.SetIn(c.stdin)
	root.SetOut(c.stdout)
	root.SetErr(c.stderr)
	root.AddCommand(serveCommand(c), setupCommand(c), checkCommand(c), playlistCommand(c), schemaCommand(c), renderCommand(c), plotCommand(c), soundCommand(c), lightsCommand(c),
		pairCommand(c), deskCommand(c), tokenCommand(c), backupCommand(c), restoreCommand(c), doctorCommand(c), reportCommand(c), waitIdleCommand(c), cardCommand(c), versionCommand(c), firstCodeCommand(c), manCommand())
	return root
}

// order gives cobra a command line as roomd always took it: options stand anywhere, and the long ones may have one dash. A line
// without a command runs the room, unless it is empty and a person typed it in a terminal.
func order(root *cobra.Command, args []string, terminal bool) []string {
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd(args...)
	if len(args) == 0 && terminal || len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return append([]string{}, args...) // cobra takes nil for the process's own
	}
	cmd, path, rest := root, []string{}, []string{}
	words, ask := false, false
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			rest, words = append(rest, args[i:]...), true
			break
		}
		if len(a) > 1 && a[0] == '-' {
			name, _, valued := strings.Cut(strings.TrimLeft(a, "-"), "=")
			ask = ask || slices.Contains([]string{"h", "help", "version"}, name)
			if len(name) > 1 {
				a = "--" + strings.TrimLeft(a, "-")
			}
			rest = append(rest, a)
			if f := option(cmd, name); f != nil && f.NoOptDefVal == "" && !valued && i+1 < len(args) {
				i++
				rest = append(rest, args[i])
			}
			continue
		}
		sub := slices.IndexFunc(cmd.Commands(), func(s *cobra.Command) bool { return s.Name() == a })
		if sub >= 0 && !words {
			cmd, path = cmd.Commands()[sub], append(path, a)
			continue
		}
		rest, words = append(rest, a), true
	}
	if cmd == root && !words && !ask {
		path = []string{"serve"}
	}
	return append(path, rest...)
}

// option finds an option of a command, or of one below it, by its name; nil: there is none.
func option(cmd *cobra.Command, name string) *pflag.Flag {
	for _, f := range []*pflag.Flag{cmd.Flags().Lookup(name), cmd.PersistentFlags().Lookup(name), cmd.InheritedFlags().Lookup(name)} {
		if f != nil {
			return f
		}
	}
	for _, sub := range cmd.Commands() {
		if f := option(sub, name); f != nil {
			return f
		}
	}
	return nil
}

// group is a command that only has others below it.
func group(use, short string, below ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs, RunE: func(cmd *cobra.Command, words []string) error {
		if len(words) > 0 {
			return unknownCommand(cmd, words[0])
		}
		var lines []string
		for _, sub := range cmd.Commands() {
			lines = append(lines, "\n  "+cmd.CommandPath()+" "+sub.Use)
		}
		return usageError{fmt.Errorf("write one of:%s", strings.Join(lines, ""))}
	}}
	cmd.AddCommand(below...)
	return cmd
}

func unknownCommand(cmd *cobra.Command, word string) error {
	cmd.SuggestionsMinimumDistance = 2
	says := fmt.Sprintf("no command %q", word)
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		says += fmt.Sprintf(" (did you mean %q?)", strings.Join(near, `" or "`))
	}
	return usageError{fmt.Errorf("%s", says)}
}

// takes wants from least to most words behind a command.
func takes(least, most int) cobra.PositionalArgs {
	return func(_ *cobra.Command, words []string) error {
		switch {
		case len(words) > most:
			return usageError{fmt.Errorf("unexpected %q", words[most])}
		case len(words) < least:
			return usageError{fmt.Errorf("something is missing behind the command")}
		}
		return nil
	}
}

// completing proposes words, from the room that the command line means. It makes nothing and asks nobody.
func (c *call) completing(most int, propose func(cfg room.Config) []string) cobra.CompletionFunc {
	return func(_ *cobra.Command, words []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(words) >= most || c.resolve() != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		cfg, _, _ := room.LoadConfig(c.config) // without one there are the defaults
		return propose(cfg), cobra.ShellCompDirectiveDefault
	}
}

// playlistIDs completes a playlist; files are completed too.
func (c *call) playlistIDs(most int) cobra.CompletionFunc {
	return c.completing(most, func(cfg room.Config) (ids []string) {
		lib := openLibrary(c.playlists, cfg, "", slog.New(slog.DiscardHandler))
		defer lib.Close()
		for _, e := range lib.Library.List() {
			ids = append(ids, e.ID)
		}
		return ids
	})
}

func versionCommand(c *call) *cobra.Command {
	return &cobra.Command{Use: "version", Short: "Print the version", Args: takes(0, 0), RunE: func(*cobra.Command, []string) error {
		_, err := fmt.Fprintln(c.stdout, "roomd", version)
		return err
	}}
}

// manCommand writes the manual pages, for the package.
func manCommand() *cobra.Command {
	return &cobra.Command{Use: "man FOLDER", Short: "Write the manual pages", Hidden: true, Args: takes(1, 1), RunE: func(cmd *cobra.Command, words []string) error {
		return doc.GenManTree(cmd.Root(), &doc.GenManHeader{Section: "1", Source: "roomd", Manual: "User commands"}, words[0])
	}}
}

// printJSON writes a value as indented JSON.
func printJSON(to io.Writer, v any) error {
	e := json.NewEncoder(to)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// isTerminal tells whether a person may read or type there.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
