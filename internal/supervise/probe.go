package supervise

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"time"
)

// probeTimeout bounds one look at a gate.
const probeTimeout = 2 * time.Second

// maxAnswer bounds what is read of an answer, maxMetrics of one with metrics.
const (
	maxAnswer  = 1 << 16
	maxMetrics = 1 << 22
)

func (p Probe) validate() error {
	set := 0
	for _, field := range []string{p.TCP, p.Unix, p.File, p.HTTPS} {
		if field != "" {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("the gate has %d conditions, want exactly one of tcp, unix, file and https", set)
	}
	if p.Metric != "" {
		at, err := netip.ParseAddrPort(p.TCP)
		if err != nil || !at.Addr().IsLoopback() {
			return fmt.Errorf("the gate's metric %s is asked for at %q, want an address on loopback", p.Metric, p.TCP)
		}
	}
	if p.HTTPS != "" && !strings.HasPrefix(p.HTTPS, "https://") {
		return fmt.Errorf("the gate's URL %s is not https", p.HTTPS)
	}
	return nil
}

// String says what the gate waits for.
func (p Probe) String() string {
	switch {
	case p.Metric != "":
		return p.Metric + " of " + p.TCP
	case p.TCP != "":
		return p.TCP
	case p.Unix != "":
		return p.Unix
	case p.File != "":
		return p.File
	}
	return p.HTTPS
}

// prober looks at one gate again and again, over one connection where it can.
type prober struct {
	probe Probe
	// as is the probe with the identity that client was made with.
	as     Probe
	client *http.Client
	// shown is the file of that identity's certificate.
	shown os.FileInfo
}

// look returns nil if the gate is open, else what is wrong.
func (p *prober) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	switch {
	case p.probe.Metric != "":
		return p.sample(ctx)
	case p.probe.TCP != "":
		return dial(ctx, "tcp", p.probe.TCP)
	case p.probe.Unix != "":
		return dial(ctx, "unix", p.probe.Unix)
	case p.probe.File != "":
		_, err := os.Stat(p.probe.File)
		return err
	}
	return p.get(ctx)
}

func dial(ctx context.Context, network, address string) error {
	connection, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return err
	}
	return connection.Close()
}

// sample looks for a sample of the probe's metric.
func (p *prober) sample(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.probe.TCP+"/metrics", nil)
	if err != nil {
		return err
	}
	if p.client == nil {
		p.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1}}
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(io.LimitReader(response.Body, maxMetrics))
	for lines.Scan() {
		// name{label="value"} 1, or without labels; comments begin with #.
		name := lines.Text()
		if end := strings.IndexAny(name, "{ "); end >= 0 {
			name = name[:end]
		}
		if name == p.probe.Metric && response.StatusCode == http.StatusOK {
			return nil
		}
	}
	return errors.Join(fmt.Errorf("HTTP %d without %s", response.StatusCode, p.probe.Metric), lines.Err())
}

// identify makes a client with the identity that there is by now, and another once
// that is another: what ended is renewed while a gate waits.
func (p *prober) identify() error {
	as := p.probe.identified(time.Now())
	var shown os.FileInfo
	if as.CertFile != "" {
		var err error
		if shown, err = os.Stat(as.CertFile); err != nil {
			return err
		}
	}
	if p.client != nil && as == p.as && (shown == nil || sameVersion(shown, p.shown)) {
		return nil
	}
	p.close()
	config, err := as.tlsConfig()
	if err != nil {
		return err
	}
	p.as, p.shown = as, shown
	p.client = &http.Client{Transport: &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 1}}
	return nil
}

func (p *prober) get(ctx context.Context) error {
	if err := p.identify(); err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, p.probe.HTTPS, nil)
	if err != nil {
		return err
	}
	if p.as.TokenFile != "" {
		token, err := os.ReadFile(p.as.TokenFile)
		if err != nil {
			return err
		}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	}
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, maxAnswer)); err != nil { // else the connection could not be used again
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("HTTP %d", response.StatusCode)
	}
	return nil
}

// identified is the probe with the one identity that it has by now: the
// certificate, or while that does not exist or has ended the token.
func (p Probe) identified(now time.Time) Probe {
	if p.TokenFile == "" || p.CertFile == "" {
		return p
	}
	if _, err := os.Stat(p.CertFile); err == nil && !p.ended(now) {
		p.TokenFile = ""
	} else {
		p.CertFile, p.KeyFile = "", ""
	}
	return p
}

// ended says that the certificate for which a token can stand in has ended.
func (p *Probe) ended(now time.Time) bool {
	if p == nil || p.TokenFile == "" || p.CertFile == "" {
		return false
	}
	file, err := os.ReadFile(p.CertFile)
	if err != nil {
		return false // there is none
	}
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			certificate, err := x509.ParseCertificate(block.Bytes)
			return err == nil && now.After(certificate.NotAfter)
		}
	}
	return false
}

// close ends the prober's connection.
func (p *prober) close() {
	if p.client != nil {
		p.client.CloseIdleConnections()
	}
}

func (p Probe) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: p.ServerName}
	if p.CAFile != "" {
		authorities, err := os.ReadFile(p.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(authorities) {
			return nil, fmt.Errorf("%s holds no certificate", p.CAFile)
		}
	}
	if p.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// wait looks until the gate is open or the context ends. It calls report with
// what the gate waits for, each time that changes.
func (p Probe) wait(ctx context.Context, every time.Duration, report func(string)) error {
	prober := &prober{probe: p}
	defer prober.close()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := ""
	for {
		err := prober.look(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if waiting := p.String() + ": " + brief(err); waiting != last {
			last = waiting
			report(waiting)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// brief is an error without the ports and addresses that differ at each try.
func brief(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "no answer"
	}
	return err.Error()
}
