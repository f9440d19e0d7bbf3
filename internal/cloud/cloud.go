// Package cloud holds what a client needs to reach a Berth install: where its
// endpoints are and who the client is. It is what "berth cloud show" prints
// and what "berth login" stores.
package cloud

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Cloud is one install as a client sees it.
type Cloud struct {
	// ARMEndpoint is the base URL of the ARM front end, without a slash at its end.
	ARMEndpoint string `json:"armEndpoint"`
	// ActiveDirectoryEndpoint is the base URL of the token service, without a slash at its end.
	ActiveDirectoryEndpoint string `json:"activeDirectoryEndpoint"`
	// TenantID, SubscriptionID and ClientID are GUIDs.
	TenantID       string `json:"tenantId"`
	SubscriptionID string `json:"subscriptionId"`
	ClientID       string `json:"clientId"`
	// ClientSecret is the password of the client's service principal.
	ClientSecret string `json:"clientSecret"`
	// CAFile is the path of the PEM file that verifies both endpoints.
	CAFile string `json:"caFile"`
	// Location is the name of the install's only region.
	Location string `json:"location"`
	// PortalURL is where the portal is, empty while there is none.
	PortalURL string `json:"portalUrl"`
}

// ErrNotLoggedIn says that there is no stored login.
var ErrNotLoggedIn = errors.New("not logged in")

// Load reads a stored login; ErrNotLoggedIn if there is none.
func Load(path string) (Cloud, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Cloud{}, ErrNotLoggedIn
	}
	if err != nil {
		return Cloud{}, fmt.Errorf("reading the login: %w", err)
	}
	var c Cloud
	if err := json.Unmarshal(content, &c); err != nil {
		return Cloud{}, fmt.Errorf("reading the login %s: %w", path, err)
	}
	return c, nil
}

// Save stores a login for its owner alone (0600), whole or not at all.
func (c Cloud) Save(path string) error {
	content, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the login: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("storing the login: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".login-*") // created with mode 0600
	if err != nil {
		return fmt.Errorf("storing the login: %w", err)
	}
	defer os.Remove(temporary.Name())
	_, err = temporary.Write(append(content, '\n'))
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err != nil {
		return fmt.Errorf("storing the login: %w", err)
	}
	return os.Rename(temporary.Name(), path)
}
