package crontab

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones of TestEveryDayOnce

	"roomd/rig"
)

// Wherever the clocks are changed, and to whatever: a time of day comes once on each day that has one.
func TestEveryDayOnce(t *testing.T) {
	rig.Arithmetic(t)
	r := rand.New(rand.NewPCG(8, 5))
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Casablanca", "UTC"} {
		loc, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		for range 25 {
			hour, minute := r.IntN(24), r.IntN(60)
			if r.IntN(2) == 0 {
				hour = r.IntN(4) // where clocks are changed
			}
			spec, err := Parse(fmt.Sprintf("%d %d * * *", minute, hour))
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2016, 1, 1, 0, 0, 0, 0, loc).Add(-time.Second)
			day := at
			for day.Year() < 2019 {
				at = spec.Next(at)
				day = day.AddDate(0, 0, 1)
				if at.Year() != day.Year() || at.YearDay() != day.YearDay() {
					t.Fatalf("%s: %02d:%02d comes at %v, the day is %v", zone, hour, minute, at, day)
				}
				if at.Hour() == hour && at.Minute() == minute {
					if earlier := at.Add(-time.Hour); earlier.Hour() == hour && earlier.Minute() == minute {
						t.Fatalf("%s: %02d:%02d comes the second time, %v", zone, hour, minute, at)
					}
					continue
				}
				if start, _ := at.ZoneBounds(); !at.Equal(start) {
					t.Fatalf("%s: %02d:%02d comes at %v", zone, hour, minute, at)
				}
			}
		}
	}
	// Each hour that passes is one, on a day of 23 hours and on one of 25.
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	hourly, err := Parse("0 * * * *")
	if err != nil {
		t.Fatal(err)
	}
	for day, want := range map[time.Time]int{time.Date(2026, 3, 29, 0, 0, 0, 0, berlin): 23, time.Date(2026, 10, 25, 0, 0, 0, 0, berlin): 25} {
		n := 0
		for at := day.Add(-time.Second); ; n++ {
			if at = hourly.Next(at); at.Day() != day.Day() {
				break
			}
		}
		if n != want {
			t.Errorf("%v has %d hours", day, n)
		}
	}
}

func TestParse(t *testing.T) {
	err := func(spec string) error { _, err := Parse(spec); return err }
	never := func(spec string) bool { at, err := Parse(spec); return err == nil && at.Never() }
	for spec, want := range map[string]string{
		"0 8 * * MON-FRI":      "0 8 * * 1,2,3,4,5",
		"0 8 * * SAT-SUN":      "0 8 * * 6,0",
		"0 8 * * FRI-MON":      "0 8 * * 5,6,0,1",
		"0 8 * * 7":            "0 8 * * 0",
		"0 8 * * 0-7":          "0 8 * * 0,1,2,3,4,5,6",
		"0 8 * * 5-7":          "0 8 * * 5,6,0",
		"0 8 * * Monday":       "0 8 * * 1",
		"0 8 * nov-feb *":      "0 8 * 11,12,1,2 *",
		"0 8 * December *":     "0 8 * 12 *",
		"*/15 8-18/5 1,15 * ?": "*/15 8,13,18 1,15 * ?",
		"5/20 * * * *":         "5,25,45 * * * *",
	} {
		fields := strings.Fields(spec)
		for k, f := range cronFields {
			fields[k], _ = f.parse(fields[k])
		}
		if got := strings.Join(fields, " "); got != want || err(spec) != nil || never(spec) {
			t.Errorf("%s is %s, %v, wanted %s", spec, got, err(spec), want)
		}
	}
	for spec, says := range map[string]string{
		"every day":                  "is not five fields",
		"@every 1s":                  "is not five fields",
		"@daily":                     "is not five fields",
		"CRON_TZ=UTC 0 8 * * *":      "is not five fields",
		"CRON_TZ=Asia/Tokyo 8 * * *": `minute "CRON_TZ=Asia/Tokyo": the step`,
		"@every 1s * * *":            `minute "@every" must be from 0 to 59`,
		"61 8 * * *":                 `minute "61" must be from 0 to 59`,
		"0 24 * * *":                 `hour "24" must be from 0 to 23`,
		"0 8 0 * *":                  `day "0" must be from 1 to 31`,
		"0 8 * 13 *":                 `month "13" must be from 1 to 12, or a name like FEB`,
		"0 8 * * Mittwoch":           `weekday "Mittwoch" must be from 0 to 7, or a name like MON`,
		"0 18-8 * * *":               `hour "18-8" runs backwards`,
		"0 8 * * */0":                "the step must be from 1 to 6",
		"0 8 * * ,":                  `weekday "" must be`,
	} {
		if err := err(spec); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, wanted %s", spec, err, says)
		}
	}
	if !never("0 8 31 2 *") || !never("0 8 31 APR,JUN *") || never("0 8 29 2 *") {
		t.Error("Never")
	}
}
