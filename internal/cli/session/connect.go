package session

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	azcloud "github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	azlog "github.com/Azure/azure-sdk-for-go/sdk/azcore/log"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cloud"
)

// connection is an opened login.
type connection struct {
	cloud      cloud.Cloud
	credential azcore.TokenCredential
	options    *arm.ClientOptions
	transport  *transport
}

// connect opens the login once. It sends nothing yet.
func (s *Session) connect() (*connection, error) {
	if s.opened != nil {
		return s.opened, nil
	}
	login, err := s.login()
	if err != nil {
		return nil, err
	}
	if s.subscription != "" {
		login.SubscriptionID = s.subscription
	}
	transport, err := newTransport(login.CAFile)
	if err != nil {
		return nil, err
	}
	if s.debug {
		azlog.SetListener(func(_ azlog.Event, message string) { fmt.Fprintln(s.Err, message) })
	}
	common := azcore.ClientOptions{
		Cloud: azcloud.Configuration{
			ActiveDirectoryAuthorityHost: login.ActiveDirectoryEndpoint,
			Services: map[azcloud.ServiceName]azcloud.ServiceConfiguration{
				azcloud.ResourceManager: {Endpoint: login.ARMEndpoint, Audience: login.ARMEndpoint},
			},
		},
		Retry:     policy.RetryOptions{MaxRetries: 3, RetryDelay: 400 * time.Millisecond, MaxRetryDelay: 5 * time.Second, ShouldRetry: worthRetrying},
		Telemetry: policy.TelemetryOptions{ApplicationID: "berth"},
		Transport: transport,
	}
	// The service is no public cloud: nobody else can vouch for its authority,
	// and its certificate already does.
	credential, err := azidentity.NewClientSecretCredential(login.TenantID, login.ClientID, login.ClientSecret,
		&azidentity.ClientSecretCredentialOptions{ClientOptions: common, DisableInstanceDiscovery: true})
	if err != nil {
		return nil, fmt.Errorf("using the login: %w", err)
	}
	s.opened = &connection{
		cloud:      login,
		credential: reachable{TokenCredential: credential, transport: transport},
		options:    &arm.ClientOptions{ClientOptions: common, DisableRPRegistration: true},
		transport:  transport,
	}
	return s.opened, nil
}

// worthRetrying leaves out what a retry cannot mend: where nothing listens,
// the user should hear so at once.
func worthRetrying(response *http.Response, err error) bool {
	if err != nil {
		var unreachable *failure.Unreachable
		return !errors.As(err, &unreachable)
	}
	switch response.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// transport sends requests to an install and nowhere else: it trusts only the
// install's own CA.
type transport struct {
	client *http.Client
	// last is why the service could not be reached at all, nil once it answers.
	last *failure.Unreachable
}

func newTransport(caFile string) (*transport, error) {
	certificates, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("reading the service's CA certificate: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(certificates) {
		return nil, fmt.Errorf("reading the service's CA certificate: %s holds none", caFile)
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &transport{client: &http.Client{Transport: &http.Transport{
		DialContext:           dialer.DialContext,
		TLSClientConfig:       &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 65 * time.Second, // ARM's front door gives up after 60
		IdleConnTimeout:       90 * time.Second,
		ForceAttemptHTTP2:     true,
	}}}, nil
}

// Do sends a request.
func (t *transport) Do(request *http.Request) (*http.Response, error) {
	response, err := t.client.Do(request)
	t.last = nil
	if err != nil && isUnreachable(err) {
		t.last = &failure.Unreachable{Endpoint: request.URL.Scheme + "://" + request.URL.Host, Err: cause(err)}
		return nil, t.last
	}
	return response, err
}

func isUnreachable(err error) bool {
	var verification *tls.CertificateVerificationError
	var operation *net.OpError
	return errors.Is(err, syscall.ECONNREFUSED) || errors.As(err, &verification) ||
		errors.As(err, &operation) && operation.Op == "dial"
}

// cause is an error without the layers that repeat the address.
func cause(err error) error {
	var verification *tls.CertificateVerificationError
	var operation *net.OpError
	switch {
	case errors.As(err, &verification):
		return verification.Err
	case errors.As(err, &operation):
		return operation.Err
	default:
		return err
	}
}
