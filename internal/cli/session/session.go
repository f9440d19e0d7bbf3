// Package session is what every customer's command starts from: the streams it
// reads and writes, the flags that all commands share, the login, and clients
// of the service that are ready to call. A session lasts for one command and
// keeps tokens in memory only.
package session

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"k8s.io/utils/clock"

	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cloud"
)

// Streams are where a command reads and writes. Files that are terminals get
// colours and a live progress line.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
}

// Session is one run of a command.
type Session struct {
	Streams
	// Getenv reads the environment.
	Getenv func(name string) string
	// Clock tells the time; tests have their own.
	Clock clock.WithTicker
	// LoginFiles are the files that may hold a login, in the order in which
	// they are tried.
	LoginFiles []string
	// Interactive says that there is somebody to ask.
	Interactive bool
	// Width is the width of the terminal that Err is, 0 if it is none.
	Width int

	format         output.Format
	query          output.Query
	subscription   string
	debug          bool
	onlyShowErrors bool

	opened *connection
}

// New makes the session of a process.
func New(streams Streams) *Session {
	_, interactive := terminal(streams.In)
	width, _ := terminal(streams.Err)
	return &Session{
		Streams:     streams,
		Getenv:      os.Getenv,
		Clock:       clock.RealClock{},
		LoginFiles:  loginFiles(),
		Interactive: interactive,
		Width:       width,
		format:      output.JSON,
	}
}

// AddFlags adds the flags that a command shares with all below it.
func (s *Session) AddFlags(command *cobra.Command) {
	flags := command.PersistentFlags()
	flags.VarP(&s.format, "output", "o", "how to print the result: json, jsonc, table, tsv, yaml or none")
	flags.Var(&s.query, "query", "what of the result to print, as a JMESPath expression")
	flags.StringVar(&s.subscription, "subscription", "", "id of the subscription, if not that of the login")
	flags.BoolVar(&s.debug, "debug", false, "log each request and answer, without bodies and secrets")
	flags.BoolVar(&s.onlyShowErrors, "only-show-errors", false, "show no progress and no warnings")
	complete := cobra.FixedCompletions(output.Formats(), cobra.ShellCompDirectiveNoFileComp)
	must(command.RegisterFlagCompletionFunc("output", complete))
	must(command.RegisterFlagCompletionFunc("subscription", cobra.NoFileCompletions))
	must(command.RegisterFlagCompletionFunc("query", cobra.NoFileCompletions))
}

// Cloud is the service that the session talks to.
func (s *Session) Cloud() (cloud.Cloud, error) {
	connection, err := s.connect()
	if err != nil {
		return cloud.Cloud{}, err
	}
	return connection.cloud, nil
}

// Print prints a command's result. columns is the command's own table.
func (s *Session) Print(value any, columns output.Columns) error {
	printer := output.Printer{Out: s.Out, Format: s.format, Query: &s.query, Color: s.colored()}
	return printer.Print(value, columns)
}

// PrintResource prints an ARM resource, or a list of them, in az's shape.
func (s *Session) PrintResource(value any, columns output.Columns) error {
	flat, err := output.Flatten(value)
	if err != nil {
		return err
	}
	return s.Print(flat, columns)
}

// Inform writes a line for the person at the terminal.
func (s *Session) Inform(format string, args ...any) {
	if !s.onlyShowErrors {
		fmt.Fprintf(s.Err, format+"\n", args...)
	}
}

// Quiet says that nothing but errors is to be shown.
func (s *Session) Quiet() bool { return s.onlyShowErrors }

// terminal is the width of the terminal that a stream is; false if it is none.
func terminal(stream any) (width int, ok bool) {
	file, isFile := stream.(*os.File)
	if !isFile || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width < 20 {
		width = 80
	}
	return width, true
}

func (s *Session) colored() bool {
	_, isTerminal := terminal(s.Out)
	return isTerminal && s.Getenv("NO_COLOR") == ""
}

// must stops the program where a command's own flags contradict each other:
// the tree of commands is built the same way in every run, and tests build it.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
