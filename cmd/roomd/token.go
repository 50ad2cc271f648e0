package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"

	"roomd/room"
	"roomd/web"
)

// token creates, lists and revokes the tokens of who may steer the room.
func token(ctx context.Context, c *call) error {
	words, err := c.parse()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	store, err := room.ShareStore(filepath.Join(c.data, "roomd.db"))
	if err != nil {
		return err
	}
	defer store.Close()
	saved := func() error {
		if t := store.Outage(); t != nil {
			return fmt.Errorf("the disk does not take it: %w", t.Err)
		}
		return nil
	}
	tokens := web.NewTokens(store)
	switch {
	case len(words) == 2 && words[0] == "create":
		t, err := tokens.Create(ctx, words[1])
		if err == nil {
			err = saved()
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
		return saved()
	case len(words) == 1 && words[0] == "list":
		list, err := tokens.List(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(c.stdout, 0, 8, 2, ' ', 0)
		fmt.Fprintln(w, "NAME\tCREATED\tLAST USED")
		for _, t := range list {
			used := "never"
			if !t.LastUsed.IsZero() {
				used = t.LastUsed.Format("2006-01-02")
			}
			fmt.Fprintf(w, "%s\t%s\t%s\n", t.Name, t.Created.Format("2006-01-02"), used)
		}
		return w.Flush()
	}
	return usageError{errors.New("write: roomd token create NAME, list, or revoke NAME")}
}
