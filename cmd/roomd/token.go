package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"roomd/room/journal"
	"roomd/web"
)

// token creates, lists and revokes the tokens of who may steer the room.
func token(ctx context.Context, c *call) error {
	observer := c.flags.Bool("observer", false, "it may see the session and not steer it")
	words, err := c.parse()
	if err != nil {
		return err
	}
	store, err := sharedStore(c)
	if err != nil {
		return err
	}
	defer store.Close()
	tokens := web.NewTokens(store)
	switch {
	case len(words) == 2 && words[0] == "create":
		t, err := tokens.Create(ctx, words[1], role(*observer))
		if err == nil {
			err = onDisk(store)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(c.stdout, t)
		return nil
	case len(words) == 2 && words[0] == "revoke":
		if err := tokens.Revoke(ctx, words[1]); errors.Is(err, web.ErrNoToken) {
			return fmt.Errorf("no token is called %q (roomd token list shows them)", words[1])
		} else if err != nil {
			return err
		}
		return onDisk(store)
	case len(words) == 1 && words[0] == "list":
		list, err := tokens.List(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tROLE\tCREATED\tLAST USED")
		for _, t := range list {
			used := "never"
			if !t.LastUsed.IsZero() {
				used = t.LastUsed.Format("2006-01-02")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", t.Name, t.Role, t.Created.Format("2006-01-02"), used)
		}
		return w.Flush()
	}
	return usageError{errors.New("write: roomd token create NAME [--observer], list, or revoke NAME")}
}

// sharedStore opens the room's journal beside a roomd that may be running.
func sharedStore(c *call) (*journal.Store, error) {
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return nil, fmt.Errorf("make the data folder: %w", err)
	}
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
