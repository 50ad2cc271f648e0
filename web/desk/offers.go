package desk

import (
	"crypto/subtle"
	"errors"
	"strings"
	"sync"
	"time"

	"roomd/room/clinic"
)

const (
	offerTime  = 5 * time.Minute
	offerWrong = 10 // guesses by everybody together
)

// Errors of joining.
var (
	errNoOffer   = errors.New("no code is open")
	errWrongCode = errors.New("wrong code")
)

// offers is the one code by which a room may join now.
type offers struct {
	mu     sync.Mutex
	code   clinic.Code
	house  string    // the group of the room that joins
	since  time.Time // zero: there is no offer
	wrong  int
	joined *member // who has used it
}

type member struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// open reports whether the code still works. The caller holds mu.
func (o *offers) open() bool {
	return !o.since.IsZero() && o.joined == nil && o.wrong < offerWrong && time.Since(o.since) < offerTime
}

// make opens an offer in place of the one before.
func (o *offers) make(authority []byte, house string) (clinic.Code, time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.code, o.house, o.since, o.wrong, o.joined = clinic.NewCode(authority), house, time.Now(), 0, nil
	return o.code, o.since
}

// current returns the open offer, or who has used it.
func (o *offers) current() (code clinic.Code, since time.Time, joined *member, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.code, o.since, o.joined, o.open() || o.joined != nil
}

func (o *offers) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since, o.joined = time.Time{}, nil
}

// use has a room join by a code: join is called with the house, once for each offer unless it fails.
func (o *offers) use(secret string, who member, join func(house string) error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.open() {
		return errNoOffer
	}
	if subtle.ConstantTimeCompare([]byte(strings.ToUpper(secret)), []byte(o.code.Secret())) != 1 {
		o.wrong++
		return errWrongCode
	}
	if err := join(o.house); err != nil {
		return err
	}
	o.joined = &who
	return nil
}
