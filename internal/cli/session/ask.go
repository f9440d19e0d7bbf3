package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"berth.dev/berth/internal/cli/failure"
)

// ErrDeclined says that the user answered no.
var ErrDeclined = errors.New("operation cancelled")

// Confirm asks a question whose answer is yes or no; ErrDeclined for no.
func (s *Session) Confirm(ctx context.Context, question string) error {
	if !s.Interactive {
		return failure.Usage("cannot ask for confirmation without a terminal: use --yes")
	}
	fmt.Fprintf(s.Err, "%s (y/n): ", question)
	// A read from a terminal cannot be called off. After Ctrl-C it is left to
	// end with the process, which is about to.
	answer := make(chan error, 1)
	go func() { answer <- s.readAnswer() }()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case err := <-answer:
		return err
	}
}

func (s *Session) readAnswer() error {
	lines := bufio.NewReader(s.In)
	for {
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
		fmt.Fprint(s.Err, "Please answer (y/n): ")
	}
}
