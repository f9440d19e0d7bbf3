package session

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/home"
)

// LoginFile is where "berth login" stores the login of a user.
func LoginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "berth", "login.json"), nil
}

// loginFiles are the login of the install in the home directory, which only
// root can read, and the login of the user.
func loginFiles() []string {
	var files []string
	if dir, err := home.Dir(""); err == nil {
		files = append(files, home.Home{Dir: dir}.CloudFile())
	}
	if file, err := LoginFile(); err == nil {
		files = append(files, file)
	}
	return files
}

// login reads the first login that is there for this user.
func (s *Session) login() (cloud.Cloud, error) {
	for _, file := range s.LoginFiles {
		login, err := cloud.Load(file)
		if errors.Is(err, cloud.ErrNotLoggedIn) || errors.Is(err, fs.ErrPermission) {
			continue
		}
		return login, err
	}
	return cloud.Cloud{}, cloud.ErrNotLoggedIn
}
