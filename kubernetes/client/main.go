// Command client is what tests run inside pods: it fetches a page, opens a
// connection, listens for one, resolves a name, or sleeps. It is built from this file
// alone, with the standard library, into the image berth.internal/test/client.
//
// Every command prints one line on success and exits 1 on failure, within its
// timeout.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const usage = `usage: client [-timeout 5s] COMMAND
  get URL            print the body of a page; fails unless the status is 2xx
  connect HOST:PORT  open a TCP connection and print both of its addresses
  listen PORT        answer each TCP connection with the caller's address
  lookup NAME        print the addresses of a name
  sleep              do nothing until told to end
`

func main() {
	timeout := flag.Duration("timeout", 5*time.Second, "how long a command may take")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	flag.Parse()
	ending, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ending, *timeout, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run runs a command; only sleep and listen go on beyond the timeout.
func run(ending context.Context, timeout time.Duration, arguments []string) error {
	command, argument := "", ""
	if len(arguments) > 0 {
		command = arguments[0]
	}
	if len(arguments) > 1 {
		argument = arguments[1]
	}
	ctx, cancel := context.WithTimeout(ending, timeout)
	defer cancel()
	switch {
	case command == "sleep":
		<-ending.Done()
		return nil
	case argument == "":
		return errors.New(strings.TrimSpace(usage))
	case command == "get":
		return get(ctx, argument)
	case command == "connect":
		return connect(ctx, argument)
	case command == "lookup":
		return lookup(ctx, argument)
	case command == "listen":
		return listen(ending, argument)
	}
	return errors.New(strings.TrimSpace(usage))
}

func get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(os.Stdout, response.Body); err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("%s answered %s", url, response.Status)
	}
	return nil
}

func connect(ctx context.Context, address string) error {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("%s -> %s\n", connection.LocalAddr(), connection.RemoteAddr())
	return connection.Close()
}

func lookup(ctx context.Context, name string) error {
	addresses, err := net.DefaultResolver.LookupHost(ctx, name)
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addresses, " "))
	return nil
}

func listen(ending context.Context, port string) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ending, func() { listener.Close() })
	defer stop()
	for {
		connection, err := listener.Accept()
		if ending.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(connection, connection.RemoteAddr())
		connection.Close()
	}
}
