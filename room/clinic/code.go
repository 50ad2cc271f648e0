package clinic

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"strings"
)

// Code lets one room join. It holds a secret that the desk knows, and the start of the fingerprint of the desk's authority, by which
// the room knows the desk. On paper it is 24 letters and digits in six groups; the last two are a checksum, so that a typing
// error is found before the desk counts it as a guess.
type Code struct {
	secret [secretBytes]byte
	finger [fingerBytes]byte
}

const (
	secretBytes = 4  // 32 bits, of which the desk takes ten guesses
	fingerBytes = 10 // 80 bits: nobody makes another authority that has them
	sumBytes    = 1
)

// letters are Crockford's base32: no I, L, O or U.
var letters = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// ErrCode is the error of a text that is not a code.
var ErrCode = errors.New("not a code of a desk: check each letter")

// NewCode makes a code for a desk whose authority has the certificate authority, in DER.
func NewCode(authority []byte) (c Code) {
	rand.Read(c.secret[:])
	sum := sha256.Sum256(authority)
	copy(c.finger[:], sum[:])
	return c
}

// ParseCode reads what a person typed: small letters, spaces and hyphens are taken, and I, L and O as the digits they look like.
func ParseCode(text string) (c Code, err error) {
	text = strings.NewReplacer("-", "", " ", "", "O", "0", "I", "1", "L", "1").Replace(strings.ToUpper(strings.TrimSpace(text)))
	b, err := letters.DecodeString(text)
	if err != nil || len(text) != letters.EncodedLen(secretBytes+fingerBytes+sumBytes) || b[len(b)-1] != checksum(b[:len(b)-1]) {
		return c, ErrCode
	}
	copy(c.secret[:], b)
	copy(c.finger[:], b[secretBytes:])
	return c, nil
}

func checksum(b []byte) byte {
	sum := sha256.Sum256(b)
	return sum[0]
}

// String is the code as a person reads it: XXXX-XXXX-XXXX-XXXX-XXXX-XXXX.
func (c Code) String() string {
	b := append(append([]byte{}, c.secret[:]...), c.finger[:]...)
	text := letters.EncodeToString(append(b, checksum(b)))
	var out strings.Builder
	for i, r := range text {
		if i > 0 && i%4 == 0 {
			out.WriteByte('-')
		}
		out.WriteRune(r)
	}
	return out.String()
}

// Secret is what the room sends to the desk that it has recognized.
func (c Code) Secret() string { return letters.EncodeToString(c.secret[:]) }

// Knows reports whether authority, in DER, is the one of the desk that made the code.
func (c Code) Knows(authority []byte) bool {
	sum := sha256.Sum256(authority)
	return subtle.ConstantTimeCompare(sum[:fingerBytes], c.finger[:]) == 1
}
