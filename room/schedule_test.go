package room

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestScheduleOnlySendsCommands(t *testing.T) {
	var got []Command
	answers := []error{nil, &Refused{Reason: "A session is running."}, errors.New("disk")}
	do := func(_ context.Context, c Command) (Ack, error) {
		got = append(got, c)
		if len(got) > len(answers) {
			panic("a defect of ours")
		}
		return Ack{}, answers[len(got)-1]
	}
	s, err := NewSchedule([]Job{{At: "0 8 * * MON-FRI", Scene: "dusk", Fade: 5 * time.Minute}}, do, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"done", "left out: A session is running.", "failed", "failed"} {
		s.run(0)
		if v := s.View()[0]; !strings.HasSuffix(v.Last, ": "+want) || v.Next == "" || v.Do != "scene dusk" {
			t.Errorf("after a run that was %q the schedule shows %+v", want, v)
		}
	}
	if c := got[0]; c.Do != SetScene || c.Scene != "dusk" || c.By != "5m0s" || c.ID == got[1].ID {
		t.Errorf("the job sent %+v", c)
	}
}

func TestScheduleRefusesATimeThatIsNone(t *testing.T) {
	if CheckCron("0 8 * * MON-FRI") != nil || CheckCron("61 8 * * *") == nil || CheckCron("every day") == nil {
		t.Error("CheckCron")
	}
	if _, err := NewSchedule([]Job{{At: "61 8 * * *"}}, nil, slog.Default()); err == nil {
		t.Error("a schedule was made of a time that is none")
	}
}
