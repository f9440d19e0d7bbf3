package app

import (
	"path/filepath"
	"strings"
)

// lastWords is what a daemon that could not even make its record said at its
// end, all of it: an error may have many lines. Without an error it is the log's
// last line.
func lastWords(path string) string {
	content, err := tail(path)
	if err != nil {
		return "see " + path
	}
	said := strings.TrimSpace(string(content))
	at := strings.LastIndex("\n"+said, "\nERROR: ")
	if at < 0 {
		return lastLine(path)
	}
	return strings.TrimPrefix(said[at:], "ERROR: ") + " (" + filepath.Base(path) + ")"
}
