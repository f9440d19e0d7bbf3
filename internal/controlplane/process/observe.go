package process

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/version"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/supervise"
)

// The bounds of one look at an API server: nobody is to wait for one that hangs.
const (
	lookTimeout = 2 * time.Second
	maxAnswer   = 1 << 20
	shownChecks = 2
)

// observe says how a control plane stands, from where its clients are: at its
// public address.
func observe(ctx context.Context, desired controlplane.Desired, supervised supervise.Status) (controlplane.Status, error) {
	status := controlplane.Status{Components: supervised.Components}
	for _, component := range supervised.Components {
		if component.Outdated {
			status.Outdated = append(status.Outdated, component.Name)
		}
	}
	if apiServers, konnectivity := servers(supervised); len(status.Outdated) == 0 && (apiServers > 1 || konnectivity > 1) {
		status.Outdated = append(status.Outdated, "what the API server took over from")
	}
	client, err := newClient(desired)
	if err != nil {
		return controlplane.Status{}, fmt.Errorf("control plane %s: %w", desired.ID, err)
	}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	base := "https://" + netip.AddrPortFrom(desired.Address, controlplane.APIServerPort).String()
	code, body, err := get(ctx, client, base+"/readyz")
	switch {
	case err != nil:
		status.Message = waitingFor(supervised, err)
		return status, nil
	case code != http.StatusOK:
		status.Message = "the API server is starting: " + failedChecks(body)
		return status, nil
	}
	status.Ready = true
	if _, body, err = get(ctx, client, base+"/version"); err == nil {
		status.Version, status.EmulatedVersion = versions(body)
	}
	return status, nil
}

// versions reads an answer of /version: the version of the binary, and the
// minor that it emulates if that is another.
func versions(body []byte) (binary, emulated string) {
	var info version.Info
	if json.Unmarshal(body, &info) != nil {
		return "", ""
	}
	if info.EmulationMajor != "" && (info.EmulationMajor != info.Major || info.EmulationMinor != info.Minor) {
		emulated = info.EmulationMajor + "." + info.EmulationMinor
	}
	return strings.TrimPrefix(info.GitVersion, "v"), emulated
}

// newClient is Berth's own client of the API server.
func newClient(desired controlplane.Desired) (*http.Client, error) {
	certificate, err := tls.X509KeyPair(desired.Credentials[pki.ServiceClientCert], desired.Credentials[pki.ServiceClientKey])
	if err != nil {
		return nil, fmt.Errorf("reading the service's client certificate: %w", err)
	}
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(desired.Credentials[pki.ClusterCACert]) {
		return nil, errors.New("reading the cluster CA: no certificate in the PEM")
	}
	return &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities, Certificates: []tls.Certificate{certificate}},
	}}, nil
}

func get(ctx context.Context, client *http.Client, url string) (int, []byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, body, err
}

// failedChecks are the names of the checks that /readyz says failed.
func failedChecks(body []byte) string {
	var failed []string
	for line := range strings.Lines(string(body)) {
		if name, is := strings.CutPrefix(line, "[-]"); is {
			failed = append(failed, strings.Fields(name)[0])
		}
	}
	if len(failed) == 0 {
		return "it does not answer /readyz yet" // 403 until its default roles are there
	}
	if more := len(failed) - shownChecks; more > 0 {
		failed = append(failed[:shownChecks], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(failed, ", ")
}

// waitingFor says which component holds the API server up.
func waitingFor(supervised supervise.Status, err error) string {
	for _, component := range supervised.Components {
		if component.Name != controlplane.Etcd && component.Name != controlplane.APIServer {
			continue
		}
		switch {
		case component.PID == 0 && component.LastExit != "":
			return fmt.Sprintf("%s died (%s) and is about to be started again", component.Name, component.LastExit)
		case component.Waiting != "":
			return fmt.Sprintf("%s waits for %s", component.Name, component.Waiting)
		case component.PID == 0:
			return component.Name + " is about to be started"
		}
	}
	var number syscall.Errno
	if errors.As(err, &number) { // the whole error would name another port each time
		return "the API server does not answer: " + number.Error()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "the API server does not answer"
	}
	return "the API server does not answer: " + err.Error()
}
