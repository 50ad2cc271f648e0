package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"roomd/room"
	"roomd/web"
)

// clinicTime is how long the running room may take to join a clinic or to leave it.
const clinicTime = 20 * time.Second

func deskJoinCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "join ADDRESS CODE", Short: "Have the running room join a clinic", Args: takes(1, 2), Annotations: on(theRoom),
		Long:    "Have the running room join a clinic: its desk then shows how the room is, and never steers it. The desk shows the address and the code, or a link that stands for both. The session that runs goes on.",
		Example: "  roomd desk join 192.168.1.5:8444 ABCD-EFGH-JKMN-PQRS-TVWX-YZ01\n  roomd desk join https://192.168.1.5:8444/join#ABCD-EFGH-JKMN-PQRS-TVWX-YZ01"}
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		in := map[string]string{"address": words[0], "code": ""}
		if len(words) > 1 {
			in["code"] = words[1]
		}
		v, err := c.changeClinic(cmd.Context(), http.MethodPost, "/api/v1/clinic/join", in)
		if err == nil {
			fmt.Fprintf(c.stdout, "This room has joined %s.\n", cmp.Or(v.Name, "the clinic"))
		}
		return err
	}
	return cmd
}

func deskLeaveCommand(c *call) *cobra.Command {
	cmd := &cobra.Command{Use: "leave", Short: "Have the running room leave its clinic", Args: takes(0, 0), Annotations: on(theRoom), Example: "  roomd desk leave"}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		_, err := c.changeClinic(cmd.Context(), http.MethodDelete, "/api/v1/clinic", nil)
		if err == nil {
			fmt.Fprintln(c.stdout, "This room is in no clinic.")
		}
		return err
	}
	return cmd
}

// changeClinic has the running room join or leave.
func (c *call) changeClinic(ctx context.Context, method, path string, in any) (v web.ClinicView, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return v, err
	}
	answer, err := c.send(ctx, method, path, bytes.NewReader(body), clinicTime)
	if err == nil {
		return v, json.Unmarshal(answer, &v)
	}
	if errors.Is(err, errNoSocket) {
		return v, fmt.Errorf("no roomd runs on %s: start it first", c.data)
	}
	var refused room.Refused
	if json.Unmarshal([]byte(err.Error()), &refused) == nil && refused.Reason != "" {
		err = errors.New(refused.Reason)
		if refused.Details != "" {
			err = fmt.Errorf("%w (%s)", err, refused.Details)
		}
	}
	return v, err
}
