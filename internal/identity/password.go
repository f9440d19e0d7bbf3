package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// maxVerified bounds the memory of the verified secrets.
const maxVerified = 4096

// HashSecret is the hash of a client secret as ServicePrincipal objects hold it.
func HashSecret(secret string) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(secret), bcrypt.DefaultCost)
	return string(hash), err
}

// passwords verifies client secrets. bcrypt takes tens of milliseconds of a
// processor, so a secret that was right once is remembered, as a keyed hash
// over secret and stored hash that is of no use outside this process: a
// changed or removed hash is never matched by what was remembered. What was
// wrong is not remembered, and at most two are computed at a time, so that
// guessing cannot take the machine.
type passwords struct {
	key     [32]byte
	compute chan struct{}

	mu       sync.Mutex
	verified map[[sha256.Size]byte]struct{}
}

func newPasswords() *passwords {
	p := &passwords{compute: make(chan struct{}, 2), verified: map[[sha256.Size]byte]struct{}{}}
	rand.Read(p.key[:]) // never fails: crypto/rand ends the process instead
	return p
}

// matches says whether a secret is the one of a stored hash; an error only if
// the caller went away before its turn.
func (p *passwords) matches(ctx context.Context, hash, secret string) (bool, error) {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(hash + "\x00" + secret))
	id := [sha256.Size]byte(mac.Sum(nil))
	p.mu.Lock()
	_, known := p.verified[id]
	p.mu.Unlock()
	if known {
		return true, nil
	}
	select {
	case p.compute <- struct{}{}:
		defer func() { <-p.compute }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(secret)) != nil {
		return false, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.verified) >= maxVerified {
		clear(p.verified)
	}
	p.verified[id] = struct{}{}
	return true, nil
}
