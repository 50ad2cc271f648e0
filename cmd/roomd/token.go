package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"roomd/room"
	"roomd/room/journal"
	"roomd/web"
)

// tokenCommand creates, lists and revokes the tokens of who may steer the room.
func tokenCommand(c *call) *cobra.Command {
	create := &cobra.Command{Use: "create NAME", Short: "Let a program in: print its token, once", Args: takes(1, 1), Annotations: on(theRoom), Example: "  roomd token create prometheus --observer"}
	observer := create.Flags().Bool("observer", false, "it may see the session, but not steer it")
	create.RunE = c.onTokens(func(ctx context.Context, tokens *web.Tokens, words []string) error {
		t, err := tokens.Create(ctx, words[0], role(*observer))
		if err == nil {
			fmt.Fprintln(c.stdout, t)
		}
		return err
	})
	list := &cobra.Command{Use: "list", Short: "List who may steer the room, or watch", Args: takes(0, 0), Annotations: on(theRoom)}
	asJSON := list.Flags().Bool("json", false, "print them as JSON")
	list.RunE = c.onTokens(func(ctx context.Context, tokens *web.Tokens, _ []string) error {
		all, err := tokens.List(ctx)
		if err != nil {
			return err
		}
		return printTokens(c.stdout, all, *asJSON)
	})
	revoke := &cobra.Command{Use: "revoke NAME", Short: "Shut a device or a program out", Args: takes(1, 1), Annotations: on(theRoom), ValidArgsFunction: c.completing(1, func(room.Config) (names []string) {
		all, _ := tokensIn(context.Background(), filepath.Join(c.data, "roomd.db")) // nothing is proposed then
		for _, t := range all {
			names = append(names, t.Name)
		}
		return names
	})}
	revoke.RunE = c.onTokens(func(ctx context.Context, tokens *web.Tokens, words []string) error {
		err := tokens.Revoke(ctx, words[0])
		if errors.Is(err, web.ErrNoToken) {
			return fmt.Errorf("no token is called %q (roomd token list shows them)", words[0])
		}
		return err
	})
	return group("token", "Say who may steer the room, or only watch", create, list, revoke)
}

// onTokens opens the room's tokens. What is done with them is an error unless it is on the disk.
func (c *call) onTokens(do func(context.Context, *web.Tokens, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, words []string) error {
		store, err := sharedStore(c)
		if err != nil {
			return err
		}
		defer store.Close()
		if err := do(cmd.Context(), web.NewTokens(store), words); err != nil {
			return err
		}
		return onDisk(store)
	}
}

// tokenJSON is a token without its secret, for a program.
type tokenJSON struct {
	Name     string     `json:"name"`
	Role     web.Role   `json:"role"`
	Created  time.Time  `json:"created"`
	LastUsed *time.Time `json:"last_used"` // null: never
}

func printTokens(to io.Writer, all []web.Token, asJSON bool) error {
	w := tabwriter.NewWriter(to, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tROLE\tCREATED\tLAST USED")
	out := []tokenJSON{}
	for _, t := range all {
		used, at := "never", (*time.Time)(nil)
		if !t.LastUsed.IsZero() {
			used, at = t.LastUsed.Format(time.DateOnly), &t.LastUsed
		}
		out = append(out, tokenJSON{t.Name, t.Role, t.Created, at})
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.Name, t.Role, t.Created.Format(time.DateOnly), used)
	}
	if asJSON {
		return printJSON(to, out)
	}
	return w.Flush()
}

// sharedStore opens the room's journal beside a roomd that may be running.
func sharedStore(c *call) (*journal.Store, error) {
	return journal.Share(filepath.Join(c.data, "roomd.db"))
}

// onDisk says where what was done is not on the disk.
func onDisk(store *journal.Store) error {
	if t := store.Outage(); t != nil {
		return fmt.Errorf("the disk does not take it: %w", t.Err)
	}
	return nil
}

func role(observer bool) web.Role {
	if observer {
		return web.Observer
	}
	return web.Therapist
}
