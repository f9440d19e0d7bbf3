package session

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"berth.dev/berth/internal/cli/failure"
)

// ErrDeclined says that the user answered no.
var ErrDeclined = errors.New("operation cancelled")

// Confirm asks a question whose answer is yes or no; ErrDeclined for no.
func (s *Session) Confirm(question string) error {
	if !s.Interactive {
		return failure.Usage("cannot ask for confirmation without a terminal: use --yes")
	}
	lines := bufio.NewReader(s.In)
	for {
		fmt.Fprintf(s.Err, "%s (y/n): ", question)
		line, err := lines.ReadString('\n')
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return nil
		case "n", "no":
			return ErrDeclined
		}
		if errors.Is(err, io.EOF) {
			return ErrDeclined
		}
		if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
	}
}
