package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha1"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"golang.org/x/text/unicode/norm"
	"rsc.io/qr"

	"roomd/room"
	"roomd/web"
)

// cardFiles are the templates of what stands on a card, and the sheet.
//
//go:embed card
var cardFiles embed.FS

// cardBoot is where Raspberry Pi OS mounts the boot partition.
const cardBoot = "/boot/firmware"

// card is what roomd card is told, and what the templates are filled with.
type card struct {
	Room, Host       string
	Timezone, Locale string // empty: as the image has them
	User             string // empty: nobody can log in
	Keys             []string
	Wifi, Country    string // empty: no wifi
	WifiKey          string // 64 hex digits, made from the network's name and password
	Boot             string

	Address, Code string            // as the sheet shows them
	QR            htmltemplate.URL  // a picture, as a data: address
	Say           map[string]any    // the sheet's words
	first         web.FirstCode     // what the card holds of the code
	link          string            // the secret in the sheet's picture
	packages      map[string]string // file names on the card, and where the files are
}

func cardCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "card ROOM", Short: "Write what a Raspberry Pi's card needs to become a room, and a sheet to print", Args: takes(1, 1),
		Long: `Write what a Raspberry Pi's card needs to become a room by itself, and a sheet to print.

The folder boot is copied onto the boot partition of a card with Raspberry Pi OS Lite (Debian 13 "trixie" or later). At its first boot the Pi
installs roomd from there, without the network, and shows its page. It then fetches ffmpeg, Mosquitto and Avahi over the network,
where they are missing.

sheet.html has the room's address and a code that lets one tablet in. The code works once, within 24 hours of the first boot.
It stands on the card until then: keep the card and the sheet as you keep a key. The password of a wifi is asked for; the card
holds the key made from it until the first boot is over.`,
		Example: "  roomd card Willow --packages bin/dist --out willow-card\n  roomd card Willow --packages bin/dist --wifi Clinic --wifi-country DE --locale de_DE.UTF-8\n  roomd card Willow --packages bin/dist --user ada --ssh-key ~/.ssh/id_ed25519.pub"}
	f := cmd.Flags()
	out := f.String("out", "", "write to `FOLDER`, which must be empty or missing (default the room's host name and -card)")
	packages := f.String("packages", ".", "`FOLDER` with roomd's Debian packages")
	host := f.String("host", "", "`NAME` of the computer on the network (default made from the room's)")
	timezone := f.String("timezone", "", "time `ZONE`, such as Europe/Berlin (default this computer's)")
	locale := f.String("locale", "", "`LOCALE` of the computer and language of the sheet, such as de_DE.UTF-8 (default the image's, and English)")
	user := f.String("user", "", "`NAME` of a user who may log in over ssh and use sudo (default nobody may)")
	key := f.String("ssh-key", "", "`FILE` with that user's public ssh keys")
	wifi := f.String("wifi", "", "`NAME` of the wifi (default a network cable)")
	country := f.String("wifi-country", "", "two-letter `COUNTRY` whose radio rules apply, such as DE")
	for _, err := range []error{cmd.MarkFlagDirname("out"), cmd.MarkFlagDirname("packages"), cmd.MarkFlagFilename("ssh-key", "pub")} {
		if err != nil {
			panic(err) // an option is missing above
		}
	}
	cmd.RunE = func(_ *cobra.Command, words []string) error {
		d := card{Room: words[0], Host: *host, Timezone: *timezone, Locale: *locale, User: *user, Wifi: *wifi, Country: *country, Boot: cardBoot}
		if err := d.complete(*key, *packages); err != nil {
			return err
		}
		if d.Wifi != "" {
			password, err := askWifi(c, d.Wifi)
			if err == nil {
				err = d.keyFor(password)
			}
			if err != nil {
				return err
			}
		}
		return d.write(c.stdout, cmp.Or(*out, d.Host+"-card"))
	}
	return cmd
}

// What the options of roomd card have to look like.
var (
	computerName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	localeName   = regexp.MustCompile(`^[a-z]{2,3}_[A-Z]{2}\.UTF-8$`)
	loginName    = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)
	countryCode  = regexp.MustCompile(`^[A-Z]{2}$`)
	sshKey       = regexp.MustCompile(`^(sk-)?(ssh|ecdsa)-[a-z0-9@.-]+ [A-Za-z0-9+/=]+( .*)?$`)
)

// complete checks what the card is told and fills in what it is not.
func (d *card) complete(keyFile, packages string) error {
	if _, found := room.ParseConfig("ROOM", d.roomFile()); len(found) > 0 {
		return usageError{fmt.Errorf("the room can't be called %q: %s", d.Room, found[0].Says)}
	}
	if d.Host == "" {
		d.Host = hostFor(d.Room)
	}
	for _, o := range []struct {
		option, value, write string
		form                 *regexp.Regexp
	}{
		{"host", d.Host, "letters from a to z, digits and hyphens, such as willow", computerName},
		{"locale", d.Locale, "such as de_DE.UTF-8", localeName},
		{"user", d.User, "a user's name of small letters, such as ada", loginName},
		{"wifi-country", d.Country, "two capital letters, such as DE", countryCode},
	} {
		if o.value == "" && o.option == "host" {
			return usageError{fmt.Errorf("no host name can be made from %q: add --host NAME, %s", d.Room, o.write)}
		}
		if o.value != "" && !o.form.MatchString(o.value) {
			return usageError{fmt.Errorf("--%s %s: write %s", o.option, o.value, o.write)}
		}
	}
	switch {
	case (d.User == "") != (keyFile == ""):
		return usageError{errors.New("--user and --ssh-key belong together: nobody logs in by a password")}
	case d.Wifi != "" && d.Country == "":
		return usageError{errors.New("--wifi-country is missing: a Raspberry Pi keeps its radio off until it knows the country, such as --wifi-country DE")}
	case d.Wifi == "" && d.Country != "":
		return usageError{errors.New("--wifi is missing: the name of the wifi that --wifi-country is about")}
	case len(d.Wifi) > 32 || strings.ContainsFunc(d.Wifi, unicode.IsControl):
		return usageError{fmt.Errorf("--wifi %q: a wifi's name has 1 to 32 bytes", d.Wifi)}
	}
	if d.Timezone == "" {
		d.Timezone = ownZone()
	} else if _, err := time.LoadLocation(d.Timezone); err != nil || d.Timezone == "Local" {
		return usageError{fmt.Errorf("--timezone %s: unknown time zone; write one such as Europe/Berlin", d.Timezone)}
	}
	if keyFile != "" {
		text, err := os.ReadFile(keyFile)
		if err != nil {
			return fmt.Errorf("read the ssh key: %w", err)
		}
		for line := range strings.Lines(string(text)) {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			if !sshKey.MatchString(line) {
				return fmt.Errorf("%s is not a list of public ssh keys; they are in files that end in .pub", keyFile)
			}
			d.Keys = append(d.Keys, line)
		}
		if len(d.Keys) == 0 {
			return fmt.Errorf("%s holds no public ssh key", keyFile)
		}
	}
	return d.findPackages(packages)
}

// findPackages takes one package for each processor that a Raspberry Pi may have; packages for others come along.
func (d *card) findPackages(folder string) error {
	d.packages = map[string]string{}
	byArch := map[string]string{}
	found, err := filepath.Glob(filepath.Join(folder, "roomd_*.deb"))
	if err != nil {
		return err
	}
	for _, file := range found {
		name := filepath.Base(file)
		arch := name[strings.LastIndexByte(name, '_')+1:]
		if other := byArch[arch]; other != "" {
			return fmt.Errorf("%s has two packages for %s, %s and %s: leave one", folder, strings.TrimSuffix(arch, ".deb"), other, name)
		}
		byArch[arch], d.packages[name] = name, file
	}
	if byArch["arm64.deb"] == "" && byArch["armhf.deb"] == "" && byArch["amd64.deb"] == "" {
		return fmt.Errorf("%s has no roomd_*_arm64.deb: name the folder with --packages (make dist in roomd's source writes bin/dist)", folder)
	}
	return nil
}

// roomFile is the room's first room file.
func (d *card) roomFile() []byte {
	return fmt.Appendf(nil, "# The room. Everything has a default. What each key means: /usr/share/doc/roomd/docs/room.md\n\nroom: %s\nlisten: \":80\"\nhttps: {listen: \":443\"}\n", jsonText(d.Room))
}

// keyFor sets the key of a WPA2 network: what its password is turned into before it is used.
func (d *card) keyFor(password string) error {
	if n := len(password); n < 8 || n > 63 {
		return fmt.Errorf("a wifi's password has 8 to 63 characters, not %d", n)
	}
	key, err := pbkdf2.Key(sha1.New, password, []byte(d.Wifi), 4096, 32)
	d.WifiKey = hex.EncodeToString(key)
	return err
}

// write makes the folder with the card's files and the sheet. Only its owner may read them.
func (d *card) write(says io.Writer, out string) (err error) {
	if there, err := os.ReadDir(out); err == nil && len(there) > 0 {
		return fmt.Errorf("%s is not empty; remove it, or name another folder with --out", out)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the card's folder: %w", err)
	}
	first, link, err := web.NewFirstCode()
	if err != nil {
		return err
	}
	d.first, d.link, d.Code = first, link, first.Code[:3]+" "+first.Code[3:]
	d.Address = "http://" + d.Host + ".local"
	picture, err := qr.Encode(d.Address+"/pair#"+link, qr.M)
	if err != nil {
		return err
	}
	d.QR = htmltemplate.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(picture.PNG()))
	if d.Say, err = sheetWords(d.Locale); err != nil {
		return err
	}

	code, err := d.first.MarshalText()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"boot/meta-data":        fmt.Appendf(nil, "dsmode: local\ninstance-id: roomd-%s\n", strings.ToLower(rand.Text()[:16])),
		"boot/roomd/first-code": code, "boot/roomd/room.yaml": d.roomFile(),
	}
	for name, template := range map[string]string{"boot/user-data": "user-data", "boot/network-config": "network-config", "boot/roomd/first-boot": "first-boot", "boot/roomd/roomd-card.service": "roomd-card.service"} {
		if template == "network-config" && d.Wifi == "" {
			continue // the image's own takes a cable
		}
		if files[name], err = d.fill(template); err != nil {
			return err
		}
	}
	sheet, err := htmltemplate.ParseFS(cardFiles, "card/sheet.html")
	if err != nil {
		return err
	}
	var page bytes.Buffer
	if err := sheet.Execute(&page, d); err != nil {
		return err
	}
	files["sheet.html"] = page.Bytes()

	if err := os.MkdirAll(filepath.Join(out, "boot", "roomd"), 0o700); err != nil {
		return fmt.Errorf("make the card's folder: %w", err)
	}
	if err := os.Chmod(out, 0o700); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(out, filepath.FromSlash(name)), text, 0o600); err != nil {
			return fmt.Errorf("write the card: %w", err)
		}
	}
	for name, from := range d.packages {
		if err := copyTo(filepath.Join(out, "boot", "roomd", name), from); err != nil {
			return fmt.Errorf("copy the package to the card: %w", err)
		}
	}
	_, err = fmt.Fprintf(says, `%[1]s is ready.

  1. Write Raspberry Pi OS Lite (64-bit) onto the card with the Raspberry Pi Imager, and skip its settings.
  2. Copy everything in %[2]s onto the card's first partition (bootfs), over what is there.
  3. Print %[3]s, and keep it as you keep a key.
  4. Put the card into the Pi, plug in network and power, and wait ten minutes.
  5. Open %[4]s on the tablet and type the code on the sheet.
`, out, filepath.Join(out, "boot"), filepath.Join(out, "sheet.html"), d.Address)
	return err
}

// fill fills one of the card's templates.
func (d *card) fill(name string) ([]byte, error) {
	text, err := fs.ReadFile(cardFiles, "card/"+name)
	if err != nil {
		return nil, err
	}
	t, err := template.New(name).Funcs(template.FuncMap{"quote": jsonText}).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, d)
	return out.Bytes(), err
}

// jsonText quotes a text as JSON does, which YAML reads too.
func jsonText(s string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string can always be written
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// copyTo copies a file to one that is not there yet, which its owner alone may read.
func copyTo(to, from string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// hostFor makes a host name from a room's name: "Größe 2" becomes "groesse-2". It is empty where no letter can be kept.
func hostFor(name string) string {
	plain := strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ß", "ss", "æ", "ae", "ø", "oe", "å", "aa").Replace(norm.NFC.String(strings.ToLower(name)))
	var b strings.Builder
	for _, r := range norm.NFD.String(plain) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case unicode.Is(unicode.Mn, r) || r == '\'' || r == '’':
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	s := b.String()
	return strings.Trim(s[:min(len(s), 63)], "-")
}

// ownZone is this computer's time zone; empty where it can't be told.
func ownZone() string {
	to, err := os.Readlink("/etc/localtime")
	if err != nil {
		return ""
	}
	_, zone, found := strings.Cut(filepath.ToSlash(to), "/zoneinfo/")
	if _, err := time.LoadLocation(zone); !found || err != nil {
		return ""
	}
	return zone
}

// askWifi asks for a wifi's password, without showing it, or reads it from a pipe.
func askWifi(c *call, name string) (string, error) {
	if f, ok := c.stdin.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(c.stderr, "The password of the wifi %s: ", name)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(c.stderr)
		return string(b), err
	}
	b, err := io.ReadAll(io.LimitReader(c.stdin, 1000))
	return strings.TrimRight(string(b), "\r\n"), err
}

// sheetWords are the sheet's words in a locale's language, English where there are none.
func sheetWords(locale string) (map[string]any, error) {
	text, err := fs.ReadFile(cardFiles, "card/words.json")
	if err != nil {
		return nil, err
	}
	var all map[string]map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, err
	}
	lang, _, _ := strings.Cut(locale, "_")
	if all[lang] == nil {
		lang = "en"
	}
	all[lang]["Lang"] = lang
	return all[lang], nil
}

// firstCodeCommand takes a card's code over. The card's first boot runs it.
func firstCodeCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "first-code", Short: "Take over the code of a card from the standard input", Hidden: true, Args: takes(0, 0), Annotations: on(theRoom)}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return takeFirstCode(cmd.Context(), c) }
	return cmd
}

func takeFirstCode(ctx context.Context, c *call) error {
	text, err := io.ReadAll(io.LimitReader(c.stdin, 1000))
	if err != nil {
		return fmt.Errorf("read the card's code: %w", err)
	}
	var f web.FirstCode
	if err := f.UnmarshalText(text); err != nil {
		return err
	}
	store, tokens, err := sealedTokens(c)
	if err != nil {
		return err
	}
	defer store.Close()
	err = tokens.TakeFirstCode(ctx, f)
	if errors.Is(err, web.ErrCardTaken) {
		fmt.Fprintln(c.stderr, "The room took this card's code over before; it stays as it is.")
		return nil
	}
	return errors.Join(err, onDisk(store))
}
