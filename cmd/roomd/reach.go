package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
)

// packageData is the data folder of the room that the Debian package runs. Where it is, commands mean that room.
const packageData = "/var/lib/roomd"

// What a command works on, as the annotation "on". Without one it needs nothing of the room's.
const (
	theRoom         = "room"          // a room that is there already
	theRoomByFile   = "room by file"  // so too; the first word may be - for the standard output
	theRoomAsked    = "room asked"    // so too; whoever reaches a socket of the running room may ask it
	files           = "files"         // the playlists that are named, or else the room
	makesRoom       = "makes"         // a room that it may make
	makesRoomByFile = "makes by file" // so too; the first word may be - for the standard input
	theDesk         = "desk"          // a clinic's desk that is there already
	makesDesk       = "makes desk"    // a desk that it may make
)

func on(what string) map[string]string { return map[string]string{"on": what} }

// resolve completes the options from the environment and the defaults. It makes nothing.
func (c *call) resolve() error {
	c.environment()
	if c.listen != "" {
		if _, port, err := net.SplitHostPort(c.listen); err != nil || !isPort(port) {
			return usageError{fmt.Errorf("--listen %s: write HOST:PORT, for example :8080 or 192.168.1.20:8080", c.listen)}
		}
	}
	if c.data == "" {
		c.data = usualData()
	}
	return c.place(c.data)
}

// usualData is the data folder where none is named.
func usualData() string {
	if _, err := os.Stat(packageData); err == nil {
		return packageData
	}
	return below(os.UserHomeDir, ".local", "share", "roomd")
}

// environment sets the options that the command line does not.
func (c *call) environment() {
	for _, o := range []struct {
		value *string
		env   string
	}{{&c.data, "ROOMD_DATA"}, {&c.config, "ROOMD_CONFIG"}, {&c.playlists, "ROOMD_PLAYLISTS"}, {&c.listen, "ROOMD_LISTEN"}} {
		if *o.value == "" {
			*o.value = c.env(o.env)
		}
	}
}

// isPort tells whether a port can be listened on: a number, or the name of a service.
func isPort(port string) bool {
	n, err := net.LookupPort("tcp", port)
	return err == nil && n >= 0 && port != ""
}

// place sets the data folder, and what lies in it unless it was named.
func (c *call) place(data string) (err error) {
	c.data, err = filepath.Abs(data)
	c.config = cmp.Or(c.config, filepath.Join(c.data, "room.yaml"))
	c.playlists = cmp.Or(c.playlists, filepath.Join(c.data, "playlists"))
	return err
}

// below is a folder in one of the user's; without such, in the temporary one.
func below(of func() (string, error), names ...string) string {
	dir, err := of()
	if err != nil {
		dir, names = os.TempDir(), names[len(names)-1:]
	}
	return filepath.Join(append([]string{dir}, names...)...)
}

// admit lets a command at the room's data folder, or says in one line what to type instead. Only what makes a room makes the
// folder. The error is an owner where root has to run the command as the user whom the folder belongs to.
func (c *call) admit(cmd *cobra.Command, words []string) error {
	c.environment()
	what := cmd.Annotations["on"]
	ofDesk := what == theDesk || what == makesDesk
	if ofDesk && c.data == "" {
		c.data = usualDesk()
	}
	named := c.settings
	if err := c.resolve(); err != nil {
		return err
	}
	if what == "" {
		return nil
	}
	if o, is := otherOwner(c.data); is {
		c.asOwner, c.deputy = &o, o
		if !strings.HasSuffix(what, "by file") {
			return o
		}
		return nil
	}
	own := len(words) > 0 && !slices.ContainsFunc(words, func(w string) bool {
		_, err := os.Stat(w)
		_, version := strconv.Atoi(w)
		return err != nil && version != nil && !strings.HasPrefix(w, "starter/")
	})
	who, err := holder(c.data)
	if m, is := c.asMember(cmd.Context(), cmd, words, named); is && err != nil && who != "" {
		if c.deputy = m; cmd.Name() == "report" {
			return nil
		}
		return m
	}
	if err != nil && who != "" && what == theRoomAsked {
		if conn, unheard := c.dial(cmd.Context()); unheard == nil {
			return conn.Close()
		}
	}
	makes := what == makesRoom || what == makesRoomByFile || what == makesDesk
	switch {
	case err == nil || errors.Is(err, fs.ErrNotExist) && makes:
		// A playlists folder that is named has to be there: it may be a share that is not mounted. Where it can't be made, the
		// playlists say that it is missing; what roomd brings along can be played.
		if named.playlists == "" && !ofDesk {
			mkdir := os.Mkdir
			if makes {
				mkdir = os.MkdirAll
			}
			_ = mkdir(c.playlists, 0o700)
		}
		return nil
	case what == files && own, what == files && len(words) > 0 && errors.Is(err, fs.ErrNotExist):
		if !errors.Is(err, fs.ErrNotExist) {
			fmt.Fprintf(c.stderr, "%s: without the room file and the playlists in %s, which belong to %s; with them: %s\n", cmd.CommandPath(), c.data, who, c.line(cmd, who, words))
		}
		// What is found out about the music is kept for the next time.
		c.settings = settings{config: named.config, playlists: named.playlists, listen: c.listen}
		return c.place(below(os.UserCacheDir, "roomd"))
	case errors.Is(err, fs.ErrNotExist) && ofDesk:
		return fmt.Errorf("there is no desk in %s; name its folder with --data, or start a desk: %s", c.data, shell("roomd", "desk", "--data", c.data))
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no room in %s; name its folder with --data, or make a room: %s", c.data, shell("roomd", "serve", "--data", c.data))
	}
	if who == "" {
		return err
	}
	if what == makesRoomByFile && words[0] != "-" {
		if _, gone := os.Stat(words[0]); gone != nil {
			return gone // the shell of the line could not open it either
		}
	}
	other := ""
	if makes {
		other = " (--data names another)"
	}
	return fmt.Errorf("%s belongs to %s%s; type: %s", c.data, who, other, c.line(cmd, who, words))
}

// line is the command line that does as who what this one could not.
func (c *call) line(cmd *cobra.Command, who string, words []string) string {
	what := cmd.Annotations["on"]
	if cmd.Name() == "serve" && c.data == packageData {
		return "sudo systemctl start roomd"
	}
	if cmd.Name() == "desk" && c.data == packageDesk {
		return "sudo systemctl start roomd-desk"
	}
	program := "roomd"
	if strings.Contains(os.Args[0], "/") {
		program = os.Args[0]
	}
	args, file := slices.Clone(c.args), ""
	if strings.HasSuffix(what, "by file") {
		// The other user may not reach the file: the shell opens it.
		name := "roomd-report.zip"
		if len(words) > 0 {
			name = words[0]
			args[slices.Index(args, name)] = "-"
		} else {
			args = append(args, "-")
		}
		switch info, err := os.Stat(name); {
		case name == "-":
		case what == makesRoomByFile:
			file = " <" + shell(name)
		case err == nil && info.IsDir():
			file = " >" + shell(filepath.Join(name, "roomd.tar.gz"))
		default:
			file = " >" + shell(name)
		}
	}
	// sudo takes no environment along.
	for _, name := range []string{"DATA", "CONFIG", "PLAYLISTS", "LISTEN"} {
		if v := c.env("ROOMD_" + name); v != "" {
			args = append(args, "--"+strings.ToLower(name), v)
		}
	}
	return shell(append([]string{"sudo", "-u", who, program}, args...)...) + file
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shell writes words as a shell reads them.
func shell(words ...string) string {
	out := make([]string, len(words))
	for i, w := range words {
		if out[i] = w; !plainWord.MatchString(w) {
			out[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(out, " ")
}

// userName is a user's name for sudo, or # and the number of one without.
func userName(uid uint32) string {
	n := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(n); err == nil {
		return u.Username
	}
	return "#" + n
}
