package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	_ "net/http/pprof" // on the socket below
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/prometheus/procfs"
	"github.com/spf13/pflag"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/home"
)

// The arguments that name the processes of a measurement of the front end.
const (
	serviceProcess   = "front-end"
	generatorProcess = "generator"
)

// serveFrontEnd is the process that is measured: the front end of an install
// with nothing behind it. Its profiler answers on a socket in the home.
func serveFrontEnd(ctx context.Context, dir, supervisor string) error {
	var o app.Options
	flags := pflag.NewFlagSet(serviceProcess, pflag.ContinueOnError)
	o.BindFlags(flags)
	if err := flags.Parse([]string{
		"--home=" + dir, "--listen=127.0.0.1:0", "--throttle=off", "--public-range=198.18.0.0/20", "--log-format=json",
	}); err != nil {
		return err
	}
	listener, err := net.Listen("unix", profiler(dir))
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Second} // the profiler is in the default mux
	go func() { _ = server.Serve(listener) }()             // until the process ends
	return app.FrontEndAlone(ctx, o, supervisor, os.Stderr)
}

// profiler is the socket of the profiler, beside the home.
func profiler(dir string) string { return dir + ".pprof" }

// service is the process that is measured.
type service struct {
	home   home.Home
	daemon home.Daemon
}

// startService starts the process, whose log is a file as a daemon's is, and
// waits until it serves. stop takes it down with all that it made.
func startService(ctx context.Context, dir string) (s *service, stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	supervisor, err := filepath.Abs("bin/berth-supervisor")
	if err != nil {
		return nil, nil, err
	}
	log, err := os.Create(dir + ".log")
	if err != nil {
		return nil, nil, err
	}
	command := exec.Command(self, serviceProcess, dir, supervisor)
	command.Stdout, command.Stderr = log, log
	if err := command.Start(); err != nil {
		return nil, nil, err
	}
	running, ended := context.WithCancelCause(ctx)
	go func() { ended(fmt.Errorf("the front end ended: %w", command.Wait())) }() // until stop has ended it
	stop = func() error {
		_, err := teller{home: dir}.berth(context.WithoutCancel(ctx), "down", "--purge")
		return errors.Join(err, log.Close())
	}
	s = &service{}
	if err := s.await(running, dir); err != nil {
		content, _ := os.ReadFile(log.Name())
		return nil, nil, errors.Join(fmt.Errorf("starting the front end: %w: %s", err, content), stop())
	}
	return s, stop, nil
}

// await waits until the service says that it is ready.
func (s *service) await(ctx context.Context, dir string) error {
	return until(ctx, func() error {
		var err error
		if s.home, err = home.Open(dir); err != nil {
			return err
		}
		if s.daemon, _, err = s.home.ReadDaemon(); err == nil && s.daemon.Phase != home.PhaseReady {
			err = fmt.Errorf("it says that it is %q", s.daemon.Phase)
		}
		return err
	})
}

// cpu is the CPU time of the process so far, in seconds.
func (s *service) cpu() (float64, error) {
	process, err := procfs.NewProc(s.daemon.PID)
	if err != nil {
		return 0, err
	}
	stat, err := process.Stat()
	return stat.CPUTime(), err
}

// profile writes a CPU profile of so many seconds from now on to a file.
func (s *service) profile(ctx context.Context, seconds int, file string) error {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", profiler(s.home.Dir))
	}}}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://profiler/debug/pprof/profile?seconds=%d", seconds), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	_, err = out.ReadFrom(response.Body)
	return errors.Join(err, out.Close())
}
